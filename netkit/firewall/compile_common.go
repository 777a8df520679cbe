package firewall

// The shared chains of a table: what guests and the host have in common, once for each sink.

func accept() Verdict { return Verdict{Kind: VerdictAccept} }
func drop() Verdict   { return Verdict{Kind: VerdictDrop} }

// conn is the chain that settles packets by their connection.
func (t *tableBuilder) conn(s sink, allowInvalid bool) string {
	return t.shared("conn"+s.suffix, func(ch *Chain) {
		if !allowInvalid {
			ch.add(s.drop, hasState(ctInvalid))
		}
		ch.add(s.accept, hasState(ctEstablished|ctRelated))
	})
}

// discovery is the chain that accepts neighbour discovery.
func (t *tableBuilder) discovery(s sink, advertise bool) string {
	name := "ndp" + s.suffix
	types := []Span{one(uint8Value(routerSolicitation)), {uint8Value(neighborSolicitation), uint8Value(neighborAdvertisement)}}
	if advertise {
		name = "ndp-ra" + s.suffix
		types = []Span{{uint8Value(routerSolicitation), uint8Value(neighborAdvertisement)}}
	}
	return t.shared(name, func(ch *Chain) {
		for _, span := range types {
			ch.add(s.accept, t.family(6), isProto(protoICMP6), Match{Fields: []Field{FieldICMP6Type}, Span: span})
		}
	})
}

// inbound is the chain of what packets meet before the rules of a guest or the host.
func (t *tableBuilder) inbound(s sink) string {
	return t.shared("inbound"+s.suffix, func(ch *Chain) {
		w := t.c.w
		log := func(option, chain string) string {
			if !s.logs(Drop) {
				return ""
			}
			return prefix(0, w.Host.level(option), chain, "DROP: ")
		}
		if set, ok := t.scope.Cluster.Set("blacklist"); ok {
			for _, v := range [...]int{4, 6} {
				name := t.refer(&setRef{set, fromCluster, t.scope}, v)
				m := []Match{t.family(v), {Fields: []Field{srcField(v)}, Op: OpIn, Set: name}}
				t.logged(ch, m, log("log_level_out", "PVEFW-blacklist"), s.drop)
			}
		}
		if w.Host.flag("nosmurfs", true) {
			t.smurfs(ch, s, log("smurf_log_level", "PVEFW-smurflog"))
		}
		if w.Host.flag("tcpflags", false) {
			t.tcpFlags(ch, s, log("tcp_flags_log_level", "PVEFW-logflags"))
		}
	})
}

func srcField(family int) Field {
	if family == 6 {
		return FieldSrc6
	}
	return FieldSrc4
}

func dstField(family int) Field {
	if family == 6 {
		return FieldDst6
	}
	return FieldDst4
}

// smurfs drops IPv4 packets of new connections whose source is many hosts. No such source is 0.0.0.0.
func (t *tableBuilder) smurfs(ch *Chain, s sink, log string) {
	many := spansOf(joinRanges(append(t.c.w.broadcasts(), classD())))
	m := []Match{t.family(4), hasState(ctNew | ctInvalid), t.oneOf(FieldSrc4, many)}
	t.logged(ch, m, log, s.drop)
}

func spansOf(ranges []addrRange) []Span {
	spans := make([]Span, len(ranges))
	for i, r := range ranges {
		spans[i] = addrSpan(r)
	}
	return spans
}

// tcpFlags drops TCP packets with flags that no stack sends.
func (t *tableBuilder) tcpFlags(ch *Chain, s sink, log string) {
	const six = FIN | SYN | RST | PSH | ACK | URG
	for _, m := range [...][]Match{
		{flags(six, FIN|PSH|URG)},
		{flags(six, 0)},
		{flags(SYN|RST, SYN|RST)},
		{flags(FIN|SYN, FIN|SYN)},
		{ports(FieldSrcPort, 0, 0), flags(FIN|SYN|RST|ACK, SYN)},
	} {
		t.logged(ch, append([]Match{isProto(protoTCP)}, m...), log, s.drop)
	}
}

// rejecting is the chain that answers, or drops where an answer would do harm.
func (t *tableBuilder) rejecting() string {
	return t.shared("do-reject", func(ch *Chain) {
		ch.add(drop(), t.toBroadcast()...)
		ch.add(drop(), t.family(4), Match{Fields: []Field{FieldSrc4}, Span: addrSpan(classD())})
		ch.add(drop(), t.family(4), isProto(protoICMP))
		ch.add(drop(), t.family(6), isProto(protoICMP6))
		ch.add(Verdict{Kind: VerdictReject, With: RejectTCPReset}, isProto(protoTCP))
		ch.add(Verdict{Kind: VerdictReject, With: Reject4Port}, t.family(4), isProto(protoUDP))
		ch.add(Verdict{Kind: VerdictReject, With: Reject4HostProhibited}, t.family(4))
		ch.add(Verdict{Kind: VerdictReject, With: Reject6Port}, t.family(6), isProto(protoUDP))
		ch.add(Verdict{Kind: VerdictReject, With: Reject6AdminProhibited}, t.family(6))
		ch.add(drop())
	})
}

// toBroadcast matches IPv4 packets to all hosts of a network. Only the inet family can ask the routing tables.
func (t *tableBuilder) toBroadcast() []Match {
	if t.t.Family == "inet" {
		return []Match{t.family(4), is(FieldDstType, hostUint32(routeBroadcast))}
	}
	return []Match{t.family(4), t.oneOf(FieldDst4, spansOf(joinRanges(t.c.w.broadcasts())))}
}

// policy ends a chain: what is only noise is settled in silence, the rest by the policy, which is logged.
func (t *tableBuilder) policy(ch *Chain, s sink, policy Action, log func(text string) string) {
	if policy == Accept {
		ch.add(s.accept)
		return
	}
	ch.jump(t.noise(s, policy))
	text := ""
	if s.logs(policy) {
		text = log("policy " + string(policy) + ": ")
	}
	t.logged(ch, nil, text, s.verdict(policy))
}

// noise is the chain of what the policies DROP and REJECT settle in silence.
func (t *tableBuilder) noise(s sink, policy Action) string {
	return t.shared("noise-"+lower(string(policy))+s.suffix, func(ch *Chain) {
		ch.add(s.verdict(Reject), t.family(6), isProto(protoTCP), ports(FieldDstPort, 43, 43))
		t.toMany(ch, s)
		ch.add(s.accept, t.family(4), isProto(protoICMP), is(FieldICMPType, uint8Value(3)), is(FieldICMPCode, uint8Value(4)))
		ch.add(s.accept, t.family(4), isProto(protoICMP), is(FieldICMPType, uint8Value(11)))
		ch.add(s.accept, t.family(6), isProto(protoICMP6), Match{Fields: []Field{FieldICMP6Type}, Span: Span{uint8Value(1), uint8Value(3)}})
		ch.add(s.drop, hasState(ctInvalid))
		v := s.verdict(policy)
		udp, tcp := portSpans([]portRange{{135, 135}, {137, 139}, {445, 445}}), portSpans([]portRange{{135, 135}, {139, 139}, {445, 445}})
		ch.add(v, isProto(protoUDP), t.oneOf(FieldDstPort, udp))
		ch.add(v, isProto(protoUDP), ports(FieldSrcPort, 137, 137), ports(FieldDstPort, 1024, 65535))
		ch.add(v, isProto(protoTCP), t.oneOf(FieldDstPort, tcp))
		ch.add(s.drop, isProto(protoUDP), ports(FieldDstPort, 1900, 1900))
		t.noSYN(ch, s)
		ch.add(s.drop, isProto(protoUDP), ports(FieldSrcPort, 53, 53))
	})
}

// noSYN drops TCP packets that open no connection.
func (t *tableBuilder) noSYN(ch *Chain, s sink) {
	inner := t.shared("no-syn"+s.suffix, func(ch *Chain) {
		ch.add(Verdict{Kind: VerdictReturn}, flags(FIN|SYN|RST|ACK, SYN))
		ch.add(s.drop)
	})
	ch.jump(inner, isProto(protoTCP))
}

// toMany drops packets to more than one host.
func (t *tableBuilder) toMany(ch *Chain, s sink) {
	if t.t.Family == "inet" {
		for _, typ := range [...]uint32{routeBroadcast, routeMulticast, routeAnycast} {
			ch.add(s.drop, is(FieldDstType, hostUint32(typ)))
		}
	}
	many := spansOf(joinRanges(append(t.c.w.broadcasts(), classD())))
	ch.add(s.drop, t.family(4), t.oneOf(FieldDst4, many))
	ch.add(s.drop, t.family(6), Match{Fields: []Field{FieldDst6}, Span: addrSpan(multicast6())})
}
