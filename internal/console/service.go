package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

// Guests finds the sockets of guests. A guest that does not run is a call error.
type Guests interface {
	// Exists is nil if there is such a guest on this node.
	Exists(ctx context.Context, vmid int) error
	// Screen returns the path of the guest's VNC socket, after the password was made the one that it asks for.
	Screen(ctx context.Context, vmid int, password string) (path string, err error)
	// Terminal returns the path of a serial port's socket; serial is serialN, or empty for the one that the guest prefers.
	Terminal(ctx context.Context, vmid int, serial string) (path string, err error)
}

// Service implements the API's console methods. It is safe for concurrent use.
type Service struct {
	access   *access.Service
	tasks    *task.Engine
	guests   Guests
	cert     func() string // PEM of the server's certificate chain, for clients that pin it
	sessions sessions
}

const opProxy = "vncproxy"

// New registers the operation of sessions with the task engine, which must not run yet.
func New(acc *access.Service, tasks *task.Engine, guests Guests, cert func() string) *Service {
	s := &Service{access: acc, tasks: tasks, guests: guests, cert: cert, sessions: sessions{all: map[int]*session{}}}
	tasks.Register(opProxy, task.Handler{Run: s.run, Recovery: task.Fail})
	return s
}

// stream is an open connection to a guest's socket.
type stream interface {
	io.ReadWriteCloser
}

// run is the task of a session: it waits for the connection, then for its end.
func (s *Service) run(ctx context.Context, op *task.Op) error {
	var port int
	if err := op.Decode(&port); err != nil {
		return err
	}
	x := s.sessions.get(port)
	if x == nil {
		return call.Errorf("connection timed out")
	}
	defer s.sessions.remove(x)
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case <-x.connected:
	case <-wait.C:
		return call.Errorf("connection timed out")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-x.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// proxy is the answer of vncproxy and termproxy. The port is text, as on Proxmox VE.
type proxy struct {
	User     string `json:"user"`
	Ticket   string `json:"ticket"`
	Port     string `json:"port"`
	UPID     string `json:"upid"`
	Cert     string `json:"cert,omitempty"`
	Password string `json:"password,omitempty"`
}

// begin opens a session for the caller.
func (s *Service) begin(ctx context.Context, vmid int, password string, open func(context.Context) (stream, error)) (*proxy, error) {
	who := call.From(ctx)
	x := &session{vmid: vmid, caller: who.AuthID, open: open, connected: make(chan struct{}), ended: make(chan struct{})}
	if err := s.sessions.add(x); err != nil {
		return nil, err
	}
	text, err := s.access.SignConsole(ctx, target(x), password)
	if err != nil {
		s.sessions.remove(x)
		return nil, err
	}
	x.ticket = text
	id, err := s.tasks.Submit(ctx, task.Spec{Type: opProxy, ID: strconv.Itoa(vmid), User: who.AuthID, Params: x.port})
	if err != nil {
		s.sessions.remove(x)
		return nil, err
	}
	return &proxy{User: who.AuthID, Ticket: text, Port: strconv.Itoa(x.port), UPID: id.String(), Password: password}, nil
}

// target is what the session's ticket is bound to.
func target(x *session) ticket.Console {
	return ticket.Console{AuthID: x.caller, Path: fmt.Sprintf("/vms/%d", x.vmid), Port: x.port}
}

// PostNodesQemuVncproxy answers POST /nodes/{node}/qemu/{vmid}/vncproxy.
func (s *Service) PostNodesQemuVncproxy(ctx context.Context, req *schema.PostNodesQemuVncproxy) (any, error) {
	vmid := int(req.Vmid)
	if err := s.guests.Exists(ctx, vmid); err != nil {
		return nil, err
	}
	password, err := s.access.ConsolePassword()
	if err != nil {
		return nil, err
	}
	p, err := s.begin(ctx, vmid, password, func(ctx context.Context) (stream, error) {
		path, err := s.guests.Screen(ctx, vmid, password)
		if err != nil {
			return nil, err
		}
		return dial(ctx, path)
	})
	if err != nil {
		return nil, err
	}
	p.Cert = s.cert()
	return p, nil
}

// PostNodesQemuTermproxy answers POST /nodes/{node}/qemu/{vmid}/termproxy.
func (s *Service) PostNodesQemuTermproxy(ctx context.Context, req *schema.PostNodesQemuTermproxy) (any, error) {
	vmid := int(req.Vmid)
	if err := s.guests.Exists(ctx, vmid); err != nil {
		return nil, err
	}
	serial := ""
	if req.Serial != nil {
		serial = *req.Serial
	}
	return s.begin(ctx, vmid, "", func(ctx context.Context) (stream, error) {
		path, err := s.guests.Terminal(ctx, vmid, serial)
		if err != nil {
			return nil, err
		}
		return dial(ctx, path)
	})
}

// GetNodesQemuVncwebsocket answers GET /nodes/{node}/qemu/{vmid}/vncwebsocket: the connection of a session.
func (s *Service) GetNodesQemuVncwebsocket(ctx context.Context, req *schema.GetNodesQemuVncwebsocket) (call.Stream, error) {
	who := call.From(ctx)
	port, vmid := int(req.Port), int(req.Vmid)
	bound := ticket.Console{AuthID: who.AuthID, Path: fmt.Sprintf("/vms/%d", vmid), Port: port}
	password, err := s.access.VerifyConsole(ctx, req.Vncticket, bound)
	if err != nil {
		return call.Stream{}, call.Status(401, "invalid PVEVNC ticket")
	}
	streaming, cancel := context.WithCancel(context.Background())
	x := s.sessions.claim(port, vmid, who.AuthID, req.Vncticket, cancel)
	if x == nil {
		cancel()
		return call.Stream{}, call.Errorf("no console session waits at port %d", port)
	}
	guest, err := x.open(ctx)
	if err != nil {
		s.sessions.remove(x)
		return call.Stream{}, err
	}
	return call.Stream{Serve: func(ctx context.Context, client net.Conn) error {
		defer s.sessions.remove(x)
		defer guest.Close()
		stop := context.AfterFunc(streaming, func() { client.Close() })
		defer stop()
		if password == "" {
			return serveTerminal(ctx, client, guest, x.caller, x.ticket)
		}
		return join(client, guest)
	}}, nil
}

func dial(ctx context.Context, path string) (stream, error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return conn, nil
}

// join copies both ways until one side ends, and closes both.
func join(client net.Conn, guest stream) error {
	done := make(chan error, 1)
	go func() { // ends when guest is closed
		_, err := io.Copy(client, guest)
		client.Close()
		done <- err
	}()
	_, err := io.Copy(guest, client)
	guest.Close()
	return quiet(errors.Join(err, <-done))
}

// quiet passes over the ends that every connection has.
func quiet(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
