package volid_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage/volid"
)

func TestSplit(t *testing.T) {
	id, err := volid.Split("tank-2:vm-310-disk-4")
	require.NoError(t, err)
	require.Equal(t, volid.ID{Storage: "tank-2", Name: "vm-310-disk-4"}, id)
	require.Equal(t, "tank-2:vm-310-disk-4", id.String())
	for _, bad := range []string{"", "tank", ":x", "tank:", "t:x", "1ank:x", "tank-:x", "ta nk:x", "/dev/sda", "none", "tank:a\nb", "tank:\x00"} {
		_, err := volid.Split(bad)
		require.ErrorIs(t, err, volid.ErrSyntax, bad)
		require.EqualError(t, err, "unable to parse volume ID '"+bad+"'")
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		typ, name string
		want      volid.Volume
	}{
		{"dir", "310/vm-310-disk-4.qcow2", volid.Volume{Content: volid.Images, Name: "vm-310-disk-4.qcow2", VMID: 310, Format: "qcow2"}},
		{"dir", "310/base-310-disk-0.raw", volid.Volume{Content: volid.Images, Name: "base-310-disk-0.raw", VMID: 310, Base: true, Format: "raw"}},
		{"nfs", "200/base-200-disk-0.qcow2/310/vm-310-disk-0.qcow2", volid.Volume{Content: volid.Images, Name: "vm-310-disk-0.qcow2",
			VMID: 310, BaseName: "base-200-disk-0.qcow2", BaseVMID: 200, Format: "qcow2"}},
		{"dir", "310/router.qcow2", volid.Volume{Content: volid.Images, Name: "router.qcow2", VMID: 310, Format: "qcow2"}},
		{"dir", "310/base-router.qcow2", volid.Volume{Content: volid.Images, Name: "base-router.qcow2", VMID: 310, Base: true, Format: "qcow2"}},
		{"dir", "iso/Rescue.ISO", volid.Volume{Content: volid.ISO, Name: "Rescue.ISO", Format: "raw"}},
		{"cephfs", "vztmpl/void.tar.zst", volid.Volume{Content: volid.VZTmpl, Name: "void.tar.zst", Format: "raw"}},
		{"dir", "backup/vzdump-qemu-310-2024_01_02-03_04_05.vma.zst", volid.Volume{Content: volid.Backup, VMID: 310,
			Name: "vzdump-qemu-310-2024_01_02-03_04_05.vma.zst", Format: "raw"}},
		{"dir", "backup/saved.tgz", volid.Volume{Content: volid.Backup, Name: "saved.tgz", Format: "raw"}},
		{"dir", "snippets/user data.yaml", volid.Volume{Content: volid.Snippets, Name: "user data.yaml", Format: "raw"}},
		{"dir", "import/box.ova/box disk1.vmdk", volid.Volume{Content: volid.Import, Name: "box.ova/box disk1.vmdk", Format: "ova+vmdk"}},
		{"dir", "import/box.qcow2", volid.Volume{Content: volid.Import, Name: "box.qcow2", Format: "qcow2"}},
		{"lvm", "vm-310-disk-4", volid.Volume{Content: volid.Images, Name: "vm-310-disk-4", VMID: 310, Format: "raw"}},
		{"lvm", "vm-310-disk-4.qcow2", volid.Volume{Content: volid.Images, Name: "vm-310-disk-4.qcow2", VMID: 310, Format: "qcow2"}},
		{"lvmthin", "base-310-disk-4", volid.Volume{Content: volid.Images, Name: "base-310-disk-4", VMID: 310, Base: true, Format: "raw"}},
		{"zfspool", "base-200-disk-1/vm-310-disk-4", volid.Volume{Content: volid.Images, Name: "vm-310-disk-4", VMID: 310,
			BaseName: "base-200-disk-1", BaseVMID: 200, Format: "raw"}},
		{"zfspool", "basevol-200-disk-1/subvol-310-disk-4", volid.Volume{Content: volid.Images, Name: "subvol-310-disk-4", VMID: 310,
			BaseName: "basevol-200-disk-1", BaseVMID: 200, Format: "subvol"}},
		{"rbd", "base-200-disk-1/base-310-disk-4", volid.Volume{Content: volid.Images, Name: "base-310-disk-4", VMID: 310, Base: true,
			BaseName: "base-200-disk-1", BaseVMID: 200, Format: "raw"}},
		{"iscsi", "0.0.3.scsi-36001405", volid.Volume{Content: volid.Images, Name: "scsi-36001405", Format: "raw"}},
		{"iscsidirect", "lun7", volid.Volume{Content: volid.Images, Name: "7", Format: "raw"}},
		{"pbs", "backup/vm/310/2024-01-02T03:04:05Z", volid.Volume{Content: volid.Backup, Name: "vm/310/2024-01-02T03:04:05Z", VMID: 310, Format: "pbs-vm"}},
		{"esxi", "dc/ds 1/web/web.vmx", volid.Volume{Content: volid.Import, Name: "dc/ds 1/web/web.vmx", Format: "vmx"}},
		{"esxi", "dc/ds/web/web.vmdk", volid.Volume{Content: volid.Images, Name: "dc/ds/web/web.vmdk", Format: "vmdk"}},
	} {
		got, err := volid.Parse(c.typ, c.name)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, got, c.name)
		if c.typ != "iscsi" && c.typ != "iscsidirect" && c.typ != "pbs" {
			require.Equal(t, c.name, got.VolumeName(c.typ))
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct{ typ, name, want string }{
		{"dir", "abc/vm-1-disk-0.raw", "unable to parse directory volume name 'abc/vm-1-disk-0.raw'"},
		{"dir", "iso/a/b.iso", "unable to parse directory volume name 'iso/a/b.iso'"},
		{"dir", "iso/x.dmg", "unable to parse directory volume name 'iso/x.dmg'"},
		{"dir", "310/vm-310-disk-0.vhd", "unable to parse volume filename 'vm-310-disk-0.vhd'"},
		{"dir", "310/a/b/c.raw", "unable to parse volume filename 'a/b/c.raw'"},
		{"dir", "310/snap-before-x.qcow2", "'snap-before-x.qcow2' is a snapshot filename, not a volume!"},
		{"dir", "import/x.ova/y/z.raw", "unable to parse directory volume name 'import/x.ova/y/z.raw'"},
		{"lvm", "vm 1", "lvm name 'vm 1' contains illegal characters"},
		{"lvm", "base-310-disk-0", "unable to parse lvm volume name 'base-310-disk-0'"},
		{"zfspool", "vm-310-disk-0@snap", "unable to parse zfs volume name 'vm-310-disk-0@snap'"},
		{"rbd", "pool/vm-310-disk-0", "unable to parse rbd volume name 'pool/vm-310-disk-0'"},
		{"rbd", "vm-310-x:conf=evil", "unable to parse rbd volume name 'vm-310-x:conf=evil'"},
		{"iscsi", "0.0.1", "unable to parse iscsi volume name '0.0.1'"},
		{"iscsidirect", "lun", "unable to parse iscsi volume name 'lun'"},
		{"pbs", "backup/vm/310/yesterday", "unable to parse PBS volume name 'backup/vm/310/yesterday'"},
		{"esxi", "dc/ds", "failed to parse volname 'dc/ds'"},
		{"glusterfs", "310/x.raw", "unknown storage type 'glusterfs'"},
	} {
		_, err := volid.Parse(c.typ, c.name)
		require.EqualError(t, err, c.want)
		require.ErrorIs(t, err, volid.ErrSyntax)
	}
}

// A name that would lead out of its storage's folder means nothing on any type.
func TestThreat1_HostileNames(t *testing.T) {
	long := strings.Repeat("a", 300)
	for _, name := range []string{
		"310/../../etc/shadow", "310/../vm-310-disk-0.raw", "../310/x.raw", "310/..", "310/.", "snippets/..", "snippets/.", "snippets/../x",
		"iso/../../x.iso", "import/../x.raw", "import/..ova/../x.raw", "310/x\x00.raw", "310/x\n.raw", "snippets/a\u2028b",
		"310/" + long + ".raw", "backup/" + long + ".tar", "dc/../../etc/shadow", "dc/ds/../../x", "", "/", "//", "310/", "/etc/passwd",
	} {
		for _, k := range volid.Kinds() {
			_, err := volid.Parse(k.Type, name)
			require.ErrorIs(t, err, volid.ErrSyntax, "%s: %q", k.Type, name)
		}
	}
	// Escapes are not decoded: the text is the name.
	v, err := volid.Parse("dir", "snippets/%2e%2e")
	require.NoError(t, err)
	require.Equal(t, "%2e%2e", v.Name)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"310/vm-310-disk-0.qcow2", "1/base-1-disk-0.raw/2/x.raw", "iso/a.iso", "vm-1-disk-0", "base-1-x/vm-2-x",
		"0.0.1.wwn-5", "backup/vm/1/2024-01-02T03:04:05Z", "a/b/c.vmx", "snippets/..", "import/a.ova/b.raw"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, k := range volid.Kinds() {
			v, err := volid.Parse(k.Type, name)
			if err != nil {
				require.ErrorIs(t, err, volid.ErrSyntax)
				continue
			}
			s := volid.Storage{ID: "store", Type: k.Type, Options: map[string]string{"path": "/srv/root", "vgname": "vg", "pool": "tank"}}
			loc, err := s.Locate(name, "", &volid.Facts{LUN: func(volid.Storage, string) (int, error) { return 1, nil }})
			require.NoError(t, err)
			switch l := loc.(type) {
			case volid.File:
				require.Contains(t, []string{"/srv/root/", "/run/pve/i", "/tank/subv", "/tank/base"}, l.Path[:10])
				require.NotContains(t, l.Path+"/", "/../")
			case volid.Device:
				require.True(t, strings.HasPrefix(l.Path, "/dev/"))
				require.NotContains(t, l.Path+"/", "/../")
			}
			if k.Type != "iscsi" && k.Type != "iscsidirect" && k.Type != "pbs" {
				again, err := volid.Parse(k.Type, v.VolumeName(k.Type))
				require.NoError(t, err)
				require.Equal(t, v, again)
			}
		}
	})
}
