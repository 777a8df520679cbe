package pveconf

import (
	"errors"
	"strings"
)

// checkCalendarEvent checks the form of a calendar event: a keyword, or weekdays, a date and a time, each optional but not
// all; then possibly "UTC".
func checkCalendarEvent(v string) error {
	fail := func(why string) error { return errors.New("invalid calendar event '" + v + "' - " + why) }
	words := strings.Fields(v)
	if n := len(words); n > 1 && words[n-1] == "UTC" {
		words = words[:n-1]
	}
	switch {
	case len(words) == 0:
		return fail("no event given")
	case len(words) == 1 && isCalendarKeyword(words[0]):
		return nil
	}
	rest := words
	if alpha(rest[0][0]) {
		if !each(rest[0], ",", isWeekdays) {
			return fail("invalid weekday '" + rest[0] + "'")
		}
		rest = rest[1:]
	}
	if len(rest) > 0 && strings.Contains(rest[0], "-") {
		if !isCalendarDate(rest[0]) {
			return fail("invalid date '" + rest[0] + "'")
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		if !isCalendarTime(rest[0]) {
			return fail("invalid time '" + rest[0] + "'")
		}
		rest = rest[1:]
	}
	if len(rest) > 0 {
		return fail("unexpected '" + rest[0] + "'")
	}
	return nil
}

func isCalendarKeyword(v string) bool {
	switch v {
	case "minutely", "hourly", "daily", "weekly", "monthly", "yearly", "annually", "quarterly", "semiannually", "semi-annually":
		return true
	}
	return false
}

// weekday returns the number of a day by its name or the first three letters of it, in any case; -1 if it is none.
func weekday(v string) int {
	for i, day := range [...]string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"} {
		if strings.EqualFold(v, day) || strings.EqualFold(v, day[:3]) {
			return i
		}
	}
	return -1
}

func isWeekdays(v string) bool {
	from, to, isRange := strings.Cut(v, "..")
	return weekday(from) >= 0 && (!isRange || weekday(to) >= 0)
}

// isCalendarDate takes [YEAR-]MONTH-DAY.
func isCalendarDate(v string) bool {
	parts := strings.Split(v, "-")
	if len(parts) == 3 {
		if !isCalendarPart(parts[0], 1970, 2200) {
			return false
		}
		parts = parts[1:]
	}
	return len(parts) == 2 && isCalendarPart(parts[0], 1, 13) && isCalendarPart(parts[1], 1, 32)
}

// isCalendarTime takes [HOUR:]MINUTE[:SECOND].
func isCalendarTime(v string) bool {
	parts := strings.Split(v, ":")
	if len(parts) == 1 {
		return isCalendarPart(v, 0, 60)
	}
	return len(parts) <= 3 && isCalendarPart(parts[0], 0, 24) && each(strings.Join(parts[1:], ":"), ":", func(p string) bool {
		return isCalendarPart(p, 0, 60)
	})
}

// isCalendarPart takes "*", "*/STEP" or a list of N, N..M, N/STEP and N..M/STEP with numbers from low up to but not
// including high.
func isCalendarPart(v string, low, high int) bool {
	in := func(s string) (int, bool) {
		n, ok := small(s, high-1)
		return n, ok && n >= low
	}
	return each(v, ",", func(part string) bool {
		part, step, stepped := strings.Cut(part, "/")
		if n, ok := small(step, high); stepped && (!ok || n == 0) {
			return false
		}
		if part == "*" {
			return v == "*" || stepped && !strings.Contains(v, ",")
		}
		from, to, isRange := strings.Cut(part, "..")
		first, ok := in(from)
		if !ok || !isRange {
			return ok
		}
		last, ok := in(to)
		return ok && first <= last
	})
}
