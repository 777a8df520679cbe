package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

func TestRowOf(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		want   inventory.Guest
	}{
		"empty": {"", inventory.Guest{Name: "VM 100", CPUs: 1, Memory: 512 << 20}},
		"all": {
			"name: web\ntags: a;b\nlock: backup\ntemplate: 1\nonboot: 1\nstartup: order=3\nsockets: 2\ncores: 3\nmemory: 2048\nagent: 1\nserial2: socket\n" +
				"boot: order=ide2;scsi1;scsi0\nide2: none,media=cdrom\nscsi0: st:v0,size=1G\nscsi1: st:v1,size=4G\n",
			inventory.Guest{
				Name: "web", Tags: "a;b", Lock: "backup", Template: true, OnBoot: true, Startup: "order=3", CPUs: 6, Memory: 2 << 30, HasAgent: true,
				Serial: true, Disk: 4 << 30,
			},
		},
		"vcpus":         {"cores: 4\nvcpus: 3\n", inventory.Guest{Name: "VM 100", CPUs: 3, Memory: 512 << 20}},
		"agent off":     {"agent: 0,type=virtio\n", inventory.Guest{Name: "VM 100", CPUs: 1, Memory: 512 << 20}},
		"old boot":      {"boot: cdn\nbootdisk: scsi1\nscsi0: st:v0,size=1G\nscsi1: st:v1,size=2G\n", inventory.Guest{Name: "VM 100", CPUs: 1, Memory: 512 << 20, Disk: 2 << 30}},
		"no boot":       {"scsi0: st:v0,size=1G\n", inventory.Guest{Name: "VM 100", CPUs: 1, Memory: 512 << 20}},
		"boots network": {"boot: order=net0\nscsi0: st:v0,size=1G\n", inventory.Guest{Name: "VM 100", CPUs: 1, Memory: 512 << 20}},
		"nonsense":      {"cores: many\nmemory: lots\nboot: order=\nscsi0: ,,\nagent: what\n", inventory.Guest{Name: "VM 100", CPUs: 1, Memory: 512 << 20}},
		"only current":  {"name: a\n\n[PENDING]\nname: b\nmemory: 4096\n", inventory.Guest{Name: "a", CPUs: 1, Memory: 512 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, _, err := vmconfig.Parse(c.config, vmconfig.ParseOptions{VMID: 100})
			require.NoError(t, err)
			c.want.ID, c.want.Node = 100, "alpha"
			require.Equal(t, &c.want, inventory.RowOf(100, "alpha", cfg))
		})
	}
}
