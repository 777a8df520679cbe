package guestfw

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/tinyguest"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// boot starts QEMU with the tiny guest, whose card is behind a tap, and returns when the guest is up.
func boot(t *testing.T, conn *netkit.Conn, tap, mac string) *tinyguest.Console {
	qemu, disk := need.QEMU(t), tinyguest.Disk(t)
	accel, model := "tcg", "qemu64"
	if os.Getenv("GPVE_LAB") != "" && exec.Command("modprobe", "kvm_amd").Run() == nil {
		accel, model = "kvm", "host" // elsewhere a /dev/kvm that opens need not work
	}
	files, err := conn.OpenTap(t.Context(), tap, netkit.Tap{VNetHeader: true}, 1)
	require.NoError(t, err)
	serial := filepath.Join(t.TempDir(), "serial")
	cmd := exec.Command(qemu, "-machine", "pc,accel="+accel, "-cpu", model, "-m", "192", "-nodefaults", "-nographic", "-no-reboot",
		"-serial", "unix:"+serial+",server=on,wait=on", "-drive", "if=virtio,format=qcow2,snapshot=on,file="+disk,
		"-netdev", "tap,id=net0,fd=3,vhost=off", "-device", "virtio-net-pci,romfile=,netdev=net0,mac="+mac)
	cmd.ExtraFiles = files
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	require.NoError(t, files[0].Close())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c := tinyguest.OpenConsole(t, serial, 3*time.Minute)
	c.Await(tinyguest.Up)
	return c
}

// TestThreat49_RealGuest boots a guest behind a port that hostnet makes and the firewall guards. All the while its closed port
// is probed every millisecond.
func TestThreat49_RealGuest(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	conn, err := netkit.Dial(ctx, l.node)
	require.NoError(t, err)
	defer conn.Close()
	out := l.machine("eth9", "02:00:00:00:00:99", "192.0.2.99/24")
	l.up("eth9")
	l.put(clusterKey, onText)
	l.put(inventory.Key(100), card(",firewall=1"))
	l.put(GuestKey(100), "[OPTIONS]\nenable: 1\n\n[RULES]\nIN ACCEPT -p tcp -dport 80\n")
	s, stop := l.daemon()
	host, err := hostnet.New(hostnet.Options{Conn: conn, Node: node, Guard: s})
	require.NoError(t, err)
	sent := l.probe(out, "192.0.2.10:9")
	require.NoError(t, host.CreatePort(ctx, hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", MAC: "02:00:00:00:00:10", Firewall: true}))

	guest := boot(t, conn, "tap100i0", "02:00:00:00:00:10")
	guest.Run("ifconfig eth0 192.0.2.10 netmask 255.255.255.0 up; for p in 80 81; do nc -ll -p $p -e cat & done")
	flow, err := l.dial(out, "192.0.2.10:80", 30*time.Second)
	require.NoError(t, err)
	defer flow.Close()
	says(t, flow, "started")
	_, err = l.dial(out, "192.0.2.10:81", 2*time.Second)
	require.Error(t, err)

	// Its rules are replaced: what is established stays.
	_, err = s.DeleteNodesQemuFirewallRulesPos(ctx, &schema.DeleteNodesQemuFirewallRulesPos{Vmid: 100, Pos: ptr[int64](0)})
	require.NoError(t, err)
	_, err = s.PostNodesQemuFirewallRules(ctx, &schema.PostNodesQemuFirewallRules{Vmid: 100, Type: "in", Action: "ACCEPT", Proto: ptr("tcp"), Dport: ptr("81"), Enable: ptr[int64](1)})
	require.NoError(t, err)
	require.NoError(t, s.Open(ctx, "tap100i0"))
	says(t, flow, "reloaded")
	second, err := l.dial(out, "192.0.2.10:81", 30*time.Second)
	require.NoError(t, err)
	defer second.Close()
	says(t, second, "allowed now")
	_, err = l.dial(out, "192.0.2.10:80", 2*time.Second)
	require.Error(t, err)

	// The daemon is restarted.
	stop()
	s, _ = l.daemon()
	require.NoError(t, s.Open(ctx, "tap100i0"))
	says(t, flow, "adopted")

	require.Greater(t, sent(), 1000)
	udp := guest.Run("grep ^Udp: /proc/net/snmp")
	require.Regexp(t, `Udp: 0 0 `, udp, "datagrams have come to the guest, whether somebody listened (the first number) or not")

	host, err = hostnet.New(hostnet.Options{Conn: conn, Node: node, Guard: s})
	require.NoError(t, err)
	require.NoError(t, host.DeletePort(ctx, "tap100i0"))
	kernel, err := firewall.Dial(ctx, l.node)
	require.NoError(t, err)
	defer kernel.Close()
	closed, err := kernel.Closed(ctx)
	require.NoError(t, err)
	require.Empty(t, closed)
}
