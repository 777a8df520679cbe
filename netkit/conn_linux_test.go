package netkit_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
)

// newConn opens a connection in a namespace of the test's own.
func newConn(t *testing.T) (*netkit.Conn, *netkit.NS) {
	t.Helper()
	h := netkittest.NewHost(t)
	return h.Conn, h.NS
}

func apply(t *testing.T, conn *netkit.Conn, want []netkit.Link, gone ...string) netkit.Steps {
	t.Helper()
	have, err := conn.Links(t.Context())
	require.NoError(t, err)
	steps, err := netkit.Plan(have, want, gone...)
	require.NoError(t, err)
	require.NoError(t, conn.Apply(t.Context(), steps))
	return steps
}

func TestApplyIsIdempotentAndReadBack(t *testing.T) {
	conn, _ := newConn(t)
	want := []netkit.Link{
		{Name: "vmbr1", Kind: netkit.KindBridge, Up: true, AltNames: []string{"the-bridge-of-the-guests"}, Addrs: []netip.Prefix{
			netip.MustParsePrefix("10.9.0.1/24"), netip.MustParsePrefix("fd00:9::1/64")}},
		{Name: "tap7i0", Kind: netkit.KindTap, Up: true, Master: "vmbr1", MTU: 1400, Tap: netkit.Tap{Owner: 70007, VNetHeader: true}},
		{Name: "tap7i1", Kind: netkit.KindTap, NoIPv6: true, Tap: netkit.Tap{Owner: 70007, MultiQueue: true}},
	}
	require.NotEmpty(t, apply(t, conn, want))
	require.Empty(t, apply(t, conn, want), "a second plan finds nothing to do")

	have, err := conn.Links(t.Context())
	require.NoError(t, err)
	byName := map[string]netkit.Link{}
	for _, l := range have {
		byName[l.Name] = l
	}
	require.ElementsMatch(t, want[0].Addrs, byName["vmbr1"].Addrs)
	require.Equal(t, "vmbr1", byName["tap7i0"].Master)
	require.Equal(t, 1400, byName["tap7i0"].MTU)
	require.True(t, byName["tap7i1"].NoIPv6)
	require.False(t, byName["tap7i0"].NoIPv6)
	require.Equal(t, netkit.Tap{Owner: 70007, VNetHeader: true}, byName["tap7i0"].Tap)
	require.True(t, byName["lo"].Up)

	apply(t, conn, nil, "tap7i0", "tap7i1", "vmbr1")
	_, err = conn.Link(t.Context(), "tap7i0")
	require.ErrorIs(t, err, netkit.ErrNotFound)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestApplySurvivesChangesSincePlan(t *testing.T) {
	conn, _ := newConn(t)
	br := netkit.Link{Name: "vmbr1", Kind: netkit.KindBridge, Up: true}
	steps, err := netkit.Plan(nil, []netkit.Link{br})
	require.NoError(t, err)
	require.NoError(t, conn.Apply(t.Context(), steps))
	require.NoError(t, conn.Apply(t.Context(), steps), "made by somebody else meanwhile")

	have, err := conn.Links(t.Context())
	require.NoError(t, err)
	gone, err := netkit.Plan(have, nil, "vmbr1")
	require.NoError(t, err)
	require.NoError(t, conn.Apply(t.Context(), gone))
	require.NoError(t, conn.Apply(t.Context(), gone), "deleted by somebody else meanwhile")

	up, err := netkit.Plan([]netkit.Link{{Name: "vmbr1", Kind: netkit.KindBridge}}, []netkit.Link{br})
	require.NoError(t, err)
	require.ErrorIs(t, conn.Apply(t.Context(), up), netkit.ErrNotFound)
}

func TestTwoWriters(t *testing.T) {
	conn, _ := newConn(t)
	want := []netkit.Link{{Name: "vmbr1", Kind: netkit.KindBridge, Up: true}}
	for i := range 8 {
		want = append(want, netkit.Link{Name: fmt.Sprintf("tap%di0", i), Kind: netkit.KindTap, Up: true, Master: "vmbr1", Tap: netkit.Tap{Owner: 70007}})
	}
	once := func(want []netkit.Link, gone ...string) error {
		have, err := conn.Links(t.Context())
		if err != nil {
			return err
		}
		steps, err := netkit.Plan(have, want, gone...)
		if err != nil {
			return err
		}
		return conn.Apply(t.Context(), steps)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if err := once(want); err != nil && !errors.Is(err, netkit.ErrNotFound) {
					t.Errorf("a writer whose links are not taken away: %v", err)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			if err := once(nil, fmt.Sprintf("tap%di0", i%8)); err != nil {
				t.Errorf("a remover: %v", err)
			}
		}
	})
	wg.Wait()
	require.NoError(t, once(want), "who plans anew goes on from what is there")
	have, err := conn.Links(t.Context())
	require.NoError(t, err)
	steps, err := netkit.Plan(have, want)
	require.NoError(t, err)
	require.Empty(t, steps)
}

func TestDeleteSparesANamesake(t *testing.T) {
	conn, _ := newConn(t)
	br := []netkit.Link{{Name: "vmbr1", Kind: netkit.KindBridge}}
	apply(t, conn, br)
	have, err := conn.Links(t.Context())
	require.NoError(t, err)
	stale, err := netkit.Plan(have, nil, "vmbr1")
	require.NoError(t, err)
	apply(t, conn, nil, "vmbr1")
	apply(t, conn, br)
	require.NoError(t, conn.Apply(t.Context(), stale))
	_, err = conn.Link(t.Context(), "vmbr1")
	require.NoError(t, err, "the new vmbr1 is another link")
}

func TestListWhileLinksComeAndGo(t *testing.T) {
	conn, _ := newConn(t)
	apply(t, conn, []netkit.Link{{Name: "vmbr1", Kind: netkit.KindBridge}})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			name := fmt.Sprintf("br%d", i%20)
			steps := netkit.Steps{{Action: netkit.ActCreate, Link: netkit.Link{Name: name, Kind: netkit.KindBridge}}, {Action: netkit.ActDelete, Link: netkit.Link{Name: name}}}
			if err := conn.Apply(ctx, steps); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		have, err := conn.Links(t.Context())
		require.NoError(t, err)
		names := make([]string, len(have))
		for i, l := range have {
			names[i] = l.Name
		}
		require.Contains(t, names, "vmbr1", "a list is complete")
	}
	stop()
	wg.Wait()
}

func TestOpenTapGivesQueuesOfTheTap(t *testing.T) {
	conn, _ := newConn(t)
	one, many := netkit.Tap{Owner: 70007, VNetHeader: true}, netkit.Tap{Owner: 70007, MultiQueue: true}
	apply(t, conn, []netkit.Link{{Name: "tap7i0", Kind: netkit.KindTap, Tap: one}, {Name: "tap7i1", Kind: netkit.KindTap, Tap: many}})
	files, err := conn.OpenTap(t.Context(), "tap7i0", one, 0)
	require.NoError(t, err)
	require.Len(t, files, 1)
	_, err = conn.OpenTap(t.Context(), "tap7i0", one, 1)
	require.ErrorIs(t, err, unix.EBUSY, "a single queue has one holder")
	require.NoError(t, files[0].Close())

	files, err = conn.OpenTap(t.Context(), "tap7i1", many, 3)
	require.NoError(t, err)
	require.Len(t, files, 3)
	for _, f := range files {
		require.NoError(t, f.Close())
	}
	_, err = conn.Link(t.Context(), "tap7i0")
	require.NoError(t, err, "a persistent tap outlives its holder")
}

func TestMasquerade(t *testing.T) {
	need.Tool(t, "nft")
	conn, ns := newConn(t)
	nft := func() string {
		out, err := exec.Command("nsenter", "--net="+ns.Path(), "nft", "list", "ruleset").CombinedOutput()
		require.NoError(t, err, string(out))
		return string(out)
	}
	rules := []netkit.Masquerade{{Bridge: "vmbr0", Source: netip.MustParsePrefix("10.9.0.1/24")}}
	require.NoError(t, conn.SetMasquerade(t.Context(), "gpve-nat", rules))
	once := nft()
	require.Contains(t, once, `ip saddr 10.9.0.0/24 oifname != "vmbr0" masquerade`)
	require.NoError(t, conn.SetMasquerade(t.Context(), "gpve-nat", rules))
	require.Equal(t, once, nft(), "idempotent")

	require.NoError(t, ns.Do(t.Context(), func() error {
		v, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
		if err == nil && string(v) != "1\n" {
			err = fmt.Errorf("forwarding is %q", v)
		}
		return err
	}))
	require.NoError(t, conn.SetMasquerade(t.Context(), "gpve-nat", nil))
	require.Empty(t, nft())

	v6 := []netkit.Masquerade{{Bridge: "vmbr0", Source: netip.MustParsePrefix("fd00::/64")}}
	require.ErrorIs(t, conn.SetMasquerade(t.Context(), "gpve-nat", v6), netkit.ErrBadLink)
}

func TestNamespaceIsAValue(t *testing.T) {
	_, err := netkit.Dial(t.Context(), nil)
	require.Error(t, err)
	_, err = netkit.OpenNS("/proc/self/ns/uts")
	require.ErrorContains(t, err, "no network namespace")

	a, _ := newConn(t)
	b, ns := newConn(t)
	apply(t, a, []netkit.Link{{Name: "vmbr1", Kind: netkit.KindBridge}})
	_, err = b.Link(t.Context(), "vmbr1")
	require.ErrorIs(t, err, netkit.ErrNotFound)

	boom := errors.New("boom")
	require.ErrorIs(t, ns.Do(t.Context(), func() error { return boom }), boom)
}
