package netkittest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
)

// Patience is how long the helpers wait for something that should happen.
const Patience = 5 * time.Second

// Host is a network namespace of a test.
type Host struct {
	NS   *netkit.NS
	Conn *netkit.Conn

	t testing.TB
}

// NewHost makes a namespace with its loopback device up.
func NewHost(t testing.TB) *Host {
	t.Helper()
	need.Root(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		// A small system makes the device only with the module; a test that needs a tap will say if it is still missing.
		exec.CommandContext(t.Context(), "modprobe", "tun").Run()
	}
	ns, err := netkit.NewNS()
	require.NoError(t, err)
	t.Cleanup(func() { ns.Close() })
	conn, err := netkit.Dial(t.Context(), ns)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return &Host{NS: ns, Conn: conn, t: t}
}

// Apply makes links as they are wanted, and returns what that took.
func (h *Host) Apply(want ...netkit.Link) netkit.Steps {
	h.t.Helper()
	have, err := h.Conn.Links(h.t.Context())
	require.NoError(h.t, err)
	steps, err := netkit.Plan(have, want)
	require.NoError(h.t, err)
	require.NoError(h.t, h.Conn.Apply(h.t.Context(), steps))
	return steps
}

// Remove deletes links; missing ones are fine.
func (h *Host) Remove(names ...string) {
	h.t.Helper()
	have, err := h.Conn.Links(h.t.Context())
	require.NoError(h.t, err)
	steps, err := netkit.Plan(have, nil, names...)
	require.NoError(h.t, err)
	require.NoError(h.t, h.Conn.Apply(h.t.Context(), steps))
}

// Link reads one link completely; it must be there.
func (h *Host) Link(name string) netkit.Link {
	h.t.Helper()
	list, err := h.Conn.Lookup(h.t.Context(), name)
	require.NoError(h.t, err)
	for _, l := range list {
		if l.Name == name {
			return l
		}
	}
	require.FailNow(h.t, "no link "+name)
	return netkit.Link{}
}

// Cable connects link here of h with link there of other by a pair of veth devices. Both are up.
func (h *Host) Cable(here string, other *Host, there string) {
	h.t.Helper()
	if other == h {
		h.Apply(netkit.Link{Name: here, Kind: netkit.KindVeth, Parent: there, Up: true})
		h.Apply(netkit.Link{Name: there, Up: true})
		return
	}
	away := netkit.ShortName("move-" + there + "-" + here) // the name may be taken here
	h.Apply(netkit.Link{Name: here, Kind: netkit.KindVeth, Parent: away, Up: true})
	require.NoError(h.t, h.Conn.Move(h.t.Context(), away, other.NS))
	require.NoError(h.t, other.Conn.Rename(h.t.Context(), away, there))
	other.Apply(netkit.Link{Name: there, Up: true})
	other.connected(there)
}

// MAC is the address of a link.
func (h *Host) MAC(name string) net.HardwareAddr {
	h.t.Helper()
	return h.Link(name).MAC
}

// Sysctl sets a kernel parameter of the namespace, such as net/ipv4/ip_forward.
func (h *Host) Sysctl(name, value string) {
	h.t.Helper()
	require.NoError(h.t, h.NS.Do(h.t.Context(), func() error { return os.WriteFile("/proc/sys/"+name, []byte(value), 0) }))
}

// Ping waits until ip answers an echo request; the first ones may be lost while addresses are found out.
func (h *Host) Ping(ip netip.Addr) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), Patience)
	defer cancel()
	require.NoError(h.t, h.ping(ctx, ip), fmt.Sprintf("%s does not answer", ip))
}

// NoPing makes sure that ip answers none of a few echo requests within a second.
func (h *Host) NoPing(ip netip.Addr) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Second)
	defer cancel()
	require.Error(h.t, h.ping(ctx, ip), fmt.Sprintf("%s answers", ip))
}
