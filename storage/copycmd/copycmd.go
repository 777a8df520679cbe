package copycmd

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// ErrSource and ErrTarget are what cannot be copied from or to.
var (
	ErrSource = errclass.New("not a source of a copy", fs.ErrInvalid)
	ErrTarget = errclass.New("not a target of a copy", fs.ErrInvalid)
	// ErrNoStorage is a volume on a storage that is not there.
	ErrNoStorage = errclass.New("storage does not exist", fs.ErrNotExist)
)

// Options say how to copy, and what the host knows.
type Options struct {
	// Storage finds a storage by its id.
	Storage func(id string) (volid.Storage, bool)
	// Facts about the storages, as in [volid.Storage.Locate].
	Facts *volid.Facts
	// Exists tells whether there is a file or device of this path, for a source that is not a volume. Nil: none.
	Exists func(path string) bool
	// Format of a source that is not a volume. Empty: by its ending, or left to QEMU to find out, which is not for files that
	// a guest could write to.
	Format string
	// Snapshot of the source to copy.
	Snapshot string
	// LimitKiB is the most KiB to copy a second; 0 is no limit.
	LimitKiB int64
	// Zeroed says that the target reads as zeros. QEMU needs the driver zeroinit for that, which Proxmox VE's has.
	Zeroed bool
	// Initiator is the host's iSCSI name.
	Initiator string
}

// end is a source or a target.
type end struct {
	path    string
	format  string // -f, -O; empty if not named
	opts    string // instead of path, of a format
	zfspool bool
	// internal says that the snapshot lies within the image.
	internal bool
}

func (e end) name() string {
	if e.opts != "" {
		return e.opts
	}
	return e.path
}

// Args returns the arguments that follow qemu-img. The target must exist and be large enough. Errors are of class
// [ErrSource], [ErrTarget], [ErrNoStorage], or those of package volid.
func Args(source, target string, o Options) ([]string, error) {
	from, err := o.source(source)
	if err != nil {
		return nil, err
	}
	to, err := o.target(target)
	if err != nil {
		return nil, err
	}
	args := []string{"convert", "-p", "-n"}
	if o.Snapshot != "" && from.internal {
		args = append(args, "-l", "snapshot.name="+escape(o.Snapshot))
	}
	if from.zfspool {
		args = append(args, "-t", "none")
	}
	if to.zfspool {
		args = append(args, "-T", "none")
	}
	if o.LimitKiB > 0 {
		args = append(args, "-r", strconv.FormatInt(o.LimitKiB, 10)+"K")
	}
	switch {
	case from.opts != "":
		args = append(args, "--image-opts")
	case from.format != "":
		args = append(args, "-f", from.format)
	}
	switch {
	case to.opts != "":
		args = append(args, "--target-image-opts")
	default:
		args = append(args, "-O", to.format)
		if o.Zeroed {
			to.path = "zeroinit:" + to.path
		}
	}
	return append(args, from.name(), to.name()), nil
}

// volume finds a volume and where it, or its snapshot, is.
func (o *Options) volume(id volid.ID, snapshot string) (volid.Storage, volid.Volume, volid.Location, error) {
	s, ok := o.Storage(id.Storage)
	if !ok {
		return s, volid.Volume{}, nil, &volid.Error{Text: fmt.Sprintf("storage '%s' does not exist", id.Storage), Class: ErrNoStorage}
	}
	v, err := s.Parse(id.Name)
	if err != nil {
		return s, v, nil, err
	}
	loc, err := s.Locate(id.Name, snapshot, o.Facts)
	return s, v, loc, err
}

func (o *Options) source(name string) (end, error) {
	id, err := volid.Split(name)
	if err != nil {
		return o.sourcePath(name)
	}
	s, v, loc, err := o.volume(id, o.Snapshot)
	if err != nil {
		return end{}, err
	}
	kind, _ := volid.KindOf(s.Type)
	return end{path: loc.Text(), format: v.Format, opts: o.unit(loc), zfspool: s.Type == "zfspool",
		internal: v.Format == "qcow2" && kind.Path && !chain(s)}, nil
}

// chain tells whether the storage keeps snapshots as files or volumes of their own.
func chain(s volid.Storage) bool { return s.Bool("snapshot-as-volume-chain") }

// sourcePath takes a path: absolute, or below the working directory. Anything else, QEMU could take for a protocol.
func (o *Options) sourcePath(name string) (end, error) {
	if !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "./") || o.Exists == nil || !o.Exists(name) {
		return end{}, &volid.Error{Text: fmt.Sprintf("source '%s' is not a valid volid nor path for qemu-img convert", name), Class: ErrSource}
	}
	format := o.Format
	ending := strings.TrimPrefix(path.Ext(name), ".")
	if format == "" && slices.Contains([]string{"raw", "qcow", "qcow2", "qed", "vmdk", "cloop"}, ending) {
		format = ending
	}
	return end{path: name, format: format}, nil
}

func (o *Options) target(name string) (end, error) {
	id, err := volid.Split(name)
	if err != nil {
		return end{}, &volid.Error{Text: fmt.Sprintf("destination '%s' is not a valid volid form qemu-img convert", name), Class: ErrTarget}
	}
	s, v, loc, err := o.volume(id, "")
	if err != nil {
		return end{}, err
	}
	e := end{path: loc.Text(), format: v.Format, opts: o.unit(loc), zfspool: s.Type == "zfspool"}
	if v.Format == "qcow2" && chain(s) {
		e.opts = o.chained(loc)
	}
	return e, nil
}

// unit describes an iSCSI unit; it is empty for anything else.
func (o *Options) unit(loc volid.Location) string {
	u, ok := loc.(volid.ISCSI)
	if !ok {
		return ""
	}
	return join("file.driver=iscsi", "file.transport=tcp", "file.initiator-name="+escape(o.Initiator), "file.portal="+escape(u.Portal),
		"file.target="+escape(u.Target), "file.lun="+strconv.Itoa(u.LUN), "driver=raw")
}

// chained describes a qcow2 image whose clusters keep their place when they are discarded, for snapshots of its own to
// share.
func (o *Options) chained(loc volid.Location) string {
	driver := "file"
	if _, ok := loc.(volid.Device); ok {
		driver = "host_device"
	}
	if o.Zeroed {
		return join("driver=zeroinit", "file.discard-no-unref=true", "file.driver=qcow2", "file.file.driver="+driver, "file.file.filename="+escape(loc.Text()))
	}
	return join("discard-no-unref=true", "driver=qcow2", "file.driver="+driver, "file.filename="+escape(loc.Text()))
}

func join(options ...string) string { return strings.Join(options, ",") }

// escape keeps a value in one piece where commas part options.
func escape(s string) string { return strings.ReplaceAll(s, ",", ",,") }
