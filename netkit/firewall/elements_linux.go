package firewall

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

const commentPrefix = "gpve:"

// kernel is the set in the terms of the kernel, without its elements.
func (s *Set) kernel(t *nftables.Table) (*nftables.Set, error) {
	out := &nftables.Set{Table: t, Name: s.Name, Interval: s.Interval, Comment: commentPrefix + s.Kind(), KeyByteOrder: binaryutil.BigEndian}
	if len(s.Key) == 1 {
		out.KeyType = s.Key[0].datatype()
	} else {
		types := make([]nftables.SetDatatype, len(s.Key))
		for i, f := range s.Key {
			types[i] = f.datatype()
		}
		key, err := nftables.ConcatSetType(types...)
		if err != nil {
			return nil, err
		}
		out.KeyType, out.Concatenation = key, true
	}
	if s.Verdicts {
		out.IsMap, out.DataType = true, nftables.TypeVerdict
	}
	if s.Meter {
		out.Dynamic, out.HasTimeout, out.Timeout, out.Size = true, true, time.Duration(s.MeterSeconds)*time.Second, meterSize
	}
	return out, nil
}

// kernelElements are elements in the terms of the kernel. Of a range of one field it holds both ends as elements, the upper
// one excluded; of ranges of several fields, both ends in one.
func (s *Set) kernelElements(elements []Element) []nftables.SetElement {
	out := make([]nftables.SetElement, 0, len(elements)*2)
	for _, e := range elements {
		lo, hi := s.padded(e.Key, false), s.padded(e.Key, true)
		k := nftables.SetElement{Key: lo}
		if s.Verdicts {
			k.VerdictData = e.Verdict.kernel()
		}
		if s.Interval && len(s.Key) > 1 {
			k.KeyEnd = hi
		}
		out = append(out, k)
		if s.Interval && len(s.Key) == 1 {
			if end, ok := next(hi); ok {
				out = append(out, nftables.SetElement{Key: end, IntervalEnd: true})
			}
		}
	}
	return out
}

// padded joins the ends of the ranges of a key; joined fields begin at multiples of four bytes.
func (s *Set) padded(key []Span, upper bool) []byte {
	var out []byte
	for _, k := range key {
		v := k.Lo
		if upper {
			v = k.Hi
		}
		out = append(out, v...)
		for len(key) > 1 && len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out
}

// next adds one; false if that needs another byte.
func next(v []byte) ([]byte, bool) {
	v = slices.Clone(v)
	for i := len(v) - 1; i >= 0; i-- {
		v[i]++
		if v[i] != 0 {
			return v, true
		}
	}
	return nil, false
}

// previous takes one off.
func previous(v []byte) []byte {
	v = slices.Clone(v)
	for i := len(v) - 1; i >= 0; i-- {
		v[i]--
		if v[i] != 0xff {
			break
		}
	}
	return v
}

// elementsOf reads the kernel's elements of a set of the kind of s.
func (s *Set) elementsOf(raw []nftables.SetElement) []Element {
	var out []Element
	if !s.Interval || len(s.Key) > 1 {
		for _, e := range raw {
			hi := e.KeyEnd
			if len(hi) == 0 {
				hi = e.Key
			}
			out = append(out, Element{s.spans(e.Key, hi), s.verdictOf(e)})
		}
	} else {
		out = s.intervals(raw)
	}
	sortElements(out)
	return out
}

// intervals pairs the ends of ranges of one field.
func (s *Set) intervals(raw []nftables.SetElement) []Element {
	slices.SortFunc(raw, func(a, b nftables.SetElement) int {
		if c := strings.Compare(string(a.Key), string(b.Key)); c != 0 {
			return c
		}
		if a.IntervalEnd == b.IntervalEnd {
			return 0
		}
		if a.IntervalEnd { // a range ends before the next begins
			return -1
		}
		return 1
	})
	var out []Element
	for i, e := range raw {
		if e.IntervalEnd {
			continue
		}
		hi := slices.Repeat([]byte{0xff}, len(e.Key))
		if i+1 < len(raw) {
			hi = previous(raw[i+1].Key)
		}
		out = append(out, Element{s.spans(e.Key, hi), s.verdictOf(e)})
	}
	return out
}

// spans cuts a key into its fields.
func (s *Set) spans(lo, hi []byte) []Span {
	var out []Span
	at := 0
	for _, f := range s.Key {
		n := f.spec().bytes
		if at+n > len(lo) || at+n > len(hi) {
			return nil // not a key of this set
		}
		out = append(out, Span{string(lo[at : at+n]), string(hi[at : at+n])})
		at += (n + 3) / 4 * 4
	}
	return out
}

// verdictOf reads the verdict of an element of a map: the attributes code and chain.
func (s *Set) verdictOf(e nftables.SetElement) Verdict {
	if !s.Verdicts {
		return Verdict{}
	}
	var v Verdict
	for b := e.Val; len(b) >= 4; {
		n, typ := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)
		if n < 4 || n > len(b) {
			break
		}
		switch body := b[4:n]; typ {
		case unix.NFTA_VERDICT_CODE:
			if len(body) == 4 {
				v.Kind = kindOf(expr.VerdictKind(int32(binary.BigEndian.Uint32(body))))
			}
		case unix.NFTA_VERDICT_CHAIN:
			v.Chain = ifaceName(string(body))
		}
		b = b[min((n+3)/4*4, len(b)):]
	}
	return v
}

func kindOf(k expr.VerdictKind) VerdictKind {
	switch k {
	case expr.VerdictAccept:
		return VerdictAccept
	case expr.VerdictDrop:
		return VerdictDrop
	case expr.VerdictReturn:
		return VerdictReturn
	case expr.VerdictJump:
		return VerdictJump
	case expr.VerdictGoto:
		return VerdictGoto
	}
	return VerdictContinue
}
