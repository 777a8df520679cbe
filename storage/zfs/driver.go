package zfs

import (
	"cmp"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/maker"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options configure a Driver. The zero value of each field is the documented default.
type Options struct {
	Sparse         bool          // zvols reserve no space
	BlockSizeBytes int64         // volblocksize of new zvols, a power of 2 from 512 to 1 MiB; default: ZFS's own
	MountPoint     string        // where the dataset is mounted, for Path; default: /DATASET
	ImportDir      string        // where Activate looks for the disks of a pool that is not imported; default: /dev/disk/by-id
	DeviceTimeout  time.Duration // how long to wait for a zvol's device; default: 30 s
	ZFS, Zpool     string        // programs; default: zfs, zpool
	Logger         *slog.Logger  // argv of each command at Debug; nil discards
}

// Driver is a storage in a dataset. See the package for what it guarantees.
type Driver struct {
	dataset string
	opt     Options
	tool    *tool
	maker   maker.Maker // of datasets and snapshots that are no volumes
}

// datasetName is what names of pools and datasets look like here. ZFS also allows blanks and colons; a colon ends Proxmox VE's
// storage ids, and blanks end words everywhere.
var datasetName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// component is what the names of volumes look like in ZFS.
var component = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:-]*$`)

const (
	maxDataset = 255 // of a whole name with a snapshot. See include/sys/fs/zfs.h: ZFS_MAX_DATASET_NAME_LEN
	maxPool    = 120 // leaves room for the names of volumes, and of what is unfinished
)

// New returns the driver for a dataset, such as "tank" or "tank/guests". Nothing is touched.
func New(dataset string, o *Options) (*Driver, error) {
	if o == nil {
		o = &Options{}
	}
	if !datasetName.MatchString(dataset) || len(dataset) > maxPool || strings.Contains(dataset, "..") {
		return nil, fmt.Errorf("zfs: pool %q: %w", dataset, fs.ErrInvalid)
	}
	if b := o.BlockSizeBytes; b != 0 && (b < 512 || b > 1<<20 || b&(b-1) != 0) {
		return nil, fmt.Errorf("zfs: block size of %d bytes: %w", b, fs.ErrInvalid)
	}
	d := &Driver{dataset: dataset, opt: *o, maker: maker.New("")}
	d.opt.MountPoint = path.Clean(cmp.Or(o.MountPoint, "/"+dataset))
	d.opt.ImportDir = cmp.Or(o.ImportDir, "/dev/disk/by-id")
	for what, p := range map[string]string{"mount point": d.opt.MountPoint, "import folder": d.opt.ImportDir} {
		if !filepath.IsAbs(p) || strings.ContainsAny(p, "\x00\n") {
			return nil, fmt.Errorf("zfs: %s %q: %w", what, p, fs.ErrInvalid)
		}
	}
	d.opt.DeviceTimeout = cmp.Or(o.DeviceTimeout, 30*time.Second)
	if o.Logger == nil {
		d.opt.Logger = slog.New(slog.DiscardHandler)
	}
	d.tool = newTool(cmp.Or(o.ZFS, "zfs"), cmp.Or(o.Zpool, "zpool"), pool(dataset), d.opt.Logger)
	return d, nil
}

// pool is the first part of a dataset's name.
func pool(dataset string) string {
	name, _, _ := strings.Cut(dataset, "/")
	return name
}

// Backend opens drivers from sections of storage.cfg of the type zfspool. o supplies what a section does not name (ImportDir,
// DeviceTimeout, programs, Logger); nil is fine.
func Backend(o *Options) storage.Backend {
	if o == nil {
		o = &Options{}
	}
	return storage.Backend{Type: "zfspool", Open: func(cfg storage.Config) (storage.Driver, error) {
		opt := *o
		v := volid.Storage{ID: cfg.ID, Type: cfg.Type, Options: cfg.Options}
		opt.Sparse = v.Bool("sparse")
		opt.MountPoint = cfg.Options["mountpoint"]
		if opt.MountPoint == "none" || opt.MountPoint == "legacy" {
			opt.MountPoint = ""
		}
		size, err := blockSize(cfg.Options["blocksize"])
		if err != nil {
			return nil, err
		}
		opt.BlockSizeBytes = size
		return New(cfg.Options["pool"], &opt)
	}}
}

// blockSize reads sizes as ZFS writes them: 8192, 16k, 1M.
func blockSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	digits, factor := text, int64(1)
	switch text[len(text)-1] {
	case 'k', 'K':
		digits, factor = text[:len(text)-1], 1<<10
	case 'm', 'M':
		digits, factor = text[:len(text)-1], 1<<20
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("zfs: blocksize %q: %w", text, fs.ErrInvalid)
	}
	return n * factor, nil
}

// volume is a volume id of this storage, read.
type volume struct {
	volid.Volume
	dataset string // its whole name
}

func (v volume) subvol() bool { return v.Format == string(storage.Subvol) }

// parse reads a volume id of this storage.
func (d *Driver) parse(id storage.VolumeID) (volume, error) {
	n, err := volid.Parse("zfspool", string(id))
	if err != nil {
		return volume{}, fmt.Errorf("%w: %w", storage.ErrBadID, err)
	}
	v := volume{n, d.dataset + "/" + n.Name}
	if !component.MatchString(n.Name) || n.Linked() && !component.MatchString(n.BaseName) {
		return volume{}, fmt.Errorf("name %q: %w", id, storage.ErrBadID)
	}
	if n.Linked() && strings.HasPrefix(n.BaseName, "basevol-") != v.subvol() {
		return volume{}, fmt.Errorf("%s cannot be a clone of %s: %w", n.Name, n.BaseName, storage.ErrBadID)
	}
	if len(v.dataset)+1+maxSnapshot > maxDataset {
		return volume{}, fmt.Errorf("name of %d bytes: %w", len(n.Name), storage.ErrBadID)
	}
	return v, nil
}

// Path implements storage.Pather.
func (d *Driver) Path(id storage.VolumeID) (string, error) {
	v, err := d.parse(id)
	if err != nil {
		return "", d.fail("path of", id, err)
	}
	if v.subvol() {
		return path.Join(d.opt.MountPoint, v.Name), nil
	}
	return devicePath(v.dataset), nil
}

// fail wraps the error of one call with what this layer knows.
func (d *Driver) fail(op string, id storage.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	return &storage.OpError{Op: op, Driver: "zfspool", Volume: id, Err: err}
}
