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
	t     testing.TB
	name  string // of the node
	node  *netkit.NS
	store cluster.Store
	log   string
}

func newLab(t *testing.T) *lab {
	need.Root(t)
	store := memstore.New()
	t.Cleanup(func() { store.Close() })
	return newNode(t, node, store)
}

func newNode(t *testing.T, name string, store cluster.Store) *lab {
	l := &lab{t: t, name: name, store: store, log: filepath.Join(t.TempDir(), "fw.log")}
	l.node = l.namespace()
	need.That(t, "nf_conntrack_bridge", l.filters(), "connection tracking, names and rejecting on bridges")
	l.in(l.node, func(h *netlink.Handle) {
		br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "vmbr0"}}
		require.NoError(t, h.LinkAdd(br))
		require.NoError(t, h.LinkSetUp(br))
	})
	l.put("/pve/nodes/"+name+"/host.fw", "[OPTIONS]\nenable: 0\n")
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
	l.attach(port, ns, "eth0", mac)
	l.address(ns, "eth0", cidr)
	return ns
}

// attach connects device of a namespace with a port of the bridge.
func (l *lab) attach(port string, ns *netkit.NS, device, mac string) {
	f, err := os.Open(ns.Path())
	require.NoError(l.t, err)
	defer f.Close()
	hw, err := net.ParseMAC(mac)
	require.NoError(l.t, err)
	l.in(l.node, func(h *netlink.Handle) {
		require.NoError(l.t, h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: port}, PeerName: device, PeerHardwareAddr: hw, PeerNamespace: netlink.NsFd(f.Fd())}))
		l.enslave(h, port)
	})
}

// enslave makes a device a port of the bridge.
func (l *lab) enslave(h *netlink.Handle, port string) netlink.Link {
	v, err := h.LinkByName(port)
	require.NoError(l.t, err)
	br, err := h.LinkByName("vmbr0")
	require.NoError(l.t, err)
	require.NoError(l.t, h.LinkSetMaster(v, br))
	return v
}

// address gives a device an address and brings it up.
func (l *lab) address(ns *netkit.NS, device, cidr string) {
	l.in(ns, func(h *netlink.Handle) {
		eth, err := h.LinkByName(device)
		require.NoError(l.t, err)
		a, err := netlink.ParseAddr(cidr)
		require.NoError(l.t, err)
		require.NoError(l.t, h.AddrAdd(eth, a))
		require.NoError(l.t, h.LinkSetUp(eth))
	})
}

func (l *lab) up(port string) {
	l.in(l.node, func(h *netlink.Handle) {
		v, err := h.LinkByName(port)
		require.NoError(l.t, err)
		require.NoError(l.t, h.LinkSetUp(v))
	})
}

// cable connects the bridges of two nodes.
func (l *lab) cable(other *lab) {
	l.attach("eth8", other.node, "eth8", "02:00:00:00:00:88")
	l.up("eth8")
	l.in(other.node, func(h *netlink.Handle) {
		require.NoError(l.t, h.LinkSetUp(l.enslave(h, "eth8")))
	})
}

// remove deletes a port, and with it the device at its other end.
func (l *lab) remove(port string) {
	l.in(l.node, func(h *netlink.Handle) {
		v, err := h.LinkByName(port)
		require.NoError(l.t, err)
		require.NoError(l.t, h.LinkDel(v))
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
		Node: l.name, Store: l.store, Kernel: c, LogFile: l.log,
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

// TestThreat49_FirewalledGuest probes a guest's closed port every millisecond from before the guest is there, through its start,
// changes of its rules, a restart of the daemon and a move to another node, while connections that are allowed go on.
func TestThreat49_FirewalledGuest(t *testing.T) {
	l := newLab(t)
	ctx := t.Context()
	out := l.machine("eth9", "02:00:00:00:00:99", "192.0.2.99/24")
	l.up("eth9")
	l.put(clusterKey, onText)
	l.put(inventory.Key(100), string(inventory.Encode(node, "net0: virtio=02:00:00:00:00:10,bridge=vmbr0,firewall=1\n")))
	l.put(GuestKey(100), "[OPTIONS]\nenable: 1\nlog_level_in: info\n\n[RULES]\nIN ACCEPT -p tcp -dport 80\n")
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
	defer c.Close()
	says(t, c, "before the move")

	// It moves as a migration does: its port on the other node is there, up, and closed, as long as the guest is not that node's.
	target := newNode(t, "beta", l.store)
	l.cable(target)
	there, stopThere := target.daemon()
	require.NoError(t, there.Close(ctx, "tap100i0"))
	target.attach("tap100i0", guest, "eth1", "02:00:00:00:00:10")
	target.up("tap100i0")
	require.ErrorContains(t, there.Open(ctx, "tap100i0"), "stays closed")
	says(t, c, "not yet moved")
	l.remove("tap100i0") // takes the device away from the guest; the other one comes to life
	l.address(guest, "eth1", "192.0.2.10/24")
	_, err = l.dial(out, "192.0.2.10:81", 500*time.Millisecond)
	require.Error(t, err, "the other node does not know the guest's rules yet")
	l.put(inventory.Key(100), string(inventory.Encode("beta", "net0: virtio=02:00:00:00:00:10,bridge=vmbr0,firewall=1\n")))
	require.NoError(t, there.Open(ctx, "tap100i0"))
	require.NoError(t, s.Forget(ctx, "tap100i0"))
	says(t, c, "moved") // its rule lets it pass, also where the connection was not seen to begin
	fresh, err := l.dial(out, "192.0.2.10:81", 5*time.Second)
	require.NoError(t, err)
	fresh.Close()
	_, err = l.dial(out, "192.0.2.10:80", 500*time.Millisecond)
	require.Error(t, err, "what is forbidden here is so there")
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
	require.NoError(t, there.Forget(ctx, "tap100i0"))
	_, err = l.store.Txn(ctx, append(DropParts(100), cluster.Delete(inventory.Key(100)))...)
	require.NoError(t, err)
	stopThere()
	stop()
}
