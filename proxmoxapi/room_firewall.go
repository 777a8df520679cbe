package proxmoxapi

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// ClusterFirewall is /cluster/firewall.
type ClusterFirewall interface {
	GetClusterFirewallAliases(context.Context, *schema.GetClusterFirewallAliases) ([]map[string]any, error)
	PostClusterFirewallAliases(context.Context, *schema.PostClusterFirewallAliases) (any, error)
	GetClusterFirewallAliasesName(context.Context, *schema.GetClusterFirewallAliasesName) (map[string]any, error)
	PutClusterFirewallAliasesName(context.Context, *schema.PutClusterFirewallAliasesName) (any, error)
	DeleteClusterFirewallAliasesName(context.Context, *schema.DeleteClusterFirewallAliasesName) (any, error)
	GetClusterFirewallIpset(context.Context, *schema.GetClusterFirewallIpset) ([]map[string]any, error)
	PostClusterFirewallIpset(context.Context, *schema.PostClusterFirewallIpset) (any, error)
	GetClusterFirewallIpsetName(context.Context, *schema.GetClusterFirewallIpsetName) ([]map[string]any, error)
	PostClusterFirewallIpsetName(context.Context, *schema.PostClusterFirewallIpsetName) (any, error)
	DeleteClusterFirewallIpsetName(context.Context, *schema.DeleteClusterFirewallIpsetName) (any, error)
	GetClusterFirewallIpsetCidr(context.Context, *schema.GetClusterFirewallIpsetCidr) (map[string]any, error)
	PutClusterFirewallIpsetCidr(context.Context, *schema.PutClusterFirewallIpsetCidr) (any, error)
	DeleteClusterFirewallIpsetCidr(context.Context, *schema.DeleteClusterFirewallIpsetCidr) (any, error)
	GetClusterFirewallRefs(context.Context, *schema.GetClusterFirewallRefs) ([]map[string]any, error)
	GetClusterFirewallGroups(context.Context, *schema.GetClusterFirewallGroups) ([]map[string]any, error)
	PostClusterFirewallGroups(context.Context, *schema.PostClusterFirewallGroups) (any, error)
	DeleteClusterFirewallGroupsGroup(context.Context, *schema.DeleteClusterFirewallGroupsGroup) (any, error)
	GetClusterFirewallGroupsGroup(context.Context, *schema.GetClusterFirewallGroupsGroup) ([]map[string]any, error)
	PostClusterFirewallGroupsGroup(context.Context, *schema.PostClusterFirewallGroupsGroup) (any, error)
	GetClusterFirewallGroupsPos(context.Context, *schema.GetClusterFirewallGroupsPos) (map[string]any, error)
	PutClusterFirewallGroupsPos(context.Context, *schema.PutClusterFirewallGroupsPos) (any, error)
	DeleteClusterFirewallGroupsPos(context.Context, *schema.DeleteClusterFirewallGroupsPos) (any, error)
	GetClusterFirewallRules(context.Context, *schema.GetClusterFirewallRules) ([]map[string]any, error)
	PostClusterFirewallRules(context.Context, *schema.PostClusterFirewallRules) (any, error)
	GetClusterFirewallRulesPos(context.Context, *schema.GetClusterFirewallRulesPos) (map[string]any, error)
	PutClusterFirewallRulesPos(context.Context, *schema.PutClusterFirewallRulesPos) (any, error)
	DeleteClusterFirewallRulesPos(context.Context, *schema.DeleteClusterFirewallRulesPos) (any, error)
	GetClusterFirewallOptions(context.Context, *schema.GetClusterFirewallOptions) (map[string]any, error)
	PutClusterFirewallOptions(context.Context, *schema.PutClusterFirewallOptions) (any, error)
	GetClusterFirewallMacros(context.Context, *schema.GetClusterFirewallMacros) ([]map[string]any, error)
}

// RegisterClusterFirewall registers the methods of f.
func RegisterClusterFirewall(r *Registry, f ClusterFirewall) {
	Handle(r, f.GetClusterFirewallAliases)
	Handle(r, f.PostClusterFirewallAliases)
	Handle(r, f.GetClusterFirewallAliasesName)
	Handle(r, f.PutClusterFirewallAliasesName)
	Handle(r, f.DeleteClusterFirewallAliasesName)
	Handle(r, f.GetClusterFirewallIpset)
	Handle(r, f.PostClusterFirewallIpset)
	Handle(r, f.GetClusterFirewallIpsetName)
	Handle(r, f.PostClusterFirewallIpsetName)
	Handle(r, f.DeleteClusterFirewallIpsetName)
	Handle(r, f.GetClusterFirewallIpsetCidr)
	Handle(r, f.PutClusterFirewallIpsetCidr)
	Handle(r, f.DeleteClusterFirewallIpsetCidr)
	Handle(r, f.GetClusterFirewallRefs)
	Handle(r, f.GetClusterFirewallGroups)
	Handle(r, f.PostClusterFirewallGroups)
	Handle(r, f.DeleteClusterFirewallGroupsGroup)
	Handle(r, f.GetClusterFirewallGroupsGroup)
	Handle(r, f.PostClusterFirewallGroupsGroup)
	Handle(r, f.GetClusterFirewallGroupsPos)
	Handle(r, f.PutClusterFirewallGroupsPos)
	Handle(r, f.DeleteClusterFirewallGroupsPos)
	Handle(r, f.GetClusterFirewallRules)
	Handle(r, f.PostClusterFirewallRules)
	Handle(r, f.GetClusterFirewallRulesPos)
	Handle(r, f.PutClusterFirewallRulesPos)
	Handle(r, f.DeleteClusterFirewallRulesPos)
	Handle(r, f.GetClusterFirewallOptions)
	Handle(r, f.PutClusterFirewallOptions)
	Handle(r, f.GetClusterFirewallMacros)
}

// NodeFirewall is /nodes/{node}/firewall.
type NodeFirewall interface {
	GetNodesFirewallRules(context.Context, *schema.GetNodesFirewallRules) ([]map[string]any, error)
	PostNodesFirewallRules(context.Context, *schema.PostNodesFirewallRules) (any, error)
	GetNodesFirewallRulesPos(context.Context, *schema.GetNodesFirewallRulesPos) (map[string]any, error)
	PutNodesFirewallRulesPos(context.Context, *schema.PutNodesFirewallRulesPos) (any, error)
	DeleteNodesFirewallRulesPos(context.Context, *schema.DeleteNodesFirewallRulesPos) (any, error)
	GetNodesFirewallOptions(context.Context, *schema.GetNodesFirewallOptions) (map[string]any, error)
	PutNodesFirewallOptions(context.Context, *schema.PutNodesFirewallOptions) (any, error)
	GetNodesFirewallLog(context.Context, *schema.GetNodesFirewallLog) (call.List, error)
}

// RegisterNodeFirewall registers the methods of f.
func RegisterNodeFirewall(r *Registry, f NodeFirewall) {
	Handle(r, f.GetNodesFirewallRules)
	Handle(r, f.PostNodesFirewallRules)
	Handle(r, f.GetNodesFirewallRulesPos)
	Handle(r, f.PutNodesFirewallRulesPos)
	Handle(r, f.DeleteNodesFirewallRulesPos)
	Handle(r, f.GetNodesFirewallOptions)
	Handle(r, f.PutNodesFirewallOptions)
	Handle(r, f.GetNodesFirewallLog)
}

// GuestFirewall is /nodes/{node}/qemu/{vmid}/firewall.
type GuestFirewall interface {
	GetNodesQemuFirewallAliases(context.Context, *schema.GetNodesQemuFirewallAliases) ([]map[string]any, error)
	PostNodesQemuFirewallAliases(context.Context, *schema.PostNodesQemuFirewallAliases) (any, error)
	GetNodesQemuFirewallAliasesName(context.Context, *schema.GetNodesQemuFirewallAliasesName) (map[string]any, error)
	PutNodesQemuFirewallAliasesName(context.Context, *schema.PutNodesQemuFirewallAliasesName) (any, error)
	DeleteNodesQemuFirewallAliasesName(context.Context, *schema.DeleteNodesQemuFirewallAliasesName) (any, error)
	GetNodesQemuFirewallIpset(context.Context, *schema.GetNodesQemuFirewallIpset) ([]map[string]any, error)
	PostNodesQemuFirewallIpset(context.Context, *schema.PostNodesQemuFirewallIpset) (any, error)
	GetNodesQemuFirewallIpsetName(context.Context, *schema.GetNodesQemuFirewallIpsetName) ([]map[string]any, error)
	PostNodesQemuFirewallIpsetName(context.Context, *schema.PostNodesQemuFirewallIpsetName) (any, error)
	DeleteNodesQemuFirewallIpsetName(context.Context, *schema.DeleteNodesQemuFirewallIpsetName) (any, error)
	GetNodesQemuFirewallIpsetCidr(context.Context, *schema.GetNodesQemuFirewallIpsetCidr) (map[string]any, error)
	PutNodesQemuFirewallIpsetCidr(context.Context, *schema.PutNodesQemuFirewallIpsetCidr) (any, error)
	DeleteNodesQemuFirewallIpsetCidr(context.Context, *schema.DeleteNodesQemuFirewallIpsetCidr) (any, error)
	GetNodesQemuFirewallRefs(context.Context, *schema.GetNodesQemuFirewallRefs) ([]map[string]any, error)
	GetNodesQemuFirewallRules(context.Context, *schema.GetNodesQemuFirewallRules) ([]map[string]any, error)
	PostNodesQemuFirewallRules(context.Context, *schema.PostNodesQemuFirewallRules) (any, error)
	GetNodesQemuFirewallRulesPos(context.Context, *schema.GetNodesQemuFirewallRulesPos) (map[string]any, error)
	PutNodesQemuFirewallRulesPos(context.Context, *schema.PutNodesQemuFirewallRulesPos) (any, error)
	DeleteNodesQemuFirewallRulesPos(context.Context, *schema.DeleteNodesQemuFirewallRulesPos) (any, error)
	GetNodesQemuFirewallOptions(context.Context, *schema.GetNodesQemuFirewallOptions) (map[string]any, error)
	PutNodesQemuFirewallOptions(context.Context, *schema.PutNodesQemuFirewallOptions) (any, error)
	GetNodesQemuFirewallLog(context.Context, *schema.GetNodesQemuFirewallLog) (call.List, error)
}

// RegisterGuestFirewall registers the methods of f.
func RegisterGuestFirewall(r *Registry, f GuestFirewall) {
	Handle(r, f.GetNodesQemuFirewallAliases)
	Handle(r, f.PostNodesQemuFirewallAliases)
	Handle(r, f.GetNodesQemuFirewallAliasesName)
	Handle(r, f.PutNodesQemuFirewallAliasesName)
	Handle(r, f.DeleteNodesQemuFirewallAliasesName)
	Handle(r, f.GetNodesQemuFirewallIpset)
	Handle(r, f.PostNodesQemuFirewallIpset)
	Handle(r, f.GetNodesQemuFirewallIpsetName)
	Handle(r, f.PostNodesQemuFirewallIpsetName)
	Handle(r, f.DeleteNodesQemuFirewallIpsetName)
	Handle(r, f.GetNodesQemuFirewallIpsetCidr)
	Handle(r, f.PutNodesQemuFirewallIpsetCidr)
	Handle(r, f.DeleteNodesQemuFirewallIpsetCidr)
	Handle(r, f.GetNodesQemuFirewallRefs)
	Handle(r, f.GetNodesQemuFirewallRules)
	Handle(r, f.PostNodesQemuFirewallRules)
	Handle(r, f.GetNodesQemuFirewallRulesPos)
	Handle(r, f.PutNodesQemuFirewallRulesPos)
	Handle(r, f.DeleteNodesQemuFirewallRulesPos)
	Handle(r, f.GetNodesQemuFirewallOptions)
	Handle(r, f.PutNodesQemuFirewallOptions)
	Handle(r, f.GetNodesQemuFirewallLog)
}
