package vmconfig

import (
	"fmt"
	"strconv"
	"strings"
)

// Opt is an optional value of a property string. The zero Opt is "not given", which is not the same as a given
// false or 0: Proxmox VE writes back what was given.
type Opt[T comparable] struct {
	Value T
	Set   bool
}

// Some returns a given value.
func Some[T comparable](v T) Opt[T] { return Opt[T]{Value: v, Set: true} }

// Or returns the value, or def when none was given.
func (o Opt[T]) Or(def T) T {
	if o.Set {
		return o.Value
	}
	return def
}

func (o *Opt[T]) parse(text string) error {
	if err := parseScalar(text, &o.Value); err != nil {
		return err
	}
	o.Set = true
	return nil
}

func (o *Opt[T]) print() (string, bool) {
	if !o.Set {
		return "", false
	}
	return printScalar(o.Value), true
}

// Number is a decimal number kept as it was written, so that 1.50 stays 1.50. The empty Number is "not given".
type Number string

// Float returns the number's value, 0 when none was given.
func (n Number) Float() float64 {
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil {
		return 0
	}
	return f
}

// Range is an inclusive range of small numbers, such as CPUs of a NUMA node or VLAN tags.
type Range struct{ First, Last int }

// Ranges is a list of ranges, written 0-3;6.
type Ranges []Range

func (r *Ranges) parse(text string) error {
	for part := range strings.SplitSeq(text, ";") {
		first, last, isRange := strings.Cut(part, "-")
		a, err := strconv.Atoi(first)
		if err != nil {
			return fmt.Errorf("range %q: %w", part, err)
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(last); err != nil {
				return fmt.Errorf("range %q: %w", part, err)
			}
		}
		*r = append(*r, Range{First: a, Last: b})
	}
	return nil
}

func (r *Ranges) print() (string, bool) {
	parts := make([]string, 0, len(*r))
	for _, x := range *r {
		if x.First == x.Last {
			parts = append(parts, strconv.Itoa(x.First))
			continue
		}
		parts = append(parts, strconv.Itoa(x.First)+"-"+strconv.Itoa(x.Last))
	}
	return strings.Join(parts, ";"), len(parts) > 0
}

// List is a ';' separated list, the form lists have inside property strings.
type List []string

func (l *List) parse(text string) error {
	*l = List{}
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part != "" {
			*l = append(*l, part)
		}
	}
	return nil
}

func (l *List) print() (string, bool) { return strings.Join(*l, ";"), len(*l) > 0 }

func parseScalar(text string, into any) error {
	switch p := into.(type) {
	case *string:
		*p = text
	case *Number:
		*p = Number(text)
	case *bool:
		*p = text == "1"
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("integer %q out of range", text)
		}
		*p = n
	case *int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("integer %q out of range", text)
		}
		*p = n
	case *Size:
		n, err := ParseSize(text)
		if err != nil {
			return err
		}
		*p = n
	default:
		panic(fmt.Sprintf("vmconfig: no text form for %T", into))
	}
	return nil
}

func printScalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case Number:
		return string(v)
	case bool:
		if v {
			return "1"
		}
		return "0"
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case Size:
		return v.String()
	default:
		panic(fmt.Sprintf("vmconfig: no text form for %T", v))
	}
}
