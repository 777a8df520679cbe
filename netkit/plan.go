package netkit

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Action is what one step of a plan does.
type Action string

const (
	ActCreate Action = "create"
	ActDelete Action = "delete"
	ActMTU    Action = "mtu"
	ActMAC    Action = "mac"
	ActMaster Action = "master"
	ActAddr   Action = "address"
	ActUp     Action = "up"
	ActDown   Action = "down"
)

// Step is one change of one link; Link holds the wanted values that the action needs.
type Step struct {
	Action Action
	Link   Link
	Addr   int // index into Link.Addrs, for ActAddr
}

func (s Step) String() string {
	l := s.Link
	switch s.Action {
	case ActCreate:
		return fmt.Sprintf("create %s %s", l.Kind, l.Name)
	case ActMTU:
		return fmt.Sprintf("%s mtu %d", l.Name, l.MTU)
	case ActMAC:
		return fmt.Sprintf("%s mac %s", l.Name, l.MAC)
	case ActMaster:
		if l.Master == "" {
			return l.Name + " nomaster"
		}
		return l.Name + " master " + l.Master
	case ActAddr:
		return l.Name + " address " + l.Addrs[s.Addr].String()
	default:
		return l.Name + " " + string(s.Action)
	}
}

// Steps is a plan, in the order in which it is applied.
type Steps []Step

func (s Steps) String() string {
	lines := make([]string, len(s))
	for i, step := range s {
		lines[i] = step.String()
	}
	return strings.Join(lines, "\n")
}

// Plan compares the links that are there with the wanted ones and the names that shall be gone, and returns the steps
// between. It is pure. Links that are mentioned nowhere are left alone; a tap with other fixed properties is made anew.
//
// Errors: [ErrBadLink] for an impossible wish, [ErrExists] when the name belongs to a link of another kind, [ErrNotFound]
// when a master is neither there nor wanted.
func Plan(have, want []Link, gone ...string) (Steps, error) {
	known := make(map[string]Link, len(have))
	for _, l := range have {
		known[l.Name] = l
	}
	var steps Steps
	for _, name := range gone {
		if l, ok := known[name]; ok {
			steps = append(steps, Step{Action: ActDelete, Link: l})
			delete(known, name)
		}
	}
	// Bridges first, so that their ports find them.
	want = slices.Clone(want)
	slices.SortStableFunc(want, func(a, b Link) int { return rank(a) - rank(b) })
	for _, w := range want {
		if err := w.check(); err != nil {
			return nil, err
		}
		if w.Master != "" {
			if m, ok := known[w.Master]; !ok {
				return nil, &OpError{Op: "plan", Link: w.Name, Err: fmt.Errorf("master %s: %w", w.Master, ErrNotFound)}
			} else if m.Kind != KindBridge {
				return nil, &OpError{Op: "plan", Link: w.Name, Err: fmt.Errorf("master %s: %w: is a %s, not a bridge", w.Master, ErrBadLink, m.Kind)}
			}
		}
		h, ok := known[w.Name]
		if ok && h.Kind != w.Kind {
			return nil, &OpError{Op: "plan", Link: w.Name, Err: fmt.Errorf("%w: %s", ErrExists, h.Kind)}
		}
		if ok && w.Kind == KindTap && h.Tap != w.Tap {
			steps = append(steps, Step{Action: ActDelete, Link: h})
			ok = false
		}
		if !ok {
			h = Link{Name: w.Name, Kind: w.Kind}
			steps = append(steps, Step{Action: ActCreate, Link: w})
		}
		steps = append(steps, adjust(h, w)...)
		known[w.Name] = w
	}
	return steps, nil
}

func rank(l Link) int {
	if l.Kind == KindBridge {
		return 0
	}
	return 1
}

// adjust brings the changeable properties of h to w's. The master comes before the MTU, since a bridge lowers its own to
// that of a new port, and up comes last, so that a port never forwards half-configured.
func adjust(h, w Link) Steps {
	var steps Steps
	if h.Up && !w.Up {
		steps = append(steps, Step{Action: ActDown, Link: w})
	}
	if w.MAC != nil && !bytes.Equal(h.MAC, w.MAC) {
		steps = append(steps, Step{Action: ActMAC, Link: w})
	}
	if h.Master != w.Master {
		steps = append(steps, Step{Action: ActMaster, Link: w})
	}
	if w.MTU != 0 && h.MTU != w.MTU {
		steps = append(steps, Step{Action: ActMTU, Link: w})
	}
	for i, a := range w.Addrs {
		if !slices.Contains(h.Addrs, a) {
			steps = append(steps, Step{Action: ActAddr, Link: w, Addr: i})
		}
	}
	if !h.Up && w.Up {
		steps = append(steps, Step{Action: ActUp, Link: w})
	}
	return steps
}
