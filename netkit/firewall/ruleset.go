package firewall

import "slices"

// Names of the tables. Nothing else in the kernel is touched.
const (
	HostTable  = "gpve-host"   // family inet
	GuestTable = "gpve-guests" // family bridge
	GuardTable = "gpve-guard"  // family bridge: ports that are closed until their rules are in
)

// Ruleset is what the kernel is to hold: a value that depends on nothing but the [World] it was compiled from.
type Ruleset struct {
	Tables   []*Table // in a fixed order; a table that is not here is to be gone
	Ports    []Port   // of all NICs of guests, sorted by name
	Warnings []string // rules that were left out, and why
}

// Port is the host's device of a guest's NIC.
type Port struct {
	Name     string
	Filtered bool // the guest's firewall is on for it
}

// Table is a table of nftables.
type Table struct {
	Family  string // inet or bridge
	Name    string
	Helpers []Helper
	Sets    []*Set   // sorted by name
	Chains  []*Chain // sorted by name
}

// Helper is a conntrack helper that the table may assign.
type Helper struct {
	Name  string // of the kernel's helper
	Proto int    // 6 or 17
}

// Object is the name of the helper's object in its table.
func (h Helper) Object() string {
	if h.Proto == protoTCP {
		return h.Name + "-tcp"
	}
	return h.Name + "-udp"
}

// Set is a set, or a verdict map.
type Set struct {
	Name     string
	Key      []Field // more than one: a concatenation
	Interval bool    // elements may be ranges
	Verdicts bool    // a map to verdicts
	Meter    bool    // filled by the kernel with sources of packets; elements live MeterSeconds
	Elements []Element

	MeterSeconds int
}

// Element is an element of a set. Elements of one set never overlap.
type Element struct {
	Key     []Span
	Verdict Verdict // of maps
}

// Chain is a list of statements; with a hook, one that packets enter by.
type Chain struct {
	Name     string
	Hook     string // prerouting, input, forward, output, postrouting, or empty
	Priority int
	Rules    []Statement
}

// VerdictKind is what a verdict does.
type VerdictKind int

// The kinds. Accept ends the base chain only; others of the hook still see the packet.
const (
	VerdictContinue VerdictKind = iota
	VerdictAccept
	VerdictDrop
	VerdictReturn
	VerdictJump
	VerdictGoto
	VerdictReject
	VerdictQueue
)

// Verdict ends a statement.
type Verdict struct {
	Kind  VerdictKind
	Chain string     // of jump and goto
	With  RejectKind // of reject
	Queue [2]int     // of queue: first and last; what nobody listens to passes
}

// RejectKind is the answer of a reject.
type RejectKind int

// The answers.
const (
	RejectTCPReset RejectKind = iota + 1
	Reject4Port
	Reject4HostProhibited
	Reject6Port
	Reject6AdminProhibited
)

// MatchOp is how a match compares.
type MatchOp int

// The comparisons.
const (
	OpIs        MatchOp = iota // the field lies in the span
	OpIsNot                    // the field lies outside of the span
	OpIn                       // the fields are in the set
	OpNotIn                    // the fields are not in the set
	OpAnyBit                   // the field has one of the bits of Mask
	OpMaskEqual                // the bits of Mask are those of Span.Lo
)

// Match is a condition.
type Match struct {
	Fields []Field
	Op     MatchOp
	Span   Span
	Mask   string
	Set    string
}

// Statement is a rule: if all matches hold, its effects happen in the order of the fields, then its verdict. A packet that
// lacks a field matches nothing.
type Statement struct {
	Matches []Match
	Meter   *Meter
	Limit   *Limit // bounds how often the rest happens
	Log     string // prefix of the log line, if any
	Mark    int    // connection mark, if not 0
	Helper  string // object that is assigned, if any
	NoTrack bool   // a packet without a connection is to have none
	Map     *Lookup
	Verdict Verdict
}

// Lookup finds the verdict in a map; a miss goes on.
type Lookup struct {
	Fields []Field
	Set    string
}

// Limit is a rate.
type Limit struct {
	Rate  int
	Unit  string // second, minute, hour, day
	Burst int
}

// Meter matches sources that send more than the limit. IPv6 sources count by their /64.
type Meter struct {
	Set    string
	Family int
	Limit  Limit
}

// Table finds a table.
func (r *Ruleset) Table(name string) (*Table, bool) {
	i := slices.IndexFunc(r.Tables, func(t *Table) bool { return t.Name == name })
	if i < 0 {
		return nil, false
	}
	return r.Tables[i], true
}

// Chain finds a chain.
func (t *Table) Chain(name string) (*Chain, bool) {
	i := slices.IndexFunc(t.Chains, func(c *Chain) bool { return c.Name == name })
	if i < 0 {
		return nil, false
	}
	return t.Chains[i], true
}

// Set finds a set.
func (t *Table) Set(name string) (*Set, bool) {
	i := slices.IndexFunc(t.Sets, func(s *Set) bool { return s.Name == name })
	if i < 0 {
		return nil, false
	}
	return t.Sets[i], true
}
