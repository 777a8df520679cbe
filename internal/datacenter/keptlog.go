package datacenter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
)

// Entries about tasks are made anew from the archive of tasks after a restart. The others, which nothing else remembers, are
// kept in the store: the last logSize of each node, under one key.

// keptPause is how long after an entry the store gets it, with all that came meanwhile: logins come in bursts.
const keptPause = time.Second

// keptEntry is what is stored of an entry.
type keptEntry struct {
	Time int64  `json:"t"`
	Pri  int    `json:"p"`
	User string `json:"u"`
	Msg  string `json:"m"`
}

type keptLog struct {
	Version int         `json:"v"` // of this form, now 1
	Entries []keptEntry `json:"entries"`
}

const keptVersion = 1

func (s *Service) keptKey() string { return "/log/" + s.o.Node }

// note enters what no other record tells.
func (s *Service) note(user, msg string) {
	at := s.o.Clock()
	s.log.Add(at, Info, user, msg)
	s.keptMu.Lock()
	s.kept = append(s.kept, keptEntry{at.Unix(), Info, user, msg})
	if len(s.kept) > logSize {
		s.kept = append([]keptEntry(nil), s.kept[len(s.kept)-logSize:]...)
	}
	s.keptMu.Unlock()
	select {
	case s.keptDirty <- struct{}{}:
	default: // the one that is waiting will do
	}
}

// keep brings the stored entries into the log, and new ones into the store until ctx ends.
func (s *Service) keep(ctx context.Context) error {
	if err := s.loadKept(ctx); err != nil {
		s.o.Logger.Warn("kept entries of the cluster's log", "err", err) // the log is not worth the end of the daemon
	}
	for ended := false; !ended; {
		select {
		case <-s.keptDirty:
			pause := time.NewTimer(keptPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
			}
		case <-ctx.Done():
			ended = true
			if len(s.keptDirty) == 0 {
				continue
			}
		}
		if err := s.storeKept(ctx); err != nil {
			if errors.Is(err, cluster.ErrClosed) {
				return err
			}
			s.o.Logger.Warn("entries of the cluster's log are not kept", "err", err)
		}
	}
	return context.Cause(ctx)
}

func (s *Service) loadKept(ctx context.Context) error {
	kv, err := s.o.Store.Get(ctx, s.keptKey())
	if errors.Is(err, cluster.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var old keptLog
	if err := json.Unmarshal(kv.Value, &old); err != nil {
		return fmt.Errorf("datacenter: %s: %w", kv.Key, err)
	}
	if old.Version != keptVersion {
		return fmt.Errorf("datacenter: %s has form %d, this program knows %d", kv.Key, old.Version, keptVersion)
	}
	for _, e := range old.Entries {
		s.log.Add(time.Unix(e.Time, 0), e.Pri, e.User, e.Msg)
	}
	s.keptMu.Lock()
	defer s.keptMu.Unlock()
	s.kept = append(old.Entries, s.kept...)
	return nil
}

// storeKept writes also at the end of ctx.
func (s *Service) storeKept(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	s.keptMu.Lock()
	rows := s.kept[max(0, len(s.kept)-logSize):]
	data, err := json.Marshal(keptLog{keptVersion, rows})
	s.keptMu.Unlock()
	if err != nil {
		return err
	}
	_, err = s.o.Store.Txn(ctx, cluster.Put(s.keptKey(), data))
	return err
}
