package console

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

// Guests finds the streams of guests. A guest that does not run is a call error.
type Guests interface {
	// Exists is nil if there is such a guest on this node.
	Exists(ctx context.Context, vmid int) error
	// Screen returns a new connection to the guest's VNC server, which asks for the password. The caller closes it.
	Screen(ctx context.Context, vmid int, password string) (io.ReadWriteCloser, error)
	// Terminal returns the path of a serial port's socket; serial is serialN, or empty for the one that the guest prefers.
	Terminal(ctx context.Context, vmid int, serial string) (path string, err error)
}

// Service implements the API's console methods. It is safe for concurrent use.
type Service struct {
	access   *access.Service
	tasks    *task.Engine
	guests   Guests
	cert     func() string // PEM of the server's certificate chain, for clients that pin it
	dial     func(ctx context.Context, path string) (stream, error)
	sessions *sessions
}

// opProxy is the type of a session's task.
const opProxy = "vncproxy"

// errTimeout ends a session that nobody connected to.
var errTimeout = call.Errorf("connection timed out")

// New registers the operation of sessions with the task engine, which must not run yet.
func New(acc *access.Service, tasks *task.Engine, guests Guests, cert func() string) *Service {
	s := &Service{access: acc, tasks: tasks, guests: guests, cert: cert, dial: dial, sessions: newSessions()}
	tasks.Register(opProxy, task.Handler{Run: s.run, Recovery: task.Fail})
	return s
}

// params are those of a session's task.
type params struct {
	Port   int    `json:"port"`
	Serial uint64 `json:"serial"`
}

// run is the task of a session: it waits for the connection, then for its end. Who cancels it ends the connection.
func (s *Service) run(ctx context.Context, op *task.Op) error {
	var p params
	if err := op.Decode(&p); err != nil {
		return err
	}
	x := s.sessions.find(p.Port, p.Serial)
	if x == nil {
		return errTimeout
	}
	defer s.sessions.end(x, nil)
	close(x.began)
	wait := time.NewTimer(time.Until(x.expires))
	defer wait.Stop()
	select {
	case <-x.connected:
	case <-wait.C:
		if s.sessions.expire(x) {
			return errTimeout
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-x.ended:
		return x.err
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
func (s *Service) begin(ctx context.Context, x *session, password string) (*proxy, error) {
	x.caller = call.From(ctx).AuthID
	if err := s.sessions.add(x); err != nil {
		return nil, err
	}
	text, err := s.access.SignConsole(ctx, target(x), password)
	if err != nil {
		s.sessions.end(x, err)
		return nil, err
	}
	s.sessions.arm(x, text)
	id, err := s.tasks.Submit(ctx, task.Spec{Type: opProxy, ID: strconv.Itoa(x.vmid), User: x.caller, Params: params{x.port, x.serial}})
	if err != nil {
		s.sessions.end(x, err)
		return nil, err
	}
	return &proxy{User: x.caller, Ticket: text, Port: strconv.Itoa(x.port), UPID: id.String(), Password: password}, nil
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
	p, err := s.begin(ctx, &session{vmid: vmid, open: func(ctx context.Context) (stream, error) {
		return s.guests.Screen(ctx, vmid, password)
	}}, password)
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
	serial := schema.Value(req.Serial, "")
	return s.begin(ctx, &session{vmid: vmid, terminal: true, open: func(ctx context.Context) (stream, error) {
		path, err := s.guests.Terminal(ctx, vmid, serial)
		if err != nil {
			return nil, err
		}
		return s.dial(ctx, path)
	}}, "")
}

// GetNodesQemuVncwebsocket answers GET /nodes/{node}/qemu/{vmid}/vncwebsocket: the connection of a session.
func (s *Service) GetNodesQemuVncwebsocket(ctx context.Context, req *schema.GetNodesQemuVncwebsocket) (call.Stream, error) {
	port, vmid, caller := int(req.Port), int(req.Vmid), call.From(ctx).AuthID
	bound := ticket.Console{AuthID: caller, Path: fmt.Sprintf("/vms/%d", vmid), Port: port}
	if _, err := s.access.VerifyConsole(ctx, req.Vncticket, bound); err != nil {
		return call.Stream{}, &call.Error{Status: http.StatusUnauthorized, Text: "permission denied - invalid PVEVNC ticket", Err: err}
	}
	x := s.sessions.claim(port, vmid, caller, req.Vncticket)
	if x == nil {
		return call.Stream{}, call.Errorf("no console session waits at port %d", port)
	}
	guest, err := s.connect(ctx, x)
	if err != nil {
		s.sessions.end(x, err)
		return call.Stream{}, err
	}
	// The server may find that it cannot make the connection after all, and never serve it.
	unserved := time.AfterFunc(patience, func() {
		guest.Close()
		s.sessions.end(x, errTimeout)
	})
	return call.Stream{Serve: func(ctx context.Context, client net.Conn) error {
		if !unserved.Stop() {
			return errTimeout
		}
		err := s.serve(ctx, x, client, guest)
		s.sessions.end(x, nil) // how a connection ends says nothing about the session
		return err
	}}, nil
}

// connect opens the guest's socket for a session, once the session's task runs: no connection is without a task that can
// end it.
func (s *Service) connect(ctx context.Context, x *session) (stream, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, x.expires, errTimeout)
	defer cancel()
	select {
	case <-x.began:
	case <-x.ended:
		return nil, errTimeout
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return x.open(ctx)
}

func (s *Service) serve(ctx context.Context, x *session, client net.Conn, guest stream) error {
	defer guest.Close()
	for _, end := range []context.Context{ctx, x.closing} {
		stop := context.AfterFunc(end, func() { client.Close() })
		defer stop()
	}
	if x.terminal {
		return serveTerminal(client, guest, x.caller, x.ticket)
	}
	return join(client, guest)
}
