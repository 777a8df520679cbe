package guestfw

import (
	"maps"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/netkit/firewall"
)

// world is what the ruleset is made from, and what led there.
type world struct {
	firewall.World
	ready    bool
	warnings []string
	unknown  []string // ports that are open or opening and no card's
}

// portState is what a port needs of the firewall.
type portState int

const (
	portFree     portState = iota // nothing filters it
	portFiltered                  // rules are for it
	portUnknown                   // the firewall is on, and nothing tells what the port is
)

// worldWith is the world as the view has it. A port that is named is taken for one that is being opened.
func (s *Service) worldWith(opening ...string) (*world, error) {
	kvs, ready := s.view.snapshot()
	w := &world{ready: ready}
	w.Now = s.now()
	s.mu.Lock()
	ports := maps.Clone(s.ports)
	s.mu.Unlock()
	top, err := s.parsed.parse(kvs[clusterKey], clusterPlace(), nil)
	if err != nil {
		return nil, err
	}
	w.Cluster = top.config
	w.note("cluster.fw", top.warnings)
	host, err := s.parsed.parse(kvs[hostKey(s.o.Node)], s.host(), top)
	if err != nil {
		return nil, err
	}
	w.Host = host.config
	w.note("host.fw", host.warnings)
	known := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(kvs)) {
		id, ok := guestID(key)
		if !ok {
			continue
		}
		g, err := s.guests.read(id, kvs[key])
		if err != nil {
			w.warnings = append(w.warnings, key+": "+err.Error())
			continue // its ports are unknown, and closed where the firewall is on
		}
		if g.node != s.o.Node {
			continue
		}
		c := firewall.GuestConfig{ID: id}
		if kv, ok := kvs[GuestKey(id)]; ok {
			f, err := s.parsed.parse(kv, guestPlace(id), top)
			if err != nil {
				return nil, err
			}
			c.Config = f.config
			w.note(GuestKey(id)[len(folder):], f.warnings)
		}
		c.NICs = g.nics(id, ports, opening)
		for _, n := range c.NICs {
			known[portName(id, n.Number)] = true
		}
		w.Guests = append(w.Guests, c)
	}
	for port := range ports {
		if !known[port] {
			w.unknown = append(w.unknown, port)
		}
	}
	for _, port := range opening {
		if !known[port] && !slices.Contains(w.unknown, port) {
			w.unknown = append(w.unknown, port)
		}
	}
	slices.Sort(w.unknown)
	return w, nil
}

// nics are the cards of a guest: those it has, and those that its ports are made for.
func (g *guest) nics(id int, ports map[string]int64, opening []string) []firewall.NIC {
	var out []firewall.NIC
	seen := map[int]bool{}
	for _, cards := range [...]map[int]firewall.NIC{g.cards, g.pending} {
		for number := range cards {
			port := portName(id, number)
			basis, open := ports[port]
			now := slices.Contains(opening, port)
			if _, has := g.cards[number]; seen[number] || !has && !open && !now {
				continue
			}
			seen[number] = true
			nic, _ := g.card(number, now || open && basis == g.rev)
			out = append(out, nic)
		}
	}
	slices.SortFunc(out, func(a, b firewall.NIC) int { return a.Number - b.Number })
	return out
}

// note collects warnings of a file.
func (w *world) note(file string, warnings []firewall.Warning) {
	for _, warning := range warnings {
		w.warnings = append(w.warnings, file+": "+strings.TrimSpace(warning.String()))
	}
}

// on tells whether the cluster's firewall is on.
func (w *world) on() bool { return w.Cluster.Enabled(w.Now) }

// same tells whether o gives the same ruleset. Files are compared by what they were read into, which is one value for each
// revision.
func (w *world) same(o *world) bool {
	return w.Cluster == o.Cluster && w.Host == o.Host && w.on() == o.on() && w.Node.Equal(o.Node) && slices.Equal(w.unknown, o.unknown) &&
		slices.EqualFunc(w.Guests, o.Guests, func(a, b firewall.GuestConfig) bool {
			return a.ID == b.ID && a.Config == b.Config && slices.EqualFunc(a.NICs, b.NICs, firewall.NIC.Equal)
		})
}

// portState tells what a port needs.
func (w *world) portState(port string) portState {
	if !w.on() {
		return portFree
	}
	id, number, _ := portOf(port)
	for i := range w.Guests {
		g := &w.Guests[i]
		if g.ID != id {
			continue
		}
		for _, n := range g.NICs {
			if n.Number != number {
				continue
			}
			if w.Filtered(g, n) {
				return portFiltered
			}
			return portFree
		}
	}
	return portUnknown
}
