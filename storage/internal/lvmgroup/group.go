package lvmgroup

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/maker"
)

// Options configure a Group. The zero value of each field is the documented default.
type Options struct {
	RunDir   string        // not writable by others; made when needed; default /run/gpve/lvm
	NodeWait time.Duration // for a device to appear; default 10 s
	Thin     bool          // Volumes tells the ids of thin volumes
	// Activation are the arguments that activate a volume; default -ay, -K.
	Activation []string
}

// Group is a volume group on this machine. It is safe for concurrent use.
type Group struct {
	Name    string
	Tool    *lvmcmd.Tool
	opt     Options
	machine string
	opened  counts
}

// New returns the group called name, which need not exist yet. Nothing is touched.
func New(name string, tool *lvmcmd.Tool, o Options) (*Group, error) {
	if !lvmcmd.ValidName(name) {
		return nil, fmt.Errorf("lvm: volume group %q: %w", name, fs.ErrInvalid)
	}
	o.RunDir = cmp.Or(o.RunDir, "/run/gpve/lvm")
	if !filepath.IsAbs(o.RunDir) {
		return nil, fmt.Errorf("lvm: run folder %q is no absolute path: %w", o.RunDir, fs.ErrInvalid)
	}
	o.RunDir = filepath.Join(o.RunDir, name)
	o.NodeWait = cmp.Or(o.NodeWait, 10*time.Second)
	if o.Activation == nil {
		o.Activation = []string{"-ay", "-K"}
	}
	return &Group{Name: name, Tool: tool, opt: o, machine: maker.Machine("gpve-lvm"), opened: counts{of: map[string]int{}}}, nil
}

// Machine is what other machines that see the same volume group tell this one by: a word that can stand in names and tags.
func (g *Group) Machine() string { return g.machine }

// LV is the name of a volume on the command line.
func (g *Group) LV(name string) string { return g.Name + "/" + name }

// Check returns storage.ErrBadID if no volume of the group can have the name and a device.
func (g *Group) Check(name string) error {
	if _, ok := lvmcmd.DeviceName(g.Name, name); !ok || !lvmcmd.ValidName(name) || lvmcmd.Reserved(name) || Temporary(name) {
		return fmt.Errorf("logical volume %q: %w", name, storage.ErrBadID)
	}
	return nil
}

// Volumes lists all logical volumes.
func (g *Group) Volumes(ctx context.Context) ([]lvmcmd.Volume, error) {
	return g.Tool.Volumes(ctx, g.Name, g.opt.Thin)
}

// Volume describes one logical volume. storage.ErrNotFound.
func (g *Group) Volume(ctx context.Context, name string) (lvmcmd.Volume, error) {
	return g.Tool.Volume(ctx, g.Name, name)
}

// Remove removes logical volumes in this order. One that is open is storage.ErrInUse.
func (g *Group) Remove(ctx context.Context, names ...string) error {
	args := []string{"--force", "--"}
	for _, n := range names {
		args = append(args, g.LV(n))
	}
	return g.Tool.Change(ctx, "lvremove", args...)
}

// Rename gives a logical volume another name. storage.ErrExists.
func (g *Group) Rename(ctx context.Context, from, to string) error {
	return g.Tool.Change(ctx, "lvrename", "--", g.Name, from, to)
}

// Deactivate takes the device of a volume away. storage.ErrInUse.
func (g *Group) Deactivate(ctx context.Context, name string) error {
	return g.Tool.Change(ctx, "lvchange", "-an", "--", g.LV(name))
}

// TempName is a name for a volume that is not finished: it says on which machine that is made.
func (g *Group) TempName() string { return maker.Prefix + g.machine + "." + rand.Text()[:10] }

// Temporary reports whether a name is one of TempName, on any machine.
func Temporary(name string) bool { return maker.Is(name) }

// Abandoned reports whether a name is one of this machine's TempName and nobody makes the volume any more. Then the caller has
// its lock, and must release it.
func (g *Group) Abandoned(name string) (*Lock, bool) {
	if !strings.HasPrefix(name, maker.Prefix+g.machine+".") {
		return nil, false
	}
	return g.TryLock(name)
}

// CleanUp is the context of what is undone after ctx may have ended. It ends after half a minute.
func CleanUp(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
}

// RoundUp is a size in whole extents, at least one. storage.ErrBadID for what is no size of a volume.
func RoundUp(size, extent int64) (int64, error) {
	if size < 0 || size > maxBytes {
		return 0, fmt.Errorf("size of %d bytes: %w", size, storage.ErrBadID)
	}
	return max(extent, (size+extent-1)/extent*extent), nil
}

// maxBytes of a volume: beyond what lvm2 makes.
const maxBytes = 1 << 60
