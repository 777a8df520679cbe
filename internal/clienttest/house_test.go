package clienttest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the tests call their things.
const (
	node     = "clients"
	rootUser = "root@pam"
	bridge   = "vmbrclients"
	hostIP   = "10.213.78.1"
	network  = "10.213.78." // with the last number of an address
	storage  = "local"
	firstID  = 78100 // of VMs; taps are named after them, so they are not those of another gpved on the host
	diskFile = "tinyguest.qcow2"
	diskVol  = storage + ":import/" + diskFile // uploaded by the first client that needs it

	guestUp          = "gpve-guest: up " // followed by host name, address, kernel
	guestPowerButton = "gpve-guest: power button"
)

// house is a running gpved.
type house struct {
	dir      string
	guest    string // disk image of the tiny guest
	listen   string // HOST:PORT
	password string // of root@pam
	log      *lockedBuffer
	daemon   *exec.Cmd
	ended    chan struct{} // closed when the daemon's process is gone
}

// openHouse initializes and starts a gpved, which ends with the test.
func openHouse(t *testing.T) *house {
	t.Helper()
	gpved, guest := fromEnvironment(t, "GPVED"), filepath.Join(fromEnvironment(t, "GPVE_TINYGUEST"), "disk.qcow2")
	for _, file := range []string{gpved, guest} {
		require.FileExists(t, file, "run make test-clients, which builds it")
	}
	require.Zero(t, os.Geteuid(), "guests and bridges need root")
	require.NoDirExists(t, "/sys/class/net/"+bridge, "a run that was killed has left its bridge: end its gpved and QEMU, if they are there, and delete it")

	// Guests run as users of their own and must reach their disks, which t.TempDir would not let them.
	dir, err := os.MkdirTemp("", "gpve-clients-")
	require.NoError(t, err)
	h := &house{dir: dir, guest: guest, password: "clients-" + filepath.Base(dir), log: &lockedBuffer{}, ended: make(chan struct{})}
	t.Cleanup(func() { h.close(t) })
	require.NoError(t, os.Chmod(dir, 0o711))

	cmd := exec.CommandContext(t.Context(), gpved, "init", "--data-dir", h.data(), "--node", node, "--password-file", "-",
		"--nat-bridge", bridge+"="+hostIP+"/24")
	cmd.Stdin = strings.NewReader(h.password + "\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "gpved init: %s", out)

	h.listen = freeAddress(t)
	h.daemon = exec.Command(gpved, "run", "--data-dir", h.data(), "--listen", h.listen)
	h.daemon.Stdout, h.daemon.Stderr = h.log, h.log
	require.NoError(t, h.daemon.Start())
	go func() { // ends with the process
		defer close(h.ended)
		h.daemon.Wait()
	}()
	eventually(t, 30*time.Second, "gpved answers", func() (bool, error) {
		select {
		case <-h.ended:
			return false, fmt.Errorf("gpved ended: %s", h.log.tail(15))
		default:
		}
		conn, err := net.DialTimeout("tcp", h.listen, time.Second)
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	})
	return h
}

// fromEnvironment returns a value that the Makefile gives.
func fromEnvironment(t *testing.T, name string) string {
	t.Helper()
	value := os.Getenv(name)
	require.NotEmpty(t, value, "%s is not set: run make test-clients", name)
	return value
}

// needTools fails the test where a program is missing.
func needTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := exec.LookPath(name)
		require.NoError(t, err, "this test needs the program %s", name)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func (h *house) data() string   { return filepath.Join(h.dir, "data") }
func (h *house) caFile() string { return filepath.Join(h.data(), "pki", "ca.crt") }
func (h *house) url() string    { return "https://" + h.listen }

// close stops the daemon and its guests, shows the log's end of a failed run, and removes what was made on the host.
func (h *house) close(t *testing.T) {
	if t.Failed() {
		t.Logf("gpved's last lines:\n%s\ntasks that failed:\n%s", h.log.tail(40), h.failedTasks())
	}
	if h.daemon != nil && h.daemon.Process != nil {
		h.daemon.Process.Signal(syscall.SIGTERM)
		select {
		case <-h.ended:
		case <-time.After(20 * time.Second):
			h.daemon.Process.Signal(syscall.SIGQUIT)
			<-h.ended
			_, stacks, _ := strings.Cut(h.log.String(), "SIGQUIT: quit")
			t.Errorf("gpved did not stop within 20 s of SIGTERM; it was at%s", stacks)
		}
	}
	if guests := h.guests(); len(guests) > 0 {
		t.Errorf("left: QEMU processes %v", guests)
		for _, pid := range guests {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		for deadline := time.Now().Add(5 * time.Second); len(h.guests()) > 0 && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond)
		}
	}
	if taps, _ := filepath.Glob("/sys/class/net/" + bridge + "/brif/*"); len(taps) > 0 {
		t.Errorf("left: %v", taps)
		for _, tap := range taps {
			exec.Command("ip", "link", "delete", filepath.Base(tap)).Run()
		}
	}
	exec.Command("ip", "link", "delete", bridge).Run()                     // absent when the start failed before it
	exec.Command("nft", "delete", "table", "ip", "gpve-nat-"+bridge).Run() // likewise
	if t.Failed() {
		exec.Command("chattr", "-R", "-i", h.dir).Run() // base images are immutable, and one may be left
	}
	if err := os.RemoveAll(h.dir); err != nil {
		t.Error(err)
	}
}

// failedTasks returns the logs of the tasks that did not end well, oldest first.
func (h *house) failedTasks() string {
	type log struct{ began, text string }
	var failed []log
	files, _ := filepath.Glob(filepath.Join(h.data(), "log", "tasks", "*", "UPID:*"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil && !bytes.HasSuffix(text, []byte("TASK OK\n")) {
			began := strings.Split(filepath.Base(f), ":")[4]
			failed = append(failed, log{began, filepath.Base(f) + "\n  " + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n  ")})
		}
	}
	slices.SortStableFunc(failed, func(a, b log) int { return strings.Compare(a.began, b.began) })
	var out strings.Builder
	for _, l := range failed {
		out.WriteString(l.text + "\n")
	}
	return out.String()
}

// guests finds the QEMU processes of this house.
func (h *house) guests() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		line, err := os.ReadFile(f)
		var pid int
		if err == nil && bytes.Contains(line, []byte(h.dir)) && bytes.HasPrefix(filepathBase(line), []byte("qemu-system")) {
			if _, err := fmt.Sscanf(f, "/proc/%d/cmdline", &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// filepathBase returns the last part of the program's path in a process's command line.
func filepathBase(cmdline []byte) []byte {
	program, _, _ := bytes.Cut(cmdline, []byte{0})
	return program[bytes.LastIndexByte(program, '/')+1:]
}

// eventually asks until the answer is yes; an error or the end of the time fails the test.
func eventually(t *testing.T, limit time.Duration, what string, ask func() (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		ok, err := ask()
		require.NoError(t, err, what)
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			require.Failf(t, "too late", "not within %v: %s", limit, what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// lockedBuffer is written by one goroutine and read by others.
type lockedBuffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// tail returns the last n lines.
func (b *lockedBuffer) tail(n int) string {
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
