package lvmthin

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

const labGroup = "lab-thin" // a hyphen, which device-mapper doubles

func run(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
	return string(out)
}

// group makes a volume group on the lab's first disk.
func group(t testing.TB) {
	t.Helper()
	need.Root(t)
	need.Tool(t, "lvm", "thin_check")
	need.Module(t, "dm_thin_pool")
	disk := need.LabDisk(t, 0)
	run(t, "vgcreate", "-y", "--metadatasize", "16M", labGroup, disk) // room for the metadata of thousands
	t.Cleanup(func() {
		run(t, "vgremove", "-f", "-y", labGroup)
		run(t, "pvremove", "-y", disk)
	})
}

// newPool makes a pool and returns its driver; the volume group must be there.
func newPool(t testing.TB, name, size string, o *Options, args ...string) *Driver {
	t.Helper()
	run(t, append([]string{"lvcreate", "-y", "--type", "thin-pool", "-L", size, "--poolmetadatasize", "8M", "-n", name, labGroup}, args...)...)
	t.Cleanup(func() { run(t, "lvremove", "-f", "-y", labGroup+"/"+name) })
	d, err := New(labGroup, name, o)
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
	storagetest.Main(m, func(backend string, step func()) (storage.Driver, error) {
		d, err := New(backend, "pool", nil)
		if err == nil {
			d.step = func(string) { step() }
		}
		return d, err
	})
}

func TestConformance(t *testing.T) {
	group(t)
	newPool(t, "pool", "512M", nil)
	storagetest.Run(t, storagetest.Config{
		New: func(t *testing.T) storage.Driver {
			d, err := New(labGroup, "pool", nil)
			require.NoError(t, err)
			c, err := d.look(t.Context())
			require.NoError(t, err)
			for name, lv := range c.all { // of a test that failed
				if lv.Type() != 't' {
					run(t, "lvremove", "-f", "-y", labGroup+"/"+name)
				}
			}
			return d
		},
		Type:    "lvmthin",
		Granule: 4 << 20,
		Claims: map[storage.Format]storagetest.Claims{storage.Raw: storagetest.Resize | storagetest.Snapshot | storagetest.RollbackPast |
			storagetest.Clone | storagetest.LooseClone | storagetest.Rename | storagetest.Open | storagetest.OpenSnapshot |
			storagetest.Fill | storagetest.Stream},
		Bad: []storage.VolumeID{
			"pool", "vm-0-disk-0", "snap_vm-100-disk-0_a", "gpve-tmp.x", "vm-100-disk_tmeta", "lab-thin/vm-100-disk-0", "vm-100-disk-0:x",
			storage.VolumeID("vm-100-" + strings.Repeat("-", 70)),
		},
		Residue: residue,
		Full: func(t *testing.T) (storage.Driver, int64) {
			return newPool(t, "small", "32M", nil, "--errorwhenfull", "y"), 64 << 20
		},
		Backend: func(storage.Driver) string { return labGroup },
	})
}
