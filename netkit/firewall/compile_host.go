package firewall

// hostTable builds the table of the node's own traffic, and of what it routes.
func (c *compiler) hostTable() *Table {
	t := c.table("inet", HostTable)
	c.synFlood(t)
	if c.w.hostOn() {
		t.hostChain("input", "in", "HOST-IN")
		t.hostChain("output", "out", "HOST-OUT")
	}
	if !c.w.Host.flag("nf_conntrack_allow_invalid", false) {
		t.base("forward", "forward", priorityFilter).add(drop(), hasState(ctInvalid))
	}
	t.helpers()
	t.finish()
	return t.t
}

// hostChain builds input or output.
func (t *tableBuilder) hostChain(hook, direction, name string) {
	w, in := t.c.w, direction == "in"
	s := sink{out: !in, accept: accept(), drop: drop(), reject: t.rejecting()}
	if !in {
		s.suffix = "-out"
	}
	device := FieldIIF
	if !in {
		device = FieldOIF
	}
	ch := t.base(hook, hook, priorityFilter)
	ch.add(accept(), is(device, ifaceValue("lo")))
	ch.jump(t.conn(s, false))
	if w.Host.flag("ndp", true) {
		ch.jump(t.discovery(s, in))
	}
	if in {
		ch.jump(t.inbound(s))
	}
	ch.add(accept(), isProto(protoIGMP))
	log := logName{0, "PVEFW-" + name}
	entries := t.entries(list{"host", rulesOf(w.Host), t.scope, ""}, direction, s, log)
	entries = append(entries, t.entries(list{"cluster", rulesOf(w.Cluster), t.scope, ""}, direction, s, log)...)
	t.emit(ch, entries, !in)
	t.management(ch, in)
	t.corosync(ch, in)
	policy := Action(w.Cluster.policy("policy_in", "DROP"))
	if !in {
		policy = Action(w.Cluster.policy("policy_out", "ACCEPT"))
	}
	level := w.Host.level("log_level_" + direction)
	t.policy(ch, s, policy, func(text string) string { return prefix(0, level, log.chain, text) })
}

// management opens the ports of the management: inwards for the set of that name, outwards to the local network.
func (t *tableBuilder) management(ch *Chain, in bool) {
	ports := t.oneOf(FieldDstPort, portSpans(managementPorts(in)))
	for _, v := range [...]int{4, 6} {
		var who Match
		if in {
			name := t.addrSet("v"+itoa(v)+"-management", v, t.c.w.managementSet)
			who = Match{Fields: []Field{srcField(v)}, Op: OpIn, Set: name}
		} else {
			local := rangeOf(t.c.w.localNetwork())
			if familyOf(local.from) != v {
				continue
			}
			who = Match{Fields: []Field{dstField(v)}, Span: addrSpan(local)}
		}
		ch.add(accept(), t.family(v), who, isProto(protoTCP), ports)
	}
}

// corosync opens the ports of the cluster's own traffic between the addresses of its links.
func (t *tableBuilder) corosync(ch *Chain, in bool) {
	open := ports(FieldDstPort, corosyncFirst, corosyncLast)
	for _, v := range [...]int{4, 6} {
		var pairs []Element
		seen := map[CorosyncLink]bool{}
		for _, l := range t.c.w.Node.Corosync.Links {
			if !l.Own.IsValid() || !l.Peer.IsValid() || familyOf(l.Own) != v || familyOf(l.Peer) != v || seen[l] {
				continue
			}
			seen[l] = true
			src, dst := l.Peer, l.Own
			if !in {
				src, dst = dst, src
			}
			pairs = append(pairs, Element{Key: []Span{one(addrValue(src)), one(addrValue(dst))}})
		}
		if len(pairs) == 0 {
			continue
		}
		fields := []Field{srcField(v), dstField(v)}
		ch.add(accept(), t.family(v), isProto(protoUDP), open, Match{Fields: fields, Op: OpIn, Set: t.constant(fields, pairs, false)})
	}
	if t.c.w.Node.Corosync.Multicast {
		ch.add(accept(), isProto(protoUDP), open, is(FieldDstType, hostUint32(routeMulticast)))
	}
}

// synFlood drops what sources send of new TCP connections above the rate, before all else.
func (c *compiler) synFlood(t *tableBuilder) {
	h := c.w.Host
	if !h.flag("protection_synflood", false) {
		return
	}
	limit := Limit{max(h.number("protection_synflood_rate", 200), 1), "second", max(h.number("protection_synflood_burst", 1000), 1)}
	ch := t.base("synflood", "prerouting", priorityRaw)
	for _, v := range [...]int{4, 6} {
		set := &Set{Name: "synflood-v" + itoa(v), Key: []Field{srcField(v)}, Meter: true,
			MeterSeconds: max(h.number("nf_conntrack_tcp_timeout_syn_recv", 60), 1)}
		t.addSet(set)
		ch.Rules = append(ch.Rules, Statement{
			Matches: []Match{t.family(v), isProto(protoTCP), flags(FIN|SYN|RST|ACK, SYN)},
			Meter:   &Meter{set.Name, v, limit}, Verdict: drop(),
		})
	}
}
