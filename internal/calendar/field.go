package calendar

import (
	"fmt"
	"strconv"
	"strings"
)

// span is an arithmetic row of numbers, from and to included.
type span struct{ from, to, step int }

func (s span) has(n int) bool { return s.from <= n && n <= s.to && (n-s.from)%s.step == 0 }

// field is the set of values that one part of an event may have. The empty field has them all.
type field []span

func (f field) has(n int) bool {
	for _, s := range f {
		if s.has(n) {
			return true
		}
	}
	return len(f) == 0
}

// next returns the smallest value from n to limit (not included).
func (f field) next(n, limit int) (int, bool) {
	for ; n < limit; n++ {
		if f.has(n) {
			return n, true
		}
	}
	return 0, false
}

// unit says which numbers a part of an event may hold: first, and below limit.
type unit struct {
	name         string
	first, limit int
}

// units of an event, from the largest to the smallest.
func unitYear() unit   { return unit{"year", 0, maxYear + 1} }
func unitMonth() unit  { return unit{"month", 1, 13} }
func unitDay() unit    { return unit{"day", 1, 32} }
func unitHour() unit   { return unit{"hour", 0, 24} }
func unitMinute() unit { return unit{"minute", 0, 60} }
func unitSecond() unit { return unit{"second", 0, 60} }

// maxItems bounds the list of one field; more cannot say anything new.
const maxItems = 256

// parse reads a field: "*", "*/STEP", or a list of items.
func (u unit) parse(text string) (field, error) {
	if text == "*" {
		return nil, nil
	}
	items := strings.Split(text, ",")
	if len(items) > maxItems {
		return nil, fmt.Errorf("more than %d values for the %s", maxItems, u.name)
	}
	var f field
	for _, item := range items {
		s, err := u.item(item)
		if err != nil {
			return nil, err
		}
		f = append(f, s)
	}
	return f, nil
}

// item reads A, A..B, A/STEP, A..B/STEP or */STEP.
func (u unit) item(text string) (span, error) {
	values, step, repeated := strings.Cut(text, "/")
	from, to, ranged := strings.Cut(values, "..")
	s := span{from: u.first, to: u.limit - 1, step: 1}
	var err error
	if values != "*" {
		if s.from, err = u.number("value", from); err != nil {
			return span{}, err
		}
		if ranged {
			if s.to, err = u.number("range end", to); err != nil {
				return span{}, err
			}
			if s.to < s.from {
				return span{}, fmt.Errorf("range start '%s' greater than its end '%s'", from, to)
			}
		} else if !repeated {
			s.to = s.from
		}
	} else if !repeated {
		return span{}, fmt.Errorf("'*' cannot be part of a list")
	}
	if repeated {
		if s.step, err = strconv.Atoi(step); err != nil || !digits(step) || s.step < 1 || s.step >= u.limit {
			return span{}, fmt.Errorf("repetition '%s' out of range", step)
		}
	}
	return s, nil
}

func (u unit) number(what, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || !digits(text) {
		return 0, fmt.Errorf("unexpected %s '%s' for the %s", what, text, u.name)
	}
	if n < u.first || n >= u.limit {
		return 0, fmt.Errorf("%s '%s' out of range", what, text)
	}
	return n, nil
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
