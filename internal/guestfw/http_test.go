package guestfw

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// TestOverHTTP goes through the API's front: parameters are checked there first, and networks have slashes in paths.
func TestOverHTTP(t *testing.T) {
	s := newSite(t)
	s.guest(100, guardedNC)
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.RegisterClusterFirewall(reg, s.Service)
	proxmoxapi.RegisterNodeFirewall(reg, s.Service)
	proxmoxapi.RegisterGuestFirewall(reg, s.Service)
	require.NoError(t, reg.Check())
	for _, e := range schema.Endpoints() {
		_, isIndex := map[string]bool{"/cluster/firewall": true, "/nodes/{node}/firewall": true, "/nodes/{node}/qemu/{vmid}/firewall": true}[e.Path]
		for _, tree := range []string{"/cluster/firewall", "/nodes/{node}/firewall", "/nodes/{node}/qemu/{vmid}/firewall"} {
			if len(e.Path) > len(tree) && e.Path[:len(tree)] == tree {
				require.True(t, isIndex || reg.Handles(e), "%s %s", e.Method, e.Path)
			}
		}
	}
	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, &proxmoxapi.Options{Node: node}))
	const guest = "/api2/json/nodes/here/qemu/100/firewall"
	form := []string{"Content-Type: application/x-www-form-urlencoded"}
	send := func(method, uri, body string) apitest.Reply { return srv.Send(method, uri, body, apitest.Root, form) }

	require.Equal(t, 200, send("POST", guest+"/ipset", "name=trusted").Status)
	require.Equal(t, 200, send("POST", guest+"/ipset/trusted", "cidr=192.0.2.0/24&nomatch=1").Status)
	require.JSONEq(t, `{"data":{"cidr":"192.0.2.0/24","nomatch":1,"digest":"`+digestOf(t, s)+`"}}`, srv.Do("GET", guest+"/ipset/trusted/192.0.2.0/24", apitest.Root).Body)
	require.Equal(t, 200, send("POST", guest+"/rules", "type=in&action=ACCEPT&source=%2Btrusted&proto=tcp&dport=22&enable=1").Status)
	reply := send("POST", guest+"/rules", "type=in&action=ACCEPT&source=%2Bnone")
	require.Equal(t, 400, reply.Status)
	require.Contains(t, reply.Body, `"source":"no such ipset 'none'"`)
	require.Equal(t, 200, send("PUT", guest+"/options", "enable=1&policy_in=DROP").Status)
	require.Equal(t, "[OPTIONS]\n\nenable: 1\npolicy_in: DROP\n\n[IPSET trusted]\n\n!192.0.2.0/24\n\n[RULES]\n\nIN ACCEPT -source +trusted -p tcp -dport 22\n\n", s.text(GuestKey(100)))
	require.Equal(t, 200, send("DELETE", guest+"/ipset/trusted/192.0.2.0/24", "").Status)
	require.Equal(t, 200, send("DELETE", guest+"/rules/0", "").Status)
	require.Contains(t, srv.Do("GET", "/api2/json/cluster/firewall/macros", apitest.Root).Body, `"macro":"HTTPS"`)
	require.Equal(t, 200, srv.Do("GET", "/api2/json/nodes/here/firewall/log", apitest.Root).Status)
}

func digestOf(t *testing.T, s *site) string {
	rows, err := s.GetNodesQemuFirewallIpsetName(t.Context(), &schema.GetNodesQemuFirewallIpsetName{Vmid: 100, Name: "trusted"})
	require.NoError(t, err)
	return rows[0]["digest"].(string)
}
