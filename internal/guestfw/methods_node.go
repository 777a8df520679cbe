package guestfw

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// The methods below /nodes/{node}/firewall. The node is always this one: requests for others never come here.

// GetNodesFirewallRules answers GET /nodes/{node}/firewall/rules.
func (s *Service) GetNodesFirewallRules(ctx context.Context, _ *schema.GetNodesFirewallRules) ([]object, error) {
	return s.listRules(ctx, s.host().rules())
}

// PostNodesFirewallRules answers POST /nodes/{node}/firewall/rules.
func (s *Service) PostNodesFirewallRules(ctx context.Context, req *schema.PostNodesFirewallRules) (any, error) {
	return s.addRule(ctx, s.host().rules(), req)
}

// GetNodesFirewallRulesPos answers GET /nodes/{node}/firewall/rules/{pos}.
func (s *Service) GetNodesFirewallRulesPos(ctx context.Context, req *schema.GetNodesFirewallRulesPos) (object, error) {
	return s.getRule(ctx, s.host().rules(), req.Pos)
}

// PutNodesFirewallRulesPos answers PUT /nodes/{node}/firewall/rules/{pos}.
func (s *Service) PutNodesFirewallRulesPos(ctx context.Context, req *schema.PutNodesFirewallRulesPos) (any, error) {
	return s.putRule(ctx, s.host().rules(), req)
}

// DeleteNodesFirewallRulesPos answers DELETE /nodes/{node}/firewall/rules/{pos}.
func (s *Service) DeleteNodesFirewallRulesPos(ctx context.Context, req *schema.DeleteNodesFirewallRulesPos) (any, error) {
	return s.deleteRule(ctx, s.host().rules(), req.Pos, req.Digest)
}

// GetNodesFirewallOptions answers GET /nodes/{node}/firewall/options.
func (s *Service) GetNodesFirewallOptions(ctx context.Context, _ *schema.GetNodesFirewallOptions) (object, error) {
	return s.getOptions(ctx, s.host())
}

// PutNodesFirewallOptions answers PUT /nodes/{node}/firewall/options.
func (s *Service) PutNodesFirewallOptions(ctx context.Context, req *schema.PutNodesFirewallOptions) (any, error) {
	return s.putOptions(ctx, s.host(), req)
}

// GetNodesFirewallLog answers GET /nodes/{node}/firewall/log.
func (s *Service) GetNodesFirewallLog(_ context.Context, req *schema.GetNodesFirewallLog) (call.List, error) {
	return s.readLog(logQuery{start: req.Start, limit: req.Limit, since: req.Since, until: req.Until})
}
