package rbd

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/maker"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options configure a Driver. The zero value of each field is the documented default.
type Options struct {
	ConfFile  string   // Ceph's configuration; default: none, then Monitors must be given
	Monitors  []string // HOST, HOST:PORT; they take the place of those of ConfFile
	User      string   // without "client."; default admin
	Keyring   string   // file with the user's key; default: where ConfFile says. Without either, authentication is off
	Pool      string   // default rbd
	DataPool  string   // for the data of new images; default: Pool
	Namespace string   // in the pool; default: none
	// RunDir is where the driver writes what librbd needs to connect. It must not be writable by others; it is made when
	// needed. Default /run/gpve/rbd/POOL.
	RunDir  string
	Program string       // default "rbd"
	Ceph    string       // program for the space of pools; default "ceph"
	Logger  *slog.Logger // argv of each command at Debug; nil discards
}

// Driver is a storage in a Ceph pool. See the package.
type Driver struct {
	opt   Options
	tool  *tool
	conf  *connection
	maker maker.Maker // of images that are not finished
	// placing is held while a finished image gets its name: two short commands, never a copy.
	placing sync.Mutex
}

// word is what names of pools, namespaces and users look like here. Ceph allows more, but '/' and '@' have a meaning to its tools.
var word = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)

// monitor is an address of a monitor as Proxmox VE's monhost has them.
var monitor = regexp.MustCompile(`^[A-Za-z0-9_.:\[\]-]{1,255}$`)

// New returns the driver for a pool. Nothing is touched.
func New(o *Options) (*Driver, error) {
	if o == nil {
		o = &Options{}
	}
	d := &Driver{opt: *o}
	d.opt.Pool = cmp.Or(o.Pool, "rbd")
	d.opt.User = cmp.Or(o.User, "admin")
	d.opt.RunDir = cmp.Or(o.RunDir, filepath.Join("/run/gpve/rbd", d.opt.Pool))
	d.opt.Program = cmp.Or(o.Program, "rbd")
	d.opt.Ceph = cmp.Or(o.Ceph, "ceph")
	if o.Logger == nil {
		d.opt.Logger = slog.New(slog.DiscardHandler)
	}
	for what, v := range map[string]string{"pool": d.opt.Pool, "data-pool": o.DataPool, "namespace": o.Namespace, "username": d.opt.User} {
		if v != "" && !word.MatchString(v) {
			return nil, fmt.Errorf("rbd: %s %q: %w", what, v, fs.ErrInvalid)
		}
	}
	for _, m := range o.Monitors {
		if !monitor.MatchString(m) {
			return nil, fmt.Errorf("rbd: monitor %q: %w", m, fs.ErrInvalid)
		}
	}
	for what, p := range map[string]string{"configuration": o.ConfFile, "keyring": o.Keyring, "run folder": d.opt.RunDir} {
		if p != "" && (!filepath.IsAbs(p) || strings.ContainsAny(p, "\x00\n")) {
			return nil, fmt.Errorf("rbd: %s %q is no absolute path: %w", what, p, fs.ErrInvalid)
		}
	}
	if o.ConfFile == "" && len(o.Monitors) == 0 {
		return nil, fmt.Errorf("rbd: neither monitors nor a configuration file: %w", fs.ErrInvalid)
	}
	d.conf = &connection{opt: &d.opt}
	d.tool = &tool{opt: &d.opt, conf: d.conf, step: func() {}}
	d.maker = maker.New(maker.Machine("gpve-rbd"))
	return d, nil
}

// Paths say where a storage's secrets lie, for [Backend].
type Paths struct {
	ConfFile string // of the cluster that this machine belongs to; default /etc/ceph/ceph.conf
	// PrivDir holds ID.keyring and, for clusters of others, ID.conf; default /etc/pve/priv/ceph.
	PrivDir string
	RunDir  string // default /run/gpve/rbd; each storage gets a folder in it
	Logger  *slog.Logger
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Backend opens drivers from sections of storage.cfg of the type rbd. A section with krbd is refused.
func Backend(p Paths) storage.Backend {
	return storage.Backend{Type: "rbd", Open: func(cfg storage.Config) (storage.Driver, error) {
		v := cfg.Options
		if krbd := (volid.Storage{Options: v}); krbd.Bool("krbd") {
			return nil, fmt.Errorf("rbd: krbd: images are reached by librbd only: %w", fs.ErrInvalid)
		}
		if cfg.ID == "" || cfg.ID != filepath.Base(cfg.ID) || cfg.ID[0] == '.' {
			return nil, fmt.Errorf("rbd: storage id %q: %w", cfg.ID, fs.ErrInvalid)
		}
		o := &Options{
			User: v["username"], Pool: v["pool"], DataPool: v["data-pool"], Namespace: v["namespace"], Logger: p.Logger,
			RunDir: filepath.Join(cmp.Or(p.RunDir, "/run/gpve/rbd"), cfg.ID),
		}
		priv := cmp.Or(p.PrivDir, "/etc/pve/priv/ceph")
		o.Monitors = strings.FieldsFunc(v["monhost"], func(r rune) bool { return strings.ContainsRune(" ,;", r) })
		if len(o.Monitors) == 0 {
			o.ConfFile = cmp.Or(p.ConfFile, "/etc/ceph/ceph.conf")
		} else if own := filepath.Join(priv, cfg.ID+".conf"); exists(own) {
			o.ConfFile = own
		}
		if key := filepath.Join(priv, cfg.ID+".keyring"); exists(key) {
			o.Keyring = key
		}
		return New(o)
	}}
}

// Activate implements storage.Activator: the cluster answers and the pool is there.
func (d *Driver) Activate(ctx context.Context) error {
	_, err := d.tool.names(ctx)
	return d.fail("activate", "", err)
}

// parse reads a volume id of this storage.
func (d *Driver) parse(id storage.VolumeID) (volid.Volume, error) {
	v, err := volid.Parse("rbd", string(id))
	if err != nil {
		return v, fmt.Errorf("%w: %w", storage.ErrBadID, err)
	}
	if !word.MatchString(v.Name) || maker.Is(v.Name) {
		return v, fmt.Errorf("image name %q: %w", v.Name, storage.ErrBadID)
	}
	return v, nil
}

// fail wraps the error of one call with what this layer knows.
func (d *Driver) fail(op string, id storage.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	return &storage.OpError{Op: op, Driver: "rbd", Volume: id, Err: err}
}
