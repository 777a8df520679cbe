package vm

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qga"
)

func (s *Service) agentSocket(id int) string { return filepath.Join(s.guestDir(id), "qga") }

// agentTimeout bounds a call of the guest agent.
const agentTimeout = 5 * time.Second

var errNoAgent = call.Errorf("QEMU guest agent is not running")

// withAgent talks to a guest's agent. An agent that does not answer is the error that clients wait on.
func (s *Service) withAgent(ctx context.Context, id int, talk func(context.Context, *qga.Client) error) error {
	v, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	if !v.Config.Main.Has("agent") {
		return call.Errorf("No QEMU guest agent configured")
	}
	if s.guest(id) == nil {
		return call.Errorf("VM %d is not running", id)
	}
	ctx, cancel := context.WithTimeout(ctx, agentTimeout)
	defer cancel()
	a, err := qga.Dial(ctx, s.agentSocket(id), nil)
	if err != nil {
		return errNoAgent
	}
	defer a.Close()
	if err := a.Ping(ctx); err != nil {
		return errNoAgent
	}
	return talk(ctx, a)
}

// agentResult is how answers of the agent are wrapped.
type agentResult struct {
	Result any `json:"result"`
}

// answer wraps what the agent said; an error of the agent's own is an answer, too.
func answer(v any, err error) (any, error) {
	if e, ok := errors.AsType[*qmp.Error](err); ok {
		return agentResult{map[string]any{"error": map[string]string{"class": string(e.Class), "desc": e.Desc}}}, nil
	}
	return agentResult{v}, err
}

// PostNodesQemuAgentPing answers POST /nodes/{node}/qemu/{vmid}/agent/ping.
func (s *Service) PostNodesQemuAgentPing(ctx context.Context, req *schema.PostNodesQemuAgentPing) (any, error) {
	err := s.withAgent(ctx, int(req.Vmid), func(context.Context, *qga.Client) error { return nil })
	return answer(struct{}{}, err)
}

// GetNodesQemuAgentNetworkGetInterfaces answers GET …/agent/network-get-interfaces.
func (s *Service) GetNodesQemuAgentNetworkGetInterfaces(ctx context.Context, req *schema.GetNodesQemuAgentNetworkGetInterfaces) (any, error) {
	var out any
	err := s.withAgent(ctx, int(req.Vmid), func(ctx context.Context, a *qga.Client) error {
		return a.Do(ctx, "guest-network-get-interfaces", nil, &out)
	})
	return answer(out, err)
}
