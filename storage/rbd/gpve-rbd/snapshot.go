//go:build ceph

package main

import (
	"time"

	"github.com/ceph/go-ceph/rbd"
)

// snapshots answers with protection written as a string, as rbd does.
func snapshots(s *session) error {
	type snap struct {
		ID        uint64 `json:"id"`
		Name      string `json:"name"`
		Size      uint64 `json:"size"`
		Protected string `json:"protected"`
		Time      string `json:"timestamp"`
	}
	return s.withImage(false, func(img *rbd.Image) error {
		all, err := img.GetSnapshotNames()
		if err != nil {
			return err
		}
		rows := []snap{}
		for _, i := range all {
			r := snap{ID: i.Id, Name: i.Name, Size: i.Size, Protected: "false"}
			protected, err := img.GetSnapshot(i.Name).IsProtected()
			if err != nil {
				return err
			}
			if protected {
				r.Protected = "true"
			}
			at, err := img.GetSnapTimestamp(i.Id)
			if err != nil {
				return err
			}
			r.Time = stamp(time.Unix(at.Sec, at.Nsec))
			rows = append(rows, r)
		}
		return s.answer(rows)
	})
}

func snapshot(s *session) error {
	return s.withImage(true, func(img *rbd.Image) error {
		_, err := img.CreateSnapshot(s.option["snap"])
		return err
	})
}

// withSnapshot does fn with the snapshot of the request.
func (s *session) withSnapshot(fn func(*rbd.Snapshot) error) error {
	return s.withImage(true, func(img *rbd.Image) error { return fn(img.GetSnapshot(s.option["snap"])) })
}

func removeSnapshot(s *session) error { return s.withSnapshot((*rbd.Snapshot).Remove) }
func protect(s *session) error        { return s.withSnapshot((*rbd.Snapshot).Protect) }
func unprotect(s *session) error      { return s.withSnapshot((*rbd.Snapshot).Unprotect) }
func rollback(s *session) error       { return s.withSnapshot((*rbd.Snapshot).Rollback) }
