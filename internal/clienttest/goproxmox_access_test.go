package clienttest

import (
	"testing"

	proxmox "github.com/luthermonson/go-proxmox"
	"github.com/stretchr/testify/require"
)

// token makes API tokens with and without privileges of their own, uses them and takes them back.
func (g *goProxmox) token(t *testing.T) {
	ctx := t.Context()
	root, err := g.client.User(ctx, rootUser)
	require.NoError(t, err)
	full, err := root.NewAPIToken(ctx, proxmox.Token{TokenID: "full", Comment: "all of root's"})
	require.NoError(t, err)
	require.Equal(t, rootUser+"!full", full.FullTokenID)
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, full.Value)

	client := g.house.newClient(proxmox.WithAPIToken(full.FullTokenID, full.Value))
	nodes, err := client.Nodes(ctx)
	require.NoError(t, err)
	require.Len(t, nodes, 1)
	require.NoError(t, client.NewGroup(ctx, "by-token", ""), "a token needs no CSRF token")
	g1, err := client.Group(ctx, "by-token")
	require.NoError(t, err)
	require.NoError(t, g1.Delete(ctx))

	_, err = root.NewAPIToken(ctx, proxmox.Token{TokenID: "full"})
	require.ErrorContains(t, err, "Token already exists.")
	own, err := root.NewAPIToken(ctx, proxmox.Token{TokenID: "own", Privsep: true})
	require.NoError(t, err)
	client = g.house.newClient(proxmox.WithAPIToken(own.FullTokenID, own.Value))
	_, err = client.Version(ctx)
	require.NoError(t, err)
	require.ErrorIs(t, client.NewGroup(ctx, "forbidden", ""), proxmox.ErrNotAuthorized)

	tokens, err := root.GetAPITokens(ctx)
	require.NoError(t, err)
	require.Len(t, tokens, 2)
	one, err := root.APIToken(ctx, "own")
	require.NoError(t, err)
	require.True(t, bool(one.Privsep))
	for _, id := range []string{"full", "own"} {
		require.NoError(t, root.DeleteAPIToken(ctx, id))
	}
	_, err = client.Version(ctx)
	require.ErrorIs(t, err, proxmox.ErrNotAuthorized)
}

// access makes a role, a group and a user, gives rights, looks at the house with them, and removes everything again.
func (g *goProxmox) access(t *testing.T) {
	ctx := t.Context()
	require.NoError(t, g.client.NewRole(ctx, "Looker", "VM.Audit,Datastore.Audit"))
	role, err := g.client.Role(ctx, "Looker")
	require.NoError(t, err)
	require.Equal(t, proxmox.Permission{"VM.Audit": true, "Datastore.Audit": true}, role)
	roles, err := g.client.Roles(ctx)
	require.NoError(t, err)
	looker := named(t, roles, func(r *proxmox.Role) bool { return r.RoleID == "Looker" })
	require.False(t, bool(looker.Special))
	admin := named(t, roles, func(r *proxmox.Role) bool { return r.RoleID == "Administrator" })
	require.True(t, bool(admin.Special))
	looker.Privs = "VM.Audit,Datastore.Audit,Sys.Audit"
	require.NoError(t, looker.Update(ctx))
	require.ErrorContains(t, g.client.NewRole(ctx, "Looker", ""), "500 create role failed: role 'Looker' already exists")

	require.NoError(t, g.client.NewGroup(ctx, "lookers", "they only look"))
	group, err := g.client.Group(ctx, "lookers")
	require.NoError(t, err)
	require.Equal(t, "they only look", group.Comment)
	require.Empty(t, group.Members)
	group.Comment = "they look – and that is all"
	require.NoError(t, group.Update(ctx))

	const user = "mira@pve"
	require.NoError(t, g.client.NewUser(ctx, &proxmox.NewUser{UserID: user, Enable: true, Password: "correct horse",
		Groups: proxmox.CSV{"lookers"}, Email: "mira@example.org", Firstname: "Mira"}))
	require.ErrorContains(t, g.client.NewUser(ctx, &proxmox.NewUser{UserID: user}), "500 create user failed: user 'mira@pve' already exists")
	mira, err := g.client.User(ctx, user)
	require.NoError(t, err)
	require.True(t, bool(mira.Enable))
	require.Equal(t, proxmox.CSV{"lookers"}, mira.Groups)
	require.NoError(t, mira.Update(ctx, proxmox.UserOptions{Comment: "of the test", Groups: proxmox.CSV{"lookers"}}))
	groups, err := g.client.Groups(ctx)
	require.NoError(t, err)
	require.Equal(t, user, named(t, groups, func(x *proxmox.Group) bool { return x.GroupID == "lookers" }).Users)
	users, err := g.client.Users(ctx)
	require.NoError(t, err)
	require.Equal(t, "of the test", named(t, users, func(u *proxmox.User) bool { return u.UserID == user }).Comment)

	require.NoError(t, g.client.UpdateACL(ctx, proxmox.ACLOptions{Path: "/", Roles: "Looker", Groups: "lookers", Propagate: true}))
	acl, err := g.client.ACL(ctx)
	require.NoError(t, err)
	entry := named(t, acl, func(a *proxmox.ACL) bool { return a.UGID == "lookers" })
	require.Equal(t, &proxmox.ACL{Path: "/", RoleID: "Looker", Type: "group", UGID: "lookers", Propagate: true}, entry)

	client := g.house.newPasswordClient(user, "correct horse")
	n, err := client.Node(ctx, node)
	require.NoError(t, err)
	require.Positive(t, n.Memory.Total, "Sys.Audit shows the node's status")
	require.ErrorIs(t, client.NewGroup(ctx, "forbidden", ""), proxmox.ErrNotAuthorized)
	may, err := client.Permissions(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, proxmox.Permission{"VM.Audit": true, "Datastore.Audit": true, "Sys.Audit": true}, may["/"])
	may, err = g.client.Permissions(ctx, &proxmox.PermissionsOptions{UserID: user, Path: "/vms/100"})
	require.NoError(t, err)
	require.Contains(t, may["/vms/100"], "VM.Audit")

	require.NoError(t, g.client.Password(ctx, user, "battery staple"))
	_, err = g.house.newPasswordClient(user, "battery staple").Version(ctx)
	require.NoError(t, err)
	require.NoError(t, mira.Update(ctx, proxmox.UserOptions{Enable: proxmox.Ptr(proxmox.IntOrBool(false))}))
	_, err = client.Version(ctx)
	require.ErrorIs(t, err, proxmox.ErrNotAuthorized, "a disabled user's ticket is worth nothing")

	require.NoError(t, g.client.UpdateACL(ctx, proxmox.ACLOptions{Path: "/", Roles: "Looker", Groups: "lookers", Delete: true}))
	require.NoError(t, mira.Delete(ctx))
	require.NoError(t, group.Delete(ctx))
	require.NoError(t, looker.Delete(ctx))
	_, err = g.client.User(ctx, user)
	require.ErrorContains(t, err, "no such user ('mira@pve')")
	_, err = g.client.Group(ctx, "lookers")
	require.ErrorContains(t, err, "500 group 'lookers' does not exist")
	acl, err = g.client.ACL(ctx)
	require.NoError(t, err)
	require.Empty(t, acl)
}

func (g *goProxmox) pools(t *testing.T) {
	ctx := t.Context()
	require.NoError(t, g.client.NewPool(ctx, "shelf", "things of one owner"))
	require.ErrorContains(t, g.client.NewPool(ctx, "shelf", ""), "pool 'shelf' already exists")
	pools, err := g.client.Pools(ctx)
	require.NoError(t, err)
	require.Len(t, pools, 1)

	pool, err := g.client.Pool(ctx, "shelf")
	require.NoError(t, err)
	require.Equal(t, "shelf", pool.PoolID)
	require.Equal(t, "things of one owner", pool.Comment)
	require.NoError(t, pool.Update(ctx, &proxmox.PoolUpdateOption{Comment: "emptied", Storage: storage}))
	pool, err = g.client.Pool(ctx, "shelf", "storage")
	require.NoError(t, err)
	require.Equal(t, "emptied", pool.Comment)
	require.Len(t, pool.Members, 1)
	require.Equal(t, storage, pool.Members[0].Storage)

	require.ErrorContains(t, pool.Delete(ctx), "pool 'shelf' is not empty")
	require.NoError(t, pool.Update(ctx, &proxmox.PoolUpdateOption{Storage: storage, Delete: true}))
	pool, err = pool.GetDeprecated(ctx)
	require.NoError(t, err)
	require.Empty(t, pool.Members)
	require.NoError(t, pool.Delete(ctx))
	_, err = g.client.Pool(ctx, "shelf")
	require.ErrorContains(t, err, "500 pool 'shelf' does not exist")
}

// named returns the one element of a list that passes.
func named[T any](t *testing.T, list []T, is func(T) bool) (found T) {
	t.Helper()
	n := 0
	for _, x := range list {
		if is(x) {
			found = x
			n++
		}
	}
	require.Equal(t, 1, n, "elements that fit, of %+v", list)
	return found
}
