package copycmd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage/copycmd"
	"github.com/turtacn/go-proxmox/storage/volid"
)

func lookup(id string) (volid.Storage, bool) {
	s, ok := map[string]volid.Storage{
		"files": {Type: "dir", Options: map[string]string{"path": "/srv/vm"}},
		"chain": {Type: "dir", Options: map[string]string{"path": "/srv/ch,ain", "snapshot-as-volume-chain": "1"}},
		"tank":  {Type: "zfspool", Options: map[string]string{"pool": "tank"}},
		"thin":  {Type: "lvmthin", Options: map[string]string{"vgname": "vg", "thinpool": "data"}},
		"thick": {Type: "lvm", Options: map[string]string{"vgname": "vg", "snapshot-as-volume-chain": "1"}},
		"ceph":  {Type: "rbd", Options: map[string]string{"pool": "p"}},
		"units": {Type: "zfs", Options: map[string]string{"pool": "p", "portal": "192.0.2.9", "target": "iqn.2001-01.org.example:x"}},
	}[id]
	s.ID = id
	return s, ok
}

func Example() {
	args, err := copycmd.Args("files:100/vm-100-disk-0.qcow2", "thin:vm-100-disk-0", copycmd.Options{Storage: lookup, Snapshot: "before"})
	fmt.Println(strings.Join(args, " "), err)
	// Output: convert -p -n -l snapshot.name=before -f qcow2 -O raw /srv/vm/images/100/vm-100-disk-0.qcow2 /dev/vg/vm-100-disk-0 <nil>
}

func TestArgs(t *testing.T) {
	const unit = "file.driver=iscsi,file.transport=tcp,file.initiator-name=iqn.host,file.portal=192.0.2.9,file.target=iqn.2001-01.org.example:x,file.lun=4,driver=raw"
	facts := &volid.Facts{LUN: func(volid.Storage, string) (int, error) { return 4, nil }}
	for _, c := range []struct {
		src, dst string
		o        copycmd.Options
		want     string
	}{
		{"tank:vm-100-disk-0", "tank:vm-101-disk-0", copycmd.Options{LimitKiB: 77},
			"-t none -T none -r 77K -f raw -O raw /dev/zvol/tank/vm-100-disk-0 /dev/zvol/tank/vm-101-disk-0"},
		{"thin:vm-100-disk-0", "files:101/vm-101-disk-0.vmdk", copycmd.Options{Snapshot: "s", Zeroed: true},
			"-f raw -O vmdk /dev/vg/snap_vm-100-disk-0_s zeroinit:/srv/vm/images/101/vm-101-disk-0.vmdk"},
		{"chain:100/vm-100-disk-0.qcow2", "thick:vm-101-disk-0.qcow2", copycmd.Options{Snapshot: "s"},
			"-f qcow2 --target-image-opts /srv/ch,ain/images/100/snap-s-vm-100-disk-0.qcow2 discard-no-unref=true,driver=qcow2,file.driver=host_device,file.filename=/dev/vg/vm-101-disk-0.qcow2"},
		{"files:100/vm-100-disk-0.raw", "chain:101/vm-101-disk-0.qcow2", copycmd.Options{Zeroed: true},
			"-f raw --target-image-opts /srv/vm/images/100/vm-100-disk-0.raw driver=zeroinit,file.discard-no-unref=true,file.driver=qcow2,file.file.driver=file,file.file.filename=/srv/ch,,ain/images/101/vm-101-disk-0.qcow2"},
		{"chain:100/vm-100-disk-0.raw", "chain:101/vm-101-disk-0.raw", copycmd.Options{},
			"-f raw -O raw /srv/ch,ain/images/100/vm-100-disk-0.raw /srv/ch,ain/images/101/vm-101-disk-0.raw"},
		{"units:vm-100-disk-0", "units:vm-101-disk-0", copycmd.Options{Zeroed: true}, "--image-opts --target-image-opts " + unit + " " + unit},
		{"/img/a.qed", "ceph:vm-101-disk-0", copycmd.Options{}, "-f qed -O raw /img/a.qed rbd:p/vm-101-disk-0:conf=/etc/pve/ceph.conf"},
		{"/img/a.bin", "files:101/x.raw", copycmd.Options{}, "-O raw /img/a.bin /srv/vm/images/101/x.raw"},
		{"/img/a.vmdk", "files:101/x.raw", copycmd.Options{Format: "raw"}, "-f raw -O raw /img/a.vmdk /srv/vm/images/101/x.raw"},
	} {
		c.o.Storage, c.o.Facts, c.o.Initiator, c.o.Exists = lookup, facts, "iqn.host", func(string) bool { return true }
		args, err := copycmd.Args(c.src, c.dst, c.o)
		require.NoError(t, err, c.src)
		require.Equal(t, "convert -p -n "+c.want, strings.Join(args, " "))
	}
}

func TestArgsErrors(t *testing.T) {
	o := copycmd.Options{Storage: lookup, Exists: func(p string) bool { return p == "/there" || !strings.HasPrefix(p, "/") }}
	for _, c := range []struct {
		src, dst, text string
		class          error
	}{
		{"files:100/x.raw", "nowhere:x", "storage 'nowhere' does not exist", copycmd.ErrNoStorage},
		{"nowhere:x", "files:100/x.raw", "storage 'nowhere' does not exist", copycmd.ErrNoStorage},
		{"/missing", "files:100/x.raw", "source '/missing' is not a valid volid nor path for qemu-img convert", copycmd.ErrSource},
		{"/there", "/there", "destination '/there' is not a valid volid form qemu-img convert", copycmd.ErrTarget},
		{"files:100/../x.raw", "files:100/x.raw", "", volid.ErrSyntax},
		{"files:100/x.raw", "thin:x", "", volid.ErrSyntax},
	} {
		_, err := copycmd.Args(c.src, c.dst, o)
		require.ErrorIs(t, err, c.class, c.src)
		if c.text != "" {
			require.EqualError(t, err, c.text)
		}
	}
	o.Snapshot = "s"
	_, err := copycmd.Args("files:100/x.raw", "thin:vm-1-x", o)
	require.ErrorIs(t, err, volid.ErrNoSnapshotPath)
}

// A source is never an option, nor a protocol of QEMU's.
func TestThreat9_SourceIsAPath(t *testing.T) {
	o := copycmd.Options{Storage: func(string) (volid.Storage, bool) { return volid.Storage{}, false }, Exists: func(string) bool { return true }}
	for _, src := range []string{"json:{}", "nbd://192.0.2.1/x", "-f", "--image-opts", "rbd:p/x", "", "a.raw", "ssh://h/x", "../x"} {
		_, err := copycmd.Args(src, "files:100/x.raw", o)
		require.Error(t, err, src)
	}
}
