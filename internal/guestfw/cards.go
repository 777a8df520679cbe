package guestfw

import (
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// guest is what the firewall must know of a guest's record.
type guest struct {
	rev     int64
	node    string
	cards   map[int]firewall.NIC // by their number
	pending map[int]firewall.NIC // that are to be, once a running guest has them
}

// readGuest reads a record of the store.
func readGuest(id int, kv cluster.KV) (*guest, error) {
	rec, err := inventory.Decode(kv.Value)
	if err != nil {
		return nil, err
	}
	cfg, _, err := vmconfig.Parse(rec.Config, vmconfig.ParseOptions{VMID: id})
	if err != nil {
		return nil, err
	}
	return &guest{rev: kv.ModRev, node: rec.Node, cards: cardsOf(cfg.Main), pending: cardsOf(cfg.Pending)}, nil
}

// guestRecords remembers what records say, by their revision.
type guestRecords struct {
	mu sync.Mutex // guards m; not held while a record is read
	m  map[int]*guest
}

// read is [readGuest], remembered. What it returns is shared.
func (r *guestRecords) read(id int, kv cluster.KV) (*guest, error) {
	r.mu.Lock()
	g := r.m[id]
	r.mu.Unlock()
	if g != nil && g.rev == kv.ModRev {
		return g, nil
	}
	g, err := readGuest(id, kv)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = map[int]*guest{}
	}
	r.m[id] = g
	return g, nil
}

// keep forgets the records of guests that are gone.
func (r *guestRecords) keep(there func(id int) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.m, func(id int, _ *guest) bool { return !there(id) })
}

func cardsOf(sec vmconfig.Section) map[int]firewall.NIC {
	cards := map[int]firewall.NIC{}
	for key, value := range sec {
		if !vmconfig.IsNet(key) {
			continue
		}
		n, err := vmconfig.ParseNet(value)
		if err != nil {
			continue
		}
		_, index := vmconfig.SplitKey(key)
		mac, err := net.ParseMAC(n.MAC)
		if err != nil {
			mac = nil // what has none is let nothing send
		}
		cards[index] = firewall.NIC{Number: index, MAC: mac, Bridge: n.Bridge, VLAN: n.Tag.Or(0), Firewall: n.Firewall.Or(false)}
	}
	return cards
}

// card is the card behind a port, as far as the record knows it. While a port is opened, the guest is about to have what is
// pending, and either may be meant: it is filtered if one of the two wants it.
func (g *guest) card(number int, opening bool) (firewall.NIC, bool) {
	nic, ok := g.cards[number]
	next, planned := g.pending[number]
	switch {
	case !ok:
		return next, planned
	case planned && opening:
		nic.Firewall = nic.Firewall || next.Firewall
	}
	return nic, true
}

// portName is the host's device of a card.
func portName(id, number int) string { return fmt.Sprintf("tap%di%d", id, number) }

// portOf reads the name of a guest's port.
func portOf(name string) (id, number int, ok bool) {
	rest, ok := strings.CutPrefix(name, "tap")
	a, b, found := strings.Cut(rest, "i")
	if !ok || !found {
		return 0, 0, false
	}
	id, errA := strconv.Atoi(a)
	number, errB := strconv.Atoi(b)
	return id, number, errA == nil && errB == nil && portName(id, number) == name
}

// guestID is the id of a guest's record in the store.
func guestID(key string) (int, bool) {
	name, ok := strings.CutPrefix(key, inventory.Prefix)
	id, err := strconv.Atoi(name)
	return id, ok && err == nil && id > 0 && inventory.Key(id) == key
}
