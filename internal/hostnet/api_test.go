package hostnet

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const hostFile = `auto lo
iface lo inet loopback

iface eno1 inet manual

auto vmbr5
iface vmbr5 inet static
	address 192.0.2.10/24
	bridge-ports eno1
	bridge-fd 3
	mtu 1500

iface eno1.7 inet manual
`

// lister is a service on a file of its own, without a kernel.
func lister(t *testing.T, text string) *Service {
	t.Helper()
	file := filepath.Join(t.TempDir(), "interfaces")
	if text != "" {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	store := memstore.New()
	t.Cleanup(func() { store.Close() })
	_, err := store.Txn(t.Context(), cluster.Put(access.UserKey, []byte("user:a@pve:1:\nuser:b@pve:1:\n"+
		"acl:1:/sdn/zones/localnetwork/vmbr5/12:a@pve:PVESDNUser:\nacl:1:/sdn/zones/localnetwork/vmbr0:b@pve:PVESDNUser:\n")))
	require.NoError(t, err)
	acc, err := access.New(store, nil)
	require.NoError(t, err)
	s, err := New(Options{InterfacesFile: file, Node: "alpha", Access: acc, Bridges: []Bridge{
		{Name: "vmbr0", CIDR: netip.MustParsePrefix("10.8.0.1/24"), NAT: true}, {Name: "vmbr6", CIDR: netip.MustParsePrefix("fd00::1/64")},
	}})
	require.NoError(t, err)
	s.links = func(context.Context) ([]netkit.Link, error) {
		return []netkit.Link{
			{Name: "lo", Kind: netkit.KindPhysical, Up: true}, {Name: "eno1", Kind: netkit.KindPhysical, Up: true}, {Name: "eno2", Kind: netkit.KindPhysical},
			{Name: "vmbr0", Kind: netkit.KindBridge, Up: true}, {Name: "tap100i0", Kind: netkit.KindTap, Up: true}, {Name: "docker0", Kind: netkit.KindBridge, Up: true},
		}, nil
	}
	return s
}

func as(ctx context.Context, user string) context.Context {
	return call.With(ctx, call.Caller{AuthID: user})
}

func list(t *testing.T, s *Service, user, filter string) (names []string, rows []interfaces.Entry) {
	t.Helper()
	req := &schema.GetNodesNetwork{Node: "alpha"}
	if filter != "" {
		req.Type = &filter
	}
	c, err := s.GetNodesNetwork(as(t.Context(), user), req)
	require.NoError(t, err)
	require.Empty(t, c.Changes)
	rows = c.Rows.([]interfaces.Entry)
	for _, r := range rows {
		names = append(names, r.Text("iface"))
	}
	return names, rows
}

func TestNetworkList(t *testing.T) {
	s := lister(t, hostFile)
	names, rows := list(t, s, call.Root, "")
	require.Equal(t, []string{"eno1", "eno1.7", "eno2", "vmbr0", "vmbr5", "vmbr6"}, names)
	text, err := json.Marshal(rows)
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"iface":"eno1","type":"eth","method":"manual","method6":"manual","families":["inet"],"exists":1,"active":1,"priority":3},
		{"iface":"eno1.7","type":"vlan","method":"manual","method6":"manual","families":["inet"],"exists":1,"priority":5,"vlan-id":"7","vlan-raw-device":"eno1"},
		{"iface":"eno2","type":"eth","method":"manual","method6":"manual","families":["inet"],"exists":1},
		{"iface":"vmbr0","type":"bridge","method":"static","method6":"manual","families":["inet"],"active":1,"autostart":1,"priority":6,
			"address":"10.8.0.1","netmask":"24","cidr":"10.8.0.1/24","bridge_ports":"","bridge_stp":"off","bridge_fd":0},
		{"iface":"vmbr5","type":"bridge","method":"static","method6":"manual","families":["inet"],"autostart":1,"priority":4,
			"address":"192.0.2.10","netmask":"24","cidr":"192.0.2.10/24","bridge_ports":"eno1","bridge_stp":"off","bridge_fd":"3","mtu":"1500"},
		{"iface":"vmbr6","type":"bridge","method":"manual","method6":"static","families":["inet6"],"autostart":1,"priority":7,
			"address6":"fd00::1","netmask6":"64","cidr6":"fd00::1/64","bridge_ports":"","bridge_stp":"off","bridge_fd":0}
	]`, string(text))
}

func TestNetworkFilters(t *testing.T) {
	s := lister(t, hostFile)
	for filter, want := range map[string][]string{
		"any_bridge": {"vmbr0", "vmbr5", "vmbr6"}, "any_local_bridge": {"vmbr0", "vmbr5", "vmbr6"}, "bridge": {"vmbr0", "vmbr5", "vmbr6"},
		"eth": {"eno1", "eno2"}, "vlan": {"eno1.7"}, "bond": nil, "vnet": nil, "fabric": nil,
		"include_sdn": {"eno1", "eno1.7", "eno2", "vmbr0", "vmbr5", "vmbr6"},
	} {
		names, rows := list(t, s, call.Root, filter)
		require.Equal(t, want, names, filter)
		require.NotNil(t, rows)
	}
}

func TestThreat40_BridgesOfOthers(t *testing.T) {
	s := lister(t, hostFile)
	for user, want := range map[string][]string{"a@pve": {"vmbr5"}, "b@pve": {"vmbr0"}, "": nil} {
		names, _ := list(t, s, user, "any_bridge")
		require.Equal(t, want, names, user)
	}
	names, _ := list(t, s, "a@pve", "eth")
	require.Equal(t, []string{"eno1", "eno2"}, names, "the rest is for everybody")
	s.access = nil
	names, _ = list(t, s, "a@pve", "bridge")
	require.Empty(t, names)
}

func TestNetworkIface(t *testing.T) {
	s := lister(t, hostFile)
	e, err := s.GetNodesNetworkIface(t.Context(), &schema.GetNodesNetworkIface{Node: "alpha", Iface: "lo"})
	require.NoError(t, err)
	require.Equal(t, "loopback", e.(interfaces.Entry).Type())
	require.NotContains(t, e, "iface")
	_, err = s.GetNodesNetworkIface(t.Context(), &schema.GetNodesNetworkIface{Node: "alpha", Iface: "vmbr9"})
	require.Equal(t, call.ParamErrors{"iface": "interface does not exist"}, err)
}

func TestNetworkWithoutAFile(t *testing.T) {
	names, _ := list(t, lister(t, ""), call.Root, "")
	require.Equal(t, []string{"eno1", "eno2", "vmbr0", "vmbr6"}, names)

	s := lister(t, "")
	s.file = t.TempDir() // no file that can be read
	_, err := s.GetNodesNetwork(as(t.Context(), call.Root), &schema.GetNodesNetwork{})
	require.Error(t, err)
	s = lister(t, "")
	s.links = func(context.Context) ([]netkit.Link, error) { return nil, errors.New("no kernel") }
	_, err = s.GetNodesNetworkIface(t.Context(), &schema.GetNodesNetworkIface{Iface: "lo"})
	require.EqualError(t, err, "no kernel")
}

func TestFileWinsOverOwnBridge(t *testing.T) {
	s := lister(t, "iface vmbr0 inet manual\n bridge-ports eno1\n")
	_, rows := list(t, s, call.Root, "bridge")
	require.Equal(t, "eno1", rows[0].Text("bridge_ports"))
}
