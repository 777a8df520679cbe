package hostnet

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func post(t *testing.T, s *Service, params schema.Params) error {
	t.Helper()
	_, err := s.PostNodesNetwork(as(t.Context(), call.Root), &schema.PostNodesNetwork{Node: "alpha", Params: params})
	return err
}

func put(t *testing.T, s *Service, iface string, params schema.Params) error {
	t.Helper()
	_, err := s.PutNodesNetworkIface(as(t.Context(), call.Root), &schema.PutNodesNetworkIface{Node: "alpha", Iface: iface, Params: params})
	return err
}

func remove(t *testing.T, s *Service, iface string) error {
	t.Helper()
	_, err := s.DeleteNodesNetworkIface(as(t.Context(), call.Root), &schema.DeleteNodesNetworkIface{Node: "alpha", Iface: iface})
	return err
}

func pendingText(t *testing.T, s *Service) string {
	t.Helper()
	data, err := os.ReadFile(s.pendingFile())
	require.NoError(t, err)
	return string(data)
}

func entryOf(t *testing.T, s *Service, name string) interfaces.Entry {
	t.Helper()
	e, err := s.GetNodesNetworkIface(t.Context(), &schema.GetNodesNetworkIface{Iface: name})
	require.NoError(t, err)
	return e.(interfaces.Entry)
}

func TestStagedChanges(t *testing.T) {
	s := lister(t, hostFile)
	require.NoError(t, post(t, s, schema.Params{"iface": "vmbr7", "type": "bridge", "autostart": true, "cidr": "10.7.0.1/24", "bridge_ports": "eno2", "bridge_vlan_aware": true, "bridge_vids": "2-10,20", "mtu": int64(1500), "comments": "of the lab"}))
	text := pendingText(t, s)
	require.Contains(t, text, "auto vmbr7\niface vmbr7 inet static\n\taddress 10.7.0.1/24\n\tbridge-ports eno2\n\tbridge-stp off\n\tbridge-fd 0\n\tbridge-vlan-aware yes\n\tbridge-vids 2-10 20\n\tmtu 1500\n#of the lab\n")
	active, err := os.ReadFile(s.file)
	require.NoError(t, err)
	require.Equal(t, hostFile, string(active), "the file in use does not change")

	c, err := s.GetNodesNetwork(as(t.Context(), call.Root), &schema.GetNodesNetwork{})
	require.NoError(t, err)
	require.Contains(t, c.Changes, "--- "+s.file+"\t")
	require.Contains(t, c.Changes, "+++ "+s.file+".new\t")
	require.Contains(t, c.Changes, "\n+iface vmbr7 inet static\n+\taddress 10.7.0.1/24\n")
	require.Equal(t, "10.7.0.1/24", entryOf(t, s, "vmbr7").Text("cidr"), "readers see what is pending")

	require.NoError(t, put(t, s, "vmbr7", schema.Params{"type": "bridge", "cidr6": "fd00:7::1/64", "delete": "cidr,mtu", "autostart": false}))
	e := entryOf(t, s, "vmbr7")
	require.Equal(t, []interfaces.Family{interfaces.Inet6}, e.Families())
	require.Empty(t, e.Text("cidr")+e.Text("mtu")+e.Text("autostart"))
	require.Equal(t, "fd00:7::1/64", e.Text("cidr6"))
	require.Equal(t, "of the lab\n", e.Text("comments"))

	require.NoError(t, remove(t, s, "vmbr7"))
	require.NotContains(t, pendingText(t, s), "vmbr7")
	for range 2 {
		_, err = s.DeleteNodesNetwork(t.Context(), &schema.DeleteNodesNetwork{})
		require.NoError(t, err)
	}
	require.NoFileExists(t, s.pendingFile())
}

func TestRefusedChanges(t *testing.T) {
	s := lister(t, strings.Replace(hostFile, "bridge-ports eno1", "gateway 192.0.2.1\n\tbridge-ports eno1", 1))
	s.ovs = func() bool { return false }
	for name, tc := range map[string]struct {
		params schema.Params
		want   error
	}{
		"taken":           {schema.Params{"iface": "vmbr5", "type": "bridge"}, call.Param("iface", "interface already exists")},
		"a NIC":           {schema.Params{"iface": "eno2", "type": "eth"}, call.Param("iface", "interface already exists")},
		"of gpved":        {schema.Params{"iface": "vmbr0", "type": "bridge"}, call.Param("iface", "interface already exists")},
		"gateway":         {schema.Params{"iface": "vmbr9", "type": "bridge", "cidr": "10.0.0.1/8", "gateway": "10.0.0.2"}, call.Param("gateway", "Default gateway already exists on interface 'vmbr5'.")},
		"port in use":     {schema.Params{"iface": "bond0", "type": "bond", "slaves": "eno2 eno1"}, call.Param("slaves", "eno1 is already used on interface 'vmbr5'.")},
		"address":         {schema.Params{"iface": "vmbr9", "type": "bridge", "cidr": "10.0.0.1/8", "address": "10.0.0.2"}, call.Param("address", "address conflicts with cidr")},
		"netmask6":        {schema.Params{"iface": "vmbr9", "type": "bridge", "cidr6": "fd00::1/64", "netmask6": int64(48)}, call.Param("netmask6", "netmask6 conflicts with cidr6")},
		"documentation":   {schema.Params{"iface": "vmbr9", "type": "bridge", "cidr6": "2001:db8::1/64"}, call.Param("address", "2001:db8::1 with type 'DOCUMENTATION', cannot be used as host IPv6 address.")},
		"anycast":         {schema.Params{"iface": "vmbr9", "type": "bridge", "cidr6": "fd00::/64"}, call.Param("address", "fd00:: with type 'ANYCAST', cannot be used as host IPv6 address.")},
		"no VLANs":        {schema.Params{"iface": "vmbr9", "type": "bridge", "bridge_vlan_aware": true, "bridge_vids": ","}, call.Param("bridge_vids", "VLAN list items are empty")},
		"no Open vSwitch": {schema.Params{"iface": "ovs0", "type": "OVSBridge"}, call.Errorf("Open VSwitch is not installed (need package 'openvswitch-switch')")},
		"missing port":    {schema.Params{"iface": "vmbr9", "type": "bridge", "bridge_ports": "eno7"}, call.Errorf("bridge 'vmbr9' - unable to find bridge port 'eno7'")},
	} {
		t.Run(name, func(t *testing.T) {
			require.EqualError(t, post(t, s, tc.params), tc.want.Error())
			require.NoFileExists(t, s.pendingFile())
		})
	}
	missing := call.Param("iface", "interface does not exist")
	require.Equal(t, missing, put(t, s, "vmbr99", schema.Params{"type": "bridge"}))
	require.Equal(t, missing, remove(t, s, "vmbr99"))
	require.ErrorContains(t, put(t, s, "vmbr0", schema.Params{"type": "bridge"}), "is made by gpved")
	require.ErrorContains(t, remove(t, s, "vmbr0"), "is made by gpved")
	require.NoError(t, put(t, s, "eno2", schema.Params{"type": "eth", "mtu": int64(9000)}), "a NIC that the file does not mention")
}

func TestOpenVSwitchPorts(t *testing.T) {
	s := lister(t, "iface ob inet manual\n\tovs_type OVSBridge\n\niface vmbr5 inet manual\n\tbridge-ports none\n")
	s.ovs = func() bool { return true }
	port := schema.Params{"iface": "ip0", "type": "OVSIntPort"}
	require.Equal(t, call.Param("ovs_bridge", "parameter is required"), post(t, s, port))
	port["ovs_bridge"] = "nope"
	require.Equal(t, call.Param("ovs_bridge", "bridge 'nope' does not exist"), post(t, s, port))
	port["ovs_bridge"] = "vmbr5"
	require.Equal(t, call.Param("ovs_bridge", "interface 'vmbr5' is no OVS bridge"), post(t, s, port))
	port["ovs_bridge"] = "ob"
	require.NoError(t, post(t, s, port))
	require.Equal(t, "ip0", entryOf(t, s, "ob").Text("ovs_ports"))
	require.NoError(t, remove(t, s, "ip0"))
	require.Empty(t, entryOf(t, s, "ob").Text("ovs_ports"))
}

func TestTwoWritersOfTheFile(t *testing.T) {
	s := lister(t, hostFile)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := post(t, s, schema.Params{"iface": "vmbr2" + string(rune('0'+i)), "type": "bridge"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 8, strings.Count(pendingText(t, s), "iface vmbr2"), "no writer's change is lost")
	leftovers, err := filepath.Glob(filepath.Join(filepath.Dir(s.file), ".interfaces*"))
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

func TestUnifiedDiff(t *testing.T) {
	require.Empty(t, unifiedDiff("a", "b", "x\n  y  z\n", "x\n y z \n"), "blanks make no difference")
	require.Equal(t, "--- a\n+++ b\n@@ -0,0 +1,2 @@\n+x\n+y\n", unifiedDiff("a", "b", "", "x\ny\n"))
	require.Equal(t, "--- a\n+++ b\n@@ -1,2 +0,0 @@\n-x\n-y\n", unifiedDiff("a", "b", "x\ny\n", ""))
	require.Equal(t, "--- a\n+++ b\n@@ -1,7 +1,7 @@\n 1\n 2\n 3\n-4\n+vier\n 5\n 6\n 7\n@@ -12,4 +12,5 @@\n 12\n 13\n 14\n-15\n+15\n\\ No newline at end of file\n"[:60],
		unifiedDiff("a", "b", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n", "1\n2\n3\nvier\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n")[:60])
}

func TestConfirmations(t *testing.T) {
	s := lister(t, hostFile)
	result := make(chan error)
	begin := func(local bool) {
		go func() { result <- s.awaits.wait(t.Context(), local, time.Minute) }()
		require.Eventually(t, func() bool {
			s.awaits.mu.Lock()
			defer s.awaits.mu.Unlock()
			return len(s.awaits.list) == 1
		}, time.Second, time.Millisecond)
	}
	waiting := func() bool {
		s.awaits.mu.Lock()
		defer s.awaits.mu.Unlock()
		return len(s.awaits.list) == 1
	}
	begin(false)
	s.Confirm(time.Now().Add(-time.Hour), "192.0.2.7") // the request that asked for it
	s.Confirm(time.Now(), "127.0.0.1")
	s.Confirm(time.Now(), "::1")
	require.True(t, waiting())
	s.Confirm(time.Now(), "192.0.2.7")
	require.NoError(t, <-result)
	begin(true)
	s.Confirm(time.Now(), "127.0.0.1")
	require.NoError(t, <-result)
	require.ErrorIs(t, s.awaits.wait(t.Context(), false, time.Nanosecond), errUnconfirmed)
}
