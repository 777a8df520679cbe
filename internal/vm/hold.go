package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/storage"
)

// Hold is what this node holds for a VM whose process runs or is being started: everything that must be let go when the
// process has ended. It is stored before any of it is taken.
type Hold struct {
	Version int      `json:"v"` // of this form, now 1
	ID      int      `json:"id"`
	Start   string   `json:"start"` // UPID of the start that took it
	UID     int      `json:"uid"`   // user that the process runs as
	Ports   []string `json:"ports,omitempty"`
	Volumes []string `json:"volumes,omitempty"`
	Reboot  bool     `json:"reboot,omitempty"` // start again when the process has ended
	Machine string   `json:"machine,omitempty"`
	Started int64    `json:"started,omitempty"` // Unix time
}

func (r *Repository) holdPrefix() string    { return "/obs/" + r.node + "/vm/" }
func (r *Repository) holdKey(id int) string { return r.holdPrefix() + strconv.Itoa(id) }
func (h *Hold) part(r *Repository) cluster.Part {
	data, err := json.Marshal(h)
	if err != nil {
		panic(err) // texts and numbers always marshal
	}
	return cluster.Put(r.holdKey(h.ID), data)
}

// hold reads what is held for a VM; nil if nothing is.
func (r *Repository) hold(ctx context.Context, id int) (*Hold, error) {
	kv, err := r.store.Get(ctx, r.holdKey(id))
	if errors.Is(err, cluster.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeHold(kv)
}

func decodeHold(kv cluster.KV) (*Hold, error) {
	var h Hold
	if err := json.Unmarshal(kv.Value, &h); err != nil {
		return nil, fmt.Errorf("vm: %s: %w", kv.Key, err)
	}
	return &h, nil
}

// holds lists what is held for all VMs of this node.
func (r *Repository) holds(ctx context.Context) ([]*Hold, error) {
	kvs, _, err := r.store.List(ctx, r.holdPrefix())
	if err != nil {
		return nil, err
	}
	var out []*Hold
	for _, kv := range kvs {
		h, err := decodeHold(kv)
		if err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, nil
}

// runDir is the folder of a guest's process: record, lock, monitor sockets. It is the daemon's alone.
func (s *Service) runDir(id int) string { return filepath.Join(s.o.RunDir, strconv.Itoa(id)) }

// guestDir is the folder in which the guest's QEMU makes sockets of its own. It belongs to the user that it runs as.
func (s *Service) guestDir(id int) string { return filepath.Join(s.runDir(id), "guest") }

// letGo gives everything back, also what was never taken: the process, which is killed if it still runs, ports, volumes
// and the run folder. It is idempotent. The record itself is the caller's to delete.
func (s *Service) letGo(ctx context.Context, h *Hold) error {
	dir := s.runDir(h.ID)
	p, err := machine.Attach(ctx, dir, nil)
	switch {
	case err == nil:
		err = errors.Join(p.Kill(ctx), p.Close())
	case errors.Is(err, machine.ErrNotRunning):
		err = nil
	}
	if err != nil {
		return fmt.Errorf("process of VM %d: %w", h.ID, err)
	}
	var errs []error
	for _, port := range h.Ports {
		errs = append(errs, s.o.Network.DeletePort(ctx, port))
	}
	for _, volid := range h.Volumes {
		if err := s.o.Volumes.Detach(ctx, volid); err != nil && !errors.Is(err, storage.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, os.RemoveAll(dir))
	return errors.Join(errs...)
}

// pickUID returns a user id that no other guest of this node runs as: the one that follows from the VM's id, or the next.
func (s *Service) pickUID(ctx context.Context, id int) (int, error) {
	if s.o.UIDs.Count == 0 {
		return os.Geteuid(), nil
	}
	holds, err := s.holds(ctx)
	if err != nil {
		return 0, err
	}
	taken := map[int]bool{}
	for _, h := range holds {
		if h.ID == id {
			return h.UID, nil // a start that goes on after a restart
		}
		taken[h.UID] = true
	}
	for i := range s.o.UIDs.Count {
		uid := s.o.UIDs.First + (id+i)%s.o.UIDs.Count
		if !taken[uid] {
			return uid, nil
		}
	}
	return 0, fmt.Errorf("all %d users for guests are taken", s.o.UIDs.Count)
}
