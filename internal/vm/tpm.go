package vm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
)

// The emulated TPM is a process beside QEMU, as the same user. It ends with the connection that QEMU makes to it. What finds
// it again, should the daemon die before that connection, is the lock of a file that it inherits, as with QEMU itself.
const (
	tpmProgram  = "swtpm"
	tpmLockFD   = 3
	tpmPatience = 5 * time.Second
)

func (s *Service) tpmLock(id int) string { return filepath.Join(s.runDir(id), "tpm.lock") }
func (s *Service) tpmLog(id int) string  { return filepath.Join(s.runDir(id), "tpm.log") }
func tpmGroup(id int) string             { return filepath.Join("gpve", strconv.Itoa(id)+".tpm") }

// startTPM starts the TPM of a guest and waits until it listens. A new state volume is made into a TPM by its first start.
func (s *Service) startTPM(ctx context.Context, op *task.Op, h *Hold, t *machineconf.TPMProcess) error {
	program, err := exec.LookPath(tpmProgram)
	if err != nil {
		return call.Errorf("start failed: the program '%s' for the TPM is not installed", tpmProgram)
	}
	program, err = filepath.Abs(program)
	if err != nil {
		return err
	}
	path, err := s.tpmState(ctx, h, t.Volume)
	if err != nil {
		return err
	}
	lock, err := proc.Lock(s.tpmLock(h.ID))
	if err != nil {
		return err
	}
	defer lock.Close()
	log, err := proc.OpenLog(s.tpmLog(h.ID))
	if err != nil {
		return err
	}
	defer log.Close()
	spec := &proc.Spec{
		Path: program, UID: h.UID, GID: h.UID, Stdout: log, Stderr: log, Files: []*os.File{lock},
		Args: []string{
			"socket", "--tpmstate", "backend-uri=file://" + path, "--ctrl", "type=unixio,mode=0600,path=" + t.Socket, "--terminate",
		},
	}
	if t.Version == "v2.0" {
		spec.Args = append(spec.Args, "--tpm2")
	}
	if groups, err := proc.FindCgroups(); err == nil {
		if spec.Group, err = groups.Create(tpmGroup(h.ID)); err != nil {
			s.o.Logger.Warn("TPM runs without a control group", "vmid", h.ID, "err", err)
			spec.Group = nil
		}
	}
	p, err := proc.Start(spec)
	if err != nil {
		return err
	}
	s.wg.Go(func() { // its parent has to take note of its end
		select {
		case <-p.Done():
		case <-s.stopping:
		}
		_ = p.Close()
	})
	return s.awaitTPM(ctx, op, h.ID, p, t.Socket)
}

// tpmState returns the file or device of a TPM's state, which the guest's user may write.
func (s *Service) tpmState(ctx context.Context, h *Hold, volume string) (string, error) {
	if !isVolume(volume) {
		return volume, nil
	}
	at, err := s.o.Volumes.Attach(ctx, volume, h.UID, false)
	if err != nil {
		return "", fmt.Errorf("tpmstate0: %w", err)
	}
	switch at := at.(type) {
	case storage.File:
		if at.Format == storage.Raw {
			return at.Path, nil
		}
	case storage.Block:
		return at.Path, nil
	}
	return "", call.Errorf("start failed: the state of the TPM must be a raw volume, not '%s'", volume)
}

func (s *Service) awaitTPM(ctx context.Context, op *task.Op, id int, p *proc.Process, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, tpmPatience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if st, err := os.Lstat(socket); err == nil && st.Mode()&fs.ModeSocket != 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.Done():
			tail, _ := proc.TailLog(s.tpmLog(id), 4<<10) // whatever there is of it
			for line := range strings.Lines(string(tail)) {
				op.Logf("TPM: %s", strings.TrimSpace(line))
			}
			return call.Errorf("start failed: the TPM ended at once")
		case <-ctx.Done():
			return fmt.Errorf("start failed: wait for the TPM: %w", ctx.Err())
		}
	}
}

// endTPM kills the TPM of a guest, if one is left.
func (s *Service) endTPM(ctx context.Context, id int) error {
	path := s.tpmLock(id)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for deadline := time.Now().Add(tpmPatience); ; {
		lock, err := proc.Lock(path)
		if err == nil { // nobody has it
			return errors.Join(lock.Close(), removeGroup(tpmGroup(id)))
		}
		if !errors.Is(err, proc.ErrLocked) {
			return err
		}
		switch holder, err := proc.Holder(path, tpmLockFD); {
		case err == nil:
			if err := killProcess(ctx, holder); err != nil {
				return err
			}
		case time.Now().After(deadline): // else it is on its way through exec
			return fmt.Errorf("TPM of VM %d: %w", id, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func killProcess(ctx context.Context, id proc.Identity) error {
	p, err := proc.Open(id)
	if errors.Is(err, proc.ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(p.Kill(ctx), p.Close())
}

// removeGroup removes an empty control group, if there is one.
func removeGroup(name string) error {
	groups, err := proc.FindCgroups()
	if err != nil {
		return nil
	}
	g, err := groups.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return g.Remove()
}
