package vm

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qga"
)

func (s *Service) agentSocket(id int) string { return filepath.Join(s.runDir(id), "qga") }

// How long commands of the guest agent may take.
const (
	agentTimeout  = 5 * time.Second
	freezeTimeout = time.Hour
	thawTimeout   = 3 * time.Minute
	slowTimeout   = 10 * time.Minute // trimming and shutting down
)

var errNoAgent = call.Errorf("QEMU guest agent is not running")

// dialAgent waits for its turn and connects to a guest's agent, whether or not one listens. hangUp ends the connection.
func (s *Service) dialAgent(ctx context.Context, g *guest) (a *qga.Client, hangUp func(), err error) {
	select {
	case <-g.agent:
	case <-g.gone:
		return nil, nil, call.Errorf("VM %d is not running", g.id)
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	a, err = qga.Dial(ctx, s.agentSocket(g.id), nil)
	if err != nil {
		g.agent <- struct{}{}
		return nil, nil, err
	}
	return a, func() {
		_ = a.Close()
		g.agent <- struct{}{}
	}, nil
}

// withAgent talks to a guest's agent, which must answer within three seconds; then the talk has the time limit. An agent
// that does not answer is the error that clients wait on.
func (s *Service) withAgent(ctx context.Context, id int, limit time.Duration, talk func(context.Context, agent) error) error {
	v, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	if !v.Config.Main.Has("agent") {
		return call.Errorf("No QEMU guest agent configured")
	}
	g := s.guest(id)
	if g == nil {
		return call.Errorf("VM %d is not running", id)
	}
	waiting, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	a, hangUp, err := s.dialAgent(waiting, g)
	if err == nil {
		defer hangUp()
		err = a.Ping(waiting)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return errNoAgent
	}
	ctx, cancelTalk := context.WithTimeout(ctx, limit)
	defer cancelTalk()
	return talk(ctx, agent{a, id})
}

// agent is a guest's agent that has answered. What goes wrong is told in Proxmox VE's words; an error of the agent's own
// stays a *qmp.Error.
type agent struct {
	*qga.Client
	id int
}

func (a agent) Do(ctx context.Context, cmd string, args, out any) error {
	return a.explain(cmd, a.Client.Do(ctx, cmd, args, out))
}

func (a agent) explain(cmd string, err error) error {
	why := ""
	switch {
	case err == nil, errors.As(err, new(*qmp.Error)), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, qga.ErrNotRunning):
		return errNoAgent
	case errors.Is(err, qga.ErrNoReply), errors.Is(err, context.DeadlineExceeded):
		why = "got timeout"
	case errors.Is(err, qga.ErrBadReply):
		why = "bad reply"
	default:
		why = "client closed connection"
	}
	return &call.Error{Status: 500, Text: call.Errorf("VM %d qga command '%s' failed - %s", a.id, cmd, why).Error(), Err: err}
}

// agentResult is how answers of the agent are wrapped.
type agentResult struct {
	Result any `json:"result"`
}

// agentError is the error of an agent as part of an answer.
type agentError struct {
	Error struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
}

// answer wraps what the agent said; an error of the agent's own is an answer, too.
func answer(v any, err error) (any, error) {
	if e, ok := errors.AsType[*qmp.Error](err); ok {
		var out agentError
		out.Error.Class, out.Error.Desc = string(e.Class), e.Desc
		return agentResult{out}, nil
	}
	if err != nil {
		return nil, err
	}
	return agentResult{v}, nil
}

// refused makes an error of the agent's own the error of the call, for commands that are no plain question.
func refused(err error) error {
	if e, ok := errors.AsType[*qmp.Error](err); ok {
		return &call.Error{Status: 500, Text: "Agent error: " + e.Desc, Err: err}
	}
	return err
}
