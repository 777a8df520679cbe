// Package prune decides which backups of a guest may go.
//
// A retention policy ([Keep]) says how many backups to keep: the last n, and one for each of so many hours, days, weeks,
// months and years. [Plan] marks a list of backups accordingly. It is a pure function: it deletes nothing, reads no
// clock and no storage, so the preview of a job and the job itself are the same call.
//
//	keep, err := prune.ParseKeep("keep-last=3,keep-weekly=4")
//	marks := prune.Plan(backups, keep, time.Local) // marks[i] belongs to backups[i]
//
// The rules are those of Proxmox VE's prune-backups option: options apply in the order last, hourly, daily, weekly,
// monthly, yearly; a period that an earlier option already covers does not count against a later one. What has been
// renamed by hand or is protected is never removed and takes no place.
//
// All functions are safe for concurrent use.
package prune
