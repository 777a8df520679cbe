package vmconfig

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRequiredPrivileges(t *testing.T) {
	vm := func(privs ...string) Need { return Need{Privs: privs} }
	root := func(text string) []Need { return []Need{{Root: text}} }
	for name, c := range map[string]struct {
		change Change
		want   []Need
	}{
		"cores":            {Change{Key: "cores", New: "2"}, []Need{vm("VM.Config.CPU")}},
		"memory":           {Change{Key: "memory", New: "2"}, []Need{vm("VM.Config.Memory")}},
		"name":             {Change{Key: "name", New: "x"}, []Need{vm("VM.Config.Options")}},
		"numa node":        {Change{Key: "numa3", New: "cpus=0"}, []Need{vm("VM.Config.CPU")}},
		"nic":              {Change{Key: "net0", New: "virtio"}, []Need{vm("VM.Config.Network")}},
		"args":             {Change{Key: "args", New: "x"}, root("only root can set 'args' config")},
		"delete lock":      {Change{Key: "lock", Old: "x", Delete: true}, root("only root can set 'lock' config")},
		"hookscript":       {Change{Key: "hookscript", New: "x"}, root("only root can set 'hookscript' config")},
		"startup":          {Change{Key: "startup", New: "1"}, []Need{vm("VM.Config.Options"), {Path: "/", Privs: []string{"Sys.Modify"}}}},
		"ciuser":           {Change{Key: "ciuser", New: "x"}, []Need{{Privs: []string{"VM.Config.Cloudinit", "VM.Config.Network"}, Any: true}}},
		"ipconfig":         {Change{Key: "ipconfig5", New: "x"}, []Need{{Privs: []string{"VM.Config.Cloudinit", "VM.Config.Network"}, Any: true}}},
		"disk":             {Change{Key: "scsi0", New: "st:v"}, []Need{vm("VM.Config.Disk")}},
		"cdrom":            {Change{Key: "cdrom", New: "none"}, []Need{vm("VM.Config.CDROM")}},
		"host cdrom":       {Change{Key: "ide2", New: "cdrom"}, []Need{vm("VM.Config.CDROM"), {Path: "/", Privs: []string{"Sys.Console"}}}},
		"cloud-init drive": {Change{Key: "ide2", New: "st:cloudinit"}, []Need{vm("VM.Config.Cloudinit", "VM.Config.CDROM")}},
		"disk for cdrom":   {Change{Key: "ide2", Old: "none,media=cdrom", New: "st:v"}, []Need{vm("VM.Config.CDROM"), vm("VM.Config.Disk")}},
		"unused":           {Change{Key: "unused0", Old: "st:v", Delete: true}, []Need{vm("VM.Config.Disk")}},
		"vmstate":          {Change{Key: "vmstate", Delete: true}, []Need{vm("VM.Config.Disk"), vm("VM.PowerMgmt")}},
		"set vmstate":      {Change{Key: "vmstate", New: "st:v"}, root("only root can set 'vmstate' config")},
		"vmstatestorage":   {Change{Key: "vmstatestorage", New: "t"}, []Need{vm("VM.Config.Disk"), {Path: "/storage/t", Privs: []string{"Datastore.AllocateSpace"}}}},
		"serial socket":    {Change{Key: "serial0", New: "socket"}, []Need{vm("VM.Config.HWType")}},
		"serial device":    {Change{Key: "serial0", New: "/dev/ttyS0"}, root("only root can set 'serial0' config for real devices")},
		"serial was real":  {Change{Key: "serial0", Old: "/dev/ttyS0", New: "socket"}, root("only root can set 'serial0' config for real devices")},
		"spice usb":        {Change{Key: "usb1", New: "spice,usb3=1"}, []Need{vm("VM.Config.HWType")}},
		"usb device":       {Change{Key: "usb1", New: "1234:5678"}, root("only root can set 'usb1' config for real devices")},
		"mapped usb":       {Change{Key: "usb1", New: "mapping=key"}, []Need{vm("VM.Config.HWType"), {Path: "/mapping/usb/key", Privs: []string{"Mapping.Use"}}}},
		"pci device":       {Change{Key: "hostpci0", New: "01:00.0"}, root("only root can set 'hostpci0' config for non-mapped devices")},
		"mapped pci":       {Change{Key: "hostpci0", New: "mapping=gpu,pcie=1"}, []Need{{Path: "/mapping/pci/gpu", Privs: []string{"Mapping.Use"}}, vm("VM.Config.HWType")}},
		"mapped with rom":  {Change{Key: "hostpci0", New: "mapping=gpu,romfile=x"}, root("only root can set 'hostpci0' config")},
		"virtiofs":         {Change{Key: "virtiofs2", New: "data"}, []Need{vm("VM.Config.Disk"), {Path: "/mapping/dir/data", Privs: []string{"Mapping.Use"}}}},
		"custom cpu":       {Change{Key: "cpu", New: "custom-a"}, []Need{vm("VM.Config.CPU"), {Path: "/mapping/cpu/a", Privs: []string{"Mapping.Use"}}}},
		"same custom cpu":  {Change{Key: "cpu", Old: "custom-a", New: "custom-a,hidden=1"}, []Need{vm("VM.Config.CPU")}},
		"hardware rng":     {Change{Key: "rng0", New: "/dev/hwrng"}, []Need{vm("VM.Config.HWType"), {Path: "/mapping/hwrng", Privs: []string{"Mapping.Use"}}}},
		"freeze":           {Change{Key: "freeze", New: "1"}, []Need{vm("VM.PowerMgmt")}},
	} {
		require.Equal(t, c.want, RequiredPrivileges(c.change), name)
	}
}

func TestBridgeNeeds(t *testing.T) {
	use := func(paths ...string) (needs []Need) {
		for _, path := range paths {
			needs = append(needs, Need{Path: "/sdn/zones/" + path, Privs: []string{"SDN.Use"}})
		}
		return needs
	}
	require.Empty(t, BridgeNeeds("virtio", ""))
	require.Equal(t, use("localnetwork/vmbr0"), BridgeNeeds("virtio,bridge=vmbr0", ""))
	require.Equal(t, use("z/vnet1/7"), BridgeNeeds("virtio,bridge=vnet1,tag=7", "z"))
	require.Equal(t, use("localnetwork/vmbr0/2", "localnetwork/vmbr0/3", "localnetwork/vmbr0/9"), BridgeNeeds("virtio,bridge=vmbr0,tag=9,trunks=3;2-3", ""))
}
