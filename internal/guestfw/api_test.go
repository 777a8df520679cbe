package guestfw

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func ptr[T any](v T) *T { return &v }

func optionsRequest(enable int64) *schema.PutClusterFirewallOptions {
	return &schema.PutClusterFirewallOptions{Enable: &enable}
}

// shows compares an answer with JSON, without the digests.
func shows(t *testing.T, want string, got any, err error) {
	t.Helper()
	require.NoError(t, err)
	data, err := json.Marshal(got)
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(data, &plain))
	strip(plain)
	data, err = json.Marshal(plain)
	require.NoError(t, err)
	require.JSONEq(t, want, string(data))
}

func strip(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			strip(e)
		}
	case map[string]any:
		delete(v, "digest")
	}
}

func TestRules(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	add := func(r schema.PostClusterFirewallRules) error {
		_, err := s.PostClusterFirewallRules(ctx, &r)
		return err
	}
	require.NoError(t, add(schema.PostClusterFirewallRules{Type: "in", Action: "ACCEPT", Macro: ptr("ssh"), Source: ptr("192.0.2.0/24"), Enable: ptr[int64](1)}))
	require.NoError(t, add(schema.PostClusterFirewallRules{Type: "out", Action: "DROP", Proto: ptr("tcp"), Dport: ptr("25"), Comment: ptr("no mail"), Iface: ptr("-")}))
	rows, err := s.GetClusterFirewallRules(ctx, nil)
	shows(t, `[{"pos":0,"type":"out","action":"DROP","proto":"tcp","dport":"25","comment":"no mail","enable":0},
		{"pos":1,"type":"in","action":"ACCEPT","macro":"SSH","source":"192.0.2.0/24","enable":1,"ipversion":4}]`, rows, err)
	require.Equal(t, "[RULES]\n\n|OUT DROP -p tcp -dport 25 # no mail\nIN SSH(ACCEPT) -source 192.0.2.0/24\n\n", s.text(clusterKey))

	require.Equal(t, call.ParamErrors{"source": "no such ipset 'gone'"}, add(schema.PostClusterFirewallRules{Type: "in", Action: "DROP", Source: ptr("+gone")}))
	require.Equal(t, call.ParamErrors{"proto": "missing property - 'dport' requires this property"}, add(schema.PostClusterFirewallRules{Type: "in", Action: "DROP", Dport: ptr("1")}))
	require.Error(t, add(schema.PostClusterFirewallRules{Type: "in", Action: "DROP", Comment: ptr("x\nIN ACCEPT")}))

	one, err := s.GetClusterFirewallRulesPos(ctx, &schema.GetClusterFirewallRulesPos{Pos: ptr[int64](1)})
	shows(t, `{"pos":"1","type":"in","action":"ACCEPT","macro":"SSH","source":"192.0.2.0/24","enable":1,"ipversion":4}`, one, err)
	_, err = s.GetClusterFirewallRulesPos(ctx, &schema.GetClusterFirewallRulesPos{Pos: ptr[int64](2)})
	require.EqualError(t, err, "no rule at position 2")

	put := func(r schema.PutClusterFirewallRulesPos) error {
		_, err := s.PutClusterFirewallRulesPos(ctx, &r)
		return err
	}
	digest := rows[0]["digest"].(string)
	require.EqualError(t, put(schema.PutClusterFirewallRulesPos{Pos: ptr[int64](0), Digest: ptr("0")}), "detected modified configuration - file changed by other user? Try again.")
	require.NoError(t, put(schema.PutClusterFirewallRulesPos{Pos: ptr[int64](0), Digest: &digest, Moveto: ptr[int64](2), Action: ptr("ACCEPT")}))
	rows, err = s.GetClusterFirewallRules(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, []any{"in", "DROP"}, []any{rows[0]["type"], rows[1]["action"]}, "a move changes nothing else")
	require.NoError(t, put(schema.PutClusterFirewallRulesPos{Pos: ptr[int64](1), Delete: ptr("comment,dport"), Enable: ptr[int64](1)}))
	require.Equal(t, call.ParamErrors{"delete": "unable to delete required property 'type'"}, put(schema.PutClusterFirewallRulesPos{Pos: ptr[int64](1), Delete: ptr("type")}))
	require.Equal(t, call.ParamErrors{"delete": "no such property ('colour')"}, put(schema.PutClusterFirewallRulesPos{Pos: ptr[int64](1), Delete: ptr("colour")}))
	require.Equal(t, "[RULES]\n\nIN SSH(ACCEPT) -source 192.0.2.0/24\nOUT DROP -p tcp\n\n", s.text(clusterKey))

	_, err = s.DeleteClusterFirewallRulesPos(ctx, &schema.DeleteClusterFirewallRulesPos{Pos: ptr[int64](9)})
	require.EqualError(t, err, "no rule at position 9")
	for range 2 {
		_, err = s.DeleteClusterFirewallRulesPos(ctx, &schema.DeleteClusterFirewallRulesPos{Pos: ptr[int64](0)})
		require.NoError(t, err)
	}
	require.Empty(t, s.text(clusterKey), "an empty file is removed")
}

func TestGuestAndNodeRules(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	_, err := s.PostNodesQemuFirewallRules(ctx, &schema.PostNodesQemuFirewallRules{Vmid: 100, Node: node, Type: "in", Action: "ACCEPT"})
	require.EqualError(t, err, "Configuration file 'nodes/here/qemu-server/100.conf' does not exist")
	require.Empty(t, s.text(GuestKey(100)))
	s.guest(100, guardedNC)
	_, err = s.PostNodesQemuFirewallRules(ctx, &schema.PostNodesQemuFirewallRules{Vmid: 100, Node: node, Type: "in", Action: "ACCEPT", Iface: ptr("vmbr0")})
	require.Equal(t, call.ParamErrors{"iface": `value does not match the regex pattern 'net\d+'`}, err)
	_, err = s.PostNodesQemuFirewallRules(ctx, &schema.PostNodesQemuFirewallRules{Vmid: 100, Node: node, Type: "in", Action: "ACCEPT", Iface: ptr("net0")})
	require.NoError(t, err)
	_, err = s.PutNodesQemuFirewallOptions(ctx, &schema.PutNodesQemuFirewallOptions{Vmid: 100, Enable: ptr(true), PolicyIn: ptr("REJECT")})
	require.NoError(t, err)
	o, err := s.GetNodesQemuFirewallOptions(ctx, &schema.GetNodesQemuFirewallOptions{Vmid: 100})
	shows(t, `{"enable":1,"policy_in":"REJECT"}`, o, err)
	require.Equal(t, "[OPTIONS]\n\nenable: 1\npolicy_in: REJECT\n\n[RULES]\n\n|IN ACCEPT -i net0\n\n", s.text(GuestKey(100)))

	_, err = s.PostNodesFirewallRules(ctx, &schema.PostNodesFirewallRules{Node: node, Type: "in", Action: "ACCEPT", Iface: ptr("vmbr0")})
	require.NoError(t, err)
	require.Equal(t, "[RULES]\n\n|IN ACCEPT -i vmbr0\n\n", s.text("/pve/nodes/here/host.fw"))
	_, err = s.PutNodesFirewallOptions(ctx, &schema.PutNodesFirewallOptions{Delete: ptr("node")})
	require.Equal(t, call.ParamErrors{"delete": "no such option 'node'"}, err)
}

func TestOptions(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	_, err := s.PutClusterFirewallOptions(ctx, &schema.PutClusterFirewallOptions{Enable: ptr[int64](1), PolicyIn: ptr("ACCEPT"), LogRatelimit: ptr("enable=1,rate=2/minute")})
	require.NoError(t, err)
	o, err := s.GetClusterFirewallOptions(ctx, nil)
	shows(t, `{"enable":1,"policy_in":"ACCEPT","log_ratelimit":"enable=1,rate=2/minute"}`, o, err)
	_, err = s.PutClusterFirewallOptions(ctx, &schema.PutClusterFirewallOptions{Digest: ptr("1"), Enable: ptr[int64](0)})
	require.ErrorContains(t, err, "detected modified configuration")
	_, err = s.PutClusterFirewallOptions(ctx, &schema.PutClusterFirewallOptions{Digest: ptr(o["digest"].(string)), Delete: ptr("policy_in")})
	require.NoError(t, err)
	o, err = s.GetClusterFirewallOptions(ctx, nil)
	require.NoError(t, err)
	require.NotContains(t, o, "policy_in")
}

func TestGroups(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	post := func(r schema.PostClusterFirewallGroups) error {
		_, err := s.PostClusterFirewallGroups(ctx, &r)
		return err
	}
	require.NoError(t, post(schema.PostClusterFirewallGroups{Group: "Web", Comment: ptr("pages")}))
	require.Equal(t, call.ParamErrors{"group": "Security group 'web' already exists"}, post(schema.PostClusterFirewallGroups{Group: "web"}))
	_, err := s.PostClusterFirewallGroupsGroup(ctx, &schema.PostClusterFirewallGroupsGroup{Group: "web", Type: "in", Action: "ACCEPT", Macro: ptr("HTTP"), Enable: ptr[int64](1)})
	require.NoError(t, err)
	_, err = s.PostClusterFirewallGroupsGroup(ctx, &schema.PostClusterFirewallGroupsGroup{Group: "none", Type: "in", Action: "ACCEPT"})
	require.EqualError(t, err, "no such security group 'none'")
	s.guest(100, guardedNC)
	_, err = s.PostNodesQemuFirewallRules(ctx, &schema.PostNodesQemuFirewallRules{Vmid: 100, Type: "group", Action: "web", Iface: ptr("net0")})
	require.NoError(t, err)
	_, err = s.PostNodesFirewallRules(ctx, &schema.PostNodesFirewallRules{Type: "group", Action: "web"})
	require.NoError(t, err)

	require.EqualError(t, post(schema.PostClusterFirewallGroups{Group: "new", Rename: ptr("other")}), "Security group 'other' does not exist")
	require.NoError(t, post(schema.PostClusterFirewallGroups{Group: "site", Rename: ptr("web")}))
	rows, err := s.GetClusterFirewallGroups(ctx, nil)
	shows(t, `[{"group":"site","comment":"pages"}]`, rows, err)
	require.Contains(t, s.text(GuestKey(100)), "GROUP site -i net0")
	require.Contains(t, s.text(hostKey(node)), "GROUP site")
	rules, err := s.GetClusterFirewallGroupsGroup(ctx, &schema.GetClusterFirewallGroupsGroup{Group: "site"})
	shows(t, `[{"pos":0,"type":"in","action":"ACCEPT","macro":"HTTP","enable":1}]`, rules, err)

	_, err = s.DeleteClusterFirewallGroupsGroup(ctx, &schema.DeleteClusterFirewallGroupsGroup{Group: "site"})
	require.EqualError(t, err, "Security group 'site' is not empty")
	_, err = s.DeleteClusterFirewallGroupsPos(ctx, &schema.DeleteClusterFirewallGroupsPos{Group: "site", Pos: ptr[int64](0)})
	require.NoError(t, err)
	_, err = s.DeleteClusterFirewallGroupsGroup(ctx, &schema.DeleteClusterFirewallGroupsGroup{Group: "site"})
	require.NoError(t, err)
}

func TestSetsAndAliases(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	s.guest(100, guardedNC)
	_, err := s.PostClusterFirewallAliases(ctx, &schema.PostClusterFirewallAliases{Name: "Office", Cidr: "192.0.2.5/24"})
	require.NoError(t, err)
	_, err = s.PostClusterFirewallAliases(ctx, &schema.PostClusterFirewallAliases{Name: "office", Cidr: "192.0.2.5"})
	require.Equal(t, call.ParamErrors{"name": "alias 'office' already exists"}, err)
	a, err := s.GetClusterFirewallAliasesName(ctx, &schema.GetClusterFirewallAliasesName{Name: "OFFICE"})
	shows(t, `{"name":"Office","cidr":"192.0.2.5/24","ipversion":4}`, a, err)
	_, err = s.GetClusterFirewallAliasesName(ctx, &schema.GetClusterFirewallAliasesName{Name: "gone"})
	require.Equal(t, call.ParamErrors{"name": "no such alias"}, err)

	p := schema.PostNodesQemuFirewallIpset{Vmid: 100, Name: "ipfilter-net0", Comment: ptr("mine")}
	_, err = s.PostNodesQemuFirewallIpset(ctx, &p)
	require.NoError(t, err)
	_, err = s.PostNodesQemuFirewallIpset(ctx, &p)
	require.Equal(t, call.ParamErrors{"name": "IPSet 'ipfilter-net0' already exists"}, err)
	add := func(cidr string, no bool) error {
		_, err := s.PostNodesQemuFirewallIpsetName(ctx, &schema.PostNodesQemuFirewallIpsetName{Vmid: 100, Name: "ipfilter-net0", Cidr: cidr, Nomatch: &no})
		return err
	}
	for _, cidr := range []string{"198.51.100.7/24", "2001:db8:0:0::1/128", "dc/office"} {
		require.NoError(t, add(cidr, false), cidr)
	}
	require.NoError(t, add("198.51.100.9", true))
	require.Equal(t, call.ParamErrors{"cidr": "address '198.51.100.0/24' already exists"}, add("198.51.100.1/24", false))
	require.Equal(t, call.ParamErrors{"cidr": "a zero prefix is not allowed in ipset entries"}, add("0.0.0.0/0", false))
	require.EqualError(t, add("guest/office", false), "no such alias 'guest/office'")
	rows, err := s.GetNodesQemuFirewallIpsetName(ctx, &schema.GetNodesQemuFirewallIpsetName{Vmid: 100, Name: "ipfilter-net0"})
	shows(t, `[{"cidr":"198.51.100.9","nomatch":1},{"cidr":"198.51.100.0/24"},{"cidr":"2001:db8::1"},{"cidr":"dc/office"}]`, rows, err)

	_, err = s.PutNodesQemuFirewallIpsetCidr(ctx, &schema.PutNodesQemuFirewallIpsetCidr{Vmid: 100, Name: "ipfilter-net0", Cidr: "198.51.100.9", Comment: ptr("in again")})
	require.NoError(t, err)
	e, err := s.GetNodesQemuFirewallIpsetCidr(ctx, &schema.GetNodesQemuFirewallIpsetCidr{Vmid: 100, Name: "ipfilter-net0", Cidr: "198.51.100.9"})
	shows(t, `{"cidr":"198.51.100.9","comment":"in again"}`, e, err)
	_, err = s.GetNodesQemuFirewallIpsetCidr(ctx, &schema.GetNodesQemuFirewallIpsetCidr{Vmid: 100, Name: "ipfilter-net0", Cidr: "198.51.100.8"})
	require.Equal(t, call.ParamErrors{"cidr": "no such IP/Network"}, err)
	refs, err := s.GetNodesQemuFirewallRefs(ctx, &schema.GetNodesQemuFirewallRefs{Vmid: 100})
	shows(t, `[{"type":"alias","name":"Office","ref":"Office","scope":"dc"},{"type":"ipset","name":"ipfilter-net0","ref":"+ipfilter-net0","scope":"guest","comment":"mine"}]`, refs, err)
	_, err = s.DeleteNodesQemuFirewallIpsetName(ctx, &schema.DeleteNodesQemuFirewallIpsetName{Vmid: 100, Name: "ipfilter-net0"})
	require.EqualError(t, err, "IPSet 'ipfilter-net0' is not empty")
	_, err = s.DeleteNodesQemuFirewallIpsetName(ctx, &schema.DeleteNodesQemuFirewallIpsetName{Vmid: 100, Name: "ipfilter-net0", Force: ptr(true)})
	require.NoError(t, err)

	_, err = s.PutClusterFirewallAliasesName(ctx, &schema.PutClusterFirewallAliasesName{Name: "office", Cidr: "192.0.2.0/25", Rename: ptr("bureau")})
	require.NoError(t, err)
	_, err = s.DeleteClusterFirewallAliasesName(ctx, &schema.DeleteClusterFirewallAliasesName{Name: "gone"})
	require.NoError(t, err)
	require.Equal(t, "[ALIASES]\n\nbureau 192.0.2.0/25\n\n", s.text(clusterKey))
}

// TestTwoEditors: changes of one file at the same time are all kept.
func TestTwoEditors(t *testing.T) {
	s := newSite(t)
	const each = 10
	errs := make(chan error, 2*each)
	for range 2 {
		go func() {
			for range each {
				_, err := s.PostClusterFirewallRules(t.Context(), &schema.PostClusterFirewallRules{Type: "in", Action: "ACCEPT"})
				errs <- err
			}
		}()
	}
	var all []error
	for range 2 * each {
		all = append(all, <-errs)
	}
	require.NoError(t, errors.Join(all...))
	rows, err := s.GetClusterFirewallRules(t.Context(), nil)
	require.NoError(t, err)
	require.Len(t, rows, 2*each)
}

// FuzzComment: whatever is in a comment, it stays one line of the file, or is refused.
func FuzzComment(f *testing.F) {
	for _, seed := range []string{"x", "# [RULES]", "a\rb", "\n", "\x85IN ACCEPT", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, comment string) {
		r := &firewall.Rule{Type: "in", Action: "DROP", Enable: true}
		if setRule(r, values{"comment": comment}) != nil {
			return
		}
		c := firewall.NewConfig(firewall.Cluster)
		c.Rules = []*firewall.Rule{r}
		text, err := c.Text()
		if err != nil {
			return
		}
		back, warnings, err := firewall.Parse(text, firewall.Cluster, nil)
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.Len(t, back.Rules, 1)
		require.Equal(t, "DROP", back.Rules[0].Action)
	})
}
