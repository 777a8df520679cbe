package vm

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/tinyguest"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// fakeAgent answers on the agent's socket of a VM that was started without one. answer returns the whole reply to a command,
// empty for none; what it is asked is noted.
type fakeAgent struct {
	answer func(cmd string, args json.RawMessage) string

	mu   sync.Mutex
	seen []string
}

func (f *fakeAgent) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		f.talk(conn)
		conn.Close()
	}
}

func (f *fakeAgent) talk(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m struct {
			Execute   string
			Arguments json.RawMessage
		}
		if json.Unmarshal(bytes.TrimPrefix(line, []byte{0xff}), &m) != nil {
			return
		}
		var reply string
		switch m.Execute {
		case "guest-sync-delimited":
			var a struct{ ID int64 }
			_ = json.Unmarshal(m.Arguments, &a)
			reply = fmt.Sprintf("\xff{\"return\": %d}", a.ID)
		case "guest-ping":
			reply = `{"return": {}}`
		default:
			f.mu.Lock()
			f.seen = append(f.seen, m.Execute+" "+string(m.Arguments))
			f.mu.Unlock()
			reply = f.answer(m.Execute, m.Arguments)
		}
		if reply != "" {
			_, _ = io.WriteString(conn, reply+"\n")
		}
	}
}

func (f *fakeAgent) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.seen
	f.seen = nil
	return seen
}

// startFakeAgent puts a fake in place of the agent of a running VM.
func (s *site) startFakeAgent(id int, answer func(cmd string, args json.RawMessage) string) *fakeAgent {
	s.t.Helper()
	f := &fakeAgent{answer: answer}
	l, err := net.Listen("unix", s.agentSocket(id))
	require.NoError(s.t, err)
	done := make(chan struct{})
	go func() { f.serve(l); close(done) }()
	s.t.Cleanup(func() { l.Close(); <-done })
	return f
}

func asJSON(t *testing.T, v any, err error) string {
	t.Helper()
	require.NoError(t, err)
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func TestAgentCalls(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16)
	info := func() (any, error) { return ask(s, s.root(), s.GetNodesQemuAgentInfo, kv{"vmid", 100}) }
	_, err := info()
	require.EqualError(t, err, "No QEMU guest agent configured")
	require.NoError(t, s.setVM(100, "agent", 0))
	_, err = info()
	require.EqualError(t, err, "VM 100 is not running")
	s.startVM(100)
	_, err = info()
	require.EqualError(t, err, "QEMU guest agent is not running")

	answers := map[string]string{}
	f := s.startFakeAgent(100, func(cmd string, _ json.RawMessage) string { return answers[cmd] })
	answers["guest-info"] = `{"return": {"version": "8.0"}}`
	out, err := info()
	require.JSONEq(t, `{"result": {"version": "8.0"}}`, asJSON(t, out, err))
	answers["guest-get-time"] = `{"error": {"class": "GenericError", "desc": "no clock"}}`
	out, err = ask(s, s.root(), s.GetNodesQemuAgentGetTime, kv{"vmid", 100})
	require.JSONEq(t, `{"result": {"error": {"class": "GenericError", "desc": "no clock"}}}`, asJSON(t, out, err))
	answers["guest-fsfreeze-status"] = `{"return": "thawed"}`
	out, err = ask(s, s.root(), s.PostNodesQemuAgent, kv{"vmid", 100, "command", "fsfreeze-status"})
	require.JSONEq(t, `{"result": "thawed"}`, asJSON(t, out, err))
	out, err = ask(s, s.root(), s.PostNodesQemuAgentPing, kv{"vmid", 100})
	require.JSONEq(t, `{"result": {}}`, asJSON(t, out, err))
	out, err = ask(s, s.root(), s.GetNodesQemuAgent, kv{"vmid", 100})
	require.Contains(t, asJSON(t, out, err), `{"name":"exec-status"}`)
	f.asked()

	text := base64.StdEncoding.EncodeToString
	answers["guest-exec"] = `{"return": {"pid": 42}}`
	req := &schema.PostNodesQemuAgentExec{Node: testNode, Vmid: 100, Command: []string{"/bin/cat", "-n"}, InputData: new("hello")}
	out, err = s.PostNodesQemuAgentExec(s.root(), req)
	require.JSONEq(t, `{"pid": 42}`, asJSON(t, out, err))
	require.JSONEq(t, `{"path": "/bin/cat", "arg": ["-n"], "capture-output": true, "input-data": "`+text([]byte("hello"))+`"}`, strings.TrimPrefix(f.asked()[0], "guest-exec "))
	_, err = s.PostNodesQemuAgentExec(s.root(), &schema.PostNodesQemuAgentExec{Node: testNode, Vmid: 100})
	require.EqualError(t, err, "command or input-data (or both) required")
	answers["guest-exec-status"] = `{"return": {"exited": true, "exitcode": 3, "out-data": "` + text([]byte("grüß")) + `", "err-data": "` + text([]byte{0xe4, 'b'}) + `", "out-truncated": true}}`
	out, err = ask(s, s.root(), s.GetNodesQemuAgentExecStatus, kv{"vmid", 100, "pid", 42})
	require.JSONEq(t, `{"exited": 1, "exitcode": 3, "out-data": "grüß", "err-data": "äb", "out-truncated": 1}`, asJSON(t, out, err))
	answers["guest-exec-status"] = `{"error": {"class": "GenericError", "desc": "PID 43 does not exist"}}`
	_, err = ask(s, s.root(), s.GetNodesQemuAgentExecStatus, kv{"vmid", 100, "pid", 43})
	require.EqualError(t, err, "Agent error: PID 43 does not exist")
	f.asked()

	answers["guest-file-open"], answers["guest-file-close"], answers["guest-file-write"] = `{"return": 7}`, `{"return": {}}`, `{"return": {"count": 2}}`
	_, err = ask(s, s.root(), s.PostNodesQemuAgentFileWrite, kv{"vmid", 100, "file", "/x", "content", "hi"})
	require.NoError(t, err)
	require.Equal(t, []string{
		`guest-file-open {"mode":"wb","path":"/x"}`, `guest-file-write {"buf-b64":"aGk=","handle":7}`, `guest-file-close {"handle":7}`,
	}, f.asked())
	answers["guest-file-read"] = `{"return": {"count": 2, "buf-b64": "aGk=", "eof": true}}`
	out, err = ask(s, s.root(), s.GetNodesQemuAgentFileRead, kv{"vmid", 100, "file", "/x"})
	require.JSONEq(t, `{"content": "hi", "bytes-read": 2}`, asJSON(t, out, err))
	answers["guest-file-read"] = `{"return": {"count": 2, "buf-b64": "aGk=", "eof": false}}`
	out, err = ask(s, s.root(), s.GetNodesQemuAgentFileRead, kv{"vmid", 100, "file", "/x", "count", 4, "decode", 0})
	require.JSONEq(t, `{"content": "aGloaQ==", "bytes-read": 4, "truncated": 1}`, asJSON(t, out, err))
	answers["guest-file-read"] = `{"return": {"count": 9, "buf-b64": "", "eof": false}}` // for ever
	_, err = ask(s, s.root(), s.GetNodesQemuAgentFileRead, kv{"vmid", 100, "file", "/x"})
	require.EqualError(t, err, "VM 100 qga command 'guest-file-read' failed - bad reply")
	answers["guest-set-user-password"] = `{"return": {}}`
	f.asked()
	out, err = ask(s, s.root(), s.PostNodesQemuAgentSetUserPassword, kv{"vmid", 100, "username", "ann", "password", "secret"})
	require.JSONEq(t, `{"result": {}}`, asJSON(t, out, err))
	require.Equal(t, `guest-set-user-password {"crypted":false,"password":"`+text([]byte("secret"))+`","username":"ann"}`, f.asked()[0])
	out, err = ask(s, s.root(), s.PostNodesQemuAgentShutdown, kv{"vmid", 100}) // success is not answered
	require.JSONEq(t, `{"result": {}}`, asJSON(t, out, err))

	// Callers take turns, since the socket serves one at a time.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_, err := info()
			require.NoError(t, err)
		})
	}
	wg.Wait()
}

func TestThreat23_AgentThatNeverAnswers(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "agent", 0)
	s.startVM(100)
	s.startFakeAgent(100, func(cmd string, _ json.RawMessage) string {
		if cmd == "guest-get-users" {
			return `{"return": [` + strings.Repeat("[", 1000) + "\n"
		}
		return ""
	})
	began := time.Now()
	_, err := ask(s, s.root(), s.GetNodesQemuAgentGetTime, kv{"vmid", 100})
	require.EqualError(t, err, "VM 100 qga command 'guest-get-time' failed - got timeout")
	require.Less(t, time.Since(began), 2*agentTimeout)
	_, err = ask(s, s.root(), s.GetNodesQemuAgentGetUsers, kv{"vmid", 100})
	require.EqualError(t, err, "VM 100 qga command 'guest-get-users' failed - bad reply")
}

// The agent of a real guest: what it tells, and a shutdown that it is asked for.
func TestAgentOfAGuest(t *testing.T) {
	disk := tinyguest.Disk(t)
	s := newGuestSite(t)
	src := filepath.Join(s.dir, "guest.qcow2")
	data, err := os.ReadFile(disk)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(src, data, 0o600))
	s.makeVM(100, "memory", 256, "agent", 1, "args", "-boot menu=off", "scsihw", "virtio-scsi-pci", "scsi0", "local:0,import-from="+src, "serial0", "socket")
	s.startVM(100)
	for deadline := time.Now().Add(90 * time.Second); ; {
		_, err := ask(s, s.root(), s.PostNodesQemuAgentPing, kv{"vmid", 100})
		if err == nil {
			break
		}
		require.EqualError(t, err, "QEMU guest agent is not running")
		require.True(t, time.Now().Before(deadline))
	}
	out, err := ask(s, s.root(), s.GetNodesQemuAgentGetOsinfo, kv{"vmid", 100})
	require.Contains(t, asJSON(t, out, err), `kernel-release`)
	out, err = ask(s, s.root(), s.GetNodesQemuAgentNetworkGetInterfaces, kv{"vmid", 100})
	require.Contains(t, asJSON(t, out, err), `"127.0.0.1"`)
	_, err = ask(s, s.root(), s.PostNodesQemuAgentFileWrite, kv{"vmid", 100, "file", "/run/note", "content", "grüß"})
	require.NoError(t, err)
	started, err := s.PostNodesQemuAgentExec(s.root(), &schema.PostNodesQemuAgentExec{Node: testNode, Vmid: 100, Command: []string{"/bin/cat", "/run/note"}})
	require.NoError(t, err)
	pid := started.(schema.PostNodesQemuAgentExecReply).Pid
	s.eventually("the program ends", func() bool {
		out, err = ask(s, s.root(), s.GetNodesQemuAgentExecStatus, kv{"vmid", 100, "pid", pid})
		require.NoError(t, err)
		return bool(out.(schema.GetNodesQemuAgentExecStatusReply).Exited)
	})
	require.JSONEq(t, `{"exited": 1, "exitcode": 0, "out-data": "grüß"}`, asJSON(t, out, nil))
	out, err = ask(s, s.root(), s.GetNodesQemuAgentFileRead, kv{"vmid", 100, "file", "/run/note", "offset", 2})
	require.JSONEq(t, `{"content": "üß", "bytes-read": 4}`, asJSON(t, out, err))

	// Its balloon driver tells what it makes of its memory; its disk was read.
	s.eventually("figures", func() bool {
		s.sampleAll(t.Context())
		l := s.inv.Guest(100).Live
		return l.DiskRead > 0 && l.MemHost > 0 && s.guest(100).told().Balloon.Total != nil
	})
	c := s.current(100)
	require.Equal(t, *c.BalloonInfo.Total-*c.BalloonInfo.Free, c.Mem)
	require.Positive(t, c.FreeMem)
	require.Positive(t, c.DiskRead)
	s.eventually("it takes time", func() bool { s.sampleAll(t.Context()); return s.inv.Guest(100).Live.CPU > 0 })
	rows, err := ask(s, s.root(), s.GetNodesQemu, kv{"full", 1})
	require.Contains(t, asJSON(t, rows, err), `"blockstat":{"scsi0":{`)

	require.NoError(t, s.setVM(100, "cores", 2))
	s.ok(s.shutdown(100))
	require.Zero(t, s.pid(100))
	require.Equal(t, "2", s.conf(100).Main["cores"])
}
