package calendar_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/calendar"
)

func Example() {
	ev, err := calendar.Parse("mon..fri 22:30")
	if err != nil {
		panic(err)
	}
	next, _ := ev.Next(time.Date(2024, 5, 3, 23, 0, 0, 0, time.UTC), time.UTC)
	fmt.Println(next)
	// Output: 2024-05-06 22:30:00 +0000 UTC
}

const layout = "2006-01-02 15:04:05"

// nexts returns the times of an event after from, as the clock of zone shows them.
func nexts(t *testing.T, event, zone, from string, n int) []string {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	ev, err := calendar.Parse(event)
	require.NoError(t, err)
	at, err := time.ParseInLocation(layout, from, loc)
	require.NoError(t, err)
	var list []string
	for range n {
		next, ok := ev.Next(at, loc)
		if !ok {
			return append(list, "never")
		}
		require.True(t, next.After(at), "%s: %s is not after %s", event, next, at)
		list = append(list, next.Format(layout))
		at = next
	}
	return list
}

func TestNext(t *testing.T) {
	for _, c := range []struct {
		event, from string
		want        []string
	}{
		{"*:*:0/20", "2024-01-01 00:00:00", []string{"2024-01-01 00:00:20", "2024-01-01 00:00:40", "2024-01-01 00:01:00"}},
		{"5..7,50/3", "2024-01-01 00:06:30", []string{"2024-01-01 00:07:00", "2024-01-01 00:50:00", "2024-01-01 00:53:00", "2024-01-01 00:56:00"}},
		{"*/7:30", "2024-01-01 14:30:00", []string{"2024-01-01 21:30:00", "2024-01-02 00:30:00"}},
		{"9..17/4:15", "2024-01-01 00:00:00", []string{"2024-01-01 09:15:00", "2024-01-01 13:15:00", "2024-01-01 17:15:00", "2024-01-02 09:15:00"}},
		{"Sunday", "2024-01-01 00:00:00", []string{"2024-01-07 00:00:00", "2024-01-14 00:00:00"}},
		{"sat..mon 6:00", "2024-01-05 00:00:00", []string{"2024-01-06 06:00:00", "2024-01-07 06:00:00", "2024-01-08 06:00:00", "2024-01-13 06:00:00"}},
		{"2-29", "2024-03-01 00:00:00", []string{"2028-02-29 00:00:00", "2032-02-29 00:00:00"}},
		{"fri *-*-13 13:13:13", "2024-01-01 00:00:00", []string{"2024-09-13 13:13:13", "2024-12-13 13:13:13"}},
		{"2030..2032/2-1-1 12:00", "2024-01-01 00:00:00", []string{"2030-01-01 12:00:00", "2032-01-01 12:00:00", "never"}},
		{"*-*-31", "2024-01-31 00:00:00", []string{"2024-03-31 00:00:00", "2024-05-31 00:00:00"}},
		{"*-2-30", "2024-01-01 00:00:00", []string{"never"}},
		{"2020-1-1", "2024-01-01 00:00:00", []string{"never"}},
		{"minutely", "2024-01-01 00:00:30", []string{"2024-01-01 00:01:00"}},
		{"hourly", "2024-01-01 00:00:30", []string{"2024-01-01 01:00:00"}},
		{"daily", "2024-01-01 00:00:00", []string{"2024-01-02 00:00:00"}},
		{"weekly", "2024-01-01 00:00:00", []string{"2024-01-08 00:00:00"}},
		{"monthly", "2024-01-01 00:00:00", []string{"2024-02-01 00:00:00"}},
		{"quarterly", "2024-02-01 00:00:00", []string{"2024-04-01 00:00:00", "2024-07-01 00:00:00", "2024-10-01 00:00:00", "2025-01-01 00:00:00"}},
		{"semi-annually", "2024-02-01 00:00:00", []string{"2024-07-01 00:00:00", "2025-01-01 00:00:00"}},
		{"yearly UTC", "2024-02-01 00:00:00", []string{"2025-01-01 00:00:00"}},
	} {
		require.Equal(t, c.want, nexts(t, c.event, "UTC", c.from, len(c.want)), c.event)
	}
}

func TestNextAcrossClockChanges(t *testing.T) {
	const zone = "America/New_York" // forward on 2024-03-10 at 2:00, back on 2024-11-03 at 2:00
	// Forward: what does not exist is the end of the gap, once.
	require.Equal(t, []string{"2024-03-09 02:30:00", "2024-03-10 03:00:00", "2024-03-11 02:30:00"}, nexts(t, "2:30", zone, "2024-03-09 00:00:00", 3))
	require.Equal(t, []string{"2024-03-10 01:50:00", "2024-03-10 03:00:00", "2024-03-10 03:10:00"}, nexts(t, "1..3:*/10", zone, "2024-03-10 01:45:00", 3))
	// Back: the first of two, once.
	require.Equal(t, []string{"2024-11-03 01:30:00", "2024-11-04 01:30:00"}, nexts(t, "1:30", zone, "2024-11-02 12:00:00", 2))
	// Every hour, in any spelling: the time that passes.
	for _, ev := range []string{"*:0/30", "0/30", "0..23:0/30", "*/1:0/30"} {
		require.Equal(t, []string{"2024-03-10 01:30:00", "2024-03-10 03:00:00", "2024-03-10 03:30:00"}, nexts(t, ev, zone, "2024-03-10 01:00:00", 3))
		require.Equal(t, []string{"2024-11-03 01:00:00", "2024-11-03 01:30:00", "2024-11-03 01:00:00", "2024-11-03 01:30:00", "2024-11-03 02:00:00"},
			nexts(t, ev, zone, "2024-11-03 00:59:00", 5))
	}
	// An event in UTC does not care.
	require.Equal(t, []string{"2024-11-03 06:30:00", "2024-11-04 06:30:00"}, nexts(t, "6:30 UTC", zone, "2024-11-02 12:00:00", 2))
	// The last day of a leap year far ahead is a day like others.
	require.Equal(t, []string{"2040-12-31 01:00:00", "2040-12-31 02:00:00"}, nexts(t, "*:0", "Europe/Vienna", "2040-12-31 00:30:00", 2))
	// Years are passed over, and an hour's difference with them.
	require.Equal(t, []string{"2026-07-01 00:00:00", "2026-07-01 01:00:00"}, nexts(t, "2026-7-1 *:0", zone, "2024-01-01 12:34:56", 2))
	// A zone that once left out a whole day, and one whose gap is at midnight.
	require.Equal(t, []string{"2011-12-31 00:00:00"}, nexts(t, "2011-12-30 8:00", "Pacific/Apia", "2011-12-29 12:00:00", 1))
	require.Equal(t, []string{"2018-11-04 01:00:00"}, nexts(t, "*-*-4", "America/Sao_Paulo", "2018-11-03 12:00:00", 1))
}

func TestNextIsStrict(t *testing.T) {
	ev, err := calendar.Parse("*:*:*")
	require.NoError(t, err)
	at := time.Date(2024, 1, 1, 0, 0, 0, 500, time.UTC)
	next, ok := ev.Next(at, time.UTC)
	require.True(t, ok)
	require.Equal(t, time.Date(2024, 1, 1, 0, 0, 1, 0, time.UTC), next)
	_, ok = ev.Next(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC)
	require.False(t, ok)
	next, ok = ev.Next(time.Time{}.Add(-time.Hour), time.UTC)
	require.True(t, ok)
	require.Zero(t, next.Year())
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "unable to parse calendar event - event is empty",
		"  ":                      "unable to parse calendar event - event is empty",
		"60":                      "unable to parse calendar event at '60' - value '60' out of range",
		"24:0":                    "unable to parse calendar event at '24:0' - value '24' out of range",
		"*/60":                    "unable to parse calendar event at '*/60' - repetition '60' out of range",
		"*/0":                     "repetition '0' out of range",
		"0/":                      "repetition '' out of range",
		"5..2":                    "range start '5' greater than its end '2'",
		"mon 5..60":               "at '5..60' - range end '60' out of range",
		"mon 0 0":                 "at '0' - unused parts",
		"hourly daily":            "at 'daily' - unused parts",
		"10:0 mon":                "at 'mon' - unused parts",
		"funday":                  "'funday' is not a day of the week",
		"mon..":                   "'' is not a day of the week",
		"UTC":                     "'UTC' is not a day of the week",
		"0-1":                     "value '0' out of range",
		"13-1":                    "value '13' out of range",
		"1-32":                    "value '32' out of range",
		"2200-1-1":                "value '2200' out of range",
		"1-1-1-1":                 "is not a date",
		"1:1:1:1":                 "is not a time",
		"+5":                      "unexpected value '+5'",
		"1,,2":                    "unexpected value ''",
		"*,1":                     "'*' cannot be part of a list",
		strings.Repeat("1,", 999): "event is too long",
	} {
		_, err := calendar.Parse(text)
		require.ErrorContains(t, err, want, text)
		require.ErrorIs(t, err, calendar.ErrSyntax)
		require.ErrorIs(t, err, fs.ErrInvalid)
		_, ok := errors.AsType[*calendar.Error](err)
		require.True(t, ok)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"mon..fri 22:30", "*/5", "2-29 UTC", "weekly", "sat *-1,7-1..7/2 1..5:*/9:3", "fri..mon"} {
		f.Add(s, int64(1730613600))
	}
	zone, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, at int64) {
		ev, err := calendar.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, calendar.ErrSyntax)
			return
		}
		again, err := calendar.Parse(ev.String())
		require.NoError(t, err)
		from := time.Unix(at%(1<<33), 0)
		next, ok := ev.Next(from, zone)
		same, okSame := again.Next(from, zone)
		require.Equal(t, ok, okSame)
		require.True(t, next.Equal(same))
		if ok {
			require.True(t, next.After(from))
			require.Zero(t, next.Nanosecond())
			// Nothing lies between: an event is also the next one of the second before it.
			before, ok := ev.Next(next.Add(-time.Second), zone)
			require.True(t, ok)
			require.True(t, before.Equal(next), "%s: %s, then %s", text, next, before)
		}
	})
}
