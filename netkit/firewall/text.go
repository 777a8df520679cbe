package firewall

import (
	"fmt"
	"strings"
)

// String prints the ruleset as input of nft.
func (r *Ruleset) String() string {
	var b strings.Builder
	for _, t := range r.Tables {
		t.print(&b)
	}
	return b.String()
}

func (t *Table) print(b *strings.Builder) {
	fmt.Fprintf(b, "table %s %s {\n", t.Family, t.Name)
	for _, h := range t.Helpers {
		proto := "udp"
		if h.Proto == protoTCP {
			proto = "tcp"
		}
		fmt.Fprintf(b, "\tct helper %s {\n\t\ttype \"%s\" protocol %s\n\t}\n", h.Object(), h.Name, proto)
	}
	for _, s := range t.Sets {
		s.print(b)
	}
	for _, c := range t.Chains {
		c.print(b)
	}
	b.WriteString("}\n")
}

func (s *Set) print(b *strings.Builder) {
	kind := "set"
	if s.Verdicts {
		kind = "map"
	}
	fmt.Fprintf(b, "\t%s %s {\n\t\ttype ", kind, s.Name)
	for i, f := range s.Key {
		if i > 0 {
			b.WriteString(" . ")
		}
		b.WriteString(f.spec().typ)
	}
	if s.Verdicts {
		b.WriteString(" : verdict")
	}
	b.WriteByte('\n')
	switch {
	case s.Meter:
		fmt.Fprintf(b, "\t\tsize %d\n\t\tflags dynamic,timeout\n\t\ttimeout %ds\n", meterSize, s.MeterSeconds)
	case s.Interval:
		b.WriteString("\t\tflags interval\n")
	}
	if len(s.Elements) > 0 {
		b.WriteString("\t\telements = {\n")
		for i, e := range s.Elements {
			b.WriteString("\t\t\t")
			b.WriteString(s.printElement(e))
			if i < len(s.Elements)-1 {
				b.WriteByte(',')
			}
			b.WriteByte('\n')
		}
		b.WriteString("\t\t}\n")
	}
	b.WriteString("\t}\n")
}

func (s *Set) printElement(e Element) string {
	parts := make([]string, len(e.Key))
	for i, k := range e.Key {
		parts[i] = s.Key[i].printSpan(k)
	}
	text := strings.Join(parts, " . ")
	if s.Verdicts {
		text += " : " + e.Verdict.String()
	}
	return text
}

func (c *Chain) print(b *strings.Builder) {
	fmt.Fprintf(b, "\tchain %s {\n", c.Name)
	if c.Hook != "" {
		fmt.Fprintf(b, "\t\ttype filter hook %s priority %d; policy accept;\n", c.Hook, c.Priority)
	}
	for i := range c.Rules {
		fmt.Fprintf(b, "\t\t%s\n", c.Rules[i].String())
	}
	b.WriteString("\t}\n")
}

// String prints a statement as nft reads it.
func (s *Statement) String() string {
	var parts []string
	for _, m := range s.Matches {
		parts = append(parts, m.String())
	}
	if m := s.Meter; m != nil {
		field := "ip saddr"
		if m.Family == 6 {
			field = "ip6 saddr & ffff:ffff:ffff:ffff::"
		}
		parts = append(parts, fmt.Sprintf("update @%s { %s limit rate over %d/%s burst %d packets }", m.Set, field, m.Limit.Rate, m.Limit.Unit, m.Limit.Burst))
	}
	if l := s.Limit; l != nil {
		parts = append(parts, fmt.Sprintf("limit rate %d/%s burst %d packets", l.Rate, l.Unit, l.Burst))
	}
	if s.Log != "" {
		parts = append(parts, fmt.Sprintf(`log prefix "%s" group 0`, s.Log))
	}
	if s.Mark != 0 {
		parts = append(parts, fmt.Sprintf("ct mark set %d", s.Mark))
	}
	if s.Helper != "" {
		parts = append(parts, fmt.Sprintf(`ct helper set "%s"`, s.Helper))
	}
	if s.NoTrack {
		parts = append(parts, "notrack")
	}
	switch {
	case s.Map != nil:
		parts = append(parts, fieldsText(s.Map.Fields)+" vmap @"+s.Map.Set)
	case s.Verdict.Kind != VerdictContinue:
		parts = append(parts, s.Verdict.String())
	}
	return strings.Join(parts, " ")
}

func fieldsText(fields []Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.String()
	}
	return strings.Join(names, " . ")
}

// String prints a condition as nft reads it.
func (m Match) String() string {
	text := fieldsText(m.Fields)
	switch m.Op {
	case OpIs:
		return text + " " + m.Fields[0].printSpan(m.Span)
	case OpIsNot:
		return text + " != " + m.Fields[0].printSpan(m.Span)
	case OpIn:
		return text + " @" + m.Set
	case OpNotIn:
		return text + " != @" + m.Set
	case OpAnyBit:
		return text + " " + m.Fields[0].print(m.Mask)
	}
	return fmt.Sprintf("%s & 0x%x == 0x%x", text, m.Mask[0], m.Span.Lo[0])
}

// String prints a verdict as nft reads it.
func (v Verdict) String() string {
	switch v.Kind {
	case VerdictAccept:
		return "accept"
	case VerdictDrop:
		return "drop"
	case VerdictReturn:
		return "return"
	case VerdictJump:
		return "jump " + v.Chain
	case VerdictGoto:
		return "goto " + v.Chain
	case VerdictQueue:
		if v.Queue[0] == v.Queue[1] {
			return fmt.Sprintf("queue flags bypass to %d", v.Queue[0])
		}
		return fmt.Sprintf("queue flags bypass to %d-%d", v.Queue[0], v.Queue[1])
	case VerdictReject:
		return "reject with " + v.With.String()
	}
	return "continue"
}

func (k RejectKind) String() string {
	switch k {
	case RejectTCPReset:
		return "tcp reset"
	case Reject4Port:
		return "icmp type port-unreachable"
	case Reject4HostProhibited:
		return "icmp type host-prohibited"
	case Reject6Port:
		return "icmpv6 type port-unreachable"
	case Reject6AdminProhibited:
		return "icmpv6 type admin-prohibited"
	}
	return "nothing"
}
