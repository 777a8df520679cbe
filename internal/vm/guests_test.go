package vm

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// acpiSector is a guest of 512 bytes that counts the ticks of its clock at address 500h, and powers off when the power
// button is pressed: its machine's ACPI registers are where SeaBIOS puts them, at port 600h.
func acpiSector() []byte {
	code := []byte{
		0x31, 0xC0, // xor ax, ax
		0x8E, 0xD8, // mov ds, ax
		0xC7, 0x06, 0x00, 0x05, 0x00, 0x00, // mov word [500h], 0
		0xBA, 0x02, 0x06, // mov dx, 602h: enable the button's event
		0xB8, 0x00, 0x01, // mov ax, 100h
		0xEF,                   // out dx, ax
		0xFB,                   // again: sti
		0xF4,                   // hlt
		0xFF, 0x06, 0x00, 0x05, // inc word [500h]
		0xBA, 0x00, 0x06, // mov dx, 600h
		0xED,             // in ax, dx
		0xF6, 0xC4, 0x01, // test ah, 1: was it pressed?
		0x74, 0xF1, // jz again
		0xBA, 0x04, 0x06, // mov dx, 604h: to sleep, type 0
		0xB8, 0x00, 0x20, // mov ax, 2000h
		0xEF,       // out dx, ax
		0xF4,       // hlt
		0xEB, 0xFD, // jmp hlt
	}
	sector := make([]byte, 512)
	copy(sector, code)
	sector[510], sector[511] = 0x55, 0xAA
	return sector
}

// acpiImage writes acpiSector as a raw disk of 1 MiB into the node's folder, for import-from, and returns its path.
func (s *site) acpiImage() string {
	s.t.Helper()
	path := filepath.Join(s.dir, "acpi.raw")
	require.NoError(s.t, os.WriteFile(path, acpiSector(), 0o600))
	require.NoError(s.t, os.Truncate(path, 1<<20))
	return path
}

// makeACPI creates a VM whose guest knows the power button.
func (s *site) makeACPI(id int, p ...any) {
	s.t.Helper()
	// Without the firmware's pause for a menu.
	s.makeVM(id, append([]any{"memory", 16, "args", "-boot menu=off", "scsi0", "local:0,import-from=" + s.acpiImage()}, p...)...)
}

// startACPI starts it and waits until the guest would hear the button.
func (s *site) startACPI(id int) {
	s.t.Helper()
	s.startVM(id)
	s.awaitACPI(id)
}

func (s *site) awaitACPI(id int) {
	s.t.Helper()
	s.eventually("the guest is up", func() bool { return strings.HasSuffix(s.hmp(id, "i /h 0x602"), "0x0100") })
}

// ticks reads the counter of the guest of acpiSector.
func (s *site) ticks(id int) int {
	s.t.Helper()
	text := s.hmp(id, "xp /1dh 0x500")
	n, err := strconv.Atoi(text[strings.LastIndexByte(text, ' ')+1:])
	require.NoError(s.t, err, text)
	return n
}

// hmp gives a command to the human monitor and returns its answer, empty while the guest does not run.
func (s *site) hmp(id int, command string) string {
	s.t.Helper()
	g := s.guest(id)
	if g == nil {
		return ""
	}
	var out string
	require.NoError(s.t, g.do(s.root(), "human-monitor-command", map[string]any{"command-line": command}, &out))
	return strings.TrimSpace(out)
}

// pid is the process of a VM, 0 if it does not run.
func (s *site) pid(id int) int {
	if g := s.guest(id); g != nil {
		return g.proc.PID()
	}
	return 0
}

// current is the answer of status/current.
func (s *site) current(id int) current {
	s.t.Helper()
	out, err := ask(s, s.root(), s.GetNodesQemuStatusCurrent, kv{"vmid", id})
	require.NoError(s.t, err)
	return out.(current)
}

// The power methods as root. They return what ok and fails take.
func (s *site) start(id int, p ...any) (string, error) {
	return ask(s, s.root(), s.PostNodesQemuStatusStart, append(kv{"vmid", id}, p...))
}

func (s *site) stopTask(id int, p ...any) (string, error) {
	return ask(s, s.root(), s.PostNodesQemuStatusStop, append(kv{"vmid", id}, p...))
}

func (s *site) shutdown(id int, p ...any) (string, error) {
	return ask(s, s.root(), s.PostNodesQemuStatusShutdown, append(kv{"vmid", id}, p...))
}

func (s *site) reboot(id int, p ...any) (string, error) {
	return ask(s, s.root(), s.PostNodesQemuStatusReboot, append(kv{"vmid", id}, p...))
}

func (s *site) reset(id int) (string, error) {
	return ask(s, s.root(), s.PostNodesQemuStatusReset, kv{"vmid", id})
}

func (s *site) suspend(id int, p ...any) (string, error) {
	return ask(s, s.root(), s.PostNodesQemuStatusSuspend, append(kv{"vmid", id}, p...))
}

func (s *site) resume(id int) (string, error) {
	return ask(s, s.root(), s.PostNodesQemuStatusResume, kv{"vmid", id})
}

func mustNet(text string) vmconfig.Net {
	n, err := vmconfig.ParseNet(text)
	if err != nil {
		panic(err)
	}
	return n
}
