package proxmoxapi

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Access is the subtree /access: users, groups, roles, permissions, realms, tokens, logins. Where an answer is more than
// the schema declares, it is any. Second factors can be listed only, directories not be synchronised, OpenID not be
// used: those methods are not in here.
type Access interface {
	AccessUsers
	AccessTokens
	AccessGroups
	AccessRoles
	AccessDomains
	AccessLogin

	GetAccess(ctx context.Context, req *schema.GetAccess) ([]schema.GetAccessRow, error)
	GetAccessAcl(ctx context.Context, req *schema.GetAccessAcl) ([]schema.GetAccessAclRow, error)
	PutAccessAcl(ctx context.Context, req *schema.PutAccessAcl) (any, error)
	GetAccessPermissions(ctx context.Context, req *schema.GetAccessPermissions) (map[string]map[string]schema.Bool, error)
	GetAccessTfa(ctx context.Context, req *schema.GetAccessTfa) ([]schema.GetAccessTfaRow, error)
	GetAccessTfaUserid(ctx context.Context, req *schema.GetAccessTfaUserid) ([]schema.GetAccessTfaUseridRow, error)
}

// AccessUsers is /access/users and the password of a user.
type AccessUsers interface {
	GetAccessUsers(ctx context.Context, req *schema.GetAccessUsers) ([]schema.GetAccessUsersRow, error)
	PostAccessUsers(ctx context.Context, req *schema.PostAccessUsers) (any, error)
	GetAccessUsersUserid(ctx context.Context, req *schema.GetAccessUsersUserid) (any, error)
	PutAccessUsersUserid(ctx context.Context, req *schema.PutAccessUsersUserid) (any, error)
	DeleteAccessUsersUserid(ctx context.Context, req *schema.DeleteAccessUsersUserid) (any, error)
	GetAccessUsersTfa(ctx context.Context, req *schema.GetAccessUsersTfa) (any, error)
	PutAccessPassword(ctx context.Context, req *schema.PutAccessPassword) (any, error)
}

// AccessTokens is /access/users/{userid}/token.
type AccessTokens interface {
	GetAccessUsersToken(ctx context.Context, req *schema.GetAccessUsersToken) ([]schema.GetAccessUsersTokenRow, error)
	GetAccessUsersTokenTokenid(ctx context.Context, req *schema.GetAccessUsersTokenTokenid) (*schema.GetAccessUsersTokenTokenidReply, error)
	PostAccessUsersTokenTokenid(ctx context.Context, req *schema.PostAccessUsersTokenTokenid) (*schema.PostAccessUsersTokenTokenidReply, error)
	PutAccessUsersTokenTokenid(ctx context.Context, req *schema.PutAccessUsersTokenTokenid) (*schema.PutAccessUsersTokenTokenidReply, error)
	DeleteAccessUsersTokenTokenid(ctx context.Context, req *schema.DeleteAccessUsersTokenTokenid) (any, error)
}

// AccessGroups is /access/groups.
type AccessGroups interface {
	GetAccessGroups(ctx context.Context, req *schema.GetAccessGroups) ([]schema.GetAccessGroupsRow, error)
	PostAccessGroups(ctx context.Context, req *schema.PostAccessGroups) (any, error)
	GetAccessGroupsGroupid(ctx context.Context, req *schema.GetAccessGroupsGroupid) (*schema.GetAccessGroupsGroupidReply, error)
	PutAccessGroupsGroupid(ctx context.Context, req *schema.PutAccessGroupsGroupid) (any, error)
	DeleteAccessGroupsGroupid(ctx context.Context, req *schema.DeleteAccessGroupsGroupid) (any, error)
}

// AccessRoles is /access/roles.
type AccessRoles interface {
	GetAccessRoles(ctx context.Context, req *schema.GetAccessRoles) ([]schema.GetAccessRolesRow, error)
	PostAccessRoles(ctx context.Context, req *schema.PostAccessRoles) (any, error)
	GetAccessRolesRoleid(ctx context.Context, req *schema.GetAccessRolesRoleid) (map[string]schema.Bool, error)
	PutAccessRolesRoleid(ctx context.Context, req *schema.PutAccessRolesRoleid) (any, error)
	DeleteAccessRolesRoleid(ctx context.Context, req *schema.DeleteAccessRolesRoleid) (any, error)
}

// AccessDomains is /access/domains: the realms.
type AccessDomains interface {
	GetAccessDomains(ctx context.Context, req *schema.GetAccessDomains) (any, error)
	PostAccessDomains(ctx context.Context, req *schema.PostAccessDomains) (any, error)
	GetAccessDomainsRealm(ctx context.Context, req *schema.GetAccessDomainsRealm) (map[string]any, error)
	PutAccessDomainsRealm(ctx context.Context, req *schema.PutAccessDomainsRealm) (any, error)
	DeleteAccessDomainsRealm(ctx context.Context, req *schema.DeleteAccessDomainsRealm) (any, error)
}

// AccessLogin is /access/ticket and /access/vncticket.
type AccessLogin interface {
	GetAccessTicket(ctx context.Context, req *schema.GetAccessTicket) (any, error)
	PostAccessTicket(ctx context.Context, req *schema.PostAccessTicket) (any, error)
	PostAccessVncticket(ctx context.Context, req *schema.PostAccessVncticket) (any, error)
}

// RegisterAccess registers the methods of a.
func RegisterAccess(r *Registry, a Access) {
	Handle(r, a.GetAccess)
	Handle(r, a.GetAccessAcl)
	Handle(r, a.PutAccessAcl)
	Handle(r, a.GetAccessPermissions)
	Handle(r, a.GetAccessTfa)
	Handle(r, a.GetAccessTfaUserid)

	Handle(r, a.GetAccessUsers)
	Handle(r, a.PostAccessUsers)
	Handle(r, a.GetAccessUsersUserid)
	Handle(r, a.PutAccessUsersUserid)
	Handle(r, a.DeleteAccessUsersUserid)
	Handle(r, a.GetAccessUsersTfa)
	Handle(r, a.PutAccessPassword)

	Handle(r, a.GetAccessUsersToken)
	Handle(r, a.GetAccessUsersTokenTokenid)
	Handle(r, a.PostAccessUsersTokenTokenid)
	Handle(r, a.PutAccessUsersTokenTokenid)
	Handle(r, a.DeleteAccessUsersTokenTokenid)

	Handle(r, a.GetAccessGroups)
	Handle(r, a.PostAccessGroups)
	Handle(r, a.GetAccessGroupsGroupid)
	Handle(r, a.PutAccessGroupsGroupid)
	Handle(r, a.DeleteAccessGroupsGroupid)

	Handle(r, a.GetAccessRoles)
	Handle(r, a.PostAccessRoles)
	Handle(r, a.GetAccessRolesRoleid)
	Handle(r, a.PutAccessRolesRoleid)
	Handle(r, a.DeleteAccessRolesRoleid)

	Handle(r, a.GetAccessDomains)
	Handle(r, a.PostAccessDomains)
	Handle(r, a.GetAccessDomainsRealm)
	Handle(r, a.PutAccessDomainsRealm)
	Handle(r, a.DeleteAccessDomainsRealm)

	Handle(r, a.GetAccessTicket)
	Handle(r, a.PostAccessTicket)
	Handle(r, a.PostAccessVncticket)
}
