package vm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/netkit"
)

func TestPortOfACard(t *testing.T) {
	trunks := []netkit.VLANRange{{First: 3, Last: 3}, {First: 10, Last: 20}}
	for text, want := range map[string]hostnet.Port{
		"virtio=BC:24:11:00:00:01,bridge=vmbr0": {MAC: "BC:24:11:00:00:01", Bridge: "vmbr0"},
		"virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=5,trunks=3;10-20,rate=2.5,firewall=1,link_down=1,queues=4,mtu=1400": {
			MAC: "BC:24:11:00:00:01", Bridge: "vmbr0", VLAN: 5, Trunks: trunks, RateMBps: 2.5, Firewall: true, LinkDown: true, Queues: 4, MTU: 1400},
		"e1000=BC:24:11:00:00:01,bridge=vmbr1,queues=4,mtu=1": {MAC: "BC:24:11:00:00:01", Bridge: "vmbr1"}, // queues are virtio's; 1 is the bridge's MTU
	} {
		want.Name, want.Owner = "tap100i2", 70100
		n := mustNet(text)
		require.Equal(t, want, hostPort(100, 2, n, 70100), text)
		translated := machineconf.Port{Key: "net2", Name: "tap100i2", Bridge: n.Bridge, MAC: n.MAC, Queues: want.Queues, Net: n}
		require.Equal(t, want, port(translated, 70100), "as the translation says: %s", text)
	}
}

// Taps of a guest that the state knows nothing of are those of a lost one, if its user is one of guests.
func TestStrayPortsAreRemovedAtStart(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "net0", "virtio,bridge=vmbr0")
	s.startVM(100)
	card := mustNet("virtio=BC:24:11:00:00:01,bridge=vmbr0")
	require.NoError(t, s.net.CreatePort(s.root(), hostPort(999, 0, card, testUIDs.First+7)))
	require.NoError(t, s.net.CreatePort(s.root(), hostPort(998, 0, card, 5)))
	s.restart()
	require.ElementsMatch(t, []string{"tap100i0", "tap998i0"}, s.taps())
	require.NoError(t, s.net.DeletePort(s.root(), "tap998i0"))
}

// Limits and networks of a running guest's card change under way.
func TestCardsOfARunningGuestChange(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0")
	s.startVM(100)
	tap := func() netkit.Link {
		list, err := s.conn.Lookup(s.root(), "tap100i0")
		require.NoError(t, err)
		require.NotEmpty(t, list)
		return list[0]
	}
	require.Equal(t, "vmbr0", tap().Master)
	require.True(t, tap().Up)
	require.NoError(t, s.setVM(100, "net0", "virtio=BC:24:11:00:00:01,bridge=vmbr0,link_down=1"))
	require.False(t, tap().Up, "no frame passes")
	require.NoError(t, s.setVM(100, "net0", "virtio=BC:24:11:00:00:01,bridge=vmbr1"))
	require.Equal(t, "vmbr1", tap().Master)
	require.True(t, tap().Up)
	require.NotContains(t, s.conf(100).Pending, "net0")

	require.ErrorContains(t, s.setVM(100, "net0", "virtio=BC:24:11:00:00:01,bridge=vmbr1,trunks=5"), "vlan aware feature need to be enabled to use trunks")
	require.Equal(t, "vmbr1", tap().Master)
	require.True(t, tap().Up, "a refused change leaves the card as it was")
}
