package dir

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options configure a Driver. The zero value of each field is the documented default.
type Options struct {
	Type          string                     // name in errors; default "dir". Drivers that mount a folder first give their own
	ContentDirs   map[storage.Content]string // folders below the path, instead of Proxmox VE's
	Contents      []storage.Content          // whose folders Activate makes; default: images
	Preallocation qimg.Preallocation         // of new images; default: metadata for qcow2, off for raw
	MountPoint    string                     // Activate and Usage need a mount at this path; default: none needed
	NoBaseFolder  bool                       // Activate does not make the path itself
	NoFolders     bool                       // Activate makes no folders for contents
	VolumeChain   bool                       // snapshots of this storage are chains of files, which this driver neither makes nor opens
	Tool          *qimg.Tool                 // default: qimg.New(nil)
	Logger        *slog.Logger               // nil discards
}

// Driver is a storage in a folder. See the package for what it guarantees.
type Driver struct {
	path    string
	opt     Options
	tool    *qimg.Tool
	logger  *slog.Logger
	storage volid.Storage
	folders map[storage.Content]string // relative to path
	// step is called between the steps that make a volume; tests end the process there.
	step func(name string)
}

// New returns the driver for the folder at path, an absolute path that need not exist yet. Nothing is touched.
func New(folder string, o *Options) (*Driver, error) {
	if o == nil {
		o = &Options{}
	}
	if !path.IsAbs(folder) || strings.ContainsRune(folder, 0) {
		return nil, fmt.Errorf("dir: path %q is not absolute: %w", folder, fs.ErrInvalid)
	}
	switch o.Preallocation {
	case "", qimg.PreallocOff, qimg.PreallocMetadata, qimg.PreallocFalloc, qimg.PreallocFull:
	default:
		return nil, fmt.Errorf("dir: preallocation %q: %w", o.Preallocation, fs.ErrInvalid)
	}
	d := &Driver{path: path.Clean(folder), opt: *o, tool: o.Tool, logger: o.Logger, step: func(string) {}}
	d.opt.Type = cmp.Or(o.Type, "dir")
	if d.tool == nil {
		var err error
		if d.tool, err = qimg.New(nil); err != nil {
			return nil, err
		}
	}
	if d.logger == nil {
		d.logger = slog.New(slog.DiscardHandler)
	}
	d.storage = volid.Storage{ID: "dir", Type: "dir", Options: map[string]string{
		"path": d.path, "content-dirs": contentDirs(o.ContentDirs),
	}}
	for c, sub := range o.ContentDirs {
		if sub == "" || slices.Contains(strings.Split(sub, "/"), "..") {
			return nil, fmt.Errorf("dir: folder %q for %s: %w", sub, c, fs.ErrInvalid)
		}
		if _, err := d.storage.Dir(volid.Content(c)); err != nil {
			return nil, fmt.Errorf("dir: %w", err)
		}
	}
	var err error
	if d.folders, err = layout(d.storage, d.path); err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	return d, nil
}

func contentDirs(m map[storage.Content]string) string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(m)) {
		parts = append(parts, string(c)+"="+m[c])
	}
	return strings.Join(parts, ",")
}

// Backend opens drivers from sections of storage.cfg of the type dir. o supplies Tool and Logger; its other fields come from
// the section. nil is fine.
func Backend(o *Options) storage.Backend {
	if o == nil {
		o = &Options{}
	}
	return storage.Backend{Type: "dir", Open: func(cfg storage.Config) (storage.Driver, error) {
		opt := FromConfig(cfg)
		opt.Tool, opt.Logger = o.Tool, o.Logger
		return New(cfg.Options["path"], opt)
	}}
}

// FromConfig reads the options that a section of storage.cfg gives to a storage with a folder.
func FromConfig(cfg storage.Config) *Options {
	st := volid.Storage{ID: cfg.ID, Type: cfg.Type, Options: cfg.Options}
	o := &Options{
		Type: cfg.Type, VolumeChain: st.Chain(), Preallocation: qimg.Preallocation(cfg.Options["preallocation"]),
		NoBaseFolder: off(cfg.Options, "create-base-path", "mkdir"), NoFolders: off(cfg.Options, "create-subdirs") || off(cfg.Options, "mkdir"),
	}
	for _, c := range st.Contents() {
		o.Contents = append(o.Contents, storage.Content(c))
	}
	for pair := range strings.SplitSeq(cfg.Options["content-dirs"], ",") {
		if c, sub, ok := strings.Cut(strings.TrimSpace(pair), "="); ok {
			if o.ContentDirs == nil {
				o.ContentDirs = map[storage.Content]string{}
			}
			o.ContentDirs[storage.Content(c)] = sub
		}
	}
	o.MountPoint, _ = st.MountPoint()
	return o
}

// off reports whether the first of names that is set is false.
func off(options map[string]string, names ...string) bool {
	for _, n := range names {
		if v, ok := options[n]; ok {
			return slices.Contains([]string{"0", "no", "off", "false"}, strings.ToLower(v))
		}
	}
	return false
}

// fail wraps the error of one call with what this layer knows, and gives system errors their class.
func (d *Driver) fail(op string, id storage.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*storage.OpError](err); ok {
		return err
	}
	return &storage.OpError{Op: op, Driver: d.opt.Type, Volume: id, Err: err}
}
