package vm

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// tenants are two users with a pool each, who share the storages and a bridge.
const tenants = `user:alice@pve:1:0::::::
user:bob@pve:1:0::::::
user:few@pve:1:0::::::
pool:pa::101,102::
pool:pb::201::
role:Space:Datastore.AllocateSpace,Datastore.Audit:
role:Net:SDN.Use:
role:Few:VM.Config.Options:
acl:1:/pool/pa:alice@pve:PVEVMAdmin:
acl:1:/pool/pb:bob@pve:PVEVMAdmin:
acl:1:/storage/local:alice@pve,bob@pve:Space:
acl:1:/sdn/zones/localnetwork/vmbr0:alice@pve,bob@pve:Net:
acl:1:/sdn/zones/localnetwork/vmbr1/7:alice@pve:Net:
acl:1:/vms/101:few@pve:Few:
`

func newTenants(t *testing.T) *site {
	s := newSite(t)
	s.users(tenants)
	s.makeVM(101, "scsi0", "local:0.01")
	s.makeVM(102, "scsi0", "local:0.01")
	s.makeVM(201, "scsi0", "local:0.01", "ide2", "local:cloudinit")
	return s
}

// denied requires a refusal for a missing privilege, or a parameter that is refused.
func denied(t *testing.T, err error, what string) {
	t.Helper()
	require.Error(t, err, what)
	if _, ok := errors.AsType[call.ParamErrors](err); ok {
		return
	}
	e, ok := errors.AsType[*call.Error](err)
	require.True(t, ok, "%s: %v", what, err)
	require.True(t, e.Status == 403 || strings.Contains(e.Text, "only root can set"), "%s: %d %s", what, e.Status, e.Text)
}

func TestThreat01TraversalInVolumes(t *testing.T) {
	s := newTenants(t)
	for _, volid := range []string{
		"local:101/../201/vm-201-disk-0.raw", "local:101/../../../etc/shadow", "local:%2e%2e/201/vm-201-disk-0.raw", "local:/etc/shadow",
		"local:101/vm-101-disk-0.raw\x00.qcow2", "local:101/vm\u2215201-disk-0.raw", "local:-o/x.raw", "-local:101/vm-101-disk-0.raw",
		"local:101/" + strings.Repeat("x", 5000) + ".raw", "local:101/./vm-101-disk-0.raw", "local:101//vm-101-disk-0.raw",
		"json:{\"driver\":\"file\"}", "nbd:localhost:1", "local:iso/../images/201/vm-201-disk-0.raw,media=cdrom",
		"local:import/../images/201/vm-201-disk-0.raw", "local:snippets/../x.yaml",
	} {
		for _, key := range []string{"scsi1", "ide2", "efidisk0", "unused0", "tpmstate0"} {
			require.Error(t, s.setAs(s.as("alice@pve"), 101, key, volid), "%s=%q", key, volid)
			require.Error(t, s.setVM(101, key, volid+",media=cdrom"), "%s=%q", key, volid)
		}
		require.Error(t, s.setVM(101, "scsi1", "local:0,import-from="+volid))
		if up, err := ask(s, s.root(), s.PostNodesQemu, kv{"vmid", 110, "scsi0", volid, "pool", "pa"}); err == nil {
			s.fails(up, nil) // a name like any other, of nothing
		}
	}
	require.Len(t, s.files(), 4)
	require.Len(t, s.vmids(), 3)
}

func TestThreat02VolumesOfOthers(t *testing.T) {
	s := newTenants(t)
	alice := s.as("alice@pve")
	const foreign, other = "local:201/vm-201-disk-0.raw", "other:0.01"
	for name, p := range map[string]kv{
		"disk":            {"scsi1", foreign},
		"disk of bus ide": {"ide1", foreign},
		"as CD-ROM":       {"ide2", foreign + ",media=cdrom"},
		"efidisk":         {"efidisk0", foreign},
		"TPM state":       {"tpmstate0", foreign},
		"unused":          {"unused0", foreign},
		"import":          {"scsi1", "local:0,import-from=" + foreign},
		"cloud-init":      {"ide2", "local:201/vm-201-cloudinit.qcow2,media=cdrom"},
		"storage":         {"scsi1", other},
		"state storage":   {"vmstatestorage", "other"},
		"snippets":        {"cicustom", "user=other:snippets/x.yaml"},
		"hook script":     {"hookscript", "local:snippets/x.sh"},
		"rom file":        {"hostpci0", "0000:01:00.0,romfile=x"},
		"bridge":          {"net0", "virtio,bridge=vmbr1"},
		"other VLAN":      {"net0", "virtio,bridge=vmbr1,tag=8"},
		"host's CD-ROM":   {"ide2", "cdrom"},
	} {
		denied(t, s.setAs(alice, 101, p...), name)
		_, err := ask(s, alice, s.PostNodesQemuConfig, append(kv{"vmid", 101}, p...))
		denied(t, err, "POST: "+name)
		_, err = ask(s, alice, s.PostNodesQemu, append(kv{"vmid", 110, "pool", "pa"}, p...))
		denied(t, err, "create: "+name)
	}
	require.NoError(t, s.setAs(alice, 101, "net0", "virtio,bridge=vmbr0"))
	require.NoError(t, s.setAs(alice, 101, "net1", "virtio,bridge=vmbr1,tag=7"))
	require.NoError(t, s.setAs(alice, 101, "scsi1", "local:0,import-from=local:102/vm-102-disk-0.raw"), "VM.Clone on her own")
	require.NoError(t, s.setAs(alice, 101, "scsi2", "local:102/vm-102-disk-0.raw"), "her own other VM's disk")
	require.NoError(t, s.setAs(alice, 101, "delete", "scsi2"))
	require.False(t, s.conf(101).Main.Has("unused0"), "which is not hers to free by this VM")
	require.Len(t, s.files(), 5)

	_, err := ask(s, alice, s.PostNodesQemuClone, kv{"vmid", 201, "newid", 111, "pool", "pa"})
	denied(t, err, "clone of another's VM")
	_, err = ask(s, alice, s.PostNodesQemuClone, kv{"vmid", 101, "newid", 111})
	denied(t, err, "clone to nowhere")
	_, err = ask(s, alice, s.PostNodesQemuClone, kv{"vmid", 101, "newid", 111, "pool", "pb"})
	denied(t, err, "clone into another's pool")
	_, err = ask(s, alice, s.PostNodesQemuClone, kv{"vmid", 101, "newid", 111, "pool", "pa", "storage", "other"})
	denied(t, err, "clone to a storage of others")
	s.ok(ask(s, alice, s.PostNodesQemuClone, kv{"vmid", 101, "newid", 111, "pool", "pa"}))
	_, err = ask(s, alice, s.DeleteNodesQemuVmid, kv{"vmid", 201})
	denied(t, err, "destroy")
	denied(t, s.setAs(alice, 201, "memory", 16), "update")
}

func TestThreat09PathsOfTheHost(t *testing.T) {
	s := newTenants(t)
	for _, path := range []string{"/dev/sda", "/etc/passwd", "/proc/1/mem", s.path("local:101/vm-101-disk-0.raw")} {
		for _, value := range []string{path, path + ",media=cdrom", "local:0,import-from=" + path} {
			for _, key := range []string{"scsi1", "ide2", "sata0"} {
				denied(t, s.setAs(s.as("alice@pve"), 101, key, value), value)
				_, err := ask(s, s.as("alice@pve"), s.PostNodesQemu, kv{"vmid", 110, "pool", "pa", key, value})
				denied(t, err, value)
			}
		}
	}
	require.Error(t, s.setVM(101, "scsi1", "/etc/passwd"), "nor root, for a file of no storage")
	denied(t, s.setAs(s.as("root@pam!token"), 101, "scsi1", "/dev/sda"), "a token of root is not root")
	s.users("user:admin@pve:1:0::::::\nacl:1:/:admin@pve:Administrator:\n")
	for _, p := range []kv{
		{"scsi1", "/dev/sda"}, {"args", "-S"}, {"hookscript", "local:snippets/a.sh"}, {"serial0", "/dev/ttyS0"}, {"usb0", "host=1-1"},
		{"hostpci0", "01:00"}, {"parallel0", "/dev/lp0"}, {"lock", "backup"}, {"memory", "64", "skiplock", "1"}, {"vmgenid", "1"},
	} {
		denied(t, s.setAs(s.as("admin@pve"), 101, p...), p[0].(string))
	}
}

func TestThreat21LineFeedsMakeNoOptions(t *testing.T) {
	s := newTenants(t)
	for _, key := range []string{"args", "name", "tags", "cpu", "smbios1", "machine", "boot", "ciuser", "searchdomain", "nameserver", "agent", "vga",
		"scsi0", "net0", "startup", "hotplug", "cipassword", "sshkeys", "affinity", "startdate", "keyboard", "hugepages", "meta", "ipconfig0", "watchdog"} {
		for _, value := range []string{"a\nprotection: 1", "x\r\nlock: backup", "local:0.01\n[PENDING]\nargs: x", "virtio,bridge=vmbr0\nargs: x"} {
			if err := s.setVM(101, key, value); err == nil {
				c := s.conf(101)
				require.NotContains(t, c.String(), "protection: 1", key)
			}
			c := s.conf(101)
			for _, sec := range []vmconfig.Section{c.Main, c.Pending} {
				require.False(t, sec.Has("protection") || sec.Has("lock") || sec.Has("args"), "%s: %q", key, c.String())
			}
			up, err := ask(s, s.root(), s.PostNodesQemu, kv{"vmid", 120, key, value})
			if err == nil {
				s.wait(up)
				if len(s.vmids()) == 4 {
					c := s.conf(120)
					require.False(t, c.Main.Has("protection") || c.Main.Has("lock") || c.Main.Has("args"), "%s: %q", key, c.String())
					s.dropVM(120)
				}
			}
		}
	}
	require.EqualError(t, s.setVM(101, "args", "-S\nlock: backup"), "unable to parse value of 'args' - property contains a line feed")
	require.NoError(t, s.setVM(101, "description", "two\nlines: [PENDING]\n#x\n[snap]"))
	require.Equal(t, "two\nlines: [PENDING]\n#x\n[snap]", s.conf(101).Main["description"])
}

func TestThreat20SplicedOptions(t *testing.T) {
	s := newTenants(t)
	for _, p := range []kv{
		{"net0", "virtio,bridge=vmbr0,mac=x"}, {"net0", "virtio,bridge=vmbr0;rm"}, {"net0", "virtio,bridge=../x"}, {"net0", "virtio=02:00:00:00:00:zz"},
		{"scsi1", "local:0.01,serial=a,file=/etc/passwd"}, {"scsi1", "local:0.01,wwn=1,x=y"}, {"vga", "std,memory=16 -S"}, {"cpu", "host,flags=+x,-S"},
		{"machine", "pc,accel=x"}, {"watchdog", "i6300esb,action=reset,id=x"}, {"rng0", "source=/etc/passwd"}, {"audio0", "device=x"},
	} {
		require.Error(t, s.setVM(101, p...), "%v", p)
	}
}

func TestThreat42RightsAreCheckedAgainInTheTask(t *testing.T) {
	s := newTenants(t)
	gate := s.block(101)
	alice := s.as("alice@pve")
	var ups []string
	for _, submit := range []func() (string, error){
		func() (string, error) {
			up, err := ask(s, alice, s.PostNodesQemuConfig, kv{"vmid", 101, "memory", 77})
			return up.(string), err
		},
		func() (string, error) {
			return ask(s, alice, s.PutNodesQemuResize, kv{"vmid", 101, "disk", "scsi0", "size", "+1M"})
		},
		func() (string, error) {
			return ask(s, alice, s.PostNodesQemuClone, kv{"vmid", 101, "newid", 112, "pool", "pa"})
		},
		func() (string, error) { return ask(s, alice, s.PostNodesQemuTemplate, kv{"vmid", 101}) },
		func() (string, error) { return ask(s, alice, s.DeleteNodesQemuVmid, kv{"vmid", 101}) },
	} {
		up, err := submit()
		require.NoError(t, err)
		ups = append(ups, up)
	}
	s.put("/pve/user.cfg", strings.ReplaceAll(tenants, "acl:1:/pool/pa:alice@pve:PVEVMAdmin:\n", ""))
	s.eventually("it is known", func() bool { return s.access.Check(alice, "/vms/101", "VM.Allocate") != nil })
	close(gate)
	for _, up := range ups {
		require.Contains(t, s.fails(up, nil), "Permission check failed")
	}
	require.NotEqual(t, "77", s.conf(101).Main["memory"])
	require.Len(t, s.vmids(), 3)
}

func TestPrivilegesOfOptions(t *testing.T) {
	s := newTenants(t)
	few := s.as("few@pve")
	require.NoError(t, s.setAs(few, 101, "name", "x"))
	require.EqualError(t, s.setAs(few, 101, "memory", 16), "Permission check failed (/vms/101, VM.Config.Memory)")
	require.EqualError(t, s.setAs(few, 101, "scsi1", "local:0.01"), "Permission check failed (/vms/101, VM.Config.Disk)")
	require.EqualError(t, s.setAs(few, 101, "delete", "scsi0"), "Permission check failed (/vms/101, VM.Config.Disk)")
	require.Equal(t, call.ParamErrors{"skiplock": "Only root may use this option."}, s.setAs(few, 101, "name", "y", "skiplock", 1))

	s.users("user:disks@pve:1:0::::::\nrole:Disks:VM.Config.Disk:\nacl:1:/vms/101:disks@pve:Disks:\n")
	disks := s.as("disks@pve")
	require.NoError(t, s.setAs(disks, 101, "delete", "scsi0"))
	require.EqualError(t, s.setAs(disks, 101, "delete", "unused0"), "Permission check failed (/storage/local, Datastore.AllocateSpace)")
	require.NoError(t, s.setAs(disks, 101, "scsi0", "local:101/vm-101-disk-0.raw"), "the VM's own volume")
	require.EqualError(t, s.setAs(disks, 101, "delete", "scsi0", "force", 1), "Permission check failed (/storage/local, Datastore.AllocateSpace)")
}

func TestTagsNeedTheRightToThem(t *testing.T) {
	s := newTenants(t)
	s.makeVM(103, "tags", "locked;free")
	s.users("acl:1:/vms/103:few@pve:Few:\n")
	s.options.Settings.Tags = func(ctx context.Context, tag string) bool { return call.From(ctx).IsRoot() || tag != "locked" }
	few := s.as("few@pve")
	require.NoError(t, s.setAs(few, 103, "tags", "LOCKED,new"))
	require.Equal(t, "locked;new", s.conf(103).Main["tags"])
	require.EqualError(t, s.setAs(few, 103, "tags", "new"), "Permission check failed (/, Sys.Modify)")
	require.EqualError(t, s.setAs(few, 103, "delete", "tags"), "Permission check failed (/, Sys.Modify)")
	require.EqualError(t, s.setAs(few, 101, "tags", "locked"), "Permission check failed (/, Sys.Modify)")
	require.NoError(t, s.setVM(103, "delete", "tags"))
}

func TestSnippetsNeedTheRightToSeeTheirStorage(t *testing.T) {
	s := newTenants(t)
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "local", "snippets"), 0o755))
	require.NoError(t, s.setAs(s.as("alice@pve"), 101, "cicustom", "user=local:snippets/x.yaml"))
	s.users("user:ci@pve:1:0::::::\nrole:CI:VM.Config.Cloudinit:\nacl:1:/vms/101:ci@pve:CI:\n")
	require.NoError(t, s.setAs(s.as("ci@pve"), 101, "cicustom", "user=local:snippets/x.yaml"), "it is there already")
	denied(t, s.setAs(s.as("ci@pve"), 101, "cicustom", "user=local:snippets/y.yaml"), "another")
}
