package lvmthin

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/volid"
)

func TestConfiguration(t *testing.T) {
	b := Backend(nil)
	require.Equal(t, "lvmthin", b.Type)
	d, err := b.Open(storage.Config{ID: "local-lvm", Type: "lvmthin", Options: map[string]string{"vgname": "pve", "thinpool": "data"}})
	require.NoError(t, err)
	p, ok := storage.As[storage.Pather](d)
	require.True(t, ok)
	path, err := p.Path("vm-100-disk-0")
	require.NoError(t, err)
	require.Equal(t, "/dev/pve/vm-100-disk-0", path)
	for name, o := range map[string]map[string]string{
		"no group":         {"thinpool": "data"},
		"no pool":          {"vgname": "pve"},
		"group as option":  {"vgname": "--all", "thinpool": "data"},
		"group with slash": {"vgname": "pve/x", "thinpool": "data"},
		"pool as option":   {"vgname": "pve", "thinpool": "-y"},
	} {
		_, err := b.Open(storage.Config{ID: "x", Type: "lvmthin", Options: o})
		require.ErrorIs(t, err, fs.ErrInvalid, name)
	}
	for _, o := range []Options{{WarnPercent: 101}, {RefuseDataPercent: -1}, {WatchInterval: -1}} {
		_, err := New("pve", "data", &o)
		require.ErrorIs(t, err, fs.ErrInvalid)
	}
}

func TestOwnersOfSnapshots(t *testing.T) {
	c := &content{volumes: map[string]volid.Volume{"vm-1-a": {}, "vm-1-a_b": {}}}
	for _, test := range []struct{ rest, tag, want string }{
		{"vm-1-a_s", "", "vm-1-a"},
		{"vm-1-a_b_s", "", "vm-1-a_b"},
		{"vm-1-a_b_s", ofTag + "vm-1-a", "vm-1-a"},
		{"vm-1-a_s", ofTag + "vm-1-c", "vm-1-a"}, // a tag that cannot be true
		{"vm-1-c_s", "", ""},
		{"vm-1-c_s", ofTag + "vm-1-c", "vm-1-c"},
		{"", "", ""},
		{"_", "", ""},
	} {
		require.Equal(t, test.want, c.owner(test.rest, []string{"other", test.tag}), "%+v", test)
	}
}

func TestAlarmIsRaisedOnce(t *testing.T) {
	var told []Pool
	d, err := New("pve", "data", &Options{Alarm: func(p Pool) { told = append(told, p) }})
	require.NoError(t, err)
	for _, p := range []struct {
		data, meta float64
		attr       string
	}{
		{10, 10, "twi-aotz--"}, {81, 10, "twi-aotz--"}, {82, 10, "twi-aotz--"}, {10, 91, "twi-aotz--"}, {10, 10, "twi-aotz--"}, {10, 10, "twi-aotzM-"},
	} {
		d.judge(&lvmcmd.Volume{Attr: p.attr, SizeBytes: 1 << 30, DataPercent: p.data, MetadataPercent: p.meta})
	}
	var levels []Level
	for _, p := range told {
		levels = append(levels, p.Level)
	}
	require.Equal(t, []Level{Warn, Full, Sound, Full}, levels)
	require.Equal(t, "metadata read only", told[3].Health)
}
