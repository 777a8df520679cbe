package lvm

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
)

func TestConfiguration(t *testing.T) {
	open := func(o map[string]string) (*Driver, error) {
		d, err := Backend(nil).Open(storage.Config{ID: "x", Type: "lvm", Options: o})
		if err != nil {
			return nil, err
		}
		return d.(*Driver), nil
	}
	d, err := open(map[string]string{"vgname": "vg0"})
	require.NoError(t, err)
	require.Equal(t, Options{RemoveStepBytes: 32 << 20, RemoveBytesPerSecond: 10 << 20}, d.opt)
	path, err := d.Path("vm-100-disk-0")
	require.NoError(t, err)
	require.Equal(t, "/dev/vg0/vm-100-disk-0", path)

	d, err = open(map[string]string{
		"vgname": "vg0", "saferemove": "1", "saferemove_throughput": "-4096", "saferemove-stepsize": "8", "shared": "1", "tagged_only": "yes",
	})
	require.NoError(t, err)
	require.Equal(t, Options{Shared: true, TaggedOnly: true, SafeRemove: true, RemoveStepBytes: 8 << 20, RemoveBytesPerSecond: 4096}, d.opt)

	for name, o := range map[string]map[string]string{
		"no group":        {},
		"group as option": {"vgname": "-y"},
		"step":            {"vgname": "vg0", "saferemove-stepsize": "0"},
		"throughput":      {"vgname": "vg0", "saferemove_throughput": "fast"},
	} {
		_, err := open(o)
		require.ErrorIs(t, err, fs.ErrInvalid, name)
	}
}

func TestWhoseVolumes(t *testing.T) {
	d, err := New("vg0", &Options{TaggedOnly: true})
	require.NoError(t, err)
	for _, c := range []struct {
		lv   lvmcmd.Volume
		want bool
	}{
		{lvmcmd.Volume{Name: "vm-100-disk-0", Attr: "-wi-a-----", Tags: []string{"x", "pve-vm-100"}}, true},
		{lvmcmd.Volume{Name: "vm-100-disk-0", Attr: "rwi-a-r---", Tags: []string{"pve-vm-100"}}, true},
		{lvmcmd.Volume{Name: "vm-100-disk-0", Attr: "-wi-a-----", Tags: []string{"pve-x"}}, false},
		{lvmcmd.Volume{Name: "vm-100-disk-0", Attr: "Vwi-a-tz--", Tags: []string{"pve-vm-100"}}, false},
		{lvmcmd.Volume{Name: "del-vm-100-disk-0", Attr: "-wi-a-----", Tags: []string{"pve-vm-100"}}, false},
		{lvmcmd.Volume{Name: "gpve-tmp.0.A", Attr: "-wi-a-----", Tags: []string{"pve-vm-100"}}, false},
		{lvmcmd.Volume{Name: "root", Attr: "-wi-a-----", Tags: []string{"pve-vm-100"}}, false},
	} {
		_, ok := d.ours(&c.lv)
		require.Equal(t, c.want, ok, "%+v", c.lv)
	}
}

// TestHalfGrown: until what a volume grew by is ready, it has its old size.
func TestHalfGrown(t *testing.T) {
	f := found{Volume: lvmcmd.Volume{SizeBytes: 8 << 20}}
	size, grown := f.size()
	require.Equal(t, int64(8<<20), size)
	require.True(t, grown)
	f.Tags = []string{"pve-vm-1", growTag + "4194304"}
	size, grown = f.size()
	require.Equal(t, int64(4<<20), size)
	require.False(t, grown)
	f.Tags = []string{growTag + "99999999"}
	size, grown = f.size()
	require.Equal(t, int64(8<<20), size, "a tag that cannot be true")
	require.True(t, grown)
}
