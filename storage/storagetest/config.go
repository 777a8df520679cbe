package storagetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Claims are the capabilities that a driver promises for guest images of one format. What is not claimed must be out of
// reach of storage.As or answer errors.ErrUnsupported; the suite looks at both.
type Claims uint32

// The claims. Each names the interface that it is about.
const (
	Resize       Claims = 1 << iota // storage.Resizer
	Snapshot                        // storage.Snapshotter: a tree of snapshots, back to the newest
	RollbackPast                    // back past newer snapshots, which stay; without it that is ErrInUse
	Clone                           // storage.Cloner
	LooseClone                      // clones do not name their base, and live on when it is deleted
	Rename                          // storage.Renamer
	Open                            // storage.Opener
	OpenSnapshot                    // storage.SnapshotOpener
	Fill                            // storage.Filler
	Copy                            // storage.Copier, between volumes of one driver
	CopySnapshot                    // the same, from a snapshot of the source
	Stream                          // storage.Streamer: whole volumes
	Incremental                     // what changed between two snapshots
	Stage                           // storage.Stager, for ISO images; given with any format
)

// Has reports whether all of want are claimed.
func (c Claims) Has(want Claims) bool { return c&want == want }

// Config is a driver under test.
type Config struct {
	// New returns a driver of an empty backend with room for some 100 MiB, cleaned up with t. It is called for every test.
	New func(t *testing.T) storage.Driver
	// Type is the storage type whose names the suite uses, as package volid knows them; default: dir.
	Type string
	// Claims says, for each format of guest images that the driver makes, what it can do with them. Required.
	Claims map[storage.Format]Claims
	// ID returns the id of the n-th image of a guest; default: the name that Proxmox VE gives on this Type.
	ID func(owner, n int, format storage.Format) storage.VolumeID
	// SizeBytes of most volumes, a multiple of Granule; default: 4 MiB. Folders (storage.Subvol) have FolderBytes, default 0:
	// without a quota.
	SizeBytes, FolderBytes int64
	// Granule is what sizes are rounded up to; default: 1 KiB.
	Granule int64
	// Parallel is how many volumes are made at once; default: 100.
	Parallel int
	// Bad are ids that mean nothing to the driver, beyond those that mean nothing to any.
	Bad []storage.VolumeID
	// Content reads and writes open images; default: raw files and devices directly, everything else by qemu-img.
	Content Content
	// Use makes an attached volume busy as a running guest would, until release is called; default: open a block device, and
	// lock a file as QEMU does. Needed for attachments of other kinds.
	Use func(t *testing.T, at storage.Attachment) (release func())
	// Residue lists all that the driver ever made in the backend of d and that is still there: hidden files, unfinished
	// volumes, snapshots without a volume. It is asked when no volume is left, and must be empty. nil: not looked at.
	Residue func(t *testing.T, d storage.Driver) []string
	// Full returns a driver of a backend that has less than sizeBytes left, for tests of what happens then. nil: not tested,
	// and the driver's own tests say why.
	Full func(t *testing.T) (d storage.Driver, sizeBytes int64)
	// Concurrent says that New may be called while drivers that it returned before are at work: the subjects run in parallel,
	// as far as the flag -test.parallel lets them. For backends that make their callers wait.
	Concurrent bool
	// Backend returns what the function given to [Main] needs to reach the backend of d from another process. It switches
	// the tests on that kill a process at each step of each operation.
	Backend func(d storage.Driver) string
	// KillSteps is at how many steps of each operation a process is killed, where all would take too long; default: all. The
	// environment variable GPVE_KILL_STEPS gives another number, or "all".
	KillSteps int
}

func (c Config) withDefaults(t *testing.T) Config {
	if len(c.Claims) == 0 || c.New == nil {
		t.Fatal("storagetest: Config needs New and Claims")
	}
	if c.Type == "" {
		c.Type = "dir"
	}
	if c.ID == nil {
		c.ID = c.name
	}
	if c.SizeBytes == 0 {
		c.SizeBytes = 4 << 20
	}
	if c.Granule == 0 {
		c.Granule = 1 << 10
	}
	if c.Parallel == 0 {
		c.Parallel = 100
	}
	if c.Content == nil {
		c.Content = imageContent{}
	}
	if c.Use == nil {
		c.Use = use
	}
	return c
}

// name is the n-th name that Proxmox VE gives to images of a guest.
func (c Config) name(owner, n int, format storage.Format) storage.VolumeID {
	prefix, kind := "vm", volid.Kind{}
	if format == storage.Subvol {
		prefix = "subvol"
	}
	name := fmt.Sprintf("%s-%d-disk-%d", prefix, owner, n)
	if kind, _ = volid.KindOf(c.Type); kind.Path {
		return storage.VolumeID(fmt.Sprintf("%d/%s.%s", owner, name, format))
	}
	if c.Type == "lvm" && format == storage.QCOW2 {
		name += ".qcow2"
	}
	return storage.VolumeID(name)
}

func (c Config) formats() []storage.Format { return slices.Sorted(maps.Keys(c.Claims)) }
