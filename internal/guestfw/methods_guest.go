package guestfw

import (
	"context"

	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// The methods below /nodes/{node}/qemu/{vmid}/firewall. They are about the file alone: a guest that does not exist has an empty one,
// which cannot be written.

// GetNodesQemuFirewallAliases answers GET /nodes/{node}/qemu/{vmid}/firewall/aliases.
func (s *Service) GetNodesQemuFirewallAliases(ctx context.Context, req *schema.GetNodesQemuFirewallAliases) ([]object, error) {
	return s.listAliases(ctx, guestOf(req.Vmid))
}

// PostNodesQemuFirewallAliases answers POST /nodes/{node}/qemu/{vmid}/firewall/aliases.
func (s *Service) PostNodesQemuFirewallAliases(ctx context.Context, req *schema.PostNodesQemuFirewallAliases) (any, error) {
	return s.addAlias(ctx, guestOf(req.Vmid), firewall.Alias{Name: req.Name, CIDR: req.Cidr, Comment: schema.Value(req.Comment, "")})
}

// GetNodesQemuFirewallAliasesName answers GET /nodes/{node}/qemu/{vmid}/firewall/aliases/{name}.
func (s *Service) GetNodesQemuFirewallAliasesName(ctx context.Context, req *schema.GetNodesQemuFirewallAliasesName) (object, error) {
	return s.getAlias(ctx, guestOf(req.Vmid), req.Name)
}

// PutNodesQemuFirewallAliasesName answers PUT /nodes/{node}/qemu/{vmid}/firewall/aliases/{name}.
func (s *Service) PutNodesQemuFirewallAliasesName(ctx context.Context, req *schema.PutNodesQemuFirewallAliasesName) (any, error) {
	return s.putAlias(ctx, guestOf(req.Vmid), req.Name, firewall.Alias{
		Name: schema.Value(req.Rename, ""), CIDR: req.Cidr, Comment: schema.Value(req.Comment, ""),
	}, req.Digest)
}

// DeleteNodesQemuFirewallAliasesName answers DELETE /nodes/{node}/qemu/{vmid}/firewall/aliases/{name}.
func (s *Service) DeleteNodesQemuFirewallAliasesName(ctx context.Context, req *schema.DeleteNodesQemuFirewallAliasesName) (any, error) {
	return s.deleteAlias(ctx, guestOf(req.Vmid), req.Name, req.Digest)
}

// GetNodesQemuFirewallIpset answers GET /nodes/{node}/qemu/{vmid}/firewall/ipset.
func (s *Service) GetNodesQemuFirewallIpset(ctx context.Context, req *schema.GetNodesQemuFirewallIpset) ([]object, error) {
	return s.listSets(ctx, guestOf(req.Vmid))
}

// PostNodesQemuFirewallIpset answers POST /nodes/{node}/qemu/{vmid}/firewall/ipset.
func (s *Service) PostNodesQemuFirewallIpset(ctx context.Context, req *schema.PostNodesQemuFirewallIpset) (any, error) {
	return s.addSet(ctx, guestOf(req.Vmid), newSet{req.Name, req.Comment, req.Rename, req.Digest})
}

// GetNodesQemuFirewallIpsetName answers GET /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}.
func (s *Service) GetNodesQemuFirewallIpsetName(ctx context.Context, req *schema.GetNodesQemuFirewallIpsetName) ([]object, error) {
	return s.listEntries(ctx, guestOf(req.Vmid), req.Name)
}

// PostNodesQemuFirewallIpsetName answers POST /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}.
func (s *Service) PostNodesQemuFirewallIpsetName(ctx context.Context, req *schema.PostNodesQemuFirewallIpsetName) (any, error) {
	return s.addEntry(ctx, guestOf(req.Vmid), req.Name, req.Cidr, req.Comment, req.Nomatch)
}

// DeleteNodesQemuFirewallIpsetName answers DELETE /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}.
func (s *Service) DeleteNodesQemuFirewallIpsetName(ctx context.Context, req *schema.DeleteNodesQemuFirewallIpsetName) (any, error) {
	return s.deleteSet(ctx, guestOf(req.Vmid), req.Name, req.Force)
}

// GetNodesQemuFirewallIpsetCidr answers GET /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}.
func (s *Service) GetNodesQemuFirewallIpsetCidr(ctx context.Context, req *schema.GetNodesQemuFirewallIpsetCidr) (object, error) {
	return s.getEntry(ctx, guestOf(req.Vmid), req.Name, req.Cidr)
}

// PutNodesQemuFirewallIpsetCidr answers PUT /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}.
func (s *Service) PutNodesQemuFirewallIpsetCidr(ctx context.Context, req *schema.PutNodesQemuFirewallIpsetCidr) (any, error) {
	return s.putEntry(ctx, guestOf(req.Vmid), req.Name, req.Cidr, req.Comment, req.Nomatch, req.Digest)
}

// DeleteNodesQemuFirewallIpsetCidr answers DELETE /nodes/{node}/qemu/{vmid}/firewall/ipset/{name}/{cidr}.
func (s *Service) DeleteNodesQemuFirewallIpsetCidr(ctx context.Context, req *schema.DeleteNodesQemuFirewallIpsetCidr) (any, error) {
	return s.deleteEntry(ctx, guestOf(req.Vmid), req.Name, req.Cidr, req.Digest)
}

// GetNodesQemuFirewallRefs answers GET /nodes/{node}/qemu/{vmid}/firewall/refs.
func (s *Service) GetNodesQemuFirewallRefs(ctx context.Context, req *schema.GetNodesQemuFirewallRefs) ([]object, error) {
	return s.refs(ctx, guestOf(req.Vmid), req.Type)
}

// GetNodesQemuFirewallRules answers GET /nodes/{node}/qemu/{vmid}/firewall/rules.
func (s *Service) GetNodesQemuFirewallRules(ctx context.Context, req *schema.GetNodesQemuFirewallRules) ([]object, error) {
	return s.listRules(ctx, guestOf(req.Vmid).rules())
}

// PostNodesQemuFirewallRules answers POST /nodes/{node}/qemu/{vmid}/firewall/rules.
func (s *Service) PostNodesQemuFirewallRules(ctx context.Context, req *schema.PostNodesQemuFirewallRules) (any, error) {
	return s.addRule(ctx, guestOf(req.Vmid).rules(), req)
}

// GetNodesQemuFirewallRulesPos answers GET /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}.
func (s *Service) GetNodesQemuFirewallRulesPos(ctx context.Context, req *schema.GetNodesQemuFirewallRulesPos) (object, error) {
	return s.getRule(ctx, guestOf(req.Vmid).rules(), req.Pos)
}

// PutNodesQemuFirewallRulesPos answers PUT /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}.
func (s *Service) PutNodesQemuFirewallRulesPos(ctx context.Context, req *schema.PutNodesQemuFirewallRulesPos) (any, error) {
	return s.putRule(ctx, guestOf(req.Vmid).rules(), req)
}

// DeleteNodesQemuFirewallRulesPos answers DELETE /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}.
func (s *Service) DeleteNodesQemuFirewallRulesPos(ctx context.Context, req *schema.DeleteNodesQemuFirewallRulesPos) (any, error) {
	return s.deleteRule(ctx, guestOf(req.Vmid).rules(), req.Pos, req.Digest)
}

// GetNodesQemuFirewallOptions answers GET /nodes/{node}/qemu/{vmid}/firewall/options.
func (s *Service) GetNodesQemuFirewallOptions(ctx context.Context, req *schema.GetNodesQemuFirewallOptions) (object, error) {
	return s.getOptions(ctx, guestOf(req.Vmid))
}

// PutNodesQemuFirewallOptions answers PUT /nodes/{node}/qemu/{vmid}/firewall/options.
func (s *Service) PutNodesQemuFirewallOptions(ctx context.Context, req *schema.PutNodesQemuFirewallOptions) (any, error) {
	return s.putOptions(ctx, guestOf(req.Vmid), req)
}

// GetNodesQemuFirewallLog answers GET /nodes/{node}/qemu/{vmid}/firewall/log.
func (s *Service) GetNodesQemuFirewallLog(_ context.Context, req *schema.GetNodesQemuFirewallLog) (call.List, error) {
	return s.readLog(logQuery{guest: int(req.Vmid), start: req.Start, limit: req.Limit, since: req.Since, until: req.Until})
}
