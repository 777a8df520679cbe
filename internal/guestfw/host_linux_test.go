package guestfw

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
)

func TestFacts(t *testing.T) {
	need.Root(t)
	ns, err := netkit.NewNS()
	require.NoError(t, err)
	defer ns.Close()
	f, err := os.Open(ns.Path())
	require.NoError(t, err)
	defer f.Close()
	h, err := netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE)
	require.NoError(t, err)
	defer h.Close()
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "vmbr0"}}
	require.NoError(t, h.LinkAdd(br))
	for _, cidr := range []string{"192.0.2.9/25", "198.51.100.1/30"} {
		a, err := netlink.ParseAddr(cidr)
		require.NoError(t, err)
		require.NoError(t, h.AddrAdd(br, a))
	}
	require.NoError(t, h.LinkAddAltName(br, "uplink-of-the-house"))
	node, err := Facts(ns, func() string { return "192.0.2.9" })(t.Context())
	require.NoError(t, err)
	require.Contains(t, node.Addrs, netip.MustParsePrefix("198.51.100.1/30"))
	require.Equal(t, netip.MustParsePrefix("192.0.2.0/25"), node.LocalNetwork)
	require.Equal(t, map[string]string{"uplink-of-the-house": "vmbr0"}, node.AltNames)
	node, err = Facts(ns, func() string { return "" })(t.Context())
	require.NoError(t, err)
	require.False(t, node.LocalNetwork.IsValid())
}

// TestSysctls sets a value of a namespace's own; what is not there is passed over.
func TestSysctls(t *testing.T) {
	need.Root(t)
	ns, err := netkit.NewNS()
	require.NoError(t, err)
	defer ns.Close()
	set := Sysctls(ns)
	const name = "net/ipv4/ip_default_ttl"
	require.NoError(t, set(t.Context(), map[string]string{name: "77", "net/not/there": "1"}))
	require.NoError(t, ns.Do(t.Context(), func() error {
		data, err := os.ReadFile("/proc/sys/" + name)
		require.Equal(t, "77", strings.TrimSpace(string(data)))
		return err
	}))
	here, err := os.ReadFile("/proc/sys/" + name)
	require.NoError(t, err)
	require.NotEqual(t, "77", strings.TrimSpace(string(here)))
}

func TestLocalNetwork(t *testing.T) {
	addrs := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8"), netip.MustParsePrefix("10.1.0.1/16")}
	require.Equal(t, netip.MustParsePrefix("10.1.0.0/16"), localNetwork(addrs, "10.1.0.1"))
	require.Equal(t, netip.MustParsePrefix("10.0.0.0/8"), localNetwork(addrs, "10.0.0.1"))
	require.False(t, localNetwork(addrs, "192.0.2.1").IsValid())
	require.False(t, localNetwork(addrs, "").IsValid())
}
