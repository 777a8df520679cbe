package netkit

import "slices"

// PlanState is [Plan] for a whole network: links, then routes, rules and neighbours. What gone mentions is removed; of its
// links only the names count. It is pure, too.
func PlanState(have, want, gone State) (Steps, error) {
	for _, r := range want.Routes {
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	for _, r := range want.Rules {
		if err := r.check(); err != nil {
			return nil, err
		}
	}
	for _, n := range want.Neighbours {
		if err := n.check(); err != nil {
			return nil, err
		}
	}
	var names []string
	for _, l := range gone.Links {
		names = append(names, l.Name)
	}
	links, err := Plan(have.Links, want.Links, names...)
	if err != nil {
		return nil, err
	}
	// Routes go with their link and its addresses; one that is lost that way is planned anew, since making it is idempotent.
	touched := map[string]bool{}
	for _, s := range links {
		switch s.Action {
		case ActDelete, ActDown, ActNoAddr, ActMaster:
			touched[s.Link.Name] = true
		}
	}
	var before, after Steps
	for _, g := range gone.Routes {
		if i := slices.IndexFunc(have.Routes, func(r Route) bool { return r.same(g) }); i >= 0 {
			before = append(before, Step{Action: ActNoRoute, Route: have.Routes[i]})
		}
	}
	for _, w := range want.Routes {
		if !slices.ContainsFunc(have.Routes, func(r Route) bool { return r.same(w) && !touched[r.Link] }) {
			after = append(after, Step{Action: ActRoute, Route: w})
		}
	}
	for _, g := range gone.Rules {
		if slices.Contains(have.Rules, g) {
			before = append(before, Step{Action: ActNoRule, Rule: g})
		}
	}
	for _, w := range want.Rules {
		if !slices.Contains(have.Rules, w) {
			after = append(after, Step{Action: ActRule, Rule: w})
		}
	}
	for _, g := range gone.Neighbours {
		if slices.ContainsFunc(have.Neighbours, g.same) {
			before = append(before, Step{Action: ActNoNeighbour, Neighbour: g})
		}
	}
	for _, w := range want.Neighbours {
		if touched[w.Link] || !slices.ContainsFunc(have.Neighbours, w.same) {
			after = append(after, Step{Action: ActNeighbour, Neighbour: w})
		}
	}
	return slices.Concat(before, links, after), nil
}
