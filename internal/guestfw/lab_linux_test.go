package guestfw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/netkit/firewall/nflog"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// lab is a node with a bridge in a namespace, and machines in namespaces of their own that are its ports.
type lab struct {
	t     *testing.T
	node  *netkit.NS
	store cluster.Store
	log   string
}

func newLab(t *testing.T) *lab {
	need.Root(t)
	l := &lab{t: t, store: memstore.New(), log: filepath.Join(t.TempDir(), "fw.log")}
	t.Cleanup(func() { l.store.Close() })
	l.node = l.namespace()
	need.That(t, "nf_conntrack_bridge", l.filters(), "connection tracking, names and rejecting on bridges")
	l.in(l.node, func(h *netlink.Handle) {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "vmbr0"}}
		require.NoError(t, h.LinkAdd(br))
		require.NoError(t, h.LinkSetUp(br))
	})
	return l
}

func (l *lab) namespace() *netkit.NS {
	ns, err := netkit.NewNS()
	require.NoError(l.t, err)
	l.t.Cleanup(func() { ns.Close() })
	return ns
}

// filters tells whether the kernel can hold the rules of a guest.
func (l *lab) filters() bool {
	c, err := firewall.Dial(l.t.Context(), l.node)
	require.NoError(l.t, err)
	defer c.Close()
	cfg := firewall.NewConfig(firewall.Cluster)
	cfg.Options["enable"] = "1"
	own := firewall.NewConfig(firewall.Guest)
	own.Options["enable"], own.Options["policy_in"] = "1", "REJECT"
	w := &firewall.World{Cluster: cfg, Guests: []firewall.GuestConfig{{ID: 9, Config: own, NICs: []firewall.NIC{{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 9}, Bridge: "vmbr0", Firewall: true}}}}}
	_, err = c.Apply(l.t.Context(), w.Compile())
	_, clean := c.Apply(l.t.Context(), &firewall.Ruleset{})
	require.NoError(l.t, clean)
	return !errors.Is(err, errors.ErrUnsupported)
}

func (l *lab) in(ns *netkit.NS, fn func(h *netlink.Handle)) {
	f, err := os.Open(ns.Path())
	require.NoError(l.t, err)
	defer f.Close()
	h, err := netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE)
	require.NoError(l.t, err)
	defer h.Close()
	fn(h)
}

// machine makes a namespace whose eth0 is behind a port of the bridge. The port is made as guests' are: it is down until
// whoever calls brings it up.
func (l *lab) machine(port, mac, cidr string) *netkit.NS {
	ns := l.namespace()
	f, err := os.Open(ns.Path())
	require.NoError(l.t, err)
	defer f.Close()
	hw, err := net.ParseMAC(mac)
	require.NoError(l.t, err)
	l.in(l.node, func(h *netlink.Handle) {
		require.NoError(l.t, h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port}, PeerName: "eth0", PeerHardwareAddr: hw, PeerNamespace: netlink.NsFd(f.Fd())}))
		v, err := h.LinkByName(port)
		require.NoError(l.t, err)
		br, err := h.LinkByName("vmbr0")
		require.NoError(l.t, err)
		require.NoError(l.t, h.LinkSetMaster(v, br))
	})
	l.in(ns, func(h *netlink.Handle) {
		eth, err := h.LinkByName("eth0")
		require.NoError(l.t, err)
		a, err := netlink.ParseAddr(cidr)
		require.NoError(l.t, err)
		require.NoError(l.t, h.AddrAdd(eth, a))
		require.NoError(l.t, h.LinkSetUp(eth))
	})
	return ns
}

func (l *lab) up(port string) {
	l.in(l.node, func(h *netlink.Handle) {
		v, err := h.LinkByName(port)
		require.NoError(l.t, err)
		require.NoError(l.t, h.LinkSetUp(v))
	})
}

func (l *lab) put(key, text string) {
	_, err := l.store.Txn(l.t.Context(), cluster.Put(key, []byte(text)))
	require.NoError(l.t, err)
}

// daemon runs a service on the store and the node's namespace; stop ends it as the end of the program does: the rules stay.
func (l *lab) daemon() (s *Service, stop func()) {
	c, err := firewall.Dial(l.t.Context(), l.node)
	require.NoError(l.t, err)
	s = New(Options{
		Node: node, Store: l.store, Kernel: c, LogFile: l.log,
		Facts:   Facts(l.node, func() string { return "" }),
		Sysctls: Sysctls(l.node),
		Packets: func(ctx context.Context) (PacketSource, error) { return nflog.Listen(ctx, l.node, 0) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Run(ctx) }()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); <-done; c.Close() }) }
	l.t.Cleanup(stop)
	return s, stop
}

// probe sends a datagram every millisecond until stop, which tells how many.
func (l *lab) probe(from *netkit.NS, to string) (stop func() int) {
	var sender net.Conn
	require.NoError(l.t, from.Do(l.t.Context(), func() (err error) {
		sender, err = net.Dial("udp", to)
		return err
	}))
	end, sent := make(chan struct{}), make(chan int)
	go func() {
		n, tick := 0, time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				sender.Close()
				sent <- n
				return
			case <-tick.C:
				if _, err := sender.Write([]byte("x")); err == nil {
					n++
				}
			}
		}
	}()
	return func() int { close(end); return <-sent }
}

// listen takes datagrams at an address; none tells that there were none.
func (l *lab) listen(ns *netkit.NS, at string) (none func()) {
	var conn net.PacketConn
	require.NoError(l.t, ns.Do(l.t.Context(), func() (err error) {
		conn, err = net.ListenPacket("udp", at)
		return err
	}))
	l.t.Cleanup(func() { conn.Close() })
	return func() {
		l.t.Helper()
		require.NoError(l.t, conn.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
		_, from, err := conn.ReadFrom(make([]byte, 9))
		require.ErrorIs(l.t, err, os.ErrDeadlineExceeded, "a packet of %v came to %s", from, at)
	}
}

// echo serves TCP at an address of ns.
func (l *lab) echo(ns *netkit.NS, at string) {
	require.NoError(l.t, ns.Do(l.t.Context(), func() error {
		ln, err := net.Listen("tcp", at)
		if err != nil {
			return err
		}
		l.t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
			}
		}()
		return nil
	}))
}

// dial connects from ns.
func (l *lab) dial(ns *netkit.NS, to string, patience time.Duration) (c net.Conn, err error) {
	_ = ns.Do(l.t.Context(), func() error {
		c, err = net.DialTimeout("tcp", to, patience)
		return nil
	})
	return c, err
}

// says sends a word over a connection and waits for the echo.
func says(t *testing.T, c net.Conn, word string) {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	_, err := c.Write([]byte(word))
	require.NoError(t, err)
	got := make([]byte, len(word))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err, "the connection does not survive")
	require.Equal(t, word, string(got))
}

// TestThreat49_FirewalledGuest probes a guest's closed ports every millisecond from before it is there until after the daemon's
// restart, while a connection that is allowed goes on.
func TestThreat49_FirewalledGuest(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	out := l.machine("eth9", "02:00:00:00:00:99", "192.0.2.99/24")
	l.up("eth9")
	l.put(clusterKey, onText)
	l.put(inventory.Key(100), string(inventory.Encode(node, "net0: virtio=02:00:00:00:00:10,bridge=vmbr0,firewall=1\n")))
	l.put(GuestKey(100), "[OPTIONS]\nenable: 1\nlog_level_in: info\n\n[RULES]\nIN ACCEPT -p tcp -dport 80\n")
	l.put("/pve/nodes/"+node+"/host.fw", "[OPTIONS]\nenable: 0\n")
	s, stop := l.daemon()

	// The start of the guest, as hostnet does it: close, make, open, up. Here it is up before it is opened.
	require.NoError(t, s.Close(ctx, "tap100i0"))
	guest := l.machine("tap100i0", "02:00:00:00:00:10", "192.0.2.10/24")
	l.echo(guest, "192.0.2.10:80")
	l.echo(guest, "192.0.2.10:81")
	quiet := l.listen(guest, "192.0.2.10:9")
	sent := l.probe(out, "192.0.2.10:9")
	l.up("tap100i0")
	_, err := l.dial(out, "192.0.2.10:80", 500*time.Millisecond)
	require.Error(t, err, "the port is open before its rules are in")
	require.NoError(t, s.Open(ctx, "tap100i0"))
	flow, err := l.dial(out, "192.0.2.10:80", 5*time.Second)
	require.NoError(t, err, "the rules are in, and allow this")
	defer flow.Close()
	says(t, flow, "started")

	// Reloads: the connection stays even when its rule goes.
	for n := range 6 {
		_, err := s.PostNodesQemuFirewallRules(ctx, &schema.PostNodesQemuFirewallRules{Vmid: 100, Type: "in", Action: "ACCEPT", Proto: ptr("tcp"), Dport: ptr(fmt.Sprint(100 + n)), Enable: ptr[int64](1)})
		require.NoError(t, err)
		require.NoError(t, s.Open(ctx, "tap100i0")) // what was written before is in
		says(t, flow, "reloaded")
	}
	_, err = s.DeleteNodesQemuFirewallRulesPos(ctx, &schema.DeleteNodesQemuFirewallRulesPos{Vmid: 100, Pos: ptr[int64](6)})
	require.NoError(t, err)
	require.NoError(t, s.Open(ctx, "tap100i0"))
	says(t, flow, "established")
	_, err = l.dial(out, "192.0.2.10:80", 500*time.Millisecond)
	require.Error(t, err, "a new connection is not allowed any more")

	// The daemon ends, rules change meanwhile, and another life begins.
	stop()
	says(t, flow, "alone")
	l.put(GuestKey(100), "[OPTIONS]\nenable: 1\nlog_level_in: info\n\n[RULES]\nIN ACCEPT -p tcp -dport 81\n")
	s, stop = l.daemon()
	require.NoError(t, s.Open(ctx, "tap100i0"))
	says(t, flow, "adopted")
	c, err := l.dial(out, "192.0.2.10:81", 5*time.Second)
	require.NoError(t, err)
	c.Close()
	require.Greater(t, sent(), 100)
	quiet()

	// What the policy dropped is in the log.
	deadline := time.Now().Add(20 * time.Second)
	for {
		rows, err := s.GetNodesQemuFirewallLog(ctx, &schema.GetNodesQemuFirewallLog{Vmid: 100})
		require.NoError(t, err)
		if line := rows.Rows.([]logRow)[0].T; strings.HasPrefix(line, "100 6 tap100i0-IN ") {
			require.Regexp(t, `^100 6 tap100i0-IN \S+ \+\d{4} policy DROP: OUT=vmbr0 PHYSOUT=tap100i0 SRC=192\.0\.2\.99 DST=192\.0\.2\.10 `, line)
			break
		}
		require.True(t, time.Now().Before(deadline), "nothing is logged")
		<-time.After(50 * time.Millisecond)
	}

	// The guest goes; its port is forgotten and its rules go with its record.
	require.NoError(t, s.Forget(ctx, "tap100i0"))
	_, err = l.store.Txn(ctx, append(DropParts(100), cluster.Delete(inventory.Key(100)))...)
	require.NoError(t, err)
	stop()
}
