// Package calendar reads the calendar events that jobs are scheduled by, and finds the next time of one.
//
//	ev, err := calendar.Parse("mon..fri 22:30")
//	next, ok := ev.Next(time.Now(), time.Local)
//
// The language is the part of systemd's calendar events (systemd.time(7)) that Proxmox VE understands:
//
//	event   = [DAYS] [DATE] [TIME] [UTC]    at least one of the first three
//	        | KEYWORD [UTC]                 minutely hourly daily weekly monthly quarterly semiannually yearly annually
//	DAYS    = day[..day]{,day[..day]}       "mon" or "monday" in any case; fri..mon goes over the weekend
//	DATE    = [YEAR-]MONTH-DAY
//	TIME    = [HOUR:]MINUTE[:SECOND]        a lone number is the minutes of every hour
//	each    = * | */STEP | item{,item}      item is A, A..B, A/STEP or A..B/STEP
//
// Without a time it is midnight. An event names times on the wall clock of a zone. On the day that a clock goes forward,
// a time that does not exist is the first moment after the gap; on the day that it goes back, a time that comes twice
// counts once, the first time. An event of every hour is different: it follows the time that passes, so it comes in
// both of two equal hours, and never in one that does not exist.
//
// Parsing and searching are pure: no clock is read. Events are immutable and safe for concurrent use.
package calendar
