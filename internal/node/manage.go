package node

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// powerDelay lets the answer of a reboot reach its client.
const powerDelay = 2 * time.Second

// PostNodesStatus answers POST /nodes/{node}/status: reboots or powers the host off, if the configuration allows it.
func (s *Service) PostNodesStatus(_ context.Context, req *schema.PostNodesStatus) (any, error) {
	if !s.o.AllowPower {
		return nil, call.Errorf("power commands of the host are switched off (agent.allowHostPower)")
	}
	if req.Command != "reboot" && req.Command != "poweroff" {
		return nil, call.Param("command", "value '%s' does not have a value in the enumeration 'reboot, poweroff'", req.Command)
	}
	time.AfterFunc(powerDelay, func() { // ends with the host
		if err := s.o.Power(req.Command); err != nil {
			s.o.Logger.Error("power command of the host", "command", req.Command, "err", err)
		}
	})
	return nil, nil
}

// GetNodesTime answers GET /nodes/{node}/time.
func (s *Service) GetNodesTime(context.Context, *schema.GetNodesTime) (*schema.GetNodesTimeReply, error) {
	now := s.o.Clock()
	_, offset := now.In(s.location()).Zone()
	return &schema.GetNodesTimeReply{Time: now.Unix(), Localtime: now.Unix() + int64(offset), Timezone: s.Timezone()}, nil
}

// PutNodesTime answers PUT /nodes/{node}/time.
func (s *Service) PutNodesTime(_ context.Context, req *schema.PutNodesTime) (any, error) {
	s.files.Lock()
	defer s.files.Unlock()
	err := s.SetTimezone(req.Timezone)
	if errors.Is(err, ErrNoTimezone) {
		return nil, call.Param("timezone", "No such timezone")
	}
	return nil, err
}

// GetNodesDns answers GET /nodes/{node}/dns.
func (s *Service) GetNodesDns(context.Context, *schema.GetNodesDns) (*schema.GetNodesDnsReply, error) {
	d, err := s.DNS()
	if err != nil {
		return nil, err
	}
	var r schema.GetNodesDnsReply
	if d.Search != "" {
		r.Search = &d.Search
	}
	for i, p := range []**string{&r.Dns1, &r.Dns2, &r.Dns3} {
		if i < len(d.Servers) {
			*p = &d.Servers[i]
		}
	}
	return &r, nil
}

// PutNodesDns answers PUT /nodes/{node}/dns.
func (s *Service) PutNodesDns(_ context.Context, req *schema.PutNodesDns) (any, error) {
	if strings.ContainsFunc(req.Search, unicode.IsControl) {
		return nil, call.Param("search", "value contains a control character") // it would be a line of its own
	}
	d := DNS{Search: req.Search}
	for _, p := range []*string{req.Dns1, req.Dns2, req.Dns3} {
		if p != nil {
			d.Servers = append(d.Servers, *p)
		}
	}
	s.files.Lock()
	defer s.files.Unlock()
	return nil, s.SetDNS(d)
}
