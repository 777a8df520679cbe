package guestfw

import (
	"context"

	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// The methods below /cluster/firewall.

// GetClusterFirewallAliases answers GET /cluster/firewall/aliases.
func (s *Service) GetClusterFirewallAliases(ctx context.Context, _ *schema.GetClusterFirewallAliases) ([]object, error) {
	return s.listAliases(ctx, clusterPlace())
}

// PostClusterFirewallAliases answers POST /cluster/firewall/aliases.
func (s *Service) PostClusterFirewallAliases(ctx context.Context, req *schema.PostClusterFirewallAliases) (any, error) {
	return s.addAlias(ctx, clusterPlace(), firewall.Alias{Name: req.Name, CIDR: req.Cidr, Comment: schema.Value(req.Comment, "")})
}

// GetClusterFirewallAliasesName answers GET /cluster/firewall/aliases/{name}.
func (s *Service) GetClusterFirewallAliasesName(ctx context.Context, req *schema.GetClusterFirewallAliasesName) (object, error) {
	return s.getAlias(ctx, clusterPlace(), req.Name)
}

// PutClusterFirewallAliasesName answers PUT /cluster/firewall/aliases/{name}.
func (s *Service) PutClusterFirewallAliasesName(ctx context.Context, req *schema.PutClusterFirewallAliasesName) (any, error) {
	return s.putAlias(ctx, clusterPlace(), req.Name, firewall.Alias{
		Name: schema.Value(req.Rename, ""), CIDR: req.Cidr, Comment: schema.Value(req.Comment, ""),
	}, req.Digest)
}

// DeleteClusterFirewallAliasesName answers DELETE /cluster/firewall/aliases/{name}.
func (s *Service) DeleteClusterFirewallAliasesName(ctx context.Context, req *schema.DeleteClusterFirewallAliasesName) (any, error) {
	return s.deleteAlias(ctx, clusterPlace(), req.Name, req.Digest)
}

// GetClusterFirewallIpset answers GET /cluster/firewall/ipset.
func (s *Service) GetClusterFirewallIpset(ctx context.Context, _ *schema.GetClusterFirewallIpset) ([]object, error) {
	return s.listSets(ctx, clusterPlace())
}

// PostClusterFirewallIpset answers POST /cluster/firewall/ipset.
func (s *Service) PostClusterFirewallIpset(ctx context.Context, req *schema.PostClusterFirewallIpset) (any, error) {
	return s.addSet(ctx, clusterPlace(), newSet{req.Name, req.Comment, req.Rename, req.Digest})
}

// GetClusterFirewallIpsetName answers GET /cluster/firewall/ipset/{name}.
func (s *Service) GetClusterFirewallIpsetName(ctx context.Context, req *schema.GetClusterFirewallIpsetName) ([]object, error) {
	return s.listEntries(ctx, clusterPlace(), req.Name)
}

// PostClusterFirewallIpsetName answers POST /cluster/firewall/ipset/{name}.
func (s *Service) PostClusterFirewallIpsetName(ctx context.Context, req *schema.PostClusterFirewallIpsetName) (any, error) {
	return s.addEntry(ctx, clusterPlace(), req.Name, req.Cidr, req.Comment, req.Nomatch)
}

// DeleteClusterFirewallIpsetName answers DELETE /cluster/firewall/ipset/{name}.
func (s *Service) DeleteClusterFirewallIpsetName(ctx context.Context, req *schema.DeleteClusterFirewallIpsetName) (any, error) {
	return s.deleteSet(ctx, clusterPlace(), req.Name, req.Force)
}

// GetClusterFirewallIpsetCidr answers GET /cluster/firewall/ipset/{name}/{cidr}.
func (s *Service) GetClusterFirewallIpsetCidr(ctx context.Context, req *schema.GetClusterFirewallIpsetCidr) (object, error) {
	return s.getEntry(ctx, clusterPlace(), req.Name, req.Cidr)
}

// PutClusterFirewallIpsetCidr answers PUT /cluster/firewall/ipset/{name}/{cidr}.
func (s *Service) PutClusterFirewallIpsetCidr(ctx context.Context, req *schema.PutClusterFirewallIpsetCidr) (any, error) {
	return s.putEntry(ctx, clusterPlace(), req.Name, req.Cidr, req.Comment, req.Nomatch, req.Digest)
}

// DeleteClusterFirewallIpsetCidr answers DELETE /cluster/firewall/ipset/{name}/{cidr}.
func (s *Service) DeleteClusterFirewallIpsetCidr(ctx context.Context, req *schema.DeleteClusterFirewallIpsetCidr) (any, error) {
	return s.deleteEntry(ctx, clusterPlace(), req.Name, req.Cidr, req.Digest)
}

// GetClusterFirewallRefs answers GET /cluster/firewall/refs.
func (s *Service) GetClusterFirewallRefs(ctx context.Context, req *schema.GetClusterFirewallRefs) ([]object, error) {
	return s.refs(ctx, clusterPlace(), req.Type)
}

// GetClusterFirewallGroups answers GET /cluster/firewall/groups.
func (s *Service) GetClusterFirewallGroups(ctx context.Context, _ *schema.GetClusterFirewallGroups) ([]object, error) {
	return s.listGroups(ctx)
}

// PostClusterFirewallGroups answers POST /cluster/firewall/groups.
func (s *Service) PostClusterFirewallGroups(ctx context.Context, req *schema.PostClusterFirewallGroups) (any, error) {
	return s.addGroup(ctx, req)
}

// DeleteClusterFirewallGroupsGroup answers DELETE /cluster/firewall/groups/{group}.
func (s *Service) DeleteClusterFirewallGroupsGroup(ctx context.Context, req *schema.DeleteClusterFirewallGroupsGroup) (any, error) {
	return s.deleteGroup(ctx, req)
}

// GetClusterFirewallGroupsGroup answers GET /cluster/firewall/groups/{group}.
func (s *Service) GetClusterFirewallGroupsGroup(ctx context.Context, req *schema.GetClusterFirewallGroupsGroup) ([]object, error) {
	return s.listRules(ctx, groupRules(req.Group))
}

// PostClusterFirewallGroupsGroup answers POST /cluster/firewall/groups/{group}.
func (s *Service) PostClusterFirewallGroupsGroup(ctx context.Context, req *schema.PostClusterFirewallGroupsGroup) (any, error) {
	return s.addRule(ctx, groupRules(req.Group), req)
}

// GetClusterFirewallGroupsPos answers GET /cluster/firewall/groups/{group}/{pos}.
func (s *Service) GetClusterFirewallGroupsPos(ctx context.Context, req *schema.GetClusterFirewallGroupsPos) (object, error) {
	return s.getRule(ctx, groupRules(req.Group), req.Pos)
}

// PutClusterFirewallGroupsPos answers PUT /cluster/firewall/groups/{group}/{pos}.
func (s *Service) PutClusterFirewallGroupsPos(ctx context.Context, req *schema.PutClusterFirewallGroupsPos) (any, error) {
	return s.putRule(ctx, groupRules(req.Group), req)
}

// DeleteClusterFirewallGroupsPos answers DELETE /cluster/firewall/groups/{group}/{pos}.
func (s *Service) DeleteClusterFirewallGroupsPos(ctx context.Context, req *schema.DeleteClusterFirewallGroupsPos) (any, error) {
	return s.deleteRule(ctx, groupRules(req.Group), req.Pos, req.Digest)
}

// GetClusterFirewallRules answers GET /cluster/firewall/rules.
func (s *Service) GetClusterFirewallRules(ctx context.Context, _ *schema.GetClusterFirewallRules) ([]object, error) {
	return s.listRules(ctx, clusterPlace().rules())
}

// PostClusterFirewallRules answers POST /cluster/firewall/rules.
func (s *Service) PostClusterFirewallRules(ctx context.Context, req *schema.PostClusterFirewallRules) (any, error) {
	return s.addRule(ctx, clusterPlace().rules(), req)
}

// GetClusterFirewallRulesPos answers GET /cluster/firewall/rules/{pos}.
func (s *Service) GetClusterFirewallRulesPos(ctx context.Context, req *schema.GetClusterFirewallRulesPos) (object, error) {
	return s.getRule(ctx, clusterPlace().rules(), req.Pos)
}

// PutClusterFirewallRulesPos answers PUT /cluster/firewall/rules/{pos}.
func (s *Service) PutClusterFirewallRulesPos(ctx context.Context, req *schema.PutClusterFirewallRulesPos) (any, error) {
	return s.putRule(ctx, clusterPlace().rules(), req)
}

// DeleteClusterFirewallRulesPos answers DELETE /cluster/firewall/rules/{pos}.
func (s *Service) DeleteClusterFirewallRulesPos(ctx context.Context, req *schema.DeleteClusterFirewallRulesPos) (any, error) {
	return s.deleteRule(ctx, clusterPlace().rules(), req.Pos, req.Digest)
}

// GetClusterFirewallOptions answers GET /cluster/firewall/options.
func (s *Service) GetClusterFirewallOptions(ctx context.Context, _ *schema.GetClusterFirewallOptions) (object, error) {
	return s.getOptions(ctx, clusterPlace())
}

// PutClusterFirewallOptions answers PUT /cluster/firewall/options.
func (s *Service) PutClusterFirewallOptions(ctx context.Context, req *schema.PutClusterFirewallOptions) (any, error) {
	return s.putOptions(ctx, clusterPlace(), req)
}

// GetClusterFirewallMacros answers GET /cluster/firewall/macros.
func (s *Service) GetClusterFirewallMacros(_ context.Context, _ *schema.GetClusterFirewallMacros) ([]object, error) {
	return macros(), nil
}
