package volid_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage/volid"
)

func store(typ string, options ...string) volid.Storage {
	s := volid.Storage{ID: "store", Type: typ, Options: map[string]string{}}
	for i := 0; i < len(options); i += 2 {
		s.Options[options[i]] = options[i+1]
	}
	return s
}

func TestDir(t *testing.T) {
	s := store("dir", "path", "/srv//vm/", "content-dirs", "iso=discs/iso,import=/in/../up")
	for c, want := range map[volid.Content]string{
		volid.Images: "/srv/vm/images", volid.ISO: "/srv/vm/discs/iso", volid.Import: "/srv/vm/up", volid.VZTmpl: "/srv/vm/template/cache",
		volid.Backup: "/srv/vm/dump", volid.Rootdir: "/srv/vm/private", volid.Snippets: "/srv/vm/snippets",
	} {
		got, err := s.Dir(c)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := s.Dir("none")
	require.EqualError(t, err, "unknown vtype 'none'")
	_, err = store("dir").Dir(volid.ISO)
	require.EqualError(t, err, "storage definition has no path")
	d, err := store("nfs").Dir(volid.ISO)
	require.NoError(t, err)
	require.Equal(t, "/mnt/pve/store/template/iso", d)
}

func TestLocate(t *testing.T) {
	facts := &volid.Facts{
		Exists: func(p string) bool { return p == "/etc/pve/priv/ceph/store.keyring" },
		FSID:   func(volid.Storage) string { return "11-22" },
		LUN:    func(volid.Storage, string) (int, error) { return 5, nil },
	}
	dir := store("dir", "path", "/d")
	for _, c := range []struct {
		s          volid.Storage
		name, snap string
		want       string
	}{
		{dir, "7/vm-7-disk-0.qcow2", "", "/d/images/7/vm-7-disk-0.qcow2"},
		{dir, "7/vm-7-disk-0.qcow2", "s1", "/d/images/7/vm-7-disk-0.qcow2"},
		{dir, "3/base-3-disk-0.qcow2/7/vm-7-disk-0.qcow2", "", "/d/images/7/vm-7-disk-0.qcow2"},
		{dir, "iso/x.iso", "", "/d/template/iso/x.iso"},
		{store("dir", "path", "/d", "snapshot-as-volume-chain", "1"), "7/vm-7-disk-0.qcow2", "s1", "/d/images/7/snap-s1-vm-7-disk-0.qcow2"},
		{store("btrfs", "path", "/b"), "7/vm-7-disk-0.raw", "", "/b/images/7/vm-7-disk-0/disk.raw"},
		{store("btrfs", "path", "/b"), "7/vm-7-disk-0.raw", "s1", "/b/images/7/vm-7-disk-0@s1/disk.raw"},
		{store("lvm", "vgname", "vg"), "vm-7-disk-0", "", "/dev/vg/vm-7-disk-0"},
		{store("lvm", "vgname", "vg"), "vm-7-disk-0.qcow2", "s1", "/dev/vg/snap_vm-7-disk-0_s1.qcow2"},
		{store("lvmthin", "vgname", "vg"), "vm-7-disk-0", "s1", "/dev/vg/snap_vm-7-disk-0_s1"},
		{store("zfspool", "pool", "rpool/data"), "base-3-disk-0/vm-7-disk-0", "", "/dev/zvol/rpool/data/vm-7-disk-0"},
		{store("zfspool", "pool", "rpool/data"), "subvol-7-disk-0", "s1", "/rpool/data/subvol-7-disk-0@s1"},
		{store("zfs", "portal", "10.0.0.9", "target", "iqn.x:y"), "vm-7-disk-0", "", "iscsi://10.0.0.9/iqn.x:y/5"},
		{store("rbd"), "vm-7-disk-0", "s1", "rbd:rbd/vm-7-disk-0@s1:conf=/etc/pve/ceph.conf:id=admin:keyring=/etc/pve/priv/ceph/store.keyring"},
		{store("rbd", "pool", "p", "namespace", "n", "monhost", "10.0.0.1;fd00::1", "username", "u"), "vm-7-disk-0", "",
			`rbd:p/n/vm-7-disk-0:mon_host=10.0.0.1;[fd00\:\:1]:auth_supported=cephx:id=u:keyring=/etc/pve/priv/ceph/store.keyring`},
		{store("rbd", "pool", "p", "krbd", "1", "namespace", "n"), "vm-7-disk-0", "s1", "/dev/rbd-pve/11-22/p/n/vm-7-disk-0@s1"},
		{store("iscsi"), "0.0.1.wwn-5", "", "/dev/disk/by-id/wwn-5"},
		{store("iscsidirect", "portal", "10.0.0.9", "target", "iqn.x:y"), "lun3", "", "iscsi://10.0.0.9/iqn.x:y/3"},
		{store("pbs", "server", "fd00::9", "datastore", "d", "namespace", "a/b"), "backup/ct/7/2024-01-02T03:04:05Z", "",
			"pbs://root@pam@[fd00::9]:d/ct/7/2024-01-02T03:04:05Z?ns=a%2fb"},
		{store("esxi"), "dc/ds/w/w.vmx", "", "/run/pve/import/esxi/store/mnt/dc/ds/w/w.vmx"},
	} {
		loc, err := c.s.Locate(c.name, c.snap, facts)
		require.NoError(t, err)
		require.Equal(t, c.want, loc.Text())
	}
}

func TestLocateErrors(t *testing.T) {
	for _, c := range []struct {
		s          volid.Storage
		name, want string
	}{
		{store("dir", "path", "/d"), "7/vm-7-disk-0.raw", "can't snapshot this image format"},
		{store("lvm", "vgname", "vg"), "vm-7-disk-0", "snapshot is working with qcow2 format only"},
		{store("iscsi"), "0.0.1.wwn-5", "snapshot is not possible on iscsi storage"},
		{store("iscsidirect"), "lun1", "volume snapshot is not possible on iscsi device"},
		{store("zfs"), "vm-7-disk-0", "direct access to snapshots not implemented"},
	} {
		_, err := c.s.Locate(c.name, "s1", nil)
		require.EqualError(t, err, c.want)
		require.ErrorIs(t, err, volid.ErrNoSnapshotPath)
	}
	_, err := store("zfs").Locate("vm-7-disk-0", "", nil)
	require.Error(t, err)
	lost := errors.New("no such unit")
	_, err = store("zfs").Locate("vm-7-disk-0", "", &volid.Facts{LUN: func(volid.Storage, string) (int, error) { return 0, lost }})
	require.ErrorIs(t, err, lost)
}

func TestContents(t *testing.T) {
	require.True(t, store("dir").Holds(volid.Images))
	require.False(t, store("dir").Holds(volid.ISO))
	require.True(t, store("dir", "content", "iso,vztmpl").Holds(volid.ISO))
	require.Empty(t, store("dir", "content", "none").Contents())
	require.True(t, volid.Local("/srv/x").Holds(volid.Snippets))
	require.Equal(t, "/srv/x", volid.Local("/srv/x").Path())
}

func TestNextName(t *testing.T) {
	for _, c := range []struct {
		s      volid.Storage
		format string
		taken  []string
		want   string
	}{
		{store("dir", "path", "/d"), "qcow2", nil, "7/vm-7-disk-0.qcow2"},
		{store("dir", "path", "/d"), "qcow2", []string{"7/vm-7-disk-0.raw", "7/base-7-disk-1.raw", "8/vm-8-disk-2.raw"}, "7/vm-7-disk-2.qcow2"},
		{store("nfs"), "qcow2", []string{"7/vm-7-disk-0.raw", "7/vm-7-disk-1.qcow2"}, "7/vm-7-disk-0.qcow2"},
		{store("lvm"), "raw", []string{"del-vm-7-disk-0", "vm-7-disk-2"}, "vm-7-disk-1"},
		{store("lvm"), "qcow2", []string{"vm-7-disk-0"}, "vm-7-disk-0.qcow2"},
		{store("zfspool"), "subvol", []string{"vm-7-disk-0", "basevol-7-disk-1"}, "subvol-7-disk-2"},
		{store("rbd"), "raw", []string{"base-7-disk-0", "vm-77-disk-1"}, "vm-7-disk-1"},
	} {
		got, err := c.s.NextName(7, c.format, c.taken)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	var all []string
	for n := range 1024 {
		all = append(all, fmt.Sprintf("vm-7-disk-%d", n))
	}
	_, err := store("rbd").NextName(7, "raw", all)
	require.EqualError(t, err, "unable to allocate an image name for VM 7 in storage 'store'")
}

func TestOtherNames(t *testing.T) {
	dir, lvm, zfs := store("dir"), store("lvm"), store("zfspool")
	require.Equal(t, "7/vm-7-cloudinit.qcow2", dir.CloudInitName(7, "qcow2"))
	require.Equal(t, "vm-7-cloudinit.qcow2", lvm.CloudInitName(7, "qcow2"))
	require.Equal(t, "vm-7-cloudinit", zfs.CloudInitName(7, "raw"))
	require.Equal(t, "7/vm-7-state-s1.raw", dir.StateName(7, "s1"))
	require.Equal(t, "vm-7-fleece-0", lvm.FleeceName(7, 0, "raw"))

	name, err := dir.BaseName("3/base-3-disk-0.qcow2/7/vm-7-disk-0.qcow2")
	require.NoError(t, err)
	require.Equal(t, "3/base-3-disk-0.qcow2/7/base-7-disk-0.qcow2", name)
	name, err = zfs.BaseName("subvol-7-disk-0")
	require.NoError(t, err)
	require.Equal(t, "basevol-7-disk-0", name)
	_, err = zfs.BaseName("base-7-disk-0")
	require.EqualError(t, err, "create_base not possible with base image")
}

func TestFromPath(t *testing.T) {
	list := []volid.Storage{store("lvm"), {ID: "two", Type: "dir", Options: map[string]string{"path": "/d"}},
		{ID: "bt", Type: "btrfs", Options: map[string]string{"path": "/b"}}}
	for p, want := range map[string]string{
		"/d/images/7/vm-7-disk-0.raw":      "two:7/vm-7-disk-0.raw",
		"/d//template/iso/x.iso":           "two:iso/x.iso",
		"/d/snippets/a.yaml":               "two:snippets/a.yaml",
		"/d/import/a.ova":                  "two:import/a.ova",
		"/b/images/7/vm-7-disk-0/disk.raw": "bt:7/vm-7-disk-0.raw",
		"/d/import/a b.ova":                "",
		"/d/import/a.ova/b.raw":            "",
		"/d/images/7/../../x":              "",
		"/d/images/x/vm-7-disk-0.raw":      "",
		"/e/images/7/vm-7-disk-0.raw":      "",
	} {
		id, _, ok := volid.FromPath(list, p, nil)
		require.Equal(t, want != "", ok, p)
		if ok {
			require.Equal(t, want, id.String())
		}
	}
	id, v, ok := volid.FromPath(list, "/d/images/7/vm-7-disk-0.qcow2", func(_ volid.Storage, v volid.Volume) (volid.Volume, bool) {
		v.BaseName, v.BaseVMID = "base-3-disk-0.qcow2", 3
		return v, true
	})
	require.True(t, ok)
	require.Equal(t, "two:3/base-3-disk-0.qcow2/7/vm-7-disk-0.qcow2", id.String())
	require.Equal(t, 7, v.VMID)
}

func ExampleStorage_Locate() {
	s := volid.Storage{ID: "fast", Type: "lvmthin", Options: map[string]string{"vgname": "pve", "thinpool": "data"}}
	loc, _ := s.Locate("vm-100-disk-0", "", nil)
	fmt.Println(loc.Text())
	// Output: /dev/pve/vm-100-disk-0
}
