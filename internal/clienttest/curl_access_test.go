package clienttest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testCurlTickets logs in in every way there is, and in some that there is not. The refusals come after 3 seconds each, so
// they run side by side.
func testCurlTickets(t *testing.T, h *house) {
	anyone := &curl{house: h}
	root := h.login(t, rootUser, h.password)
	cookie := []string{"-b", root.auth[1]}
	version := func(t *testing.T, c *curl) {
		t.Helper()
		var v struct{ Version, Release, Repoid string }
		c.do(t, "/version").into(t, &v)
		require.NotEmpty(t, v.Version)
	}

	t.Run("JSON body, realm apart", func(t *testing.T) {
		var s struct{ Ticket string }
		anyone.do(t, "--json", `{"username":"root","realm":"pam","password":"`+h.password+`"}`, "/access/ticket").into(t, &s)
		version(t, &curl{house: h, auth: []string{"-b", "PVEAuthCookie=" + s.Ticket}})
		escaped := strings.NewReplacer(":", "%3A", "@", "%40", "=", "%3D", "+", "%2B", "/", "%2F").Replace(s.Ticket)
		version(t, &curl{house: h, auth: []string{"-b", "PVEAuthCookie=" + escaped}})
		version(t, &curl{house: h, auth: []string{"-H", "Authorization: PVEAuthCookie=" + s.Ticket}})
	})
	t.Run("realms are for everyone to see", func(t *testing.T) {
		var realms []struct{ Realm string }
		anyone.do(t, "/access/domains").into(t, &realms)
		require.Len(t, realms, 2)
	})
	t.Run("API token", func(t *testing.T) {
		c := h.tokenCurl(t, "once")
		version(t, c)
		c.do(t, "-d", "groupid=made-by-token", "/access/groups").ok(t)
		c.do(t, "-X", "DELETE", "/access/groups/made-by-token").ok(t)
		root.do(t, "-X", "DELETE", "/access/users/"+rootUser+"/token/once").ok(t)
		require.True(t, strings.HasPrefix(c.do(t, "/version").status, "401 "))
	})
	t.Run("a ticket needs a CSRF token to write", func(t *testing.T) {
		c := &curl{house: h, auth: cookie}
		version(t, c)
		c.do(t, "-d", "groupid=forged", "/access/groups").bare(t, "401 Permission denied - invalid csrf token")
	})

	for name, call := range map[string]struct {
		status string
		args   []string
	}{
		"no ticket":         {"401 No ticket", []string{"/version"}},
		"forged ticket":     {"401 permission denied - invalid PVE ticket", []string{"-b", "PVEAuthCookie=PVE:root@pam:00000000::bm8=", "/version"}},
		"foreign cookie":    {"401 No ticket", []string{"-b", "session=1", "/version"}},
		"wrong CSRF token":  {"401 Permission denied - invalid csrf token", append(cookie[:2:2], "-H", "CSRFPreventionToken: 00000000:forged", "-d", "groupid=forged", "/access/groups")},
		"CSRF, DELETE":      {"401 Permission denied - invalid csrf token", append(cookie[:2:2], "-X", "DELETE", "/access/groups/forged")},
		"no ticket, upload": {"401 No ticket", []string{"-F", "content=iso", "-F", "filename=@doc.go;filename=x.iso", "/nodes/" + node + "/storage/" + storage + "/upload"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			anyone.do(t, call.args...).bare(t, call.status)
		})
	}
	for name, token := range map[string]string{
		"unknown token": rootUser + "!nobody=00000000-0000-0000-0000-000000000000",
		"half a token":  rootUser + "!once",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := anyone.do(t, "-H", "Authorization: PVEAPIToken="+token, "/version")
			require.True(t, strings.HasPrefix(r.status, "401 "), r.status)
			require.Empty(t, r.body)
		})
	}
	for name, login := range map[string][]string{
		"wrong password": {"-d", "username=root@pam", "-d", "password=wrong-one"},
		"unknown user":   {"-d", "username=nobody@pve", "-d", "password=wrong-one"},
		"unknown realm":  {"-d", "username=root@moon", "-d", "password=wrong-one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			anyone.do(t, append(login, "/access/ticket")...).fails(t, "401 authentication failure")
		})
	}
	// The parallel ones start when this function returns; the group waits for them.
}

// testCurlErrors compares status lines and bodies of requests that cannot be answered.
func testCurlErrors(t *testing.T, h *house) {
	root := h.login(t, rootUser, h.password)
	qemu := "/nodes/" + node + "/qemu"

	root.do(t, qemu+"/999/config").fails(t, "500 Configuration file 'nodes/"+node+"/qemu-server/999.conf' does not exist")
	root.do(t, qemu+"/999/status/current").fails(t, "500 Configuration file 'nodes/"+node+"/qemu-server/999.conf' does not exist")
	root.do(t, "-X", "DELETE", qemu+"/999").fails(t, "500 Configuration file 'nodes/"+node+"/qemu-server/999.conf' does not exist")
	root.do(t, "/nodes/"+node+"/storage/attic/content").fails(t, "500 storage 'attic' does not exist")
	root.do(t, "/access/users/nobody@pve").fails(t, "500 no such user ('nobody@pve')")

	root.do(t, "-d", "cores=2", qemu).refuses(t, map[string]string{"vmid": "property is missing and it is not optional"})
	root.do(t, "-d", "vmid=5", "-d", "cores=few", "-d", "colour=red", qemu).refuses(t, map[string]string{
		"vmid":   "invalid format - value does not look like a valid VM ID\n",
		"cores":  "type check ('integer') failed - got 'few'",
		"colour": "property is not defined in schema and the schema does not allow additional properties",
	})
	root.do(t, "--json", `{"vmid":"300","net0":"bridge=vmbr0"}`, qemu).refuses(t, map[string]string{
		"net0": "invalid format - format error\nnet0.model: property is missing and it is not optional\n",
	})
	root.do(t, "-G", "-d", "type=planets", "/cluster/resources").refuses(t, map[string]string{
		"type": "value 'planets' does not have a value in the enumeration 'vm, storage, node, sdn'",
	})
	root.do(t, "/nodes/"+node+"/tasks/nonsense/status").refuses(t, map[string]string{"upid": "unable to parse worker upid"})

	for _, call := range [][]string{{"GET", "/planets"}, {"DELETE", "/nodes"}, {"PUT", qemu + "/100/status/start"}} {
		r := root.do(t, "-X", call[0], call[1])
		r.fails(t, "501 Method '"+call[0]+" "+call[1]+"' not implemented")
	}
	r := root.do(t, "-X", "DELETE", "-d", "purge=1", qemu+"/999")
	require.Equal(t, "501 Unexpected content for method 'DELETE'", r.status)
	r = root.do(t, "-X", "PATCH", qemu)
	r.bare(t, "501 method 'PATCH' not available")

	t.Run("forbidden", func(t *testing.T) {
		root.do(t, "-d", "userid=eve@pve", "-d", "password=evening-star", "/access/users").ok(t)
		eve := h.login(t, "eve@pve", "evening-star")
		eve.do(t, qemu+"/999/config").fails(t, "403 Permission check failed (/vms/999, VM.Audit)")
		eve.do(t, "-d", "cores=few", qemu+"/999/config").fails(t,
			"403 Permission check failed (/vms/999, VM.Config.Disk|VM.Config.CDROM|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.HWType|VM.Config.Options|VM.Config.Cloudinit)")
		eve.do(t, "-X", "POST", qemu+"/999/status/start").fails(t, "403 Permission check failed (/vms/999, VM.PowerMgmt)")
		eve.do(t, "/nodes/"+node+"/status").fails(t, "403 Permission check failed (/nodes/"+node+", Sys.Audit)")
		eve.do(t, "-d", "groupid=mine", "/access/groups").fails(t, "403 Permission check failed (/access/groups, Group.Allocate)")
		var none []any
		eve.do(t, qemu).into(t, &none)
		require.Empty(t, none)
		require.NotNil(t, none, "an empty list is [], not null")
		root.do(t, "-X", "DELETE", "/access/users/eve@pve").ok(t)
	})
}
