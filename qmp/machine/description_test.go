package machine_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp/machine"
)

func TestArgsOrder(t *testing.T) {
	no := false
	m := &machine.Machine{
		Name: "web,1", DebugThreads: true, NoShutdown: true, NoReboot: true, NoUserConfig: true, PidFile: "/run/x.pid", Daemonize: true,
		Monitors: []machine.Monitor{{Chardev: machine.ListenSocket("mon", "/run/x.qmp"), Mode: "control"}},
		SMBIOS:   []machine.SMBIOS{{Type: 1, Fields: []machine.Property{{Name: "serial", Value: "a,b"}}}},
		UUID:     "6b2f", Firmware: machine.Firmware{BIOS: "/fw/x.fd"},
		SMP:     machine.SMP{CPUs: 1, Sockets: 1, Cores: 2, MaxCPUs: 2, Plugged: []machine.Device{{Driver: "max-x86_64-cpu", ID: "cpu2"}}},
		Boot:    machine.Boot{Menu: true, Strict: true, RebootTimeoutMS: 5, Splash: "/s.jpg"},
		Display: machine.Display{GL: "egl-headless", VNC: &machine.VNC{Socket: "/run/x,y", Password: true}, SPICE: &machine.SPICE{TLSPort: 7, Address: "::1"}},
		CPU: machine.CPU{Model: "max", Flags: []machine.CPUFlag{{Sign: '+', Name: "aes"}, {Sign: '-', Name: "avx"}, {Name: "enforce"},
			{Name: "level", Value: "3"}}},
		Memory: machine.Memory{SizeMiB: 1024, Slots: 4, MaxMiB: 4096,
			Nodes: []machine.NUMANode{{ID: 0, CPUs: []machine.CPURange{{First: 0, Last: 1}, {First: 4, Last: 4}},
				Backend: machine.Object{Type: "memory-backend-ram", ID: "m0", Props: []machine.Property{{Name: "size", Value: "1024M"}}}}}},
		Paused: true, Keyboard: "de", Globals: []machine.Global{{Driver: "vga", Property: "x", Value: "1"}},
		ISCSIInitiator: "iqn.a", RTC: machine.RTC{Base: "localtime", DriftFix: "slew"},
		Board: machine.Board{Type: "pc", Accel: "tcg", PFlash0: "p0", PFlash1: "p1", ACPI: &no, HPET: &no, SMM: &no, MemMerge: &no, MemoryBackend: "m",
			KernelIRQChip: "split", ConfidentialGuest: "sev0"},
		LoadState: "/s", Incoming: "defer", Snapshot: true, Extra: []string{"-foo"},
	}
	m.Add(machine.Unit{Name: "disk", Objects: []machine.Object{machine.ThrottleGroup("t0", map[string]int64{"bps-total": 5})},
		Nodes: []machine.Node{machine.Image("raw", "/d")}, Devices: []machine.Device{{Driver: "virtio-blk-pci", ID: "d0"}}})
	require.Equal(t, []string{
		"-name", "web,,1,debug-threads=on", "-no-shutdown", "-chardev", "socket,id=mon,path=/run/x.qmp,server=on,wait=off", "-mon", "chardev=mon,mode=control",
		"-pidfile", "/run/x.pid", "-daemonize", "-smbios", "type=1,serial=a,,b", "-bios", "/fw/x.fd",
		"-smp", "1,sockets=1,cores=2,maxcpus=2", "-device", "max-x86_64-cpu,id=cpu2", "-no-user-config", "-nodefaults",
		"-boot", "menu=on,strict=on,reboot-timeout=5,splash=/s.jpg", "-no-reboot", "-display", "egl-headless", "-vnc", "unix:/run/x,,y,password=on",
		"-cpu", "max,+aes,-avx,enforce,level=3", "-m", "size=1024,slots=4,maxmem=4096M",
		"-object", "memory-backend-ram,id=m0,size=1024M", "-numa", "node,nodeid=0,cpus=0-1,cpus=4,memdev=m0", "-S", "-k", "de",
		"-object", `{"id":"t0","limits":{"bps-total":5},"qom-type":"throttle-group"}`, "-global", "vga.x=1",
		"-blockdev", `{"driver":"raw","file":{"driver":"file","filename":"/d"}}`, "-device", "virtio-blk-pci,id=d0",
		"-spice", "tls-port=7,addr=::1", "-iscsi", "initiator-name=iqn.a", "-rtc", "driftfix=slew,base=localtime",
		"-machine", "pflash0=p0,pflash1=p1,acpi=off,hpet=off,memory-backend=m,accel=tcg,smm=off,type=pc,kernel-irqchip=split,confidential-guest-support=sev0,mem-merge=off",
		"-uuid", "6b2f", "-loadstate", "/s", "-incoming", "defer", "-snapshot", "-foo",
	}, m.Args())
}

func TestZeroMachine(t *testing.T) {
	require.Equal(t, []string{"-nodefaults", "-machine", "type=none"}, (&machine.Machine{Board: machine.Board{Type: "none"}}).Args())
}

func TestDeviceForms(t *testing.T) {
	d := machine.Device{Driver: "virtio-net-pci", ID: "net0", Bus: "pci.0", Addr: machine.Slot(0x12), Props: []machine.Property{
		{Name: "mac", Value: "52:54:00:00:00:01"}, {Name: "mq", Value: true}, {Name: "vectors", Value: 6}, {Name: "x-id", Value: machine.Hex(0x1af4)},
		{Name: "write-cache", Value: machine.On}}}
	require.Equal(t, "virtio-net-pci,id=net0,bus=pci.0,addr=0x12,mac=52:54:00:00:00:01,mq=on,vectors=6,x-id=0x1af4,write-cache=on", d.String())
	require.Equal(t, map[string]any{"driver": "virtio-net-pci", "id": "net0", "bus": "pci.0", "addr": "0x12", "mac": "52:54:00:00:00:01", "mq": true,
		"vectors": 6, "x-id": uint64(0x1af4), "write-cache": "on"}, d.Properties())

	bare := machine.Device{Driver: "vmgenid", Props: []machine.Property{{Value: "word"}}}
	require.Equal(t, "vmgenid,word", bare.String())
	require.Equal(t, map[string]any{"driver": "vmgenid"}, bare.Properties())

	more := d.With(machine.Property{Name: "mtu", Value: 9000})
	require.Len(t, more.Props, 6)
	require.Len(t, d.Props, 5)
}

func TestAddr(t *testing.T) {
	require.Empty(t, machine.Addr{}.String())
	require.False(t, machine.Addr{}.IsSet())
	require.Equal(t, "0x0", machine.Slot(0).String())
	require.Equal(t, "0x1d.7", machine.SlotFunction(0x1d, 7).String())
	require.Equal(t, "0x10.3", machine.Slot(0x10).Function(3).String())
}

func TestNode(t *testing.T) {
	yes := true
	n := machine.Node{Driver: "throttle", NodeName: "top", ReadOnly: &yes, Options: []machine.Property{{Name: "throttle-group", Value: "g"}},
		File: &machine.Node{Driver: "qcow2", Cache: &machine.Cache{Direct: true}, Discard: "unmap", DetectZeroes: "on",
			File:    &machine.Node{Driver: "file", Options: []machine.Property{{Name: "filename", Value: "/a"}}},
			Backing: &machine.Node{Driver: "raw", File: &machine.Node{Driver: "file", Options: []machine.Property{{Name: "filename", Value: "/b"}}}}}}
	require.JSONEq(t, `{"driver":"throttle","node-name":"top","read-only":true,"throttle-group":"g","file":{"driver":"qcow2","discard":"unmap",
		"detect-zeroes":"on","cache":{"direct":true,"no-flush":false},"file":{"driver":"file","filename":"/a"},
		"backing":{"driver":"raw","file":{"driver":"file","filename":"/b"}}}}`, n.JSON())
	var files []any
	n.Walk(func(n *machine.Node) {
		if f, ok := n.Option("filename"); ok {
			files = append(files, f)
		}
	})
	require.Equal(t, []any{"/a", "/b"}, files)

	ro := machine.Image("raw", "/a").ReadOnlyCopy()
	require.True(t, *ro.ReadOnly)
	require.True(t, *ro.File.ReadOnly)
	require.JSONEq(t, `{"driver":"raw","file":{"driver":"host_device","filename":"/dev/x"}}`, machine.BlockDevice("/dev/x").JSON())
}

func TestBackends(t *testing.T) {
	tap := machine.Tap("net0", "tap1")
	require.Equal(t, "type=tap,id=net0,ifname=tap1,script=no,downscript=no", tap.String())
	require.Equal(t, map[string]any{"type": "tap", "id": "net0", "ifname": "tap1", "script": "no", "downscript": "no"}, tap.Arguments())
	require.Equal(t, "socket,id=c,path=/s", machine.ConnectSocket("c", "/s").String())
	require.Equal(t, "emulator,id=tpm,chardev=c", machine.TPM{ID: "tpm", Chardev: "c"}.String())
	require.Equal(t, "none,id=a", machine.Audiodev{Driver: "none", ID: "a"}.String())
	require.Equal(t, "file=/a,,b,if=none", machine.Drive{Props: []machine.Property{{Name: "file", Value: "/a,b"}, {Name: "if", Value: "none"}}}.String())
	mem := machine.Object{Type: "memory-backend-ram", ID: "m", Props: []machine.Property{{Name: "size", Value: machine.Bytes(512 << 20)}}}
	require.Equal(t, "memory-backend-ram,id=m,size=512M", mem.String())
	require.Equal(t, map[string]any{"qom-type": "memory-backend-ram", "id": "m", "size": int64(512 << 20)}, mem.Arguments())
	require.Equal(t, "o,size=1000", machine.Object{Type: "o", Props: []machine.Property{{Name: "size", Value: machine.Bytes(1000)}}}.String())
	require.Equal(t, map[string]any{"qom-type": "iothread", "id": "t"}, machine.Object{Type: "iothread", ID: "t"}.Arguments())
	require.Equal(t, "-1,rate=1.5", strings.TrimPrefix(machine.Object{Type: "", Props: []machine.Property{{Value: int64(-1)}, {Name: "rate", Value: 1.5}}}.String(), ","))
	require.Equal(t, "unix=on,addr=/s,disable-ticketing=on,seamless-migration=on,streaming-video=all",
		machine.SPICE{Unix: true, Address: "/s", NoTicket: true, SeamlessMigration: true, StreamingVideo: "all"}.String())
	require.Equal(t, "127.0.0.1:1", machine.VNC{Address: "127.0.0.1:1"}.String())
}

func TestSimplePieces(t *testing.T) {
	m := machine.New("x", "pc").Add(
		machine.VirtioDisk("root", machine.Image("qcow2", "/r"), 1), machine.CDROM("cd", "ide.0", machine.Image("raw", "/i"), 0),
		machine.UserNet("net0"), machine.TapNet("net1", "tap9", "52:54:00:00:00:02"), machine.SerialSocket(0, "/s"), machine.Channel("qga0", "agent", "/q"))
	line := machine.Quote(m.Args())
	for _, want := range []string{
		`'{"driver":"qcow2","file":{"driver":"file","filename":"/r"},"node-name":"drive-root"}' -device virtio-blk-pci,id=root,drive=drive-root,bootindex=1`,
		`"node-name":"drive-cd","read-only":true}' -device ide-cd,id=cd,bus=ide.0,drive=drive-cd`,
		"-netdev type=user,id=net0 -device virtio-net-pci,id=net0,netdev=net0",
		"-device virtio-net-pci,id=net1,netdev=net1,mac=52:54:00:00:00:02",
		"-chardev socket,id=serial0,path=/s,server=on,wait=off -device isa-serial,chardev=serial0",
		"-device virtio-serial-pci,id=qga0 -device virtserialport,bus=qga0.0,chardev=qga0,name=agent",
	} {
		require.Contains(t, line, want)
	}
	u, ok := m.Find("net1")
	require.True(t, ok)
	require.Equal(t, "net1", u.Name)
	_, ok = m.Find("net2")
	require.False(t, ok)
}

func TestQuote(t *testing.T) {
	require.Equal(t, `a '' 'b c' 'it'\''s' '{"x":1}' '$HOME' -a=b,c`, machine.Quote([]string{"a", "", "b c", "it's", `{"x":1}`, "$HOME", "-a=b,c"}))
}

// splitOption takes an option apart as QEMU's parser does: two commas are one.
func splitOption(s string) []string {
	var parts []string
	cur := ""
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == ',' && i+1 < len(s) && s[i+1] == ',':
			cur += ","
			i++
		case s[i] == ',':
			parts = append(parts, cur)
			cur = ""
		default:
			cur += s[i : i+1]
		}
	}
	return append(parts, cur)
}

// Whatever a value holds, it stays one value of one property.
func FuzzThreat20_OptionValues(f *testing.F) {
	for _, s := range []string{"plain", "a,b", ",", ",,", "x,readonly=off", "\n", `"`, "é,", "a=b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, v string) {
		d := machine.Device{Driver: "d", ID: "i", Props: []machine.Property{{Name: "serial", Value: v}, {Name: "last", Value: 1}}}
		require.Equal(t, []string{"d", "id=i", "serial=" + v, "last=1"}, splitOption(d.String()))
		m := machine.Machine{Name: v, SMBIOS: []machine.SMBIOS{{Type: 1, Fields: []machine.Property{{Name: "sku", Value: v}}}}}
		args := m.Args()
		if v != "" {
			require.Equal(t, []string{v}, splitOption(args[1]))
			args = args[2:]
		}
		require.Equal(t, []string{"type=1", "sku=" + v}, splitOption(args[1]))
		var back map[string]any
		require.NoError(t, json.Unmarshal([]byte(machine.Image("raw", strings.ToValidUTF8(v, "?")).JSON()), &back))
		require.Equal(t, strings.ToValidUTF8(v, "?"), back["file"].(map[string]any)["filename"])
	})
}

func Example() {
	m := machine.New("demo", "q35")
	m.Memory.SizeMiB = 1024
	m.Add(machine.VirtioDisk("root", machine.Image("qcow2", "/vm/root.qcow2"), 1))
	fmt.Println(machine.Quote(append([]string{"qemu-system-x86_64"}, m.Args()...)))
	// Output: qemu-system-x86_64 -name demo -smp 1 -no-user-config -nodefaults -vga none -nographic -cpu max -m 1024 -blockdev '{"driver":"qcow2","file":{"driver":"file","filename":"/vm/root.qcow2"},"node-name":"drive-root"}' -device virtio-blk-pci,id=root,drive=drive-root,bootindex=1 -machine accel=kvm:tcg,type=q35
}
