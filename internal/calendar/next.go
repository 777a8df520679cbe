package calendar

import "time"

// Next returns the first time of the event after t, on the wall clock of zone, or UTC if the event says so. ok is false
// if there is none until the end of the year 2199. The result is a whole second in that zone.
func (e *Event) Next(t time.Time, zone *time.Location) (next time.Time, ok bool) {
	if e.utc {
		zone = time.UTC
	}
	t = t.In(zone)
	if e.everyHour() {
		return e.nextElapsed(t)
	}
	for wall := wallOf(t); ; {
		if wall, ok = e.nextWall(wall); !ok {
			return time.Time{}, false
		}
		if next = onClock(wall, zone); next.After(t) {
			return next, true
		}
	}
}

func (e *Event) everyHour() bool {
	for h := range 24 {
		if !e.hour.has(h) {
			return false
		}
	}
	return true
}

// Clocks are set by a day at most, and never twice within so many days.
const settled = 48 * time.Hour

// nextElapsed follows the time that passes: wherever the clock is set, the search starts anew.
func (e *Event) nextElapsed(t time.Time) (time.Time, bool) {
	for wall := wallOf(t); ; {
		next, ok := e.nextWall(wall)
		if !ok {
			return time.Time{}, false
		}
		passed := next.Unix() - wallOf(t).Unix()
		at := time.Unix(t.Unix()+passed, 0).In(t.Location())
		switch {
		case passed > 2*int64(settled/time.Second): // nothing in between, however the clock is set
			t = at.Add(-settled)
		case offset(t) == offset(at):
			return at, true
		default:
			t = change(t, at)
		}
		wall = wallOf(t).Add(-time.Second) // this very moment may be one
	}
}

// offset returns the seconds east of UTC at t.
func offset(t time.Time) int {
	_, o := t.Zone()
	return o
}

// change returns the moment, in whole seconds, when the clock is set between a and b. It searches by itself:
// ZoneBounds of package time fails at the end of leap years.
func change(a, b time.Time) time.Time {
	for before := offset(a); ; {
		middle := time.Unix((a.Unix()+b.Unix())/2, 0).In(a.Location())
		switch {
		case !middle.After(a):
			return b
		case offset(middle) == before:
			a = middle
		default:
			b = middle
		}
	}
}

// wallOf returns what the clock shows, as if it were UTC, so that one can reckon with it.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// onClock returns when the clock of zone shows wall: the first such moment, or the end of the gap that it falls in.
func onClock(wall time.Time, zone *time.Location) time.Time {
	guess := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	before := guess.Add(-settled)
	if !wallOf(guess).Equal(wall) { // in a gap, and guess on one of its sides
		return change(before, guess.Add(settled))
	}
	earlier := guess.Add(time.Duration(offset(guess)-offset(before)) * time.Second)
	if earlier.Before(guess) && wallOf(earlier).Equal(wall) {
		return earlier
	}
	return guess
}

// nextWall returns the first time after wall, in whole seconds, that all fields allow.
func (e *Event) nextWall(wall time.Time) (time.Time, bool) {
	c := wall.Truncate(time.Second).Add(time.Second)
	for c.Year() <= maxYear {
		year, ok := e.year.next(max(c.Year(), 0), maxYear+1)
		if !ok {
			break
		}
		if year != c.Year() {
			c = time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		month, ok := e.month.next(int(c.Month()), 13)
		if !ok {
			c = time.Date(c.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if month != int(c.Month()) {
			c = time.Date(c.Year(), time.Month(month), 1, 0, 0, 0, 0, time.UTC)
		}
		if !e.onDay(c) {
			c = time.Date(c.Year(), c.Month(), c.Day()+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if found, ok := e.nextOnDay(c); ok {
			return found, true
		}
		c = time.Date(c.Year(), c.Month(), c.Day()+1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}, false
}

func (e *Event) onDay(c time.Time) bool {
	return e.day.has(c.Day()) && (e.days == 0 || e.days&(1<<c.Weekday()) != 0)
}

// nextOnDay returns the first allowed time from c to the end of its day.
func (e *Event) nextOnDay(c time.Time) (time.Time, bool) {
	y, mo, d := c.Date()
	for h, m, s := c.Hour(), c.Minute(), c.Second(); ; {
		hour, ok := e.hour.next(h, 24)
		if !ok {
			return time.Time{}, false
		}
		if hour != h {
			m, s = 0, 0
		}
		minute, ok := e.minute.next(m, 60)
		if !ok {
			h, m, s = hour+1, 0, 0
			continue
		}
		if minute != m {
			s = 0
		}
		if second, ok := e.seconds.next(s, 60); ok {
			return time.Date(y, mo, d, hour, minute, second, 0, time.UTC), true
		}
		h, m, s = hour, minute+1, 0
	}
}
