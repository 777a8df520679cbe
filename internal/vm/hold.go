package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
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
	Reboot  bool     `json:"reboot,omitempty"`  // start again when the process has ended
	Machine string   `json:"machine,omitempty"` // type of its board, as configured
	CPU     string   `json:"cpu,omitempty"`     // its processor, as QEMU was told
	MTUs    string   `json:"mtus,omitempty"`    // of its network cards, as far as QEMU was told: net0=1500,net1=0
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

// runDir is the folder of a guest's process: record, lock, and the sockets of monitors, serial ports and the agent, which the
// daemon makes and hands over. It is the daemon's alone.
func (s *Service) runDir(id int) string { return filepath.Join(s.o.RunDir, strconv.Itoa(id)) }

// guestDir is the folder in which the guest's TPM and SPICE server make sockets. It belongs to the user that they run as, so the
// daemon connects to nothing in it, and is there only for guests with one of them.
func (s *Service) guestDir(id int) string { return filepath.Join(s.runDir(id), machineconf.OwnFolder) }

// letGo gives everything back, also what was never taken: the process, which is killed if it still runs, its helpers, ports,
// volumes and the run folder. It is idempotent. The record itself is the caller's to delete.
func (s *Service) letGo(ctx context.Context, h *Hold) error {
	if err := s.endProcess(ctx, h); err != nil {
		return fmt.Errorf("process of VM %d: %w", h.ID, err)
	}
	errs := []error{s.endTPM(ctx, h.ID)}
	for _, port := range h.Ports {
		errs = append(errs, s.o.Network.DeletePort(ctx, port))
	}
	for _, volid := range h.Volumes {
		if err := s.o.Volumes.Detach(ctx, volid); err != nil && !errors.Is(err, storage.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, os.RemoveAll(s.runDir(h.ID)))
	return errors.Join(errs...)
}

// endProcess kills the process of a hold, if it runs, and waits until the service has forgotten it.
func (s *Service) endProcess(ctx context.Context, h *Hold) error {
	if g := s.guest(h.ID); g != nil && g.holds().Start == h.Start {
		g.claim() // this is its clean-up
		err := g.proc.Kill(ctx)
		if err == nil {
			select {
			case <-g.gone:
				return nil
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		}
		if g.release() {
			s.submitExited(g.id, h.Start, false)
		}
		return err
	}
	// One that is not listed is none, or one that an earlier life of the daemon started. Whether it answers is all the same.
	p, err := machine.Attach(ctx, s.runDir(h.ID), &machine.AttachOptions{ReadyTimeout: 100 * time.Millisecond, Logger: s.o.Logger})
	switch {
	case errors.Is(err, machine.ErrNotRunning):
		return nil
	case err != nil:
		return err
	}
	return errors.Join(p.Kill(ctx), p.Close())
}

// drop are the parts of a transaction that delete the record of what a start holds, none if it is not stored any more.
func (s *Service) drop(ctx context.Context, id int, start string) ([]cluster.Part, error) {
	h, err := s.hold(ctx, id)
	if err != nil || h == nil || h.Start != start {
		return nil, err
	}
	parts := []cluster.Part{cluster.Delete(s.holdKey(id))}
	if s.o.UIDs.Count > 0 {
		parts = append(parts, cluster.Delete(s.uidKey(h.UID)))
	}
	return parts, nil
}

// uidKey is the store key that claims a user id for one guest, so that no two starts pick the same at the same time.
func (r *Repository) uidKey(uid int) string { return "/obs/" + r.node + "/uid/" + strconv.Itoa(uid) }

// noteHold journals what a start is about to hold and stores the record of it, with a user id that no other guest of this
// node runs as: the one that follows from the VM's id, or the next free one.
func (s *Service) noteHold(ctx context.Context, op *task.Op, h *Hold) error {
	if s.o.UIDs.Count == 0 {
		h.UID = os.Geteuid()
		return op.Step(ctx, stepHold, h, h.part(&s.Repository))
	}
	holds, err := s.holds(ctx)
	if err != nil {
		return err
	}
	taken := map[int]bool{}
	for _, other := range holds {
		taken[other.UID] = true
	}
	for i := range s.o.UIDs.Count {
		h.UID = s.o.UIDs.First + (h.ID+i)%s.o.UIDs.Count
		if taken[h.UID] {
			continue
		}
		key := s.uidKey(h.UID)
		err := op.Step(ctx, stepHold, h, cluster.If(cluster.Absent(key)), cluster.Put(key, []byte(strconv.Itoa(h.ID))), h.part(&s.Repository))
		if !cluster.ConflictOn(err, key) {
			return err
		}
	}
	return fmt.Errorf("all %d users for guests are taken", s.o.UIDs.Count)
}
