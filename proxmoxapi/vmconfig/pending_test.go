package vmconfig

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeleteList(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		" scsi1 , !net0;hotplug": "hotplug,!net0,scsi1",
		"b,!a,a":                 "a,b",
		"!!x":                    "!!x",
		"!":                      "",
	} {
		require.Equal(t, want, ParseDeleteList(text).String(), "%q", text)
	}
}

func TestPendingBookkeeping(t *testing.T) {
	c := New()
	c.Main = Section{"cores": "2", "name": "n"}
	c.SetPending("cores", "4")
	c.DeletePending("name", true)
	require.Equal(t, Section{"cores": "4", "delete": "!name"}, c.Pending)
	require.Equal(t, []string{"cores"}, c.PendingSets())
	require.Equal(t, []string{"name"}, c.PendingDeletes())

	c.DeletePending("name", false)
	require.Equal(t, "name", c.Pending["delete"])
	c.SetPending("name", "m")
	require.Equal(t, Section{"cores": "4", "name": "m"}, c.Pending)
	c.DeletePending("cores", false)
	require.Equal(t, Section{"delete": "cores", "name": "m"}, c.Pending)

	c.Revert("name")
	c.Revert("cores")
	require.False(t, c.HasPending())

	c.SetPending("cores", "2")
	c.DeletePending("vga", true)
	c.SetPending("memory", "64")
	require.True(t, c.CleanPending())
	require.Equal(t, Section{"memory": "64"}, c.Pending)
	require.False(t, c.CleanPending())

	require.True(t, c.ApplyPending("memory"))
	require.False(t, c.ApplyPending("memory"))
	c.DeletePending("name", false)
	require.True(t, c.ApplyPending("name"))
	require.False(t, c.ApplyPending("delete"))
	require.Equal(t, Section{"cores": "2", "memory": "64"}, c.Main)
	require.Empty(t, c.Pending)
}

func TestRowsAndViews(t *testing.T) {
	c := New()
	c.Digest = "d1"
	c.Main = Section{"cores": "2", "memory": "2048", "cpulimit": "1.5", "onboot": "0", "cipassword": "$5$a$b", "description": "x", "scsi1": "st:vm-1-disk-0"}
	c.Pending = Section{"cores": "4", "cipassword": "$5$c$d", "vga": "qxl", "delete": "!scsi1,onboot,hotplug"}
	c.Snapshots["s1"] = Section{"cores": "1", "snaptime": "17"}

	rows, err := json.Marshal(c.Rows())
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"key":"cipassword","value":"**********","pending":"********** "},
		{"key":"cores","value":2,"pending":4},
		{"key":"cpulimit","value":"1.5"},
		{"key":"description","value":"x"},
		{"key":"digest","value":"d1"},
		{"key":"memory","value":"2048"},
		{"key":"onboot","value":0,"delete":1},
		{"key":"scsi1","value":"st:vm-1-disk-0","delete":2},
		{"key":"vga","pending":"qxl"},
		{"key":"hotplug","delete":2}
	]`, string(rows))

	require.Equal(t, map[string]any{
		"cipassword": "**********", "cores": int64(4), "cpulimit": "1.5", "description": "x", "digest": "d1",
		"memory": "2048", "vga": "qxl",
	}, c.View(true))
	require.Equal(t, int64(2), c.View(false)["cores"])
	require.Equal(t, int64(0), c.View(false)["onboot"])
	view, ok := c.SnapshotView("s1")
	require.True(t, ok)
	require.Equal(t, map[string]any{"cores": int64(1), "snaptime": int64(17), "digest": "d1"}, view)
	_, ok = c.SnapshotView("s2")
	require.False(t, ok)
}

func TestCloneIsDeep(t *testing.T) {
	c := mustParse(t, sample)
	d := c.Clone()
	d.Main["name"], d.Pending["x"], d.Snapshots["before_upgrade"]["cores"] = "other", "y", "9"
	require.Equal(t, sample, encode(t, c))
}

func TestCloudInitRecord(t *testing.T) {
	value := func(s string) *string { return &s }
	c := New()
	c.Main = Section{"name": "a", "ciuser": "u", "net0": "virtio=BC:24:11:00:00:01"}
	c.RecordCloudInit("name", value("b"))
	require.Empty(t, c.Special, "no cloud-init drive, no record")

	c.Main["ide2"] = "st:vm-1-cloudinit,media=cdrom"
	set := func(key, v string) { c.RecordCloudInit(key, &v); c.Main[key] = v }
	del := func(key string) { c.RecordCloudInit(key, nil); delete(c.Main, key) }
	set("name", "b")
	set("name", "c")
	set("ipconfig0", "ip=dhcp")
	set("sshkeys", "k")
	del("ciuser")
	set("cipassword", "secret")
	set("memory", "99")
	require.Equal(t, Section{"name": "a", "ciuser": "u", "added": "ipconfig0,sshkeys"}, c.Special[SpecialCloudInit])
	require.True(t, c.CloudInitChanged())

	rows, err := json.Marshal(c.CloudInitRows())
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"key":"cipassword","value":"**********"},
		{"key":"ciuser","delete":1},
		{"key":"ipconfig0","pending":"ip=dhcp"},
		{"key":"sshkeys","pending":"k"}
	]`, string(rows))

	set("name", "a")
	del("ipconfig0")
	set("ciuser", "u")
	del("sshkeys")
	require.Equal(t, Section{}, c.Special[SpecialCloudInit])
	require.False(t, c.CloudInitChanged())
	c.CloudInitRegenerated()
	require.Empty(t, c.Special)
}
