package machine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/qmp"
)

func TestClassify(t *testing.T) {
	event := func(name, reason string, guest bool) qmp.Event {
		data, _ := json.Marshal(map[string]any{"guest": guest, "reason": reason})
		return qmp.Event{Name: name, Data: data}
	}
	ok, by := proc.Status{Known: true}, func(s syscall.Signal) proc.Status { return proc.Status{Known: true, Signal: s} }
	down := event("SHUTDOWN", "guest-shutdown", true)
	quit := event("SHUTDOWN", "host-qmp-quit", false)
	cases := []struct {
		name   string
		events []qmp.Event
		did    words
		status proc.Status
		oom    uint64
		want   Cause
	}{
		{"guest", []qmp.Event{down}, words{}, ok, 0, GuestShutdown},
		{"guest, then our quit", []qmp.Event{down, quit}, words{quit: true}, ok, 0, GuestShutdown},
		{"guest, then killed", []qmp.Event{down}, words{killed: true}, by(syscall.SIGKILL), 0, GuestShutdown},
		{"guest of an old QEMU", []qmp.Event{event("SHUTDOWN", "", true)}, words{}, ok, 0, GuestShutdown},
		{"guest, brought back, quit", []qmp.Event{down, event("RESET", "", false), {Name: "RESUME"}, quit}, words{}, ok, 0, Quit},
		{"reset", []qmp.Event{event("SHUTDOWN", "guest-reset", true)}, words{}, ok, 0, GuestReset},
		{"panic", []qmp.Event{{Name: "GUEST_PANICKED"}, event("SHUTDOWN", "guest-panic", true)}, words{}, ok, 0, GuestPanic},
		{"panic without shutdown", []qmp.Event{{Name: "GUEST_PANICKED"}}, words{}, ok, 0, GuestPanic},
		{"quit", []qmp.Event{quit}, words{quit: true}, ok, 0, Quit},
		{"quit, unheard", nil, words{quit: true}, ok, 0, Quit},
		{"SIGTERM", []qmp.Event{event("SHUTDOWN", "host-signal", false)}, words{killed: true}, ok, 0, Killed},
		{"SIGTERM by others", []qmp.Event{event("SHUTDOWN", "host-signal", false)}, words{}, ok, 0, Killed},
		{"SIGKILL", nil, words{}, by(syscall.SIGKILL), 0, Killed},
		{"our SIGKILL after an old kill for memory", nil, words{killed: true}, by(syscall.SIGKILL), 1, Killed},
		{"memory", nil, words{}, by(syscall.SIGKILL), 1, OOM},
		{"memory, not our child", nil, words{}, proc.Status{}, 1, OOM},
		{"memory elsewhere in the group", []qmp.Event{quit}, words{}, ok, 1, Quit},
		{"fault", nil, words{}, by(syscall.SIGSEGV), 0, Crashed},
		{"forbidden system call", nil, words{}, by(syscall.SIGSYS), 0, Crashed},
		{"error", nil, words{}, proc.Status{Known: true, Code: 1}, 0, Crashed},
		{"host error", []qmp.Event{event("SHUTDOWN", "host-error", false)}, words{}, ok, 0, Crashed},
		{"no child, killed by us", nil, words{killed: true}, proc.Status{}, 0, Killed},
		{"no child, quit by us", nil, words{quit: true}, proc.Status{}, 0, Quit},
		{"no child, silent", nil, words{}, proc.Status{}, 0, Unknown},
		{"silent", nil, words{}, ok, 0, Unknown},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := c.did
			for _, e := range c.events {
				w.event(e)
			}
			require.Equal(t, c.want, classify(w, c.status, c.oom))
		})
	}
}

func TestMissedEventsShowInTheStatus(t *testing.T) {
	var w words
	w.status("running")
	require.Equal(t, words{}, w)
	w.status("shutdown")
	require.Equal(t, GuestShutdown, classify(w, proc.Status{}, 0))
	w = words{guest: "guest-reset"}
	w.status("shutdown")
	require.Equal(t, "guest-reset", w.guest)
	w = words{}
	w.status("guest-panicked")
	require.Equal(t, GuestPanic, classify(w, proc.Status{}, 0))
}

// bootSector writes a disk whose boot sector runs code, and returns the options that boot it.
func bootSector(t *testing.T, code ...byte) []string {
	t.Helper()
	sector := make([]byte, 512)
	copy(sector, append(code, 0xf4, 0xeb, 0xfd)) // hlt; jump back to it
	sector[510], sector[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "boot.img")
	require.NoError(t, os.WriteFile(path, append(sector, make([]byte, 64<<10)...), 0o644))
	return []string{"-drive", "if=ide,format=raw,file=" + path}
}

var (
	powerOff = []byte{0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef} // out 0x604, 0x2000: ACPI's soft off on this board
	resetCPU = []byte{0xb0, 0xfe, 0xe6, 0x64}                   // out 0x64, 0xfe: the keyboard controller's reset line
	debugEnd = []byte{0xb0, 0x03, 0xe6, 0xf4}                   // out 0xf4, 3: isa-debug-exit
)

func TestExits(t *testing.T) {
	cases := map[string]struct {
		code   []byte
		args   []string
		act    func(*testing.T, *Process)
		cause  Cause
		reason string
		exit   int
	}{
		"power off":                {powerOff, nil, nil, GuestShutdown, "guest-shutdown", 0},
		"power off to no-shutdown": {powerOff, []string{"-no-shutdown"}, nil, GuestShutdown, "guest-shutdown", 0},
		"reset to no-reboot":       {resetCPU, []string{"-no-reboot"}, nil, GuestReset, "guest-reset", 0},
		"reset to both":            {resetCPU, []string{"-no-reboot", "-no-shutdown"}, nil, GuestReset, "guest-reset", 0},
		"error":                    {debugEnd, []string{"-device", "isa-debug-exit,iobase=0xf4"}, nil, Crashed, "", 7},
		"terminated": {nil, nil, func(t *testing.T, p *Process) {
			require.NoError(t, syscall.Kill(p.PID(), syscall.SIGTERM))
		}, Killed, "host-signal", 0},
		"aborted": {nil, nil, func(t *testing.T, p *Process) {
			require.NoError(t, syscall.Kill(p.PID(), syscall.SIGABRT))
		}, Crashed, "", 0},
		"killed": {nil, nil, func(t *testing.T, p *Process) { require.NoError(t, p.Kill(limited(t))) }, Killed, "", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := options(t, append(bootSector(t, c.code...), c.args...)...)
			p := launch(t, o)
			if name == "error" && p.QMP().Greeting().Version.AtLeast(10, 0) {
				c.cause, c.reason = GuestShutdown, "guest-shutdown" // there the device shuts down with a code, and no longer exits
			}
			if c.act != nil {
				c.act(t, p)
			}
			e, err := p.Wait(limited(t))
			require.NoError(t, err)
			require.Equal(t, c.cause, e.Cause, "%+v", e)
			require.Equal(t, c.reason, e.Reason)
			require.Equal(t, c.exit, e.Code)
			requireClean(t, o.RunDir)
		})
	}
}

func TestKeepShutDown(t *testing.T) {
	o := options(t, append(bootSector(t, powerOff...), "-no-shutdown", "-S")...)
	o.KeepShutDown = true
	p := launch(t, o)
	sub := p.QMP().Subscribe("SHUTDOWN")
	defer sub.Close()
	require.NoError(t, p.QMP().Do(limited(t), "cont", nil, nil))
	_, err := sub.Next(limited(t), nil)
	require.NoError(t, err)
	var st struct{ Status string }
	require.NoError(t, p.QMP().Do(limited(t), "query-status", nil, &st))
	require.Equal(t, "shutdown", st.Status)

	// A later owner that does not want to keep it learns from the state what it did not hear.
	require.NoError(t, p.Close())
	p, err = Attach(limited(t), o.RunDir, nil)
	require.NoError(t, err)
	e, err := p.Wait(limited(t))
	require.NoError(t, err)
	require.Equal(t, GuestShutdown, e.Cause)
}
