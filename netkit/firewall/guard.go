package firewall

import "slices"

// guardTable is the table that drops all frames of ports that are not open yet. It needs nothing of the kernel but the
// bridge family, and comes before everything else.
func guardTable(closed []string) *Table {
	ports := &Set{Name: "closed", Key: []Field{FieldIIF}}
	for _, name := range closed {
		ports.Elements = append(ports.Elements, Element{Key: []Span{one(ifaceValue(name))}})
	}
	sortElements(ports.Elements)
	in := &Chain{Name: "from-closed", Hook: "prerouting", Priority: priorityGuard}
	in.add(drop(), Match{Fields: []Field{FieldIIF}, Op: OpIn, Set: ports.Name})
	out := &Chain{Name: "to-closed", Hook: "postrouting", Priority: priorityGuard}
	out.add(drop(), Match{Fields: []Field{FieldOIF}, Op: OpIn, Set: ports.Name})
	return &Table{Family: "bridge", Name: GuardTable, Sets: []*Set{ports}, Chains: []*Chain{in, out}}
}

const priorityGuard = -400

// closedPorts are the ports that the guard drops, sorted.
func (s *State) closedPorts() []string {
	t, ok := s.Tables[GuardTable]
	if !ok {
		return nil
	}
	var names []string
	for _, e := range t.Sets["closed"].Elements {
		names = append(names, ifaceName(e.Key[0].Lo))
	}
	slices.Sort(names)
	return names
}

// ifaceName reads a padded name.
func ifaceName(v string) string {
	for i := range len(v) {
		if v[i] == 0 {
			return v[:i]
		}
	}
	return v
}

// Needs lists what the ruleset needs of the kernel's bridge family.
func (r *Ruleset) Needs() []Feature {
	t, ok := r.Table(GuestTable)
	if !ok {
		return nil
	}
	found := map[Feature]bool{}
	for _, c := range t.Chains {
		for _, s := range c.Rules {
			if s.Verdict.Kind == VerdictReject {
				found[FeatureReject] = true
			}
			if s.Verdict.Kind == VerdictQueue {
				found[FeatureQueue] = true
			}
			if s.Mark != 0 {
				found[FeatureConntrack] = true
			}
			if s.Log != "" {
				found[FeatureLog] = true
			}
			if s.Map != nil && slices.Contains(s.Map.Fields, FieldIBridge) {
				found[FeatureMeta] = true
			}
			for _, m := range s.Matches {
				if m.Fields[0] == FieldConnState {
					found[FeatureConntrack] = true
				}
			}
		}
	}
	var out []Feature
	for _, f := range [...]Feature{FeatureConntrack, FeatureMeta, FeatureReject, FeatureLog, FeatureQueue} {
		if found[f] {
			out = append(out, f)
		}
	}
	return out
}

// Feature is a part of the kernel that bridges are filtered with.
type Feature string

// The features, by the modules that bring them.
const (
	FeatureConntrack Feature = "connection tracking on bridges (nf_conntrack_bridge, nft_ct)"
	FeatureMeta      Feature = "names of bridges in rules (nft_meta_bridge)"
	FeatureReject    Feature = "rejecting on bridges (nft_reject_bridge)"
	FeatureLog       Feature = "logging from rules (nft_log, nfnetlink_log)"
	FeatureQueue     Feature = "queueing to programs (nft_queue, nfnetlink_queue)"
)
