package vmconfig

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// again parses and prints a value of each typed option.
var again = map[string]func(string) (fmt.Stringer, error){
	"net":      func(s string) (fmt.Stringer, error) { return wrap(ParseNet(s)) },
	"cpu":      func(s string) (fmt.Stringer, error) { return wrap(ParseCPU(s)) },
	"machine":  func(s string) (fmt.Stringer, error) { return wrap(ParseMachine(s)) },
	"vga":      func(s string) (fmt.Stringer, error) { return wrap(ParseVGA(s)) },
	"memory":   func(s string) (fmt.Stringer, error) { return wrap(ParseMemory(s)) },
	"numa":     func(s string) (fmt.Stringer, error) { return wrap(ParseNUMA(s)) },
	"smbios1":  func(s string) (fmt.Stringer, error) { return wrap(ParseSMBIOS1(s)) },
	"meta":     func(s string) (fmt.Stringer, error) { return wrap(ParseMeta(s)) },
	"sev":      func(s string) (fmt.Stringer, error) { return wrap(ParseSEV(s)) },
	"tdx":      func(s string) (fmt.Stringer, error) { return wrap(ParseTDX(s)) },
	"hostpci":  func(s string) (fmt.Stringer, error) { return wrap(ParseHostPCI(s)) },
	"usb":      func(s string) (fmt.Stringer, error) { return wrap(ParseUSB(s)) },
	"audio":    func(s string) (fmt.Stringer, error) { return wrap(ParseAudio(s)) },
	"rng":      func(s string) (fmt.Stringer, error) { return wrap(ParseRNG(s)) },
	"watchdog": func(s string) (fmt.Stringer, error) { return wrap(ParseWatchdog(s)) },
	"ivshmem":  func(s string) (fmt.Stringer, error) { return wrap(ParseIVShmem(s)) },
	"spice":    func(s string) (fmt.Stringer, error) { return wrap(ParseSpiceEnhancements(s)) },
	"virtiofs": func(s string) (fmt.Stringer, error) { return wrap(ParseVirtioFS(s)) },
	"agent":    func(s string) (fmt.Stringer, error) { return wrap(ParseAgent(s)) },
	"ipconfig": func(s string) (fmt.Stringer, error) { return wrap(ParseIPConfig(s)) },
	"cicustom": func(s string) (fmt.Stringer, error) { return wrap(ParseCICustom(s)) },
	"boot":     func(s string) (fmt.Stringer, error) { return wrap(ParseBoot(s)) },
	"startup":  func(s string) (fmt.Stringer, error) { return wrap(ParseStartup(s)) },
}

func wrap[T fmt.Stringer](v T, err error) (fmt.Stringer, error) { return v, err }

func TestOptionsRoundTrip(t *testing.T) {
	for _, c := range []struct{ option, value, want string }{
		{"net", "model=virtio,macaddr=BC:24:11:00:00:0a,tag=5,bridge=vmbr0,trunks=1;3-9", "virtio=BC:24:11:00:00:0a,bridge=vmbr0,tag=5,trunks=1;3-9"},
		{"net", "e1000,link_down=no,rate=1.50", "e1000,link_down=0,rate=1.50"},
		{"net", "virtio=BC:24:11:00:00:0a,queues=0,mtu=1", "virtio=BC:24:11:00:00:0a,mtu=1,queues=0"},
		{"cpu", "host,flags=+aes;-pcid,hidden=1,phys-bits=host,level=30", "host,flags=+aes;-pcid,hidden=1,level=30,phys-bits=host"},
		{"cpu", "cputype=custom-x", "custom-x"},
		{"machine", "q35,enable-s3=0,viommu=intel,aw-bits=48", "q35,aw-bits=48,enable-s3=0,viommu=intel"},
		{"vga", "virtio,memory=64,clipboard=vnc", "virtio,clipboard=vnc,memory=64"},
		{"vga", "memory=64", "memory=64"},
		{"memory", "current=2048", "2048"},
		{"numa", "cpus=0-1;4,hostnodes=0,memory=512,policy=bind", "cpus=0-1;4,hostnodes=0,memory=512,policy=bind"},
		{"smbios1", "uuid=00000000-0000-0000-0000-00000000000a,base64=1,sku=QQ==", "base64=1,sku=QQ==,uuid=00000000-0000-0000-0000-00000000000a"},
		{"meta", "ctime=17,creation-qemu=10.1", "creation-qemu=10.1,ctime=17"},
		{"sev", "snp,kernel-hashes=1", "snp,kernel-hashes=1"},
		{"tdx", "tdx,attestation=0", "tdx,attestation=0"},
		{"hostpci", "host=01:00.0;0000:02:00,pcie=on,rombar=0,device-id=0x1234", "01:00.0;0000:02:00,device-id=0x1234,pcie=1,rombar=0"},
		{"hostpci", "mapping=gpu", "mapping=gpu"},
		{"usb", "host=1-2.3,usb3=yes", "1-2.3,usb3=1"},
		{"audio", "driver=none,device=AC97", "device=AC97,driver=none"},
		{"rng", "source=/dev/urandom,max_bytes=0", "/dev/urandom,max_bytes=0"},
		{"watchdog", "model=ib700,action=reset", "ib700,action=reset"},
		{"ivshmem", "size=32,name=a-b", "name=a-b,size=32"},
		{"spice", "videostreaming=all,foldersharing=1", "foldersharing=1,videostreaming=all"},
		{"virtiofs", "dirid=share,cache=always,direct-io=1", "share,cache=always,direct-io=1"},
		{"agent", "enabled=1,guest-fsfreeze=0", "1,freeze-fs=0"},
		{"ipconfig", "gw=10.0.0.1,ip=10.0.0.2/8,ip6=auto", "gw=10.0.0.1,ip=10.0.0.2/8,ip6=auto"},
		{"cicustom", "vendor=local:snippets/v,user=local:snippets/u", "user=local:snippets/u,vendor=local:snippets/v"},
		{"boot", "order=scsi0;net0", "order=scsi0;net0"},
		{"boot", "cdn", "cdn"},
		{"startup", "up=10,3,down=5", "order=3,up=10,down=5"},
	} {
		v, err := again[c.option](c.value)
		require.NoError(t, err, "%s %s", c.option, c.value)
		require.Equal(t, c.want, v.String(), "%s %s", c.option, c.value)
		v, err = again[c.option](c.want)
		require.NoError(t, err)
		require.Equal(t, c.want, v.String())
	}
}

func TestOptionsRefused(t *testing.T) {
	for option, values := range map[string][]string{
		"net":      {"", "nosuchmodel", "virtio=01:24:11:00:00:0a", "virtio,tag=4095", "virtio,trunks=x", "virtio,virtio"},
		"cpu":      {"host,flags=aes", "host,nonsense=1"},
		"machine":  {"isapc", "pc-i440fx"},
		"memory":   {"15", "lots"},
		"usb":      {"host=zz"},
		"startup":  {"", "x", "up=-1"},
		"ipconfig": {"gw=10.0.0.1", "ip=10.0.0.1"},
		"boot":     {"order=efidisk0", "xyz"},
	} {
		for _, value := range values {
			_, err := again[option](value)
			require.Error(t, err, "%s %q", option, value)
		}
	}
}

func TestPrintedOptionsCannotGrow(t *testing.T) {
	text := Net{Model: "virtio", Bridge: "vmbr0,firewall=1\nargs: x"}.String()
	n, err := ParseNet(text)
	require.True(t, err != nil || !n.Firewall.Set, "%q", text)
	require.NotContains(t, text, "\n")
}

func TestCheckCPU(t *testing.T) {
	require.NoError(t, CheckCPU("x86-64-v2-AES,flags=+aes", nil))
	require.NoError(t, CheckCPU("host", nil))
	require.NoError(t, CheckCPU("custom-any", nil))
	for _, value := range []string{"nosuch", "hidden=1", "host,flags=+nosuchflag", "host,reported-model=kvm64"} {
		require.Error(t, CheckCPU(value, nil), value)
	}
}

func TestWireValue(t *testing.T) {
	for key, want := range map[string]any{
		"cores": int64(7), "onboot": int64(7), "memory": "7", "cpulimit": "7", "agent": "7", "name": "7", "snaptime": int64(7), "unknown": "7",
	} {
		require.Equal(t, want, WireValue(key, "7"), key)
	}
	require.Equal(t, "many", WireValue("cores", "many"))
}

func TestOptionTable(t *testing.T) {
	for key, known := range map[string]bool{
		"net31": true, "net32": false, "net01": false, "net": false, "numa": true, "numa7": true, "numa8": false, "meta": true, "vmstate": true,
		"parent": true, "snaptime": true, "delete": false, "digest": false, "archive": false, "unused255": true, "virtiofs9": true, "smp": true,
		"lxc": false, "efidisk0": true, "efidisk1": false, "cdrom": true,
	} {
		_, ok := LookupOption(key)
		require.Equal(t, known, ok, key)
	}
}

func TestSSHKeys(t *testing.T) {
	const ed = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
	require.NoError(t, CheckSSHKeys(ed))
	require.NoError(t, CheckSSHKeys("%23%20comment%0A"+ed+"%20me%0A%0A"))
	require.NoError(t, CheckSSHKeys("no-pty%20"+ed))
	require.NoError(t, CheckSSHKeys(""))
	require.Error(t, CheckSSHKeys("ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"))
	require.Error(t, CheckSSHKeys(ed+"%0Aruncmd: x"))
	require.Equal(t, []string{ed + " a"}, DecodeSSHKeys("%0A"+ed+"%20a%0D%0A"))
}
