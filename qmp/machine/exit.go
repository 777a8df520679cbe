package machine

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/qmp"
)

// Cause is why a QEMU ended.
type Cause string

// The causes.
const (
	GuestShutdown Cause = "guest-shutdown" // the guest powered itself off, asked to or not
	GuestReset    Cause = "guest-reset"    // the guest reset itself under -no-reboot
	GuestPanic    Cause = "guest-panic"    // the guest's kernel reported its death
	Quit          Cause = "quit"           // told so by QMP
	Killed        Cause = "killed"         // by a signal that somebody sent
	Crashed       Cause = "crashed"        // by an error of its own: a fault, an abort, a forbidden system call, a code not 0
	OOM           Cause = "oom"            // by the kernel, for want of memory
	Unknown       Cause = "unknown"        // nobody was there to see
)

// Exit is how a QEMU ended. The zero Exit means that it has not.
type Exit struct {
	Cause  Cause
	Reason string         // as QMP gave it: "guest-shutdown", "host-signal", … See qapi/run-state.json: ShutdownCause
	Known  bool           // Code and Signal are known: only the parent learns them
	Code   int            // exit code, when Signal is 0
	Signal syscall.Signal // that killed it
	Stderr string         // last lines, at most 4 KiB; not for users' eyes
	Time   time.Time      // when it was noticed
}

// String returns a sentence for a log.
func (e Exit) String() string {
	switch {
	case e.Cause == "":
		return "running"
	case !e.Known:
		return string(e.Cause)
	case e.Signal != 0:
		return fmt.Sprintf("%s (signal %v)", e.Cause, e.Signal)
	}
	return fmt.Sprintf("%s (exit code %d)", e.Cause, e.Code)
}

// words are what QEMU said and what we did about its end.
type words struct {
	guest  string // reason of the guest's own shutdown, while it holds
	host   string // reason of a shutdown from outside
	panic  bool
	quit   bool // we sent quit
	killed bool // we sent a signal
}

func (w *words) event(e qmp.Event) {
	switch e.Name {
	case "RESET", "RESUME": // what was shut down, or had panicked, has been brought back
		w.guest, w.panic = "", false
	case "GUEST_PANICKED":
		w.panic = true
	case "SHUTDOWN":
		reason := e.Str("reason")
		if !e.Bool("guest") {
			w.host = reason
			return
		}
		if w.guest = reason; reason == "" { // QEMU before 4.0 gives none
			w.guest = "guest-shutdown"
		}
	}
}

// status takes in the run state in place of events that were missed. See qapi/run-state.json: RunState.
func (w *words) status(s string) {
	switch {
	case s == "shutdown" && w.guest == "":
		w.guest = "guest-shutdown"
	case s == "guest-panicked":
		w.panic = true
	}
}

// classify finds the cause. oom is how often the kernel has killed in the control group for want of memory.
func classify(w words, st proc.Status, oom uint64) Cause {
	byKill := st.Signal == syscall.SIGKILL || !st.Known
	switch {
	case oom > 0 && byKill && !w.killed && w.guest == "" && w.host == "":
		return OOM
	case w.guest == "guest-reset":
		return GuestReset
	case w.guest == "guest-panic":
		return GuestPanic
	case w.guest != "":
		return GuestShutdown
	case st.Signal == syscall.SIGKILL, st.Signal == syscall.SIGTERM, st.Signal == syscall.SIGINT, st.Signal == syscall.SIGHUP:
		return Killed
	case st.Signal != 0, st.Code != 0:
		return Crashed
	case w.host == "host-signal":
		return Killed
	case w.host == "host-error":
		return Crashed
	case w.host != "":
		return Quit
	case w.killed:
		return Killed
	case w.quit:
		return Quit
	case w.panic:
		return GuestPanic
	}
	return Unknown
}

// settle is called when process and session have ended: it fixes the exit and removes what the run leaves behind.
func (p *Process) settle() {
	st, _ := p.proc.Wait(context.Background()) // it has ended
	p.mu.Lock()
	w := p.words
	p.mu.Unlock()
	p.exit = Exit{
		Cause: classify(w, st, oomKills(p.group, p.rec)), Reason: w.guest,
		Known: st.Known, Code: st.Code, Signal: st.Signal,
		Stderr: p.Stderr(), Time: time.Now(),
	}
	if p.exit.Reason == "" {
		p.exit.Reason = w.host
	}
	p.tend()
	cleanUp(p.paths, p.group)
	p.proc.Close() // nobody needs to call Close any more
	p.opts.Logger.Debug("QEMU ended", "name", p.rec.Name, "exit", p.exit)
	close(p.done)
}

// oomKills returns the kills since the start.
func oomKills(g *proc.Group, rec record) uint64 {
	if g == nil {
		return 0
	}
	n, err := g.OOMKills()
	if err != nil || n < rec.OOMBase {
		return 0
	}
	return n - rec.OOMBase
}

// cleanUp removes sockets, record and group. A group that others still use stays.
func cleanUp(p paths, g *proc.Group) {
	p.removeLeftovers()
	if g != nil {
		_ = g.Remove()
	}
}
