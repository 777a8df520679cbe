package prune

import (
	"fmt"
	"slices"
	"time"

	"github.com/turtacn/go-proxmox/storage/volid"
)

// Backup is one archive of a guest.
type Backup struct {
	// Volume is the volume id; only its last component is looked at.
	Volume string
	// Protected backups are never removed.
	Protected bool
}

// Mark is what a policy makes of a backup.
type Mark string

// The marks, in Proxmox VE's words.
const (
	Kept      Mark = "keep"
	Removed   Mark = "remove"
	Protected Mark = "protected" // someone said so
	Renamed   Mark = "renamed"   // the name no longer says which guest it is of and when it was made
)

// entry is a backup whose name says all that is needed.
type entry struct {
	index int
	at    time.Time
	mark  Mark
}

// Plan marks backups: the i-th mark belongs to the i-th backup. Each guest, by kind and id, is judged alone. The times
// are those in the names, as wall clock time in zone, which is also where days and weeks begin.
func Plan(backups []Backup, keep Keep, zone *time.Location) []Mark {
	marks := make([]Mark, len(backups))
	groups := map[string][]*entry{}
	for i, b := range backups {
		a, err := volid.ParseBackupName(b.Volume, zone)
		switch {
		case b.Protected:
			marks[i] = Protected
		case err != nil || !a.Standard:
			marks[i] = Renamed
		default:
			key := fmt.Sprintf("%s/%d", a.Guest, a.VMID)
			groups[key] = append(groups[key], &entry{index: i, at: a.Created})
		}
	}
	for _, g := range groups {
		judge(g, keep)
		for _, e := range g {
			marks[e.index] = e.mark
		}
	}
	return marks
}

// GuestOf returns the kind of guest that the name of a backup says: qemu, lxc, openvz, or unknown.
func GuestOf(volume string) string {
	if a, err := volid.ParseBackupName(volume, time.UTC); err == nil {
		return a.Guest
	}
	return "unknown"
}

// judge marks the backups of one guest.
func judge(group []*entry, k Keep) {
	if k.Everything() {
		for _, e := range group {
			e.mark = Kept
		}
		return
	}
	slices.SortStableFunc(group, func(a, b *entry) int { return b.at.Compare(a.at) })
	for _, rule := range []struct {
		count  int
		period func(time.Time) string
	}{
		{k.Last, func(t time.Time) string { return fmt.Sprint(t.Unix()) }},
		{k.Hourly, layout("15/02/01/2006")},
		{k.Daily, layout("02/01/2006")},
		{k.Weekly, func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%d/%d", w, y) }},
		{k.Monthly, layout("01/2006")},
		{k.Yearly, layout("2006")},
	} {
		if rule.count > 0 {
			keepPeriods(group, rule.count, rule.period)
		}
	}
	for _, e := range group {
		if e.mark == "" {
			e.mark = Removed
		}
	}
}

func layout(l string) func(time.Time) string {
	return func(t time.Time) string { return t.Format(l) }
}

// keepPeriods keeps the newest backup of each of the next count periods that nothing is kept of yet. Older backups of
// a period opened here are of no use to the options that follow.
func keepPeriods(newestFirst []*entry, count int, period func(time.Time) string) {
	covered, opened := map[string]bool{}, map[string]bool{}
	for _, e := range newestFirst {
		if e.mark == Kept {
			covered[period(e.at)] = true
		}
	}
	for _, e := range newestFirst {
		if e.mark != "" {
			continue
		}
		p := period(e.at)
		switch {
		case covered[p]:
		case opened[p]:
			e.mark = Removed
		case len(opened) >= count:
			return
		default:
			opened[p] = true
			e.mark = Kept
		}
	}
}
