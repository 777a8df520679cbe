package disks

import (
	"context"
	"errors"
	"time"

	"github.com/turtacn/go-proxmox/internal/hosttool"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

const (
	lookPatience = 10 * time.Second // of one question to a program
	workPatience = 10 * time.Minute // of one change
)

// look asks a program. Whatever it says is returned; what the host has no program for is empty.
func (s *Service) look(ctx context.Context, name string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	out, err := s.o.Tools.Run(ctx, hosttool.Command{Name: name, Args: args})
	if err != nil && !errors.Is(err, hosttool.ErrMissing) {
		s.log.Debug("disks: question", "err", err)
	}
	return string(out)
}

// ask is look for an answer that must come.
func (s *Service) ask(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	return s.run(ctx, name, args...)
}

// do lets a program change something, and says so in the task's log.
func (s *Service) do(ctx context.Context, op *task.Op, name string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, workPatience)
	defer cancel()
	op.Logf("# %s", commandLine(name, args))
	out, err := s.run(ctx, name, args...)
	for _, line := range lines(out) {
		op.Logf("%s", line)
	}
	return err
}

func (s *Service) run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := s.o.Tools.Run(ctx, hosttool.Command{Name: name, Args: args})
	return string(out), explain(name, err)
}

// explain gives a program's error a text for the user.
func explain(name string, err error) error {
	if errors.Is(err, hosttool.ErrMissing) {
		text := "the program '" + name + "' is not installed on this node"
		if name == "zpool" || name == "zfs" {
			text = "zfsutils-linux not installed"
		}
		return &call.Error{Status: 500, Text: text, Err: err}
	}
	if e, ok := errors.AsType[*hosttool.Error](err); ok {
		return &call.Error{Status: 500, Text: "command '" + name + "' failed: " + e.Text(), Err: err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &call.Error{Status: 500, Text: "command '" + name + "' failed: got timeout", Err: err}
	}
	return err
}
