package lvmthin

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmlab"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

const (
	labGroup = "lab-thin" // a hyphen, which device-mapper doubles
	backends = 2          // of the suite, which works on two at once
)

func run(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
	return string(out)
}

// group makes a volume group on the lab's first disk.
func group(t testing.TB) {
	t.Helper()
	groupOn(t, 0, labGroup)
}

func groupOn(t testing.TB, disk int, name string) {
	t.Helper()
	need.Root(t)
	need.Tool(t, "lvm", "thin_check")
	need.Module(t, "dm_thin_pool")
	run(t, "vgcreate", "-y", "--metadatasize", "16M", name, need.LabDisk(t, disk)) // room for the metadata of thousands
	t.Cleanup(func() { run(t, "vgremove", "-f", "-y", name) })
}

// newPool makes a pool, which goes with its group, and returns its driver; the volume group must be there.
func newPool(t testing.TB, name, size string, o *Options, args ...string) *Driver {
	t.Helper()
	return poolIn(t, labGroup, name, size, o, args...)
}

func poolIn(t testing.TB, group, name, size string, o *Options, args ...string) *Driver {
	t.Helper()
	run(t, append([]string{"lvcreate", "-y", "--type", "thin-pool", "-L", size, "--poolmetadatasize", "8M", "-n", name, group}, args...)...)
	d, err := New(group, name, o)
	require.NoError(t, err)
	return d
}

// residue are all volumes of the group that are no guests' volumes.
func residue(t *testing.T, sd storage.Driver) []string {
	d, ok := storage.As[*Driver](sd)
	require.True(t, ok)
	c, err := d.look(t.Context())
	require.NoError(t, err)
	var names []string
	for name := range c.all {
		if _, volume := c.volumes[name]; !volume && c.all[name].Type() != 't' {
			names = append(names, name)
		}
	}
	return names
}

func TestMain(m *testing.M) {
	storagetest.Main(lvmlab.Tests{M: m}, func(backend string, step func()) (storage.Driver, error) {
		d, err := New(backend, "pool", nil)
		if err == nil {
			d.step = func(string) { step() }
		}
		return d, err
	})
}

func TestConformance(outer *testing.T) {
	free := make(chan *Driver, backends)
	for i := range backends {
		name := fmt.Sprint(labGroup, i)
		groupOn(outer, i, name)
		free <- poolIn(outer, name, "pool", "512M", nil)
	}
	take := func(t *testing.T) *Driver { // for one test at a time
		d := <-free
		t.Cleanup(func() {
			defer func() { free <- d }()
			if t.Failed() { // and left something
				run(t, "lvremove", "-f", "-y", "--select", "pool_lv=pool", d.group.Name)
			}
		})
		return d
	}
	storagetest.Run(outer, storagetest.Config{
		New:     func(t *testing.T) storage.Driver { return take(t) },
		Type:    "lvmthin",
		Granule: 4 << 20,
		// lvm2 makes one change at a time, and each takes a third of a second in the lab.
		Parallel: 6, KillSteps: 1, Concurrent: true,
		Claims: map[storage.Format]storagetest.Claims{storage.Raw: storagetest.Resize | storagetest.Snapshot | storagetest.RollbackPast |
			storagetest.Clone | storagetest.LooseClone | storagetest.Rename | storagetest.Open | storagetest.OpenSnapshot |
			storagetest.Fill | storagetest.Stream},
		Bad: []storage.VolumeID{
			"pool", "vm-0-disk-0", "snap_vm-100-disk-0_a", "gpve-tmp.x", "vm-100-disk_tmeta", "lab-thin/vm-100-disk-0", "vm-100-disk-0:x",
			storage.VolumeID("vm-100-" + strings.Repeat("-", 70)),
		},
		Residue: residue,
		Full: func(t *testing.T) (storage.Driver, int64) {
			in := take(t).group
			d := poolIn(t, in.Name, "small", "32M", nil)
			t.Cleanup(func() { run(t, "lvremove", "-f", "-y", in.LV("small")) })
			run(t, "lvchange", "--errorwhenfull", "y", in.LV("small"))
			return d, 64 << 20
		},
		Backend: func(d storage.Driver) string { return d.(*Driver).group.Name },
	})
}
