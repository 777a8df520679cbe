package volid_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage/volid"
)

func TestParseBackupName(t *testing.T) {
	zone := time.FixedZone("here", 2*3600)
	a, err := volid.ParseBackupName("store:backup/vzdump-qemu-310-2024_02_29-03_04_05.vma.zst", zone)
	require.NoError(t, err)
	require.Equal(t, "vzdump-qemu-310-2024_02_29-03_04_05.vma.zst", a.FileName)
	require.Equal(t, "qemu", a.Guest)
	require.Equal(t, "vma", a.Format)
	require.Equal(t, "zst", a.Compression)
	require.True(t, a.Standard)
	require.Equal(t, 310, a.VMID)
	require.Equal(t, time.Date(2024, 2, 29, 1, 4, 5, 0, time.UTC).Unix(), a.Created.Unix())
	require.Equal(t, "vzdump-qemu-310-2024_02_29-03_04_05.log", a.LogName())
	require.Equal(t, a.FileName+".notes", a.NotesName())
	require.Equal(t, []string{"zstd", "-q", "-d", "-c"}, a.Decompressor())
}

func TestParseBackupNameForms(t *testing.T) {
	for _, c := range []struct {
		name, format, compression string
		standard                  bool
		command                   string
	}{
		{"/mnt/x/vzdump-lxc-200-2024_01_02-03_04_05.tgz", "tar", "gz", true, "tar -z"},
		{"vzdump-lxc-200-2024_01_02-03_04_05.tar", "tar", "", true, ""},
		{"vzdump-openvz-200-2024_01_02-03_04_05.tar.bz2", "tar", "bz2", true, "tar --bzip2"},
		{"vzdump-qemu-200-2024_01_02-03_04_05.vma.bz2", "vma", "bz2", true, "bzcat -q"},
		{"vzdump-qemu-200-2024_01_02-03_04_05.vma.gz", "vma", "gz", true, "zcat"},
		{"vzdump-qemu-200-2024_01_02-03_04_05.vma.lzo", "vma", "lzo", true, "lzop -d -c"},
		{"vzdump-qemu-before the move.vma", "vma", "", false, ""},
		{"vzdump-qemu-99-2024_01_02-03_04_05.vma", "vma", "", false, ""},         // no guest id
		{"vzdump-qemu-0200-2024_01_02-03_04_05.vma", "vma", "", false, ""},       // leading zero
		{"vzdump-qemu-200-2024_02_30-03_04_05.vma", "vma", "", false, ""},        // no such day
		{"vzdump-qemu-200-2024_01_02-03_04_05-copy.vma", "vma", "", false, ""},   // more behind the time
		{"vzdump-qemu-1234567890-2024_01_02-03_04_05.vma", "vma", "", false, ""}, // ten digits
	} {
		a, err := volid.ParseBackupName(c.name, time.UTC)
		require.NoError(t, err, c.name)
		require.Equal(t, c.format, a.Format, c.name)
		require.Equal(t, c.compression, a.Compression, c.name)
		require.Equal(t, c.standard, a.Standard, c.name)
		require.Equal(t, c.command, strings.Join(a.Decompressor(), " "), c.name)
		if !c.standard {
			require.Zero(t, a.VMID)
			require.True(t, a.Created.IsZero())
			require.Empty(t, a.LogName()+a.NotesName())
		}
	}
	for _, name := range []string{"", "vzdump-qemu-200.iso", "dump-qemu-200-x.vma", "vzdump-kvm-200-x.vma", "vzdump-qemu-.vma", "vzdump-qemu-x.VMA",
		"vzdump-qemu-x.tgz.gz", "vzdump-qemu-x\n.vma", "vzdump-qemu-" + strings.Repeat("x", 300) + ".vma"} {
		_, err := volid.ParseBackupName(name, time.UTC)
		require.ErrorIs(t, err, volid.ErrSyntax, name)
		require.ErrorContains(t, err, "ERROR: couldn't determine archive info from '"+name+"'")
	}
}

func TestNewBackupName(t *testing.T) {
	at := time.Date(2031, 12, 1, 2, 3, 4, 0, time.UTC)
	name, err := volid.NewBackupName("qemu", 4711, at, "vma.zst")
	require.NoError(t, err)
	require.Equal(t, "vzdump-qemu-4711-2031_12_01-02_03_04.vma.zst", name)
	a, err := volid.ParseBackupName(name, time.UTC)
	require.NoError(t, err)
	require.True(t, a.Created.Equal(at))
	for _, c := range []struct {
		guest  string
		vmid   int
		ending string
	}{{"kvm", 100, "vma"}, {"qemu", 99, "vma"}, {"qemu", 100, "vma.xz"}, {"qemu", 100, "x/../../vma"}, {"qemu", -100, "vma"}} {
		_, err := volid.NewBackupName(c.guest, c.vmid, at, c.ending)
		require.ErrorIs(t, err, volid.ErrSyntax)
	}
}

func TestListing(t *testing.T) {
	for _, c := range []struct {
		name, format, guest string
		owner               int
	}{
		{"310/vm-310-disk-0.qcow2", "qcow2", "", 310},
		{"iso/a.IMG", "iso", "", 0},
		{"vztmpl/a.tar.ZST", "tzst", "", 0},
		{"vztmpl/a.tar", "tar", "", 0},
		{"snippets/a", "snippet", "", 0},
		{"import/a.ova", "ova", "", 0},
		{"backup/vzdump-qemu-310-2024_01_02-03_04_05.vma.lzo", "vma.lzo", "qemu", 310},
		{"backup/vzdump-lxc-310-x.tar.gz", "tar.gz", "lxc", 310},
		{"backup/old-12-0310-4711-saved.tgz", "tgz", "unknown", 4711},
		{"backup/4711-saved.tgz", "tgz", "unknown", 0}, // a number needs a dash on both sides
		{"backup/saved-4711.tgz", "tgz", "unknown", 0},
	} {
		v, err := volid.Parse("dir", c.name)
		require.NoError(t, err, c.name)
		require.Equal(t, c.format, v.ListFormat(), c.name)
		require.Equal(t, c.guest, v.BackupGuest(), c.name)
		require.Equal(t, c.owner, v.ListOwner(), c.name)
	}
	v, err := volid.Parse("dir", "310/vm-310-disk-0.raw")
	require.NoError(t, err)
	require.Equal(t, volid.Images, v.ListContent(nil))
	require.Equal(t, volid.Rootdir, v.ListContent(func(vmid int) bool { return vmid == 310 }))
	require.Equal(t, volid.Images, v.ListContent(func(vmid int) bool { return vmid == 311 }))
}

func FuzzParseBackupName(f *testing.F) {
	f.Add("vzdump-qemu-310-2024_02_29-03_04_05.vma.zst")
	f.Add("s:backup/vzdump-lxc-1-x.tgz")
	f.Fuzz(func(t *testing.T, name string) {
		a, err := volid.ParseBackupName(name, time.UTC)
		if err != nil {
			require.ErrorIs(t, err, volid.ErrSyntax)
			return
		}
		require.True(t, strings.HasSuffix(name, a.FileName))
		require.NotContains(t, a.FileName, "/")
		if a.Standard {
			_, ending, _ := strings.Cut(a.FileName, ".")
			again, err := volid.NewBackupName(a.Guest, a.VMID, a.Created, ending)
			require.NoError(t, err)
			require.Equal(t, a.FileName, again)
		}
	})
}
