package hostnet_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
)

func newService(t *testing.T, o hostnet.Options) (*hostnet.Service, *netkit.Conn) {
	t.Helper()
	need.Root(t)
	ns, err := netkit.NewNS()
	require.NoError(t, err)
	t.Cleanup(func() { ns.Close() })
	conn, err := netkit.Dial(t.Context(), ns)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	o.Conn, o.Node = conn, "alpha"
	s, err := hostnet.New(o)
	require.NoError(t, err)
	return s, conn
}

func TestPortOfABridge(t *testing.T) {
	s, conn := newService(t, hostnet.Options{Bridges: []hostnet.Bridge{
		{Name: "vmbr0", CIDR: netip.MustParsePrefix("10.8.0.1/24"), NAT: true}}})
	for range 2 { // every start of the daemon
		require.NoError(t, s.EnsureBridges(t.Context()))
	}
	port := hostnet.Port{Name: "tap100i0", Bridge: "vmbr0", Owner: 70100}
	for range 2 { // a repeated step
		require.NoError(t, s.CreatePort(t.Context(), port))
	}
	ports, err := s.Ports(t.Context(), "tap100i")
	require.NoError(t, err)
	require.Len(t, ports, 1)
	require.Equal(t, "vmbr0", ports[0].Master)
	require.Equal(t, netkit.Tap{Owner: 70100, VNetHeader: true}, ports[0].Tap)
	require.Equal(t, 1500, ports[0].MTU)

	port.Owner = 70101 // another run of the guest, as another user
	require.NoError(t, s.CreatePort(t.Context(), port))
	l, err := conn.Link(t.Context(), "tap100i0")
	require.NoError(t, err)
	require.EqualValues(t, 70101, l.Tap.Owner)

	for range 2 {
		require.NoError(t, s.DeletePort(t.Context(), "tap100i0"))
	}
	ports, err = s.Ports(t.Context(), "tap")
	require.NoError(t, err)
	require.Empty(t, ports)
}

func TestMissingBridge(t *testing.T) {
	s, _ := newService(t, hostnet.Options{})
	err := s.CreatePort(t.Context(), hostnet.Port{Name: "tap100i0", Bridge: "vmbr9"})
	require.EqualError(t, err, "bridge 'vmbr9' does not exist")
	_, err = s.BridgeMTU(t.Context(), "vmbr9")
	require.EqualError(t, err, "bridge 'vmbr9' does not exist")
	require.EqualError(t, s.CreatePort(t.Context(), hostnet.Port{Name: "tap100i0", Bridge: "lo"}), "'lo' is not a bridge")
	ports, err := s.Ports(t.Context(), "tap")
	require.NoError(t, err)
	require.Empty(t, ports)
}

func TestBridgeCheck(t *testing.T) {
	good := hostnet.Bridge{Name: "vmbr0", CIDR: netip.MustParsePrefix("10.8.0.1/24"), NAT: true}
	require.NoError(t, good.Check())
	for why, b := range map[string]hostnet.Bridge{
		"no address":             {Name: "vmbr0"},
		"needs an IPv4 network":  {Name: "vmbr0", CIDR: netip.MustParsePrefix("fd00::1/64"), NAT: true},
		"no address for a guest": {Name: "vmbr0", CIDR: netip.MustParsePrefix("10.8.0.1/31")},
		"the network's own":      {Name: "vmbr0", CIDR: netip.MustParsePrefix("10.8.0.0/24")},
		"is longer than 15":      {Name: "vmbr0123456789012", CIDR: good.CIDR},
	} {
		require.ErrorContains(t, b.Check(), why)
		_, err := hostnet.New(hostnet.Options{Bridges: []hostnet.Bridge{b}})
		require.Error(t, err)
	}
}
