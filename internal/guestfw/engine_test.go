package guestfw

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/firewall"
)

func TestFollowsTheStore(t *testing.T) {
	s := newSite(t)
	s.put(clusterKey, onText)
	s.guest(100, guardedNC)
	s.put(GuestKey(100), guestOn)
	s.run()
	s.until(func(rs *firewall.Ruleset) bool { return hasChain(rs, "tap100i0-in") })

	s.guest(101, guardedNC)
	s.put(GuestKey(101), guestOn)
	s.until(func(rs *firewall.Ruleset) bool { return hasChain(rs, "tap101i0-in") })
	before := s.k.last()
	s.put(GuestKey(101), guestOn+"\n[RULES]\nIN ACCEPT -p tcp -dport 4711\n")
	s.until(func(rs *firewall.Ruleset) bool { return strings.Contains(rs.String(), "4711") })
	require.Same(t, chain(before, "tap100i0-in"), chain(s.k.last(), "tap100i0-in"), "one guest's rules are no work for another's")
	s.put(GuestKey(100), "[OPTIONS]\nenable: 0\n")
	s.until(func(rs *firewall.Ruleset) bool { return !hasChain(rs, "tap100i0-in") && hasChain(rs, "tap101i0-in") })
	s.put(inventory.Key(101), string(inventory.Encode("elsewhere", guardedNC)))
	s.until(func(rs *firewall.Ruleset) bool { return !hasChain(rs, "tap101i0-in") })
	s.put(clusterKey, "[OPTIONS]\nenable: 0\n")
	s.until(func(rs *firewall.Ruleset) bool { return len(rs.Tables) == 0 })
}

// TestThreat49_PortsAreClosedUntilTheirRulesAreIn opens a port of a guest that was stored a moment before.
func TestThreat49_PortsAreClosedUntilTheirRulesAreIn(t *testing.T) {
	s := newSite(t)
	s.put(clusterKey, onText)
	s.run()
	s.until(func(rs *firewall.Ruleset) bool { return len(rs.Tables) > 0 })

	s.guest(100, guardedNC)
	s.put(GuestKey(100), guestOn)
	require.NoError(t, s.Close(t.Context(), "tap100i0"))
	require.Equal(t, []string{"tap100i0"}, s.k.list())
	require.NoError(t, s.Open(t.Context(), "tap100i0"))
	require.True(t, hasChain(s.k.last(), "tap100i0-in"))
	require.Empty(t, s.k.list())

	// Again, with nothing changed: its rules are in, so the guard alone opens.
	require.NoError(t, s.Close(t.Context(), "tap100i0"))
	require.NoError(t, s.Open(t.Context(), "tap100i0"))
	require.Empty(t, s.k.list())
	require.NoError(t, s.Forget(t.Context(), "tap100i0"))
}

// TestThreat49_AFailedApplyKeepsPortsClosed: an error reaches who opens a filtered port; others are none the worse.
func TestThreat49_AFailedApplyKeepsPortsClosed(t *testing.T) {
	s := newSite(t)
	s.put(clusterKey, onText)
	s.guest(100, guardedNC)
	s.put(GuestKey(100), guestOn)
	s.guest(101, openNC)
	s.k.fail(&netkit.UnsupportedError{Feature: "connection tracking on bridges (nf_conntrack_bridge, nft_ct)", Err: errors.ErrUnsupported})
	s.run()

	require.NoError(t, s.Close(t.Context(), "tap100i0"))
	err := s.Open(t.Context(), "tap100i0")
	require.EqualError(t, err, "the firewall of net0 cannot be enforced on this node: the kernel lacks connection tracking on bridges (nf_conntrack_bridge, nft_ct)")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.Equal(t, []string{"tap100i0"}, s.k.list())
	require.Error(t, s.Status().Err)

	require.NoError(t, s.Close(t.Context(), "tap101i0"))
	require.NoError(t, s.Open(t.Context(), "tap101i0"))

	s.k.fail(nil) // the module is loaded
	require.NoError(t, s.Open(t.Context(), "tap100i0"))
	require.NoError(t, s.Status().Err)
	require.Empty(t, s.k.list())
}

// TestThreat49_UnknownPortsStayClosed: the firewall is on, and nothing says whose port it is.
func TestThreat49_UnknownPortsStayClosed(t *testing.T) {
	s := newSite(t)
	s.put(clusterKey, onText)
	s.run()
	require.NoError(t, s.Close(t.Context(), "tap7i0"))
	require.ErrorContains(t, s.Open(t.Context(), "tap7i0"), "stays closed")
	require.Equal(t, []string{"tap7i0"}, s.k.list())
	require.NoError(t, s.Forget(t.Context(), "tap7i0"))
	require.Empty(t, s.k.list())
}

// TestThreat49_PendingCards: a card is plugged before its configuration is.
func TestThreat49_PendingCards(t *testing.T) {
	s := newSite(t)
	s.put(clusterKey, onText)
	s.guest(100, openNC+"\n[PENDING]\nnet0: virtio=02:00:00:00:00:01,bridge=vmbr1,firewall=1\nnet1: virtio=02:00:00:00:00:02,bridge=vmbr0,firewall=1\n")
	s.put(GuestKey(100), guestOn)
	s.run()
	s.until(func(rs *firewall.Ruleset) bool { return len(rs.Tables) > 0 })
	require.False(t, hasChain(s.k.last(), "tap100i0-in"), "what is only pending does not filter")
	require.False(t, hasChain(s.k.last(), "tap100i1-in"))

	for _, port := range []string{"tap100i0", "tap100i1"} {
		require.NoError(t, s.Close(t.Context(), port))
		require.NoError(t, s.Open(t.Context(), port))
		require.True(t, hasChain(s.k.last(), port+"-in"), port)
	}
	s.guest(100, openNC) // both were taken back
	require.NoError(t, s.Forget(t.Context(), "tap100i1"))
	s.until(func(rs *firewall.Ruleset) bool { return !hasChain(rs, "tap100i0-in") && !hasChain(rs, "tap100i1-in") })
}

func TestWithoutFirewallNothingIsAskedOfTheKernel(t *testing.T) {
	s := newSite(t)
	s.guest(100, guardedNC)
	s.put(GuestKey(100), guestOn)
	s.k.fail(errors.New("no nftables at all"))
	s.run()
	require.NoError(t, s.Close(t.Context(), "tap100i0"))
	require.NoError(t, s.Open(t.Context(), "tap100i0"))
	require.NoError(t, s.Close(t.Context(), "eth0"))
	require.NoError(t, s.Open(t.Context(), "eth0"))
	require.Empty(t, s.k.list())
	require.NoError(t, s.Status().Err)
}

func TestOpenEndsWithItsContextAndTheEngine(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, s.Open(ctx, "tap1i0"), context.Canceled)
	s.run()()
	require.ErrorContains(t, s.Open(t.Context(), "tap1i0"), "has ended")
}

// TestTrialEnds: whoever locks himself out with a time in enable is let in again.
func TestTrialEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		_, err := s.PutClusterFirewallOptions(t.Context(), optionsRequest(2))
		require.NoError(t, err)
		synctest.Wait()
		require.NotEmpty(t, s.k.last().Tables)
		time.Sleep(59 * time.Second)
		synctest.Wait()
		require.NotEmpty(t, s.k.last().Tables)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Empty(t, s.k.last().Tables)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// TestRetries: what failed is tried again without anybody's doing, and rules that somebody else has changed are put in anew.
func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.put(clusterKey, onText)
		s.k.fail(errors.New("busy"))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		require.EqualError(t, s.Status().Err, "busy")
		s.k.fail(nil)
		time.Sleep(retryLast)
		synctest.Wait()
		require.NoError(t, s.Status().Err)
		n := s.k.count()
		require.Positive(t, n)
		time.Sleep(10 * lookAgain)
		synctest.Wait()
		require.Equal(t, n, s.k.count(), "nothing has changed")
		s.k.meddle()
		time.Sleep(lookAgain)
		synctest.Wait()
		require.Equal(t, n+1, s.k.count())
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// TestThreat49_NoRulesetBeforeAllGuestsAreSeen: the guests' watch comes last.
func TestThreat49_NoRulesetBeforeAllGuestsAreSeen(t *testing.T) {
	s := newSite(t)
	s.put(clusterKey, onText)
	s.guest(100, guardedNC)
	s.put(GuestKey(100), guestOn)
	s.run()
	require.NoError(t, s.Open(t.Context(), "tap100i0"))
	for _, rs := range s.k.rules {
		require.True(t, hasChain(rs, "tap100i0-in"))
	}
}

func TestDropAndCloneParts(t *testing.T) {
	s := newSite(t)
	parts, err := CloneParts(t.Context(), s.store, 100, 101)
	require.NoError(t, err)
	require.Empty(t, parts)
	s.put(GuestKey(100), guestOn)
	parts, err = CloneParts(t.Context(), s.store, 100, 101)
	require.NoError(t, err)
	_, err = s.store.Txn(t.Context(), parts...)
	require.NoError(t, err)
	require.Equal(t, guestOn, s.text(GuestKey(101)))
	_, err = s.store.Txn(t.Context(), DropParts(100)...)
	require.NoError(t, err)
	_, err = s.store.Get(t.Context(), GuestKey(100))
	require.ErrorIs(t, err, cluster.ErrNotFound)
}
