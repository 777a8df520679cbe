package access_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func asJSON(t testing.TB, v any) string {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return string(data)
}

func TestUsers(t *testing.T) {
	w := newWorld(t)
	root := w.as("root@pam")
	groups, mail, pw, one, zero := "devs", "a@example.org", "long enough", true, false
	_, err := w.PostAccessGroups(root, &schema.PostAccessGroups{Groupid: "devs"})
	require.NoError(t, err)
	_, err = w.PostAccessUsers(root, &schema.PostAccessUsers{Userid: "ann@pve", Groups: &groups, Email: &mail, Password: &pw})
	require.NoError(t, err)
	_, err = w.PostAccessUsers(root, &schema.PostAccessUsers{Userid: "ann@pve"})
	refused(t, err, 500, "create user failed: user 'ann@pve' already exists")
	none := "none"
	_, err = w.PostAccessUsers(root, &schema.PostAccessUsers{Userid: "bob@pve", Groups: &none, Password: &pw})
	refused(t, err, 500, "create user failed: no such group 'none'")
	require.NotContains(t, w.file("priv/shadow.cfg"), "bob", "all or nothing")
	_, err = w.PostAccessUsers(root, &schema.PostAccessUsers{Userid: "bob@gone", Password: &pw})
	refused(t, err, 500, "create user failed: auth domain 'gone' does not exist")
	_, err = w.PostAccessUsersTokenTokenid(root, &schema.PostAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "ci"})
	require.NoError(t, err)

	out, err := w.GetAccessUsersUserid(root, &schema.GetAccessUsersUserid{Userid: "ann@pve"})
	require.NoError(t, err)
	require.JSONEq(t, `{"enable":1,"expire":0,"email":"a@example.org","groups":["devs"],"tokens":{"ci":{"expire":0,"privsep":1}}}`, asJSON(t, out))
	out, err = w.GetAccessUsersUserid(root, &schema.GetAccessUsersUserid{Userid: "root@pam"})
	require.NoError(t, err)
	require.JSONEq(t, `{"enable":1,"expire":0,"groups":[],"tokens":{}}`, asJSON(t, out))
	_, err = w.GetAccessUsersUserid(root, &schema.GetAccessUsersUserid{Userid: "no@pve"})
	refused(t, err, 500, "no such user ('no@pve')")

	rows, err := w.GetAccessUsers(root, &schema.GetAccessUsers{Full: &one})
	require.NoError(t, err)
	require.JSONEq(t, `[{"userid":"ann@pve","realm-type":"pve","enable":1,"expire":0,"email":"a@example.org","groups":"devs","tokens":[{"tokenid":"ci","expire":0,"privsep":1}]},
		{"userid":"root@pam","realm-type":"pam","enable":1,"expire":0,"groups":""}]`, asJSON(t, rows))
	rows, err = w.GetAccessUsers(w.as("ann@pve"), &schema.GetAccessUsers{})
	require.NoError(t, err)
	require.Len(t, rows, 1, "oneself")
	rows, err = w.GetAccessUsers(w.as("ann@pve!ci"), &schema.GetAccessUsers{})
	require.NoError(t, err)
	require.Empty(t, rows, "a token is not its user")
	rows, err = w.GetAccessUsers(root, &schema.GetAccessUsers{Enabled: &zero})
	require.NoError(t, err)
	require.Equal(t, "[]", asJSON(t, rows))

	empty := ""
	_, err = w.PutAccessUsersUserid(root, &schema.PutAccessUsersUserid{Userid: "ann@pve", Email: &empty, Groups: &empty})
	require.NoError(t, err)
	cfg, err := w.UserConfig(t.Context())
	require.NoError(t, err)
	require.Empty(t, cfg.Users["ann@pve"].Email)
	require.Empty(t, cfg.GroupsOf("ann@pve"))
	_, err = w.PutAccessUsersUserid(root, &schema.PutAccessUsersUserid{Userid: "ann@pve", Groups: &groups, Append: &one})
	require.NoError(t, err)
	_, err = w.PutAccessUsersUserid(root, &schema.PutAccessUsersUserid{Userid: "ann@pve", Groups: &none, Append: &one})
	refused(t, err, 500, "update user failed: no such group 'none'")
	_, err = w.PutAccessUsersUserid(root, &schema.PutAccessUsersUserid{Userid: "no@pve"})
	refused(t, err, 500, "update user failed: no such user ('no@pve')")

	_, err = w.DeleteAccessUsersUserid(root, &schema.DeleteAccessUsersUserid{Userid: "ann@pve"})
	require.NoError(t, err)
	require.Empty(t, w.file("priv/shadow.cfg"))
	require.Empty(t, w.file("priv/token.cfg"))
	require.Equal(t, "user:root@pam:1:0::::::\n\ngroup:devs:::\n\n\n\n", w.file("user.cfg"))
	_, err = w.DeleteAccessUsersUserid(root, &schema.DeleteAccessUsersUserid{Userid: "ann@pve"})
	require.NoError(t, err, "absent is fine")
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	w.config("user:ann@pve:1:\n")
	ann := w.as("ann@pve")
	comment, expire, no := "for CI", int64(1_900_000_000), false
	out, err := w.PostAccessUsersTokenTokenid(ann, &schema.PostAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "ci", Comment: &comment, Expire: &expire, Privsep: &no})
	require.NoError(t, err)
	require.JSONEq(t, `{"full-tokenid":"ann@pve!ci","value":"`+out.Value+`","info":{"privsep":0,"expire":1900000000,"comment":"for CI"}}`, asJSON(t, out))
	_, err = w.PostAccessUsersTokenTokenid(ann, &schema.PostAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "ci"})
	badParam(t, err, "tokenid", "Token already exists.")

	list, err := w.GetAccessUsersToken(ann, &schema.GetAccessUsersToken{Userid: "ann@pve"})
	require.NoError(t, err)
	require.JSONEq(t, `[{"tokenid":"ci","privsep":0,"expire":1900000000,"comment":"for CI"}]`, asJSON(t, list))
	one, err := w.GetAccessUsersTokenTokenid(ann, &schema.GetAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "ci"})
	require.NoError(t, err)
	require.JSONEq(t, `{"privsep":0,"expire":1900000000,"comment":"for CI"}`, asJSON(t, one))
	_, err = w.GetAccessUsersTokenTokenid(ann, &schema.GetAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "no"})
	refused(t, err, 500, "no such token 'no' for user 'ann@pve'")

	remove := "comment"
	put, err := w.PutAccessUsersTokenTokenid(ann, &schema.PutAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "ci", Delete: &remove})
	require.NoError(t, err)
	require.JSONEq(t, `{"privsep":0,"expire":1900000000}`, asJSON(t, put))
	remove = "expire"
	_, err = w.PutAccessUsersTokenTokenid(ann, &schema.PutAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "ci", Delete: &remove})
	badParam(t, err, "delete", "unknown option 'expire'")
	_, err = w.PutAccessUsersTokenTokenid(ann, &schema.PutAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "no"})
	refused(t, err, 500, "updating token info failed: no such token 'no' for user 'ann@pve'")

	_, err = w.DeleteAccessUsersTokenTokenid(ann, &schema.DeleteAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "ci"})
	require.NoError(t, err)
	require.Empty(t, w.file("priv/token.cfg"))
	_, err = w.DeleteAccessUsersTokenTokenid(ann, &schema.DeleteAccessUsersTokenTokenid{Userid: "ann@pve", Tokenid: "ci"})
	refused(t, err, 500, "deleting token failed: no such token 'ci' for user 'ann@pve'")
}

func TestGroupsAndRoles(t *testing.T) {
	w := newWorld(t)
	w.config(org)
	root := w.as("root@pam")
	rows, err := w.GetAccessGroups(w.as("groupadmin@pve"), nil)
	require.NoError(t, err)
	require.JSONEq(t, `[{"groupid":"staff","users":"staff@pve"}]`, asJSON(t, rows))
	one, err := w.GetAccessGroupsGroupid(root, &schema.GetAccessGroupsGroupid{Groupid: "bosses"})
	require.NoError(t, err)
	require.JSONEq(t, `{"members":["boss@corp","root@pam"]}`, asJSON(t, one))
	comment := "new"
	_, err = w.PutAccessGroupsGroupid(root, &schema.PutAccessGroupsGroupid{Groupid: "staff", Comment: &comment})
	require.NoError(t, err)
	_, err = w.PostAccessGroups(root, &schema.PostAccessGroups{Groupid: "staff"})
	refused(t, err, 500, "create group failed: group 'staff' already exists")
	_, err = w.PutAccessGroupsGroupid(root, &schema.PutAccessGroupsGroupid{Groupid: "no"})
	refused(t, err, 500, "update group failed: group 'no' does not exist")
	_, err = w.DeleteAccessGroupsGroupid(root, &schema.DeleteAccessGroupsGroupid{Groupid: "no"})
	refused(t, err, 500, "delete group failed: group 'no' does not exist")
	_, err = w.GetAccessGroupsGroupid(root, &schema.GetAccessGroupsGroupid{Groupid: "no"})
	refused(t, err, 500, "group 'no' does not exist")
	_, err = w.DeleteAccessGroupsGroupid(root, &schema.DeleteAccessGroupsGroupid{Groupid: "staff"})
	require.NoError(t, err)

	privs, more, yes := "VM.Audit VM.Console", "VM.Clone", true
	_, err = w.PostAccessRoles(root, &schema.PostAccessRoles{Roleid: "Mine", Privs: &privs})
	require.NoError(t, err)
	_, err = w.PostAccessRoles(root, &schema.PostAccessRoles{Roleid: "Mine"})
	refused(t, err, 500, "create role failed: role 'Mine' already exists")
	_, err = w.PostAccessRoles(root, &schema.PostAccessRoles{Roleid: "pveMine"})
	badParam(t, err, "roleid", "cannot use role ID starting with the (case-insensitive) 'PVE' namespace")
	_, err = w.PutAccessRolesRoleid(root, &schema.PutAccessRolesRoleid{Roleid: "Mine", Privs: &more, Append: &yes})
	require.NoError(t, err)
	role, err := w.GetAccessRolesRoleid(root, &schema.GetAccessRolesRoleid{Roleid: "Mine"})
	require.NoError(t, err)
	require.JSONEq(t, `{"VM.Audit":1,"VM.Clone":1,"VM.Console":1}`, asJSON(t, role))
	_, err = w.PutAccessRolesRoleid(root, &schema.PutAccessRolesRoleid{Roleid: "Mine"})
	require.NoError(t, err)
	roles, err := w.GetAccessRoles(root, nil)
	require.NoError(t, err)
	require.Contains(t, asJSON(t, roles), `{"privs":"","roleid":"Mine","special":0}`)
	require.Contains(t, asJSON(t, roles), `{"privs":"VM.Audit,VM.Clone","roleid":"PVETemplateUser","special":1}`)
	_, err = w.PutAccessRolesRoleid(root, &schema.PutAccessRolesRoleid{Roleid: "PVEAdmin"})
	refused(t, err, 500, "auto-generated role 'PVEAdmin' cannot be modified")
	_, err = w.DeleteAccessRolesRoleid(root, &schema.DeleteAccessRolesRoleid{Roleid: "NoAccess"})
	refused(t, err, 500, "auto-generated role 'NoAccess' cannot be deleted")
	_, err = w.PutAccessRolesRoleid(root, &schema.PutAccessRolesRoleid{Roleid: "No"})
	refused(t, err, 500, "update role failed: role 'No' does not exist")
	_, err = w.DeleteAccessRolesRoleid(root, &schema.DeleteAccessRolesRoleid{Roleid: "No"})
	refused(t, err, 500, "delete role failed: role 'No' does not exist")
	_, err = w.GetAccessRolesRoleid(root, &schema.GetAccessRolesRoleid{Roleid: "No"})
	refused(t, err, 500, "role 'No' does not exist")
	_, err = w.DeleteAccessRolesRoleid(root, &schema.DeleteAccessRolesRoleid{Roleid: "Users"})
	require.NoError(t, err)
	require.NotContains(t, w.file("user.cfg"), "useradmin@pve:Users")
}

func TestAclList(t *testing.T) {
	w := newWorld(t)
	w.config(org)
	count := func(caller string) int {
		rows, err := w.GetAccessAcl(w.as(caller), nil)
		require.NoError(t, err)
		return len(rows)
	}
	require.Equal(t, 9, count("root@pam"))
	require.Equal(t, 9, count("auditor@pve"))
	require.Equal(t, 2, count("staff@pve"), "where it may change permissions")
	require.Zero(t, count("useradmin@pve"))
	rows, err := w.GetAccessAcl(w.as("groupadmin@pve"), nil)
	require.NoError(t, err)
	require.Contains(t, asJSON(t, rows), `{"path":"/pool/p","propagate":1,"roleid":"PVEAdmin","type":"user","ugid":"groupadmin@pve"}`)
}

func TestPermissions(t *testing.T) {
	w := newWorld(t)
	w.config(org)
	ask := func(caller, userid, path string) (string, error) {
		req := &schema.GetAccessPermissions{}
		if userid != "" {
			req.Userid = &userid
		}
		if path != "" {
			req.Path = &path
		}
		out, err := w.GetAccessPermissions(w.as(caller), req)
		return asJSON(t, out), err
	}
	out, err := ask("realmadmin@pve", "", "")
	require.NoError(t, err)
	require.JSONEq(t, `{"/access/realm/pve":{"Realm.AllocateUser":1}}`, out)
	out, err = ask("realmadmin@pve", "", "/vms/1")
	require.NoError(t, err)
	require.JSONEq(t, `{"/vms/1":{}}`, out)
	out, err = ask("staff@pve", "staff@pve!ci", "/storage/s/")
	require.NoError(t, err)
	require.Contains(t, out, `{"/storage/s/":{"Datastore.Allocate":1`)
	_, err = ask("staff@pve!ci", "staff@pve", "")
	refused(t, err, 403, "Permission check failed (/access, Sys.Audit)")
	_, err = ask("auditor@pve", "staff@pve", "")
	require.NoError(t, err)
}

func TestPassword(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.SetRootPassword(t.Context(), "root's own"))
	w.withUser("ann@pve", "ann's first")
	w.withUser("bob@pve", "bob's first")
	put := func(caller, user, pw, own string) error {
		req := &schema.PutAccessPassword{Userid: user, Password: pw}
		if own != "" {
			req.ConfirmationPassword = &own
		}
		_, err := w.PutAccessPassword(w.as(caller), req)
		return err
	}
	require.NoError(t, put("root@pam", "ann@pve", "ann's second", ""))
	badParam(t, put("ann@pve", "ann@pve", "ann's third", ""), "confirmation-password", "password is required to modify user")
	refused(t, put("ann@pve", "ann@pve", "ann's third", "ann's first"), 500, "invalid credentials")
	require.NoError(t, put("ann@pve", "ann@pve", "ann's third", "ann's second"))
	require.NoError(t, put("ann@pve", "bob@pve", "bob's second", "ann's third"))
	refused(t, put("ann@pve", "root@pam", "taken over", "ann's third"), 403, "Permission check failed")
	refused(t, put("root@pam", "gone@pve", "whatever it is", ""), 500, "no such user ('gone@pve')")
	_, err := w.login("ann@pve", "ann's third")
	require.NoError(t, err)
	_, err = w.login("bob@pve", "bob's second")
	require.NoError(t, err)
	_, err = w.login("root@pam", "root's own")
	require.NoError(t, err)
	require.Error(t, w.SetPassword(t.Context(), "gone@pve", "x"))
	require.Error(t, w.SetPassword(t.Context(), "ann@pve", ""))
}

func TestDomains(t *testing.T) {
	w := newWorld(t)
	root := w.as("root@pam")
	rows, err := w.GetAccessDomains(w.as(""), nil)
	require.NoError(t, err)
	require.JSONEq(t, `[{"realm":"pam","type":"pam","comment":"Linux PAM standard authentication"},{"realm":"pve","type":"pve","comment":"Proxmox VE authentication server"}]`, asJSON(t, rows))

	post := func(p schema.Params) error {
		_, err := w.PostAccessDomains(root, &schema.PostAccessDomains{Params: p})
		return err
	}
	corp := schema.Params{"realm": "corp", "type": "ldap", "server1": "a", "base_dn": "dc=x", "user_attr": "uid", "default": true, "port": int64(636), "password": "bind me", "tfa": "type=oath"}
	require.NoError(t, post(corp))
	require.Equal(t, "bind me\n", w.file("priv/realm/corp.pw"))
	require.NotContains(t, w.file("domains.cfg"), "bind me")
	refused(t, post(corp), 500, "add auth server failed: domain 'corp' already exists")
	refused(t, post(schema.Params{"realm": "pve", "type": "pve"}), 500, "add auth server failed: unable to use reserved name 'pve'")
	refused(t, post(schema.Params{"realm": "p2", "type": "pve"}), 500, "add auth server failed: unable to create builtin type 'pve'")
	refused(t, post(schema.Params{"realm": "sso", "type": "openid", "check-connection": true}), 500, "add auth server failed: 'check-connection' parameter can only be set for realms of type 'ldap' or 'ad'")
	rows, err = w.GetAccessDomains(w.as(""), nil)
	require.NoError(t, err)
	require.Contains(t, asJSON(t, rows), `{"realm":"corp","tfa":"oath","type":"ldap","default":1}`)

	get, err := w.GetAccessDomainsRealm(root, &schema.GetAccessDomainsRealm{Realm: "corp"})
	require.NoError(t, err)
	digest := pveconf.Digest(w.file("domains.cfg"))
	require.JSONEq(t, `{"type":"ldap","server1":"a","base_dn":"dc=x","user_attr":"uid","default":1,"port":636,"tfa":"type=oath","digest":"`+digest+`"}`, asJSON(t, get))
	_, err = w.GetAccessDomainsRealm(root, &schema.GetAccessDomainsRealm{Realm: "no"})
	refused(t, err, 500, "domain 'no' does not exist")

	put := func(realm string, p schema.Params) error {
		_, err := w.PutAccessDomainsRealm(root, &schema.PutAccessDomainsRealm{Realm: realm, Params: p})
		return err
	}
	require.NoError(t, put("corp", schema.Params{"comment": "x", "delete": "password,tfa", "digest": digest}))
	require.Empty(t, w.file("priv/realm/corp.pw"))
	refused(t, put("corp", schema.Params{"comment": "y", "digest": digest}), 500, "update auth server failed: detected modified configuration - file changed by other user? Try again.")
	refused(t, put("corp", schema.Params{}), 500, "update auth server failed: no options specified")
	refused(t, put("no", schema.Params{"comment": "y"}), 500, "update auth server failed: domain 'no' does not exist")

	_, err = w.DeleteAccessDomainsRealm(root, &schema.DeleteAccessDomainsRealm{Realm: "corp"})
	require.NoError(t, err)
	_, err = w.DeleteAccessDomainsRealm(root, &schema.DeleteAccessDomainsRealm{Realm: "corp"})
	refused(t, err, 500, "delete auth server failed: authentication domain 'corp' does not exist")
}

func TestSecondFactorsAreListed(t *testing.T) {
	w := newWorld(t)
	root := w.as("root@pam")
	rows, err := w.GetAccessTfa(root, nil)
	require.NoError(t, err)
	require.Equal(t, "[]", asJSON(t, rows))
	list, err := w.GetAccessTfaUserid(root, &schema.GetAccessTfaUserid{Userid: "root@pam"})
	require.NoError(t, err)
	require.Equal(t, "[]", asJSON(t, list))
	kinds, err := w.GetAccessUsersTfa(root, &schema.GetAccessUsersTfa{Userid: "root@pam"})
	require.NoError(t, err)
	require.Equal(t, "{}", asJSON(t, kinds))

	_, err = w.store.Txn(t.Context(), cluster.Put("/pve/priv/tfa.cfg", []byte(`{"users":{"root@pam":{"totp":[{"id":"i1","description":"phone","created":5,"enable":true,"entry":"otpauth://secret"}],"recovery":{"secret":"s","entries":["a"],"created":6}}}}`)))
	require.NoError(t, err)
	rows, err = w.GetAccessTfa(root, nil)
	require.NoError(t, err)
	require.JSONEq(t, `[{"userid":"root@pam","entries":[{"id":"i1","type":"totp","description":"phone","created":5,"enable":1},{"id":"recovery","type":"recovery","description":"","created":6,"enable":1}]}]`, asJSON(t, rows))
	yes := true
	kinds, err = w.GetAccessUsersTfa(root, &schema.GetAccessUsersTfa{Userid: "root@pam", Multiple: &yes})
	require.NoError(t, err)
	require.JSONEq(t, `{"user":["totp","recovery"]}`, asJSON(t, kinds))
	index, err := w.GetAccess(root, nil)
	require.NoError(t, err)
	require.Len(t, index, 9)
}
