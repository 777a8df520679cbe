package firewall

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// firstRegister is the first of the kernel's registers of four bytes. Values follow each other, each from a new register on.
const firstRegister = unix.NFT_REG32_00

// registers is the number of registers that a value takes.
func registers(f Field) uint32 { return uint32(f.spec().bytes+3) / 4 }

// load is the expression that puts a field into a register.
func load(f Field, register uint32) (expr.Any, error) {
	payload := func(base expr.PayloadBase, offset uint32) expr.Any {
		return &expr.Payload{DestRegister: register, Base: base, Offset: offset, Len: uint32(f.spec().bytes)}
	}
	meta := func(key expr.MetaKey) expr.Any { return &expr.Meta{Key: key, Register: register} }
	switch f {
	case FieldIIF:
		return meta(expr.MetaKeyIIFNAME), nil
	case FieldOIF:
		return meta(expr.MetaKeyOIFNAME), nil
	case FieldIBridge:
		return meta(expr.MetaKeyBRIIIFNAME), nil
	case FieldNFProto:
		return meta(expr.MetaKeyNFPROTO), nil
	case FieldEtherType:
		return meta(expr.MetaKeyPROTOCOL), nil
	case FieldL4Proto:
		return meta(expr.MetaKeyL4PROTO), nil
	case FieldDstMAC:
		return payload(expr.PayloadBaseLLHeader, 0), nil
	case FieldSrcMAC:
		return payload(expr.PayloadBaseLLHeader, 6), nil
	case FieldARPSender:
		return payload(expr.PayloadBaseNetworkHeader, 14), nil
	case FieldSrc4:
		return payload(expr.PayloadBaseNetworkHeader, 12), nil
	case FieldDst4:
		return payload(expr.PayloadBaseNetworkHeader, 16), nil
	case FieldSrc6:
		return payload(expr.PayloadBaseNetworkHeader, 8), nil
	case FieldDst6:
		return payload(expr.PayloadBaseNetworkHeader, 24), nil
	case FieldSrcPort, FieldICMPType, FieldICMP6Type:
		return payload(expr.PayloadBaseTransportHeader, 0), nil
	case FieldICMPCode, FieldICMP6Code:
		return payload(expr.PayloadBaseTransportHeader, 1), nil
	case FieldDstPort:
		return payload(expr.PayloadBaseTransportHeader, 2), nil
	case FieldTCPFlags:
		return payload(expr.PayloadBaseTransportHeader, 13), nil
	case FieldConnState:
		return &expr.Ct{Key: expr.CtKeySTATE, Register: register}, nil
	case FieldDstType:
		return &expr.Fib{Register: register, ResultADDRTYPE: true, FlagDADDR: true}, nil
	}
	return nil, fmt.Errorf("no expression for %v", f)
}

// loadAll puts fields into registers one after the other.
func loadAll(fields []Field) ([]expr.Any, error) {
	var out []expr.Any
	register := uint32(firstRegister)
	for _, f := range fields {
		e, err := load(f, register)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		register += registers(f)
	}
	return out, nil
}

func (m Match) exprs() ([]expr.Any, error) {
	out, err := loadAll(m.Fields)
	if err != nil {
		return nil, err
	}
	const r = firstRegister
	lo, hi := []byte(m.Span.Lo), []byte(m.Span.Hi)
	switch {
	case m.Op == OpIn || m.Op == OpNotIn:
		return append(out, &expr.Lookup{SourceRegister: r, SetName: m.Set, Invert: m.Op == OpNotIn}), nil
	case m.Op == OpAnyBit:
		n := uint32(len(m.Mask))
		return append(out, &expr.Bitwise{SourceRegister: r, DestRegister: r, Len: n, Mask: []byte(m.Mask), Xor: make([]byte, n)},
			&expr.Cmp{Op: expr.CmpOpNeq, Register: r, Data: make([]byte, n)}), nil
	case m.Op == OpMaskEqual:
		n := uint32(len(m.Mask))
		return append(out, &expr.Bitwise{SourceRegister: r, DestRegister: r, Len: n, Mask: []byte(m.Mask), Xor: make([]byte, n)},
			&expr.Cmp{Op: expr.CmpOpEq, Register: r, Data: lo}), nil
	case m.Span.Single() && m.Op == OpIs:
		return append(out, &expr.Cmp{Op: expr.CmpOpEq, Register: r, Data: lo}), nil
	case m.Span.Single():
		return append(out, &expr.Cmp{Op: expr.CmpOpNeq, Register: r, Data: lo}), nil
	case m.Op == OpIs:
		return append(out, &expr.Range{Op: expr.CmpOpEq, Register: r, FromData: lo, ToData: hi}), nil
	}
	return append(out, &expr.Range{Op: expr.CmpOpNeq, Register: r, FromData: lo, ToData: hi}), nil
}

// exprs is the statement in the kernel's terms.
func (s *Statement) exprs() ([]expr.Any, error) {
	var out []expr.Any
	for _, m := range s.Matches {
		e, err := m.exprs()
		if err != nil {
			return nil, err
		}
		out = append(out, e...)
	}
	if s.Meter != nil {
		e, err := s.Meter.exprs()
		if err != nil {
			return nil, err
		}
		out = append(out, e...)
	}
	if s.Limit != nil {
		out = append(out, s.Limit.expr(false))
	}
	if s.Log != "" {
		out = append(out, &expr.Log{Key: 1<<unix.NFTA_LOG_PREFIX | 1<<unix.NFTA_LOG_GROUP, Data: []byte(s.Log)})
	}
	if s.Mark != 0 {
		out = append(out, &expr.Immediate{Register: firstRegister, Data: binaryutil.NativeEndian.PutUint32(uint32(s.Mark))},
			&expr.Ct{Key: expr.CtKeyMARK, Register: firstRegister, SourceRegister: true})
	}
	if s.Helper != "" {
		out = append(out, &expr.Objref{Type: unix.NFT_OBJECT_CT_HELPER, Name: s.Helper})
	}
	if s.NoTrack {
		out = append(out, &expr.Notrack{})
	}
	if s.Map != nil {
		e, err := loadAll(s.Map.Fields)
		if err != nil {
			return nil, err
		}
		out = append(out, e...)
		return append(out, &expr.Lookup{SourceRegister: firstRegister, SetName: s.Map.Set, DestRegister: 0, IsDestRegSet: true}), nil
	}
	return s.Verdict.append(out), nil
}

func (m *Meter) exprs() ([]expr.Any, error) {
	out, err := loadAll([]Field{srcField(m.Family)})
	if err != nil {
		return nil, err
	}
	if m.Family == 6 {
		mask := make([]byte, 16)
		for i := range 8 {
			mask[i] = 0xff
		}
		out = append(out, &expr.Bitwise{SourceRegister: firstRegister, DestRegister: firstRegister, Len: 16, Mask: mask, Xor: make([]byte, 16)})
	}
	return append(out, &expr.Dynset{SrcRegKey: firstRegister, SetName: m.Set, Operation: unix.NFT_DYNSET_OP_UPDATE,
		Exprs: []expr.Any{m.Limit.expr(true)}}), nil
}

func (l Limit) expr(over bool) expr.Any {
	units := map[string]expr.LimitTime{"second": expr.LimitTimeSecond, "minute": expr.LimitTimeMinute, "hour": expr.LimitTimeHour, "day": expr.LimitTimeDay}
	return &expr.Limit{Type: expr.LimitTypePkts, Rate: uint64(l.Rate), Unit: units[l.Unit], Burst: uint32(l.Burst), Over: over}
}

func (v Verdict) append(out []expr.Any) []expr.Any {
	switch v.Kind {
	case VerdictContinue:
		return out
	case VerdictReject:
		return append(out, v.With.expr())
	case VerdictQueue:
		return append(out, &expr.Queue{Num: uint16(v.Queue[0]), Total: uint16(v.Queue[1] - v.Queue[0] + 1), Flag: expr.QueueFlagBypass})
	}
	return append(out, v.kernel())
}

// kernel is a verdict that may be an element of a map.
func (v Verdict) kernel() *expr.Verdict {
	kinds := map[VerdictKind]expr.VerdictKind{VerdictAccept: expr.VerdictAccept, VerdictDrop: expr.VerdictDrop,
		VerdictReturn: expr.VerdictReturn, VerdictJump: expr.VerdictJump, VerdictGoto: expr.VerdictGoto}
	return &expr.Verdict{Kind: kinds[v.Kind], Chain: v.Chain}
}

func (k RejectKind) expr() expr.Any {
	const unreachable, reset = unix.NFT_REJECT_ICMP_UNREACH, unix.NFT_REJECT_TCP_RST
	switch k {
	case RejectTCPReset:
		return &expr.Reject{Type: reset}
	case Reject4Port:
		return &expr.Reject{Type: unreachable, Code: 3}
	case Reject4HostProhibited:
		return &expr.Reject{Type: unreachable, Code: 10}
	case Reject6Port:
		return &expr.Reject{Type: unreachable, Code: 4}
	}
	return &expr.Reject{Type: unreachable, Code: 1}
}

// datatype is the type of a field's values in the notes of nft.
func (f Field) datatype() nftables.SetDatatype {
	switch f {
	case FieldIIF, FieldOIF, FieldIBridge:
		return nftables.TypeIFName
	case FieldNFProto:
		return nftables.TypeNFProto
	case FieldEtherType:
		return nftables.TypeEtherType
	case FieldSrcMAC, FieldDstMAC:
		return nftables.TypeEtherAddr
	case FieldARPSender, FieldSrc4, FieldDst4:
		return nftables.TypeIPAddr
	case FieldSrc6, FieldDst6:
		return nftables.TypeIP6Addr
	case FieldL4Proto:
		return nftables.TypeInetProto
	case FieldSrcPort, FieldDstPort:
		return nftables.TypeInetService
	case FieldICMPType:
		return nftables.TypeICMPType
	case FieldICMPCode:
		return nftables.TypeICMPCode
	case FieldICMP6Type:
		return nftables.TypeICMP6Type
	case FieldICMP6Code:
		return nftables.TypeICMPV6Code
	case FieldTCPFlags:
		return nftables.TypeTCPFlag
	case FieldConnState:
		return nftables.TypeCTState
	}
	return nftables.TypeFIBAddr
}
