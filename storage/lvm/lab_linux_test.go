package lvm

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
	labGroup = "lab-thick" // a hyphen, which device-mapper doubles
	backends = 2           // of the suite, which works on two at once
)

func run(t testing.TB, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
	return string(out)
}

// newGroup makes a volume group on the lab's first disk and returns its driver.
func newGroup(t testing.TB, o *Options) *Driver {
	t.Helper()
	return groupOn(t, 0, labGroup, o)
}

func groupOn(t testing.TB, disk int, name string, o *Options) *Driver {
	t.Helper()
	need.Root(t)
	need.Tool(t, "lvm")
	need.Module(t, "dm_mod")
	run(t, "vgcreate", "-y", name, need.LabDisk(t, disk))
	t.Cleanup(func() { run(t, "vgremove", "-f", "-y", name) })
	d, err := New(name, o)
	require.NoError(t, err)
	return d
}

// residue are all logical volumes of the group that are none of the storage's.
func residue(t *testing.T, sd storage.Driver) []string {
	d, ok := storage.As[*Driver](sd)
	require.True(t, ok)
	list, err := d.group.Volumes(t.Context())
	require.NoError(t, err)
	var names []string
	for i := range list {
		if _, ok := d.ours(&list[i]); !ok && list[i].Name != "ballast" {
			names = append(names, list[i].Name)
		}
	}
	return names
}

func TestMain(m *testing.M) {
	storagetest.Main(lvmlab.Tests{M: m}, func(backend string, step func()) (storage.Driver, error) {
		d, err := New(backend, nil)
		if err == nil {
			d.step = func(string) { step() }
		}
		return d, err
	})
}

func TestConformance(outer *testing.T) {
	free := make(chan *Driver, backends)
	for i := range backends {
		free <- groupOn(outer, i, fmt.Sprint(labGroup, i), nil)
	}
	take := func(t *testing.T) *Driver { // for one test at a time
		d := <-free
		t.Cleanup(func() {
			defer func() { free <- d }()
			if t.Failed() { // and left something
				run(t, "vgchange", "-an", d.group.Name)
				run(t, "lvremove", "-f", "-y", d.group.Name)
			}
		})
		return d
	}
	storagetest.Run(outer, storagetest.Config{
		New:     func(t *testing.T) storage.Driver { return take(t) },
		Type:    "lvm",
		Granule: 4 << 20,
		// lvm2 makes one change at a time, and each takes a third of a second in the lab.
		Parallel: 6, KillSteps: 1, Concurrent: true,
		Claims: map[storage.Format]storagetest.Claims{storage.Raw: storagetest.Resize | storagetest.Rename | storagetest.Open |
			storagetest.Fill | storagetest.Stream},
		Bad: []storage.VolumeID{
			"vm-0-disk-0", "base-100-disk-0", "del-vm-100-disk-0", "gpve-tmp.x", "vm-100-disk_rimage_0", "vm-100-disk-0:x",
			storage.VolumeID("vm-100-" + strings.Repeat("-", 70)),
		},
		Residue: residue,
		Full: func(t *testing.T) (storage.Driver, int64) {
			d := take(t)
			g, err := d.group.Tool.Group(t.Context(), d.group.Name)
			require.NoError(t, err)
			run(t, "lvcreate", "-y", "-an", "-Zn", "-Wn", "-n", "ballast", "-L", fmt.Sprintf("%db", g.FreeBytes-64<<20), g.Name)
			t.Cleanup(func() { run(t, "lvremove", "-y", g.Name+"/ballast") })
			return d, 128 << 20
		},
		Backend: func(d storage.Driver) string { return d.(*Driver).group.Name },
	})
}

// TestThreat10_RemovedVolumesAreOverwritten: what is removed is gone from the disk, also if the process dies on the way.
func TestThreat10_RemovedVolumesAreOverwritten(t *testing.T) {
	d := newGroup(t, &Options{SafeRemove: true})
	secret := []byte(strings.Repeat("of a removed disk", 4<<20/17))
	_, err := d.CreateFilled(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 4 << 20}, writing(secret))
	require.NoError(t, err)
	require.Contains(t, string(disk(t)), "of a removed disk")
	require.NoError(t, d.Delete(t.Context(), "vm-100-disk-0"))
	require.NotContains(t, string(disk(t)), "of a removed disk")
	require.Empty(t, residue(t, d))

	// A removal that ended after the volume got its other name.
	_, err = d.CreateFilled(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 4 << 20}, writing(secret))
	require.NoError(t, err)
	run(t, "lvchange", "--addtag", wipeTag+d.group.Machine(), labGroup+"/vm-100-disk-0")
	run(t, "lvrename", labGroup, "vm-100-disk-0", "del-vm-100-disk-0")
	run(t, "lvcreate", "-y", "-an", "-Zn", "-L", "4M", "-n", "del-vm-101-disk-0", "--addtag", wipeTag+"elsewhere", labGroup)
	n, err := d.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NotContains(t, string(disk(t)), "of a removed disk")
	require.Equal(t, []string{"del-vm-101-disk-0"}, residue(t, d), "another machine's")
}
