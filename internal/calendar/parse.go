package calendar

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// maxYear is the last year that an event can name.
const maxYear = 2199

// maxText bounds the text of an event, in bytes.
const maxText = 1024

// ErrSyntax classes every error of [Parse].
var ErrSyntax = errclass.New("calendar event not understood", fs.ErrInvalid)

// Error is an event that does not parse: its text is Proxmox VE's, Rest what was not understood.
type Error struct {
	Rest string // empty for an event that is empty
	Err  error
}

func (e *Error) Error() string {
	if e.Rest == "" {
		return "unable to parse calendar event - " + e.Err.Error()
	}
	return fmt.Sprintf("unable to parse calendar event at '%s' - %s", e.Rest, e.Err)
}

// Is says that every Error is an [ErrSyntax].
func (e *Error) Is(target error) bool { return target == ErrSyntax || target == fs.ErrInvalid }

// Unwrap returns what is wrong with the part.
func (e *Error) Unwrap() error { return e.Err }

// Event is a set of points on the wall clock.
type Event struct {
	text                                    string
	utc                                     bool
	days                                    uint8 // bit 0 is Sunday; 0 is every day
	year, month, day, hour, minute, seconds field
}

// String returns the event as it was parsed, with single blanks.
func (e *Event) String() string { return e.text }

// Parse reads an event. An error is an *[Error].
func Parse(text string) (*Event, error) {
	if len(text) > maxText {
		return nil, &Error{Rest: text[:32] + "…", Err: errors.New("event is too long")}
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, &Error{Err: errors.New("event is empty")}
	}
	e := &Event{text: strings.Join(words, " "), hour: field{{0, 0, 1}}, minute: field{{0, 0, 1}}, seconds: field{{0, 0, 1}}}
	if words[len(words)-1] == "UTC" && len(words) > 1 {
		e.utc = true
		words = words[:len(words)-1]
	}
	if full, ok := keyword(words[0]); ok {
		if len(words) > 1 {
			return nil, &Error{Rest: strings.Join(words[1:], " "), Err: errors.New("unused parts")}
		}
		words = strings.Fields(full)
	}
	if err := e.parse(words); err != nil {
		return nil, err
	}
	return e, nil
}

// keyword spells out the shorthand words.
func keyword(w string) (string, bool) {
	switch w {
	case "minutely":
		return "*:*:00", true
	case "hourly":
		return "*:00:00", true
	case "daily":
		return "00:00:00", true
	case "weekly":
		return "mon 00:00:00", true
	case "monthly":
		return "*-*-1 00:00:00", true
	case "quarterly":
		return "*-1,4,7,10-1 00:00:00", true
	case "semiannually", "semi-annually":
		return "*-1,7-1 00:00:00", true
	case "yearly", "annually":
		return "*-1-1 00:00:00", true
	}
	return "", false
}

func (e *Event) parse(words []string) error {
	step := func(isPart bool, parse func(string) error) error {
		if len(words) == 0 || !isPart {
			return nil
		}
		if err := parse(words[0]); err != nil {
			return &Error{Rest: strings.Join(words, " "), Err: err}
		}
		words = words[1:]
		return nil
	}
	if err := step(letter(words[0]), e.parseDays); err != nil {
		return err
	}
	if err := step(len(words) > 0 && strings.Contains(words[0], "-"), e.parseDate); err != nil {
		return err
	}
	if err := step(true, e.parseTime); err != nil {
		return err
	}
	if len(words) > 0 {
		return &Error{Rest: strings.Join(words, " "), Err: errors.New("unused parts")}
	}
	return nil
}

func letter(w string) bool { c := w[0] | 0x20; return 'a' <= c && c <= 'z' }

func (e *Event) parseDays(text string) error {
	for item := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(item, "..")
		from, err := weekday(first)
		if err != nil {
			return err
		}
		to := from
		if ranged {
			if to, err = weekday(last); err != nil {
				return err
			}
		}
		for d := from; ; d = (d + 1) % 7 {
			e.days |= 1 << d
			if d == to {
				break
			}
		}
	}
	return nil
}

func weekday(text string) (time.Weekday, error) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := d.String(); strings.EqualFold(text, name) || strings.EqualFold(text, name[:3]) {
			return d, nil
		}
	}
	return 0, fmt.Errorf("'%s' is not a day of the week", text)
}

func (e *Event) parseDate(text string) (err error) {
	parts := strings.Split(text, "-")
	switch len(parts) {
	case 3:
		if e.year, err = unitYear().parse(parts[0]); err != nil {
			return err
		}
		parts = parts[1:]
	case 2:
	default:
		return fmt.Errorf("'%s' is not a date", text)
	}
	if e.month, err = unitMonth().parse(parts[0]); err == nil {
		e.day, err = unitDay().parse(parts[1])
	}
	return err
}

func (e *Event) parseTime(text string) (err error) {
	parts := strings.Split(text, ":")
	e.hour = nil
	if len(parts) > 3 {
		return fmt.Errorf("'%s' is not a time", text)
	}
	if len(parts) == 3 {
		if e.seconds, err = unitSecond().parse(parts[2]); err != nil {
			return err
		}
	}
	if len(parts) > 1 {
		if e.hour, err = unitHour().parse(parts[0]); err != nil {
			return err
		}
		parts = parts[1:]
	}
	e.minute, err = unitMinute().parse(parts[0])
	return err
}
