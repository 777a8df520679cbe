package access_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// org has callers with one kind of right each.
const org = `user:root@pam:1:
user:useradmin@pve:1:
user:groupadmin@pve:1:
user:realmadmin@pve:1:
user:both@pve:1:
user:auditor@pve:1:
user:staff@pve:1:
token:staff@pve!ci:0:0:
token:both@pve!ci:0:1:
user:boss@corp:1:
group:staff:staff@pve:
group:bosses:boss@corp,root@pam:
role:Realm:Realm.AllocateUser:
role:Users:User.Modify:
acl:1:/access/groups:useradmin@pve:Users:
acl:1:/access/groups/staff:groupadmin@pve,both@pve:Users:
acl:1:/access/realm/pve:realmadmin@pve,both@pve:Realm:
acl:1:/access:auditor@pve:PVEAuditor:
acl:1:/vms/100:staff@pve:PVEVMAdmin:
acl:1:/pool/p:groupadmin@pve:PVEAdmin:
acl:1:/storage/s:staff@pve:PVEDatastoreAdmin:
pool:p::100::
`

func TestAuthorize(t *testing.T) {
	w := newWorld(t)
	w.config(org)
	const denied = "Permission check failed"
	for _, c := range []struct {
		method, path string
		params       map[string]string
		caller, text string // empty: allowed
	}{
		{"GET", "/access/ticket", nil, "", ""},
		{"GET", "/access/users", nil, "", denied + " (user != null)"},
		{"GET", "/access/users", nil, "staff@pve", ""},
		{"GET", "/access/users/{userid}", map[string]string{"userid": "ghost@pve"}, "root@pam", ""},
		{"GET", "/access/users/{userid}", map[string]string{"userid": "ghost@pve"}, "staff@pve", "no such user ('ghost@pve')"},
		{"GET", "/access/users/{userid}", map[string]string{"userid": "staff@pve"}, "staff@pve", denied},
		{"GET", "/access/users/{userid}", map[string]string{"userid": "staff@pve"}, "auditor@pve", ""},
		{"GET", "/access/users/{userid}", map[string]string{"userid": "staff@pve"}, "groupadmin@pve", ""},
		{"GET", "/access/users/{userid}", map[string]string{"userid": "boss@corp"}, "groupadmin@pve", denied},
		{"GET", "/access/users/{userid}", map[string]string{"userid": "boss@corp"}, "useradmin@pve", ""},

		{"POST", "/access/users", map[string]string{"userid": "new@pve"}, "useradmin@pve", denied + " (/access/realm/pve, Realm.AllocateUser)"},
		{"POST", "/access/users", map[string]string{"userid": "new@pve"}, "realmadmin@pve", denied + " (/access/groups, User.Modify)"},
		{"POST", "/access/users", map[string]string{"userid": "new@pve"}, "both@pve", denied + " (/access/groups, User.Modify)"},
		{"POST", "/access/users", map[string]string{"userid": "new@pve", "groups": "staff"}, "both@pve", ""},
		{"POST", "/access/users", map[string]string{"userid": "new@pve", "groups": "staff;bosses"}, "both@pve", denied + " (/access/groups/bosses, User.Modify)"},
		{"POST", "/access/users", map[string]string{"userid": "new@pve", "groups": "none"}, "both@pve", denied + " (/access/groups/none, User.Modify)"},
		{"POST", "/access/users", map[string]string{"userid": "new@corp", "groups": "staff"}, "both@pve", denied + " (/access/realm/corp, Realm.AllocateUser)"},
		{"POST", "/access/users", map[string]string{"userid": "new"}, "both@pve", "value 'new' does not look like a valid user name"},
		{"POST", "/access/users", map[string]string{"userid": "new@pve", "groups": "staff"}, "both@pve!ci", denied + " (/access/realm/pve, Realm.AllocateUser)"},

		{"PUT", "/access/users/{userid}", map[string]string{"userid": "staff@pve"}, "groupadmin@pve", denied + " (/access/groups, User.Modify)"},
		{"PUT", "/access/users/{userid}", map[string]string{"userid": "staff@pve", "groups": "staff"}, "groupadmin@pve", ""},
		{"PUT", "/access/users/{userid}", map[string]string{"userid": "boss@corp", "groups": "staff"}, "groupadmin@pve", denied},
		{"PUT", "/access/users/{userid}", map[string]string{"userid": "root@pam"}, "useradmin@pve", ""},

		{"DELETE", "/access/users/{userid}", map[string]string{"userid": "staff@pve"}, "both@pve", ""},
		{"DELETE", "/access/users/{userid}", map[string]string{"userid": "staff@pve"}, "groupadmin@pve", denied + " (/access/realm/pve, Realm.AllocateUser)"},
		{"DELETE", "/access/users/{userid}", map[string]string{"userid": "gone@pve"}, "both@pve", "no such user ('gone@pve')"},

		{"PUT", "/access/password", map[string]string{"userid": "staff@pve"}, "staff@pve", ""},
		{"PUT", "/access/password", map[string]string{"userid": "staff@pve"}, "staff@pve!ci", denied + " (/access/realm/pve, Realm.AllocateUser)"},
		{"PUT", "/access/password", map[string]string{"userid": "staff@pve"}, "both@pve", ""},
		{"PUT", "/access/password", map[string]string{"userid": "boss@corp"}, "both@pve", denied + " (/access/realm/corp, Realm.AllocateUser)"},
		{"PUT", "/access/password", map[string]string{"userid": "staff"}, "both@pve", "value 'staff' does not look like a valid user name"},
		{"PUT", "/access/password", map[string]string{"userid": "gone@pve"}, "both@pve", "no such user ('gone@pve')"},

		{"POST", "/access/users/{userid}/token/{tokenid}", map[string]string{"userid": "staff@pve"}, "staff@pve", ""},
		{"POST", "/access/users/{userid}/token/{tokenid}", map[string]string{"userid": "staff@pve"}, "staff@pve!ci", denied},
		{"POST", "/access/users/{userid}/token/{tokenid}", map[string]string{"userid": "staff@pve"}, "groupadmin@pve", ""},
		{"POST", "/access/users/{userid}/token/{tokenid}", map[string]string{"userid": "staff@pve"}, "auditor@pve", denied},
		{"POST", "/access/users/{userid}/token/{tokenid}", map[string]string{"userid": "gone@pve"}, "useradmin@pve", denied},

		{"PUT", "/access/acl", map[string]string{"path": "/vms/100"}, "staff@pve", ""},
		{"PUT", "/access/acl", map[string]string{"path": "/vms"}, "staff@pve", denied + " (/vms, Permissions.Modify)"},
		{"PUT", "/access/acl", map[string]string{"path": "/vms/101/"}, "staff@pve", denied + " (/vms/101, Permissions.Modify|VM.Allocate)"},
		{"PUT", "/access/acl", map[string]string{"path": "/storage/s"}, "staff@pve", ""},
		{"PUT", "/access/acl", map[string]string{"path": "/pool/p"}, "groupadmin@pve", ""},
		{"PUT", "/access/acl", map[string]string{"path": "/nodes"}, "groupadmin@pve", denied + " (/nodes, Permissions.Modify)"},

		{"GET", "/access/domains/{realm}", map[string]string{"realm": "pve"}, "auditor@pve", ""},
		{"GET", "/access/domains/{realm}", map[string]string{"realm": "pve"}, "staff@pve", denied + " (/access/realm, Realm.Allocate|Sys.Audit)"},
		{"POST", "/nodes/{node}/qemu/{vmid}/clone", map[string]string{"vmid": "100", "newid": "101"}, "groupadmin@pve", denied},
		{"POST", "/nodes/{node}/qemu/{vmid}/clone", map[string]string{"vmid": "100", "newid": "101", "pool": "p"}, "groupadmin@pve", ""},
		{"POST", "/nodes/{node}/qemu/{vmid}/clone", map[string]string{"vmid": "101", "newid": "100"}, "staff@pve", denied + " (/vms/101, VM.Clone)"},
		{"POST", "/nodes/{node}/qemu/{vmid}/clone", map[string]string{"vmid": "100", "newid": "100"}, "staff@pve", ""},
		{"GET", "/nodes/{node}/qemu/{vmid}/config", map[string]string{"vmid": "100"}, "groupadmin@pve", ""},
		{"GET", "/nodes/{node}/qemu/{vmid}/config", map[string]string{"vmid": "100/../101"}, "auditor@pve", denied + " (/vms/100/../101, VM.Audit)"},
	} {
		e := schema.Find(c.method, c.path)
		require.NotNil(t, e, c.path)
		err := w.Authorize(t.Context(), call.Caller{AuthID: c.caller}, e.Permission, c.params)
		name := c.method + " " + c.path + " " + c.caller
		if c.text == "" {
			require.NoError(t, err, name)
			continue
		}
		x, ok := errors.AsType[*call.Error](err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, c.text, x.Text, "%s %v", name, c.params)
		if x.Text[:min(len(x.Text), len(denied))] == denied {
			require.Equal(t, http.StatusForbidden, x.Status, name)
		}
	}
	err := w.Authorize(t.Context(), call.Caller{AuthID: "useradmin@pve"}, nil, nil)
	refused(t, err, 403, "Permission check failed (user != root@pam)")
	badParam(t, w.Authorize(t.Context(), call.Caller{AuthID: "staff@pve"}, schema.Find("PUT", "/access/acl").Permission, map[string]string{"path": "/ä"}), "path", "invalid ACL path '/ä'")
}

// Every method refuses callers without any right, but for those that the schema opens to every login, to the world, or to
// users for themselves.
func TestThreat37_StrangersGetNothing(t *testing.T) {
	w := newWorld(t)
	w.config("user:stranger@pve:1:\nuser:victim@pve:1:\ntoken:stranger@pve!ci:0:0:\n")
	for _, e := range schema.Endpoints() {
		params := map[string]string{"userid": "victim@pve", "node": "n1", "vmid": "100", "storage": "s", "path": "/", "groups": "g"}
		for _, caller := range []string{"stranger@pve", "stranger@pve!ci"} {
			err := w.Authorize(t.Context(), call.Caller{AuthID: caller}, e.Permission, params)
			if e.Permission.All() || e.Permission.World() {
				require.NoError(t, err)
			} else {
				require.Error(t, err, "%s %s", e.Method, e.Path)
			}
		}
		require.NoError(t, w.Authorize(t.Context(), call.Caller{AuthID: "root@pam"}, e.Permission, params))
	}
}

func TestThreat30_TokensEndWithTheirUser(t *testing.T) {
	w := newWorld(t)
	w.withUser("ops@pve", "long enough")
	root := w.as("root@pam")
	made, err := w.PostAccessUsersTokenTokenid(root, &schema.PostAccessUsersTokenTokenid{Userid: "ops@pve", Tokenid: "ci"})
	require.NoError(t, err)
	require.Equal(t, "ops@pve!ci", made.FullTokenid)
	require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, made.Value)
	require.True(t, bool(*made.Info.Privsep))
	require.NotContains(t, w.file("priv/token.cfg"), made.Value, "stored as a digest")
	auth := func(secret string) error {
		c, err := w.Authenticate(t.Context(), access.Credentials{Token: "ops@pve!ci=" + secret})
		if err == nil {
			require.Equal(t, call.Caller{AuthID: "ops@pve!ci"}, c)
		}
		return err
	}
	require.NoError(t, auth(made.Value))
	for _, bad := range []string{"", made.Value + "0", made.Value[1:], "00000000-0000-0000-0000-000000000000"} {
		refused(t, auth(bad), 401, "Authentication failed!")
	}
	for _, text := range []string{"ops@pve=" + made.Value, "ops@pve!other=" + made.Value, "!ci=" + made.Value, "=", made.Value} {
		_, err := w.Authenticate(t.Context(), access.Credentials{Token: text})
		refused(t, err, 401, "Authentication failed!")
	}

	put := func(req schema.PutAccessUsersUserid) {
		req.Userid = "ops@pve"
		_, err := w.PutAccessUsersUserid(root, &req)
		require.NoError(t, err)
	}
	on, off, past, never := true, false, int64(5), int64(0)
	put(schema.PutAccessUsersUserid{Enable: &off})
	refused(t, auth(made.Value), 401, "Authentication failed!")
	put(schema.PutAccessUsersUserid{Enable: &on, Expire: &past})
	refused(t, auth(made.Value), 401, "Authentication failed!")
	put(schema.PutAccessUsersUserid{Expire: &never})
	require.NoError(t, auth(made.Value))

	_, err = w.PutAccessUsersTokenTokenid(root, &schema.PutAccessUsersTokenTokenid{Userid: "ops@pve", Tokenid: "ci", Expire: &past})
	require.NoError(t, err)
	refused(t, auth(made.Value), 401, "Authentication failed!")
	changed, err := w.PutAccessUsersTokenTokenid(root, &schema.PutAccessUsersTokenTokenid{Userid: "ops@pve", Tokenid: "ci", Expire: &never, Regenerate: &on})
	require.NoError(t, err)
	require.Equal(t, "ops@pve!ci", *changed.FullTokenid)
	refused(t, auth(made.Value), 401, "Authentication failed!")
	require.NoError(t, auth(*changed.Value))

	_, err = w.DeleteAccessUsersUserid(root, &schema.DeleteAccessUsersUserid{Userid: "ops@pve"})
	require.NoError(t, err)
	refused(t, auth(*changed.Value), 401, "Authentication failed!")
	require.Empty(t, w.file("priv/token.cfg"))
	w.withUser("ops@pve", "long enough")
	refused(t, auth(*changed.Value), 401, "Authentication failed!")
}

func TestThreat30_TokensChangeNoPasswords(t *testing.T) {
	w := newWorld(t)
	w.config("user:ops@pve:1:\ntoken:ops@pve!ci:0:0:\n")
	pw := "long enough"
	for _, caller := range []string{"", "ops@pve!ci", "root@pam!ci"} {
		_, err := w.PutAccessPassword(w.as(caller), &schema.PutAccessPassword{Userid: "ops@pve", Password: pw, ConfirmationPassword: &pw})
		refused(t, err, 403, "Permission check failed")
	}
}

func TestThreat38_NobodyHandsOutMoreThanItHolds(t *testing.T) {
	w := newWorld(t)
	w.config(`user:chief@pve:1:
user:lead@pve:1:
user:mate@pve:1:
token:mate@pve!tt:0:1:
group:crew:mate@pve:
role:Small:VM.Audit:
role:Wide:VM.Audit,VM.Monitor:
role:Sys:VM.Audit,Sys.Modify:
role:Chief:Permissions.Modify:
role:Lead:VM.Allocate,VM.Audit,VM.Console:
acl:1:/:chief@pve:Chief:
acl:1:/vms/100:lead@pve:Lead:
acl:0:/vms/101:lead@pve:Lead:
pool:p::102::
acl:1:/pool/p:lead@pve:Lead:
`)
	mate, crew, tok, yes, no := "mate@pve", "crew", "mate@pve!tt", true, false
	put := func(caller string, req schema.PutAccessAcl) error {
		if req.Users == nil && req.Groups == nil && req.Tokens == nil {
			req.Users = &mate
		}
		if err := w.Authorize(t.Context(), call.Caller{AuthID: caller}, schema.Find("PUT", "/access/acl").Permission, map[string]string{"path": req.Path}); err != nil {
			return err
		}
		_, err := w.PutAccessAcl(w.as(caller), &req)
		return err
	}
	const superset = " - requires 'Permissions.Modify' or superset of privileges."
	require.NoError(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/100", Roles: "Small"}))
	require.NoError(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/100", Roles: "Small", Groups: &crew}))
	require.NoError(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/100", Roles: "Lead", Tokens: &tok}))
	badParam(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/100", Roles: "Sys"}), "role", "Cannot add role 'Sys'"+superset)
	badParam(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/100", Roles: "Small,Administrator"}), "role", "Cannot add role 'Administrator'"+superset)
	badParam(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/100", Roles: "Sys", Delete: &yes}), "role", "Cannot remove role 'Sys'"+superset)
	badParam(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/100", Roles: "NoAccess"}), "role", "Cannot add role 'NoAccess' - requires 'Permissions.Modify'")
	badParam(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/100", Roles: "NoAccess", Delete: &yes}), "role", "Cannot remove role 'NoAccess' - requires 'Permissions.Modify'")
	badParam(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/101", Roles: "Small"}), "role", "Cannot add role 'Small' with propagation - requires 'Permissions.Modify' or propagated superset of privileges.")
	badParam(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/102", Roles: "Small"}), "role", "Cannot add role 'Small' with propagation - requires 'Permissions.Modify' or propagated superset of privileges.")
	require.NoError(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/101", Roles: "Small", Propagate: &no}))
	require.NoError(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms/101", Roles: "Small", Delete: &yes}))
	refused(t, put("lead@pve", schema.PutAccessAcl{Path: "/vms", Roles: "Small"}), 403, "Permission check failed (/vms, Permissions.Modify)")
	refused(t, put("lead@pve", schema.PutAccessAcl{Path: "/", Roles: "Small"}), 403, "Permission check failed (/, Permissions.Modify)")
	refused(t, put("mate@pve!tt", schema.PutAccessAcl{Path: "/vms/100", Roles: "Small"}), 403, "Permission check failed (/vms/100, Permissions.Modify|VM.Allocate)")
	require.NoError(t, put("chief@pve", schema.PutAccessAcl{Path: "/", Roles: "Administrator,NoAccess"}))

	_, err := w.PutAccessAcl(w.as("chief@pve"), &schema.PutAccessAcl{Path: "/vms", Roles: "Small"})
	for _, name := range []string{"users", "groups", "tokens"} {
		badParam(t, err, name, "either 'users', 'groups' or 'tokens' is required.")
	}
	badParam(t, put("root@pam", schema.PutAccessAcl{Path: "/users", Roles: "Small"}), "path", "invalid ACL path '/users'")
	require.NoError(t, put("root@pam", schema.PutAccessAcl{Path: "/users", Roles: "Small", Delete: &yes}))
	none := "none"
	noToken := "mate@pve!no"
	refused(t, put("root@pam", schema.PutAccessAcl{Path: "/vms", Roles: "No"}), 500, "ACL update failed: role 'No' does not exist")
	refused(t, put("root@pam", schema.PutAccessAcl{Path: "/vms", Roles: "Small", Groups: &none}), 500, "ACL update failed: group 'none' does not exist")
	refused(t, put("root@pam", schema.PutAccessAcl{Path: "/vms", Roles: "Small", Users: &none}), 500, "ACL update failed: user 'none' does not exist")
	refused(t, put("root@pam", schema.PutAccessAcl{Path: "/vms", Roles: "Small", Tokens: &noToken}), 500, "ACL update failed: no such token 'no' for user 'mate@pve'")
}

func TestThreat38_NewUsersCannotBeMistaken(t *testing.T) {
	w := newWorld(t)
	w.config("user:victim@pve:1:\ngroup:g::\n")
	g := "g"
	for _, id := range []string{"x,victim@pve", "x;victim@pve", "root@pam!x@pve"} {
		_, err := w.PostAccessUsers(w.as("root@pam"), &schema.PostAccessUsers{Userid: id, Groups: &g})
		require.ErrorContains(t, err, "does not look like a valid user name")
	}
	require.Equal(t, "user:victim@pve:1:\ngroup:g::\n", w.file("user.cfg"))
	mail := "a@b\nuser:evil@pve:1:0"
	_, err := w.PutAccessUsersUserid(w.as("root@pam"), &schema.PutAccessUsersUserid{Userid: "victim@pve", Email: &mail})
	require.ErrorContains(t, err, "cannot be written")
}
