package vmconfig

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseDrive(t *testing.T) {
	d, err := ParseDrive("scsi3", "volume=tank:vm-7-disk-1,size=10240K,iothread=on,ssd=1,backup=0,mbps_rd=1.50,iops_wr_length=3,iops_wr_max=9,serial=a%20b")
	require.NoError(t, err)
	require.Equal(t, "scsi3", d.Key)
	require.Equal(t, "scsi", d.Bus())
	require.Equal(t, 3, d.Index())
	require.Equal(t, "tank:vm-7-disk-1", d.File)
	require.Equal(t, Some(Size(10<<20)), d.Size)
	require.Equal(t, Some(true), d.IOThread)
	require.Equal(t, Some(false), d.Backup)
	require.Equal(t, map[string]string{"mbps_rd": "1.50", "iops_wr_max": "9", "iops_wr_max_length": "3"}, d.Throttle)
	require.Equal(t, "tank:vm-7-disk-1,backup=0,iops_wr_max=9,iops_wr_max_length=3,iothread=1,mbps_rd=1.50,serial=a%20b,size=10M,ssd=1", d.String())
	storage, name, ok := d.Volume()
	require.True(t, ok)
	require.Equal(t, []string{"tank", "vm-7-disk-1"}, []string{storage, name})
}

func TestDriveKinds(t *testing.T) {
	for value, want := range map[string]struct{ cdrom, cloudinit, path, empty bool }{
		"none,media=cdrom":                      {cdrom: true, empty: true},
		"local:iso/x.iso,media=cdrom":           {cdrom: true},
		"tank:vm-7-cloudinit,media=cdrom":       {cdrom: true, cloudinit: true},
		"dir:7/vm-7-cloudinit.qcow2":            {cdrom: true, cloudinit: true},
		"tank:cloudinit":                        {cdrom: true, cloudinit: true},
		"/dev/disk/by-id/x":                     {path: true},
		"tank:vm-7-cloudinit-disk-0,media=disk": {},
	} {
		d, err := ParseDrive("sata0", value)
		require.NoError(t, err, value)
		require.Equal(t, want.cdrom, d.IsCDROM(), value)
		require.Equal(t, want.cloudinit, d.IsCloudInit(), value)
		require.Equal(t, want.path, d.IsPath(), value)
		require.Equal(t, want.empty, d.IsEmpty(), value)
	}
}

func TestDriveRefused(t *testing.T) {
	for _, c := range []struct{ key, value string }{
		{"net0", "tank:x"},
		{"scsi31", "tank:x"},
		{"scsi01", "tank:x"},
		{"scsi0", ""},
		{"scsi0", "size=3G"},
		{"scsi0", "tank:x,nonsense=1"},
		{"scsi0", "tank:x,cache=fast"},
		{"scsi0", "tank:x,efitype=4m"},
		{"ide0", "tank:x,iothread=1"},
		{"virtio0", "tank:x,media=cdrom"},
		{"ide0", "tank:x,media=cdrom,format=raw"},
		{"ide0", "tank:x,media=cdrom,snapshot=1"},
		{"scsi0", "tank:x,mbps=1,mbps_rd=1"},
		{"scsi0", "tank:x,iops=1,iops_wr=1"},
		{"scsi0", "tank:x,mbps_wr_max=5"},
		{"scsi0", "tank:x,mbps=1,bps_max_length=2"},
		{"scsi0", "tank:x,iops_rd=4,iops_rd_max_length=2"},
		{"unused0", "none"},
		{"scsi0", "tank:vm-1\x00disk"},
	} {
		_, err := ParseDrive(c.key, c.value)
		require.Error(t, err, "%s: %s", c.key, c.value)
	}
	_, err := ParseDrive("scsi0", "tank:x,iops_max=3")
	require.NoError(t, err, "iops_max alone is accepted")
	_, err = ParseDrive("scsi0", "tank:x,mbps_max=0,mbps=0,mbps_rd=3")
	require.NoError(t, err, "a limit of 0 is none")
}

func TestSize(t *testing.T) {
	for text, want := range map[string]string{
		"32G": "32G", "1024G": "1T", "528K": "528K", "512": "512", "1.5G": "1536M", "0": "0", "4096M": "4G", "3TiB": "3T",
	} {
		s, err := ParseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.String(), text)
	}
	for _, text := range []string{"", "G", "-1G", "1X", "1 G", "99999999999T", "1e3"} {
		_, err := ParseSize(text)
		require.Error(t, err, text)
	}
}

func TestKeys(t *testing.T) {
	require.Len(t, DriveKeys(), 4+31+16+6+2)
	require.Equal(t, "ide0", DriveKeys()[0])
	require.Equal(t, "scsi0", DriveKeys()[4])
	require.True(t, IsUnused("unused255"))
	require.False(t, IsUnused("unused256"))
	require.False(t, IsDrive("efidisk1"))
	require.True(t, IsBootDevice("hostpci15"))
	require.False(t, IsBootDevice("efidisk0"))
	name, index := SplitKey("net01")
	require.Equal(t, "net01", name)
	require.Equal(t, -1, index)
}

func TestVolumeRequest(t *testing.T) {
	parse := func(key, value, storage string) (VolumeRequest, error) {
		d, err := ParseDrive(key, value)
		require.NoError(t, err, value)
		return ParseVolumeRequest(d, storage)
	}
	for _, c := range []struct {
		key, value, storage string
		want                VolumeRequest
	}{
		{"scsi0", "tank:32", "", VolumeRequest{Kind: VolumeNew, Storage: "tank", SizeBytes: 32 << 30, Volume: "tank:32"}},
		{"scsi0", "tank:0.5,format=qcow2", "", VolumeRequest{Kind: VolumeNew, Storage: "tank", SizeBytes: 512 << 20, Format: "qcow2", Volume: "tank:0.5"}},
		{"scsi0", "tank:0.0000001", "", VolumeRequest{Kind: VolumeNew, Storage: "tank", SizeBytes: 1 << 10, Volume: "tank:0.0000001"}},
		{"efidisk0", "tank:1", "", VolumeRequest{Kind: VolumeNew, Storage: "tank", Volume: "tank:1"}},
		{"tpmstate0", "tank:77", "", VolumeRequest{Kind: VolumeNew, Storage: "tank", SizeBytes: 4 << 20, Volume: "tank:77"}},
		{"ide2", "tank:cloudinit", "", VolumeRequest{Kind: VolumeCloudInit, Storage: "tank", Volume: "tank:cloudinit"}},
		{"ide2", "none", "", VolumeRequest{Kind: VolumeNone, Volume: "none"}},
		{"ide2", "cdrom", "", VolumeRequest{Kind: VolumeHostCDROM, Volume: "cdrom"}},
		{"ide2", "local:iso/a.iso,media=cdrom", "", VolumeRequest{Kind: VolumeExisting, Storage: "local", Volume: "local:iso/a.iso"}},
		{"scsi0", "/dev/sdx", "", VolumeRequest{Kind: VolumePath, Volume: "/dev/sdx"}},
		{"scsi0", "tank:0,import-from=local:import/a.ova/b.vmdk", "", VolumeRequest{Kind: VolumeImport, Storage: "tank", Source: "local:import/a.ova/b.vmdk"}},
	} {
		got, err := parse(c.key, c.value, c.storage)
		require.NoError(t, err, c.value)
		require.Equal(t, c.want, got, c.value)
	}
	for _, c := range []struct{ key, value, text string }{
		{"scsi0", "local:iso/a.iso", "explicit 'media=cdrom' is required for iso images"},
		{"scsi0", "tank:5,import-from=/x", "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>"},
		{"efidisk0", "tank:0,import-from=/x,efitype=4m", "need to specify 'pre-enrolled-keys' when using 'import-from'"},
		{"tpmstate0", "tank:0,import-from=/x", "need to specify 'version' when using 'import-from'"},
		{"scsi0", "tank:99999999999999999999", "unable to parse drive options"},
	} {
		_, err := parse(c.key, c.value, "")
		require.ErrorContains(t, err, c.text, c.value)
	}
	_, err := ParseVolumeRequest(Drive{Key: "scsi0", File: "32"}, "")
	require.EqualError(t, err, "no storage ID specified (and no default storage)")
	r, err := ParseVolumeRequest(Drive{Key: "scsi0", File: "32"}, "tank")
	require.NoError(t, err)
	require.Equal(t, "tank", r.Storage)
}

func FuzzDrive(f *testing.F) {
	f.Add("scsi0", "tank:vm-1-disk-0,size=1.5G,ssd=yes")
	f.Add("efidisk0", "tank:x,efitype=4m,pre-enrolled-keys=1")
	f.Add("ide2", "none,media=cdrom")
	f.Add("scsi0", "aa:\xff")
	f.Fuzz(func(t *testing.T, key, value string) {
		d, err := ParseDrive(key, value)
		if err != nil {
			return
		}
		again, err := ParseDrive(key, d.String())
		require.NoError(t, err, "%q", d.String())
		require.Equal(t, d, again)
	})
}
