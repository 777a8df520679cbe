package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Phases of a VM's life at which its hook script is called, with the VM's id and the phase as arguments. After a restart of
// the daemon in the middle of one the script is called again for the same phase.
const (
	phasePreStart  = "pre-start"  // may refuse the start
	phasePostStart = "post-start" // QEMU answers
	phasePreStop   = "pre-stop"   // an operation is about to end the guest; not before an end by the guest itself
	phasePostStop  = "post-stop"  // all that the guest held is given back, however it ended
)

// Bounds of a hook script. Its task can be cancelled before, but the clean-up behind a guest is no task that anybody sees.
const (
	hookPatience = 10 * time.Minute
	hookLinger   = 5 * time.Second // how long a process that it has left behind may hold its output
	hookLines    = 1000            // of output that go to the log
	hookLine     = 1024            // bytes of each
)

// checkHookscript checks that a hook script is an executable snippet.
func (s *Service) checkHookscript(ctx context.Context, volume string) error {
	_, err := s.hookFile(ctx, volume)
	return err
}

// hookFile finds the file of a hook script. The errors are those of the parameter.
func (s *Service) hookFile(ctx context.Context, volume string) (string, error) {
	vol, _, ok := s.vols.parse(ctx, volume)
	if !ok || vol.Content != volid.Snippets {
		return "", call.Param("hookscript", "'%s' is not in the snippets directory", volume)
	}
	file, err := s.o.Volumes.Path(ctx, volume)
	if err != nil {
		return "", err
	}
	switch fi, err := os.Stat(file); {
	case err != nil || !fi.Mode().IsRegular():
		return "", call.Param("hookscript", "script '%s' does not exist", volume)
	case fi.Mode()&0o111 == 0:
		return "", call.Param("hookscript", "script '%s' is not executable", volume)
	}
	return file, nil
}

// hook calls the VM's hook script, if it has one, and waits for it. What it prints goes to the log.
func (s *Service) hook(ctx context.Context, op *task.Op, v *VM, phase string) error {
	volume := v.Config.Main["hookscript"]
	if volume == "" {
		return nil
	}
	err := s.runHook(ctx, op, v.ID, volume, phase)
	switch bad, ok := errors.AsType[call.ParamErrors](err); {
	case err == nil:
		return nil
	case ctx.Err() != nil: // the task was cancelled, or the daemon ends
		return context.Cause(ctx)
	case ok:
		err = errors.New(bad["hookscript"])
	}
	return call.Errorf("hookscript error for %d on %s: %w", v.ID, phase, err)
}

// tryHook is hook for phases at which an error is only a warning.
func (s *Service) tryHook(ctx context.Context, op *task.Op, v *VM, phase string) {
	if err := s.hook(ctx, op, v, phase); err != nil {
		op.Logf("WARN: %v", err)
	}
}

func (s *Service) runHook(ctx context.Context, op *task.Op, id int, volume, phase string) error {
	file, err := s.hookFile(ctx, volume)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, hookPatience)
	defer cancel()
	//nolint:forbidigo // it ends with its operation
	cmd := exec.CommandContext(ctx, file, strconv.Itoa(id), phase)
	cmd.Dir, cmd.WaitDelay = "/", hookLinger
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/root"}
	out := &hookOutput{log: func(line string) { op.Logf("%s", line) }}
	cmd.Stdout, cmd.Stderr = out, out // one writer: the lines keep their order
	err = proc.RunTethered(cmd, nil)
	out.end()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // a service that it has started may have its output
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("command '%s %d %s' failed: got timeout", volume, id, phase)
	case errors.As(err, &exit) && exit.Exited():
		return fmt.Errorf("command '%s %d %s' failed: exit code %d", volume, id, phase, exit.ExitCode())
	case errors.As(err, &exit):
		return fmt.Errorf("command '%s %d %s' failed: %s", volume, id, phase, exit.ProcessState)
	}
	// What os/exec says holds the path; the class is enough.
	var cause *os.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return fmt.Errorf("command '%s %d %s' failed: %w", volume, id, phase, err)
}

// hookOutput passes lines on as they come, up to hookLines of hookLine bytes.
type hookOutput struct {
	log   func(string)
	line  []byte
	lines int
}

func (o *hookOutput) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		part, after, found := bytes.Cut(rest, []byte("\n"))
		if room := hookLine - len(o.line); room > 0 {
			o.line = append(o.line, part[:min(room, len(part))]...)
		}
		if rest = after; found {
			o.flush()
		}
	}
	return len(p), nil
}

func (o *hookOutput) flush() {
	switch o.lines++; {
	case o.lines <= hookLines:
		o.log(string(bytes.ToValidUTF8(o.line, []byte("\uFFFD"))))
	case o.lines == hookLines+1:
		o.log("(further output of the hook script is left out)")
	}
	o.line = o.line[:0]
}

// end passes on a last line without its end.
func (o *hookOutput) end() {
	if len(o.line) > 0 {
		o.flush()
	}
}
