package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// guests are VM 100 and 101, which run; 102 does not. They say their name and echo what they are told.
type guests struct {
	mu        sync.Mutex
	passwords map[int]string // last password of each screen
	serials   []string
	dial      func(ctx context.Context, name string) (stream, error)
}

func (g *guests) Exists(_ context.Context, vmid int) error {
	if vmid < 100 || vmid > 102 {
		return call.Errorf("no such VM")
	}
	return nil
}

func (g *guests) Screen(ctx context.Context, vmid int, password string) (io.ReadWriteCloser, error) {
	if vmid == 102 {
		return nil, call.Errorf("VM 102 not running")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passwords[vmid] = password
	return g.dial(ctx, fmt.Sprintf("screen of %d", vmid))
}

func (g *guests) Terminal(_ context.Context, vmid int, serial string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.serials = append(g.serials, serial)
	return fmt.Sprintf("terminal of %d", vmid), nil
}

// world is a service on a real engine and real users. Its guests are pipes, so that it also lives in a synctest bubble.
type world struct {
	*Service
	t      *testing.T
	guests *guests
	closed chan string // names of guests whose connection has ended
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store := memstore.New()
	_, err := store.Txn(t.Context(), cluster.Put(access.UserKey, []byte("user:a@pve:1:\nuser:b@pve:1:\n")))
	require.NoError(t, err)
	acc, err := access.New(store, nil)
	require.NoError(t, err)
	engine, err := task.New(store, task.Options{Node: "alpha", LogDir: t.TempDir()})
	require.NoError(t, err)
	w := &world{t: t, guests: &guests{passwords: map[int]string{}}, closed: make(chan string, 200)}
	w.Service = New(acc, engine, w.guests, func() string { return "PEM" })
	w.guests.dial = func(ctx context.Context, name string) (stream, error) { return w.dial(ctx, name) }
	w.dial = func(_ context.Context, path string) (stream, error) {
		ours, its := net.Pipe()
		go w.echo(its, path)
		return ours, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		require.NoError(t, store.Close())
	})
	<-engine.Ready()
	return w
}

func (w *world) echo(conn net.Conn, name string) {
	defer func() { w.closed <- name }()
	defer conn.Close()
	if _, err := conn.Write([]byte(name + "\n")); err != nil {
		return
	}
	io.Copy(conn, conn)
}

func (w *world) as(user string) context.Context {
	return call.With(w.t.Context(), call.Caller{AuthID: user})
}

func (w *world) vnc(user string, vmid int) *proxy {
	w.t.Helper()
	p, err := w.PostNodesQemuVncproxy(w.as(user), &schema.PostNodesQemuVncproxy{Vmid: int64(vmid)})
	require.NoError(w.t, err)
	return p.(*proxy)
}

// connect asks for the connection of a session, as the WebSocket call does.
func (w *world) connect(user string, vmid int, port, ticket string) (call.Stream, error) {
	n, err := strconv.ParseInt(port, 10, 64)
	require.NoError(w.t, err)
	return w.GetNodesQemuVncwebsocket(w.as(user), &schema.GetNodesQemuVncwebsocket{Vmid: int64(vmid), Port: n, Vncticket: ticket})
}

// serve runs a stream and returns the client's end and the outcome.
func serve(s call.Stream) (net.Conn, chan error) {
	client, server := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- s.Serve(context.Background(), server) }()
	return client, done
}

// exit waits for the end of a session's task.
func (w *world) exit(p *proxy) string {
	w.t.Helper()
	id, err := upid.Parse(p.UPID)
	require.NoError(w.t, err)
	st, err := w.tasks.Wait(w.t.Context(), id)
	require.NoError(w.t, err)
	return st.Exit
}

func TestScreen(t *testing.T) {
	w := newWorld(t)
	p := w.vnc("a@pve", 100)
	require.Equal(t, "a@pve", p.User)
	require.Equal(t, "PEM", p.Cert)
	require.Regexp(t, `^59\d\d$`, p.Port)
	require.Regexp(t, `^UPID:alpha:.*:vncproxy:100:a@pve:$`, p.UPID)
	require.Len(t, p.Password, 8)
	require.True(t, strings.HasPrefix(p.Ticket, p.Password+":PVEVNC:"), "viewers that send the ticket as password send the password")

	s, err := w.connect("a@pve", 100, p.Port, p.Ticket)
	require.NoError(t, err)
	require.Equal(t, p.Password, w.guests.passwords[100])
	client, done := serve(s)
	in := bufio.NewReader(client)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "screen of 100\n", line)
	_, err = client.Write([]byte("RFB 003.008\n"))
	require.NoError(t, err)
	line, err = in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "RFB 003.008\n", line)

	require.NoError(t, client.Close())
	require.NoError(t, <-done)
	require.Equal(t, "screen of 100", <-w.closed)
	require.Equal(t, "OK", w.exit(p))
	require.Empty(t, w.sessions.ports)
}

func TestTerminalSession(t *testing.T) {
	w := newWorld(t)
	serial := "serial1"
	v, err := w.PostNodesQemuTermproxy(w.as("a@pve"), &schema.PostNodesQemuTermproxy{Vmid: 101, Serial: &serial})
	require.NoError(t, err)
	p := v.(*proxy)
	require.Empty(t, p.Password+p.Cert)
	s, err := w.connect("a@pve", 101, p.Port, p.Ticket)
	require.NoError(t, err)
	require.Equal(t, []string{"serial1"}, w.guests.serials)
	client, done := serve(s)
	_, err = client.Write([]byte("a@pve:" + p.Ticket + "\n"))
	require.NoError(t, err)
	buf := make([]byte, len("OKterminal of 101\n"))
	_, err = io.ReadFull(client, buf)
	require.NoError(t, err)
	require.Equal(t, "OKterminal of 101\n", string(buf))
	_, err = client.Write([]byte("1:80:24:0:2:ls2"))
	require.NoError(t, err)
	_, err = io.ReadFull(client, buf[:2])
	require.NoError(t, err)
	require.Equal(t, "ls", string(buf[:2]))
	_, err = client.Write([]byte("x"))
	require.NoError(t, err)
	require.ErrorIs(t, <-done, errProtocol)
	require.Equal(t, "OK", w.exit(p))
}

func TestThreat44_TicketIsBound(t *testing.T) {
	w := newWorld(t)
	p, other := w.vnc("a@pve", 100), w.vnc("a@pve", 101)
	for name, c := range map[string]struct {
		user         string
		vmid         int
		port, ticket string
	}{
		"another user":              {"b@pve", 100, p.Port, p.Ticket},
		"root":                      {call.Root, 100, p.Port, p.Ticket},
		"nobody":                    {"", 100, p.Port, p.Ticket},
		"another guest":             {"a@pve", 101, p.Port, p.Ticket},
		"another port":              {"a@pve", 100, "5999", p.Ticket},
		"the port of another":       {"a@pve", 100, other.Port, p.Ticket},
		"guest and port of another": {"a@pve", 101, other.Port, p.Ticket},
		"another ticket":            {"a@pve", 100, p.Port, other.Ticket},
		"a changed ticket":          {"a@pve", 100, p.Port, "x" + p.Ticket[1:]},
		"no ticket":                 {"a@pve", 100, p.Port, ""},
	} {
		_, err := w.connect(c.user, c.vmid, c.port, c.ticket)
		e, ok := err.(*call.Error)
		require.True(t, ok, name)
		require.Equal(t, 401, e.Status, name)
		require.Equal(t, "permission denied - invalid PVEVNC ticket", e.Text, name)
	}
	s, err := w.connect("a@pve", 100, p.Port, p.Ticket)
	require.NoError(t, err, "none of them used it up")
	client, done := serve(s)
	client.Close()
	<-done
}

func TestThreat44_TicketWorksOnce(t *testing.T) {
	w := newWorld(t)
	p := w.vnc("a@pve", 100)
	streams := make(chan call.Stream, 20)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if s, err := w.connect("a@pve", 100, p.Port, p.Ticket); err == nil {
				streams <- s
			} else {
				require.EqualError(t, err, "no console session waits at port "+p.Port)
			}
		})
	}
	wg.Wait()
	require.Len(t, streams, 1)
	client, done := serve(<-streams)
	_, err := w.connect("a@pve", 100, p.Port, p.Ticket)
	require.Error(t, err, "while it is used")
	client.Close()
	require.NoError(t, <-done)
	_, err = w.connect("a@pve", 100, p.Port, p.Ticket)
	require.Error(t, err, "after it was used")
}

func TestThreat44_SessionsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.vnc("a@pve", 100)
		began := time.Now()
		require.Equal(t, "connection timed out", w.exit(p))
		require.Equal(t, 10*time.Second, time.Since(began))
		_, err := w.connect("a@pve", 100, p.Port, p.Ticket)
		require.EqualError(t, err, "no console session waits at port "+p.Port)
		require.Empty(t, w.sessions.ports)

		p = w.vnc("a@pve", 100)
		time.Sleep(10*time.Second - 1)
		s, err := w.connect("a@pve", 100, p.Port, p.Ticket)
		require.NoError(t, err, "in the last moment")
		client, done := serve(s)
		in := bufio.NewReader(client)
		_, err = in.ReadString('\n')
		require.NoError(t, err)
		time.Sleep(24 * time.Hour)
		_, err = client.Write([]byte("still there\n"))
		require.NoError(t, err)
		_, err = in.ReadString('\n')
		require.NoError(t, err)
		client.Close()
		require.NoError(t, <-done)
		require.Equal(t, "OK", w.exit(p))
	})
}

func TestThreat44_ConnectionsThatAreNeverServedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := w.vnc("a@pve", 100)
		s, err := w.connect("a@pve", 100, p.Port, p.Ticket)
		require.NoError(t, err)
		require.Equal(t, "connection timed out", w.exit(p))
		require.Equal(t, "screen of 100", <-w.closed, "the guest's socket is free again")
		client, server := net.Pipe()
		require.ErrorIs(t, s.Serve(t.Context(), server), errTimeout)
		client.Close()
		require.Empty(t, w.sessions.ports)
	})
}

func TestThreat44_CancelEndsTheConnection(t *testing.T) {
	w := newWorld(t)
	p := w.vnc("a@pve", 100)
	s, err := w.connect("a@pve", 100, p.Port, p.Ticket)
	require.NoError(t, err)
	client, done := serve(s)
	_, err = bufio.NewReader(client).ReadString('\n')
	require.NoError(t, err)
	id, err := upid.Parse(p.UPID)
	require.NoError(t, err)
	require.NoError(t, w.tasks.Cancel(t.Context(), id))
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	require.NoError(t, <-done)
	require.Equal(t, "screen of 100", <-w.closed)
	require.NotEqual(t, "OK", w.exit(p))
	require.Empty(t, w.sessions.ports)

	p = w.vnc("a@pve", 100)
	id, err = upid.Parse(p.UPID)
	require.NoError(t, err)
	w.sessions.mu.Lock()
	began := w.sessions.ports[firstPort+1].began
	w.sessions.mu.Unlock()
	<-began
	require.NoError(t, w.tasks.Cancel(t.Context(), id))
	w.exit(p)
	_, err = w.connect("a@pve", 100, p.Port, p.Ticket)
	require.Error(t, err, "a session whose task is gone connects nobody")
}

func TestThreat44_NobodyUsesUpAllPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range maxWaiting {
			w.vnc("a@pve", 100)
		}
		_, err := w.PostNodesQemuVncproxy(w.as("a@pve"), &schema.PostNodesQemuVncproxy{Vmid: 100})
		require.EqualError(t, err, "too many consoles of 'a@pve' wait for their connection")
		p := w.vnc("b@pve", 100)
		time.Sleep(11 * time.Second)
		require.Equal(t, "connection timed out", w.exit(p))
		require.NotEqual(t, p.Port, w.vnc("a@pve", 100).Port, "ports are used in turn")
		time.Sleep(11 * time.Second)

		var clients []net.Conn
		var ends []chan error
		for range portCount {
			p := w.vnc("a@pve", 100)
			s, err := w.connect("a@pve", 100, p.Port, p.Ticket)
			require.NoError(t, err)
			client, done := serve(s)
			clients, ends = append(clients, client), append(ends, done)
		}
		_, err = w.PostNodesQemuVncproxy(w.as("b@pve"), &schema.PostNodesQemuVncproxy{Vmid: 100})
		require.EqualError(t, err, "unable to find free port (5900-5999)")
		for i, c := range clients {
			c.Close()
			<-ends[i]
		}
		w.vnc("b@pve", 100)
		time.Sleep(11 * time.Second)
	})
}

func TestGuestThatDoesNotRun(t *testing.T) {
	w := newWorld(t)
	_, err := w.PostNodesQemuVncproxy(w.as("a@pve"), &schema.PostNodesQemuVncproxy{Vmid: 999})
	require.EqualError(t, err, "no such VM")
	_, err = w.PostNodesQemuTermproxy(w.as("a@pve"), &schema.PostNodesQemuTermproxy{Vmid: 999})
	require.EqualError(t, err, "no such VM")
	p := w.vnc("a@pve", 102)
	_, err = w.connect("a@pve", 102, p.Port, p.Ticket)
	require.EqualError(t, err, "VM 102 not running")
	require.Equal(t, "VM 102 not running", w.exit(p))
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vnc")
	_, err := dial(t.Context(), path)
	require.ErrorContains(t, err, "console: ")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	conn, err := dial(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
