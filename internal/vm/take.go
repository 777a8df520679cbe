package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
)

// take notes what the process will hold, then takes it: volumes for its user, ports on their bridges, files, the TPM. In r the
// volumes are then where they were attached.
func (s *Service) take(ctx context.Context, op *task.Op, v *VM, r *machineconf.Result) (*Hold, error) {
	h := &Hold{
		Version: 1, ID: v.ID, Start: op.UPID().String(), Started: s.o.Clock().Unix(),
		Machine: r.Machine.Board.Type, CPU: r.Machine.CPU.String(), MTUs: hostMTUs(r),
	}
	for _, p := range r.Ports {
		h.Ports = append(h.Ports, p.Name)
	}
	for _, u := range r.Volumes {
		if isVolume(u.ID) && u.Key != "vmstate" { // saved state is read by the daemon
			h.Volumes = append(h.Volumes, u.ID)
		}
	}
	if err := s.noteHold(ctx, op, h); err != nil {
		return nil, err
	}
	if err := s.makeRunDir(h, r.OwnFolder != ""); err != nil {
		return nil, err
	}
	at, err := s.attach(ctx, r.Volumes, h.Volumes, h.UID)
	if err != nil {
		return nil, err
	}
	if err := reached(r, at); err != nil {
		return nil, err
	}
	for _, p := range r.Ports {
		if err := s.o.Network.CreatePort(ctx, port(p, h.UID)); err != nil {
			return nil, err
		}
	}
	for _, c := range r.Copies {
		if err := copyFile(c.From, c.To, h.UID); err != nil {
			return nil, err
		}
	}
	if r.TPM != nil {
		if err := s.startTPM(ctx, op, h, r.TPM); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// hostMTUs lists the MTUs that network cards tell their guest, in the form of the option running-nets-host-mtu.
func hostMTUs(r *machineconf.Result) string {
	var list []string
	for _, p := range r.Ports {
		unit, ok := r.Machine.Find(p.Key)
		if !ok || len(unit.Devices) == 0 || p.Net.Model != "virtio" {
			continue
		}
		mtu := any(0)
		for _, prop := range unit.Devices[0].Props {
			if prop.Name == "host_mtu" {
				mtu = prop.Value
			}
		}
		list = append(list, fmt.Sprintf("%s=%v", p.Key, mtu))
	}
	return strings.Join(list, ",")
}

// makeRunDir makes the folders of a process that does not run; own is the one that belongs to its user. What an earlier one
// left in that is removed first: it could be a link of its making to a file of somebody else's.
func (s *Service) makeRunDir(h *Hold, own bool) error {
	if err := os.MkdirAll(s.o.RunDir, 0o711); err != nil {
		return err
	}
	if err := os.MkdirAll(s.runDir(h.ID), 0o711); err != nil {
		return err
	}
	dir := s.guestDir(h.ID)
	if err := os.RemoveAll(dir); err != nil || !own {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Lchown(dir, h.UID, -1)
}

// copyFile makes a file that the guest may write, in a folder that it may not write. One of an earlier attempt is replaced.
func copyFile(from, to string, uid int) error {
	if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Chown(uid, -1), dst.Close())
}

// undoHold gives back what a start has taken that did not come to its end.
func (s *Service) undoHold(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var h Hold
	if err := json.Unmarshal(data, &h); err != nil {
		return err
	}
	if err := s.letGo(ctx, &h); err != nil {
		return err
	}
	parts, err := s.drop(ctx, h.ID, h.Start)
	if err != nil {
		return err
	}
	return op.Commit(ctx, parts...)
}
