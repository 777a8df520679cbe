package firewall

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
)

// dialNew opens a connection in a namespace of its own.
func dialNew(t testing.TB) (*Conn, *netkit.NS) {
	need.Root(t)
	ns, err := netkit.NewNS()
	require.NoError(t, err)
	t.Cleanup(func() { ns.Close() })
	c, err := Dial(t.Context(), ns)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c, ns
}

// bridges tells whether the kernel filters bridges with all that the ruleset needs.
func bridges(t testing.TB, c *Conn) bool {
	missing, err := c.missing(t.Context(), newRandom(1).world(t).Compile())
	require.NoError(t, err)
	return missing == nil
}

// onlyHost leaves the table of guests out, for kernels that cannot hold it.
func onlyHost(rs *Ruleset) *Ruleset {
	t, _ := rs.Table(HostTable)
	return &Ruleset{Tables: []*Table{t}}
}

func TestApplyHost(t *testing.T) {
	c, _ := dialNew(t)
	for seed := range uint64(10) {
		want := onlyHost(newRandom(seed).world(t).Compile())
		want.Tables[0].Helpers = nil // the kernel may lack the helpers
		for _, ch := range want.Tables[0].Chains {
			if strings.HasPrefix(ch.Name, "helpers") {
				ch.Rules = nil
			}
		}
		_, err := c.Apply(t.Context(), want)
		require.NoError(t, err, "seed %d\n%s", seed, want)
		again, err := c.Apply(t.Context(), want)
		require.NoError(t, err)
		require.Empty(t, again.Steps)
	}
	report, err := c.Apply(t.Context(), &Ruleset{})
	require.NoError(t, err)
	require.Equal(t, "delete table gpve-host", report.Steps.String())
}

// TestThreat49_PortsAreClosedWithoutRules goes from a closed port to an open one, or to the error that says why not.
func TestThreat49_PortsAreClosedWithoutRules(t *testing.T) {
	c, _ := dialNew(t)
	require.NoError(t, c.Guard(t.Context(), "tap100i0", "tap7i0"))
	require.NoError(t, c.Guard(t.Context(), "tap100i0"))
	require.Error(t, c.Guard(t.Context(), `tap"; drop`))
	w := newRandom(3).world(t)
	w.Guests = w.Guests[:1]
	w.Guests[0].NICs = w.Guests[0].NICs[:1]
	w.Guests[0].NICs[0].Firewall = true
	w.Guests[0].Config.Options["enable"] = "1"
	w.Host.Options = nil
	report, err := c.Apply(t.Context(), w.Compile())
	if bridges(t, c) {
		require.NoError(t, err)
		require.Equal(t, []string{"tap100i0"}, report.Opened)
		require.Equal(t, []string{"tap7i0"}, report.Closed)
	} else {
		var unsupported *netkit.UnsupportedError
		require.ErrorAs(t, err, &unsupported)
		require.ErrorIs(t, err, errors.ErrUnsupported)
		require.Contains(t, unsupported.Feature, "nf_conntrack_bridge")
		require.Equal(t, []string{"tap100i0", "tap7i0"}, report.Closed)
		state, err := c.Read(t.Context())
		require.NoError(t, err)
		require.Contains(t, state.Tables, HostTable, "the node's own rules are in all the same")
	}
	require.NoError(t, c.Release(t.Context(), "tap7i0", "tap100i0"))
	state, err := c.Read(t.Context())
	require.NoError(t, err)
	require.Empty(t, state.closedPorts())
}

// TestThreat49_LargeSetsAreComplete writes a set that does not fit one netlink message.
func TestThreat49_LargeSetsAreComplete(t *testing.T) {
	c, _ := dialNew(t)
	want := onlyHost(largeWorld(t, 10, 20000).Compile())
	_, err := c.Apply(t.Context(), want)
	require.NoError(t, err)
	state, err := c.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, state.Tables[HostTable].Sets["v4-dc-many"].Elements, 20000)
}

func TestApplyIsCancelled(t *testing.T) {
	c, _ := dialNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Apply(ctx, &Ruleset{})
	require.ErrorIs(t, err, context.Canceled)
}

// TestApplyGuests needs a kernel that filters bridges.
func TestApplyGuests(t *testing.T) {
	c, ns := dialNew(t)
	need.That(t, "nf_conntrack_bridge", bridges(t, c), "connection tracking, names and rejecting on bridges")
	for seed := range uint64(10) {
		w := newRandom(seed).world(t)
		w.Host.Options["nf_conntrack_helpers"] = ""
		for i := range w.Guests {
			delete(w.Guests[i].Config.Options, "ips")
		}
		want := w.Compile()
		_, err := c.Apply(t.Context(), want)
		require.NoError(t, err, "seed %d\n%s", seed, want)
		again, err := c.Apply(t.Context(), want)
		require.NoError(t, err)
		require.Empty(t, again.Steps)
	}
	need.Tool(t, "nft", "nsenter")
	out, err := exec.Command("nsenter", "--net="+ns.Path(), "nft", "list", "ruleset").CombinedOutput()
	require.NoError(t, err)
	require.Contains(t, string(out), "table bridge gpve-guests")
}

// TestForeignChangesAreUndone: rules that somebody else took away or put in do not last.
func TestForeignChangesAreUndone(t *testing.T) {
	c, ns := dialNew(t)
	need.Tool(t, "nft", "nsenter")
	want := onlyHost(office(t, "", "", "", "").Compile())
	_, err := c.Apply(t.Context(), want)
	require.NoError(t, err)
	for _, command := range []string{"insert rule inet gpve-host input accept", "flush chain inet gpve-host input", "add chain inet gpve-host extra",
		"add element inet gpve-host v4-management { 8.8.8.8 }", "delete table inet gpve-host"} {
		out, err := exec.Command("nsenter", append([]string{"--net=" + ns.Path(), "nft"}, strings.Fields(command)...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		report, err := c.Apply(t.Context(), want)
		require.NoError(t, err, command)
		require.NotEmpty(t, report.Steps, command)
	}
	report, err := c.Apply(t.Context(), want)
	require.NoError(t, err)
	require.Empty(t, report.Steps)
}
