package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/daemon"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// asProgram makes this test binary be gpved.
const asProgram = "GPVED_TEST_IS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

const password = "secret of a test"

// command is gpved with arguments.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// run executes gpved to its end.
func run(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, args...)
	var out, errw bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(password+"\n"), &out, &errw
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), errw.String(), exit.ExitCode()
	}
	require.NoError(t, err)
	return out.String(), errw.String(), 0
}

// newData initializes a data directory that guests can reach.
func newData(t *testing.T, args ...string) string {
	t.Helper()
	need.That(t, "linux", runtime.GOOS == "linux", "network namespaces and processes of Linux")
	need.Tool(t, "qemu-system-x86_64", "qemu-img")
	dir, err := os.MkdirTemp("", "gpved-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	data := filepath.Join(dir, "data")
	_, stderr, code := run(t, append([]string{"init", "--data-dir", data, "--node", "alpha", "--password-file", "-"}, args...)...)
	require.Zero(t, code, stderr)
	require.Empty(t, stderr)
	return data
}

// program is a running gpved.
type program struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	log  *bytes.Buffer // read it after the end
	api  *client.Client
	done chan error
}

// start runs gpved until it says that it is ready, and logs in.
func start(t *testing.T, data string, change func(*exec.Cmd)) *program {
	t.Helper()
	p := &program{t: t, cmd: command(t, "run", "--data-dir", data, "--listen", "127.0.0.1:0", "--accel", "tcg"), log: &bytes.Buffer{}, done: make(chan error, 1)}
	p.cmd.Stderr = p.log
	if change != nil {
		change(p.cmd)
	}
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { p.end(syscall.SIGKILL) })
	if err != nil {
		require.Fail(t, "no ready line", p.end(syscall.SIGTERM))
	}
	addr, ok := strings.CutPrefix(line, "gpved: node alpha is ready at https://")
	require.True(t, ok, line)
	p.addr = strings.TrimSpace(addr)
	return p
}

// login gives the program's API a session of root.
func (p *program) login(data string) *program {
	p.t.Helper()
	ca, err := os.ReadFile(filepath.Join(data, "pki", "ca.crt"))
	require.NoError(p.t, err)
	roots := x509.NewCertPool()
	require.True(p.t, roots.AppendCertsFromPEM(ca))
	p.api, err = client.New("https://"+p.addr, &client.Options{RootCAs: roots})
	require.NoError(p.t, err)
	require.NoError(p.t, p.api.Login(p.t.Context(), "root@pam", password))
	return p
}

// end sends a signal, waits for the end and returns what the program logged with its exit status.
func (p *program) end(sig syscall.Signal) string {
	if p.done == nil {
		return ""
	}
	p.cmd.Process.Signal(sig)
	select {
	case err := <-p.done:
		p.done = nil
		return p.log.String() + p.cmd.ProcessState.String() + errText(err)
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		return "does not end"
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func (p *program) terminate() {
	p.t.Helper()
	text := p.end(syscall.SIGTERM)
	require.Zero(p.t, p.cmd.ProcessState.ExitCode(), text)
}

func TestRunTellsSystemd(t *testing.T) {
	data := newData(t)
	socket := filepath.Join(filepath.Dir(data), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	defer notify.Close()
	require.NoError(t, notify.SetReadDeadline(time.Now().Add(30*time.Second)))
	p := start(t, data, func(c *exec.Cmd) { c.Env = append(c.Env, "NOTIFY_SOCKET="+socket) })
	heard := func() string {
		buf := make([]byte, 100)
		n, err := notify.Read(buf)
		require.NoError(t, err)
		return string(buf[:n])
	}
	require.Equal(t, "READY=1", heard())
	p.terminate()
	require.Equal(t, "STOPPING=1", heard())
}

func TestFaultsAreExitStatusOneAndAReason(t *testing.T) {
	data := newData(t)
	config := filepath.Join(data, daemon.ConfigFile)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	broken := filepath.Join(filepath.Dir(data), "broken.yaml")
	require.NoError(t, os.WriteFile(broken, append(text, "qemu:\n  accell: kvm\n"...), 0o600))

	running := start(t, data, nil)
	for want, args := range map[string][]string{
		`line 7: unknown key "accell"`:   {"run", "--data-dir", data, "--config", broken},
		"no such file":                   {"run", "--data-dir", data, "--config", broken + "2"},
		"is not initialized":             {"run", "--data-dir", filepath.Join(filepath.Dir(data), "other")},
		"another gpved works in " + data: {"run", "--data-dir", data, "--listen", "127.0.0.1:0"},
		"is initialized already":         {"init", "--data-dir", data},
		"server.port: 70000":             {"run", "--data-dir", data, "--listen", ":70000"},
		"none of auto, kvm, tcg":         {"run", "--data-dir", data, "--accel", "xen"},
		"NAME=ADDRESS/LENGTH":            {"init", "--data-dir", data + "2", "--nat-bridge", "vmbr0"},
		"more than one line":             {"init", "--data-dir", data + "2", "--password-file", broken},
		"password: /dev/null is empty":   {"init", "--data-dir", data + "2", "--password-file", "/dev/null"},
		"/dev/zero holds more than one":  {"init", "--data-dir", data + "2", "--password-file", "/dev/zero"},
		`required flag(s) "data-dir"`:    {"run"},
		"unknown command":                {"serve"},
	} {
		stdout, stderr, code := run(t, args...)
		require.Equal(t, 1, code, args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, want)
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
	}
	require.NoDirExists(t, data+"2")
	running.terminate()
}

// copying makes a VM and starts a slow copy of it.
func copying(p *program, data string) (upid string) {
	p.t.Helper()
	ctx := p.t.Context()
	image := make([]byte, 6<<20)
	rand.Read(image)
	task, err := p.api.Upload(ctx, "alpha", "local", "import", "noise.raw", int64(len(image)), bytes.NewReader(image))
	require.NoError(p.t, err)
	_, err = p.api.WaitTask(ctx, task, nil)
	require.NoError(p.t, err)
	require.NoError(p.t, p.api.Post(ctx, "/nodes/alpha/qemu", client.Params{"vmid": 100, "scsi0": "local:0,import-from=local:import/noise.raw"}, &task))
	_, err = p.api.WaitTask(ctx, task, nil)
	require.NoError(p.t, err)
	require.NoError(p.t, p.api.Post(ctx, "/nodes/alpha/qemu/100/clone", client.Params{"newid": 101, "full": true, "bwlimit": 1024}, &upid))
	p.await(func() bool { return len(images(data, 101)) > 0 })
	return upid
}

// images are the files of a VM's images, half-made ones too.
func images(data string, vmid int) (names []string) {
	entries, _ := os.ReadDir(filepath.Join(data, "local", "images", strconv.Itoa(vmid))) // no folder: no files
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (p *program) volumes(vmid string) (rows []map[string]any) {
	p.t.Helper()
	require.NoError(p.t, p.api.Get(p.t.Context(), "/nodes/alpha/storage/local/content", client.Params{"vmid": vmid, "content": "images"}, &rows))
	return rows
}

// await polls until the answer is yes.
func (p *program) await(ask func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 20*time.Second)
	defer cancel()
	for !ask() {
		select {
		case <-ctx.Done():
			require.Fail(p.t, "it never happens")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Whatever ends gpved while it copies, the next start removes the copy and says so.
func TestEndWithinATask(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"terminated": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			data := newData(t)
			p := start(t, data, nil).login(data)
			upid := copying(p, data)
			session := p.api.Credentials()
			at := time.Now()
			text := p.end(sig)
			require.Less(t, time.Since(at), 5*time.Second, "a stop does not wait for the copy")
			if sig == syscall.SIGTERM {
				require.Zero(t, p.cmd.ProcessState.ExitCode(), text)
			}

			p = start(t, data, nil).login(data)
			_, err := p.api.WaitTask(t.Context(), upid, nil)
			var failed *client.TaskError
			require.ErrorAs(t, err, &failed)
			require.Contains(t, failed.ExitStatus, "interrupted")
			if sig == syscall.SIGTERM { // a kill leaves the copying program, and its unnamed file until the start after its end
				require.Empty(t, images(data, 101))
			}
			require.Empty(t, p.volumes("101"))
			require.Len(t, p.volumes("100"), 1)
			p.api.SetCredentials(session)
			var rows []struct{ VMID int }
			require.NoError(t, p.api.Get(t.Context(), "/nodes/alpha/qemu", nil, &rows))
			require.Len(t, rows, 1, "the copy's configuration is gone, the template's is not")
			p.terminate()
		})
	}
}

// The bridges of the configuration are there in the namespace where gpved was started, also at the second start.
func TestBridgesInAnotherNamespace(t *testing.T) {
	need.Root(t)
	data := newData(t, "--nat-bridge", "vmbrtest=10.212.9.1/24")
	for range 2 {
		p := start(t, data, inNewNetwork)
		links, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "net", "dev"))
		require.NoError(t, err)
		require.Contains(t, string(links), "vmbrtest:")
		routes, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "net", "fib_trie"))
		require.NoError(t, err)
		require.Contains(t, string(routes), "10.212.9.1")
		p.terminate()
	}
	require.NoDirExists(t, "/sys/class/net/vmbrtest", "not in ours")
}

// What the starter has left open does not reach guests.
func TestFilesOfTheStarter(t *testing.T) {
	data := newData(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	p := start(t, data, func(c *exec.Cmd) { c.ExtraFiles = []*os.File{w} })
	info, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "fdinfo", "3"))
	require.NoError(t, err)
	require.Regexp(t, `flags:\s+0?2\d{6}`, string(info), "closed on exec")
	p.terminate()
}

func TestShowcmd(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	need.Tool(t, "qemu-system-x86_64")
	disk := write("images/100/vm-100-disk-0.raw", "")
	write("etc/pve/storage.cfg", "dir: here\n\tpath "+dir+"\n\tcontent images\n")
	conf := write("100.conf", "name: shown\nmemory: 512\nscsi0: here:100/vm-100-disk-0.raw,size=1G\nkvm: 0\n")
	args := []string{"showcmd", "--root", dir, "--vmid", "100", "--config"}

	stdout, stderr, code := run(t, append(args, conf)...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, disk)
	stdout, stderr, code = run(t, append(args, conf, "--json")...)
	require.Zero(t, code, stderr)
	var argv []string
	require.NoError(t, json.Unmarshal([]byte(stdout), &argv))
	require.Contains(t, argv, "shown,debug-threads=on")
	launch, stderr, code := run(t, append(args, conf, "--launch")...)
	require.Zero(t, code, stderr)
	require.NotEqual(t, strings.Join(argv, " "), launch)
	require.NotContains(t, launch, " -drive ", "what runs uses -blockdev")

	stdout, stderr, code = run(t, append(args, write("bad.conf", "scsi0: elsewhere:100/vm-100-disk-0.raw\nkvm: 0\n"))...)
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Equal(t, "gpved: storage 'elsewhere' does not exist\n", stderr)
	_, stderr, code = run(t, append(args, filepath.Join(dir, "absent"))...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no such file")
}

func TestPasswordOfAFile(t *testing.T) {
	pw, err := readPassword("-", strings.NewReader("two words \r\n"))
	require.NoError(t, err)
	require.Equal(t, "two words ", pw)
	_, err = readPassword("-", io.LimitReader(zeros{}, 5000))
	require.ErrorContains(t, err, "more than one line")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// gpved looks at storages that others serve from a process of its own.
func TestProbeStorage(t *testing.T) {
	folder := t.TempDir()
	ask := func(typ, path string) string {
		cmd := command(t, probeWord)
		cmd.Stdin = strings.NewReader(`{"Activate":true,"Config":{"ID":"share","Type":"` + typ + `","Options":{"path":"` + path + `","is_mountpoint":"1"}}}`)
		out, err := cmd.Output()
		require.NoError(t, err)
		return string(out)
	}
	require.Contains(t, ask("dir", folder), `"Class":"unavailable"`) // nothing is mounted there
	require.Contains(t, ask("dir", "/dev/shm"), `"Error":""`)
	require.DirExists(t, "/dev/shm/images")
	require.NoError(t, os.Remove("/dev/shm/images"))
	require.Contains(t, ask("floppy", folder), `"Usage":{"TotalBytes":0`)
	cmd := command(t, probeWord)
	cmd.Stdin = strings.NewReader("{")
	require.Error(t, cmd.Run())
}
