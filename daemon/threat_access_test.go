package daemon

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// pathOf fills a path template with things that could exist.
func pathOf(e *schema.Endpoint) string {
	path := e.Path
	for _, p := range e.PathParams {
		value := map[string]string{"node": testNode, "vmid": "100", "storage": "local", "userid": "root@pam", "poolid": "p", "volume": "local:iso/x.iso"}[p]
		if value == "" {
			value = "x1"
		}
		path = strings.ReplaceAll(path, "{"+p+"}", value)
	}
	return "/api2/json" + path
}

// together runs n jobs at a time 64 of them.
func together(n int, job func(int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{}, 64)
	for i := range n {
		gate <- struct{}{}
		wg.Go(func() {
			defer func() { <-gate }()
			job(i)
		})
	}
	wg.Wait()
}

// open are the methods that need no login, and upload, whose form cannot carry the header from a browser's page.
var openMethods = map[string]bool{
	"POST /access/ticket": true, "POST /access/vncticket": true, "POST /access/openid/auth-url": true, "POST /access/openid/login": true,
	"POST /nodes/{node}/storage/{storage}/upload": true,
}

func TestThreat29_WritingNeedsTheToken(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vm(h.root, client.Params{"vmid": 100})
	foreign := h.as("other@pve", "/", "Administrator")
	require.NoError(t, h.root.Post(t.Context(), "/access/users", client.Params{"userid": "mallory@pve", "password": "mallory12"}, nil))
	mallory, err := client.New("https://"+h.addr, &client.Options{Transport: h.http.Transport})
	require.NoError(t, err)
	require.NoError(t, mallory.Login(t.Context(), "mallory@pve", "mallory12"))
	var writing []*schema.Endpoint
	for _, e := range schema.Endpoints() {
		if e.Method != "GET" && !openMethods[e.Method+" "+e.Path] {
			writing = append(writing, e)
		}
	}
	require.Greater(t, len(writing), 300)
	h.logged("root@pam", "mallory@pve")
	stored := func() (all []cluster.KV) { // the log of the cluster goes on
		for _, prefix := range []string{"/pve/", "/vm/", "/op/"} {
			kvs, _, err := h.d.store.List(t.Context(), prefix)
			require.NoError(t, err)
			all = append(all, kvs...)
		}
		return all
	}
	before := stored()
	replies := make([]reply, 2*len(writing))
	var wg sync.WaitGroup // all wait out the same delay of refusals
	for i := range replies {
		wg.Go(func() {
			e, headers := writing[i/2], auth(h.root, false)
			if i%2 == 1 {
				headers.Set("CSRFPreventionToken", mallory.Credentials().CSRF)
			}
			replies[i] = h.raw(e.Method, pathOf(e), headers, "")
		})
	}
	wg.Wait()
	for i, r := range replies {
		e := writing[i/2]
		require.Equal(t, 401, r.Status, "%s %s", e.Method, e.Path)
		require.Equal(t, "Permission denied - invalid csrf token", r.Reason, "%s %s", e.Method, e.Path)
	}
	require.Equal(t, before, stored(), "nothing was written")

	require.NoError(t, foreign.Put(t.Context(), pathOfVM+"/100/config", client.Params{"name": "by-token"}, nil), "tokens need none")
}

// Reading changes nothing, whatever is asked for.
func TestThreat29_ReadingChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.vm(h.root, client.Params{"vmid": 100})
	h.logged("root@pam")
	_, before, err := h.d.store.List(t.Context(), "/pve/")
	require.NoError(t, err)
	var reading []*schema.Endpoint
	for _, e := range schema.Endpoints() {
		if e.Method == "GET" {
			reading = append(reading, e)
		}
	}
	replies := make([]reply, len(reading))
	together(len(reading), func(i int) { replies[i] = h.raw("GET", pathOf(reading[i]), auth(h.root, false), "") })
	for i, r := range replies {
		require.NotZero(t, r.Status, reading[i].Path)
		require.NotContains(t, r.Reason, "internal error", reading[i].Path)
	}
	_, after, err := h.d.store.List(t.Context(), "/pve/")
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestThreat30_Tokens(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	h.vm(h.root, client.Params{"vmid": 100})
	full := h.as("u@pve", "/", "Administrator")
	weak := h.withToken("u@pve", "weak", true)
	rootToken := h.withToken("root@pam", "all", false)

	refused(t, weak.Get(ctx, pathOfVM+"/100/config", nil, nil), 403, "VM.Audit")
	require.NoError(t, h.root.Put(ctx, "/access/acl", client.Params{"path": "/vms/100", "roles": "PVEAuditor", "tokens": "u@pve!weak"}, nil))
	require.NoError(t, weak.Get(ctx, pathOfVM+"/100/config", nil, nil))
	require.NoError(t, h.root.Put(ctx, "/access/acl", client.Params{"path": "/", "roles": "Administrator", "users": "u@pve", "delete": true}, nil))
	refused(t, weak.Get(ctx, pathOfVM+"/100/config", nil, nil), 403, "VM.Audit") // never more than its user
	require.NoError(t, h.root.Put(ctx, "/access/acl", client.Params{"path": "/", "roles": "Administrator", "users": "u@pve"}, nil))

	for _, c := range []*client.Client{weak, full, rootToken} {
		user := strings.Split(c.Credentials().Token, "!")[0]
		for call, p := range map[string]client.Params{
			"POST /access/users/" + user + "/token/more":  nil,
			"PUT /access/users/" + user + "/token/all":    {"privsep": false},
			"DELETE /access/users/" + user + "/token/all": nil,
			"PUT /access/password":                        {"userid": user, "password": "taken-over"},
			"POST /access/tfa/" + user:                    {"type": "recovery"},
			"PUT /access/users/" + user + "/unlock-tfa":   nil,
			"POST /access/ticket":                         {"username": user, "password": c.Credentials().Token},
		} {
			if c != weak && strings.Contains(call, "/token/") || c != full && strings.Contains(call, "/ticket") {
				continue // an unseparated token of an administrator manages tokens as its user does, like in PVE; one delay is enough
			}
			method, path, _ := strings.Cut(call, " ")
			err := c.Do(ctx, method, path, p, nil)
			require.Error(t, err, "%s by %s", call, c.Credentials().Token)
		}
		require.Error(t, weak.Put(ctx, "/access/acl", client.Params{"path": "/", "roles": "Administrator", "tokens": "u@pve!weak"}, nil))
	}
	refused(t, rootToken.Put(ctx, pathOfVM+"/100/config", client.Params{"args": "-S"}, nil), 500, "root")

	dead := func(c *client.Client, why string) {
		t.Helper()
		var e *client.Error
		require.ErrorAs(t, c.Get(ctx, "/version", nil, nil), &e, why)
		require.Equal(t, 401, e.Status, why)
	}
	expired := h.withToken("u@pve", "old", false)
	require.NoError(t, expired.Get(ctx, "/version", nil, nil))
	require.NoError(t, h.root.Put(ctx, "/access/users/u@pve/token/old", client.Params{"expire": time.Now().Add(-time.Hour).Unix()}, nil))
	removed := h.withToken("u@pve", "gone", false)
	require.NoError(t, h.root.Delete(ctx, "/access/users/u@pve/token/gone", nil, nil))
	wrong, err := client.New("https://"+h.addr, &client.Options{Transport: h.http.Transport})
	require.NoError(t, err)
	wrong.SetCredentials(client.Credentials{Token: strings.Replace(full.Credentials().Token, "u@pve!", "root@pam!", 1)})
	var wg sync.WaitGroup
	for why, c := range map[string]*client.Client{"expired": expired, "removed": removed, "secret of another": wrong} {
		wg.Go(func() { dead(c, why) })
	}
	wg.Wait()
	require.NoError(t, h.root.Put(ctx, "/access/users/u@pve", client.Params{"enable": false}, nil))
	dead(full, "user disabled")
}

// login posts credentials and says how long the answer took.
func (h *house) login(user, password string) (reply, time.Duration) {
	at := time.Now()
	r := h.raw("POST", "/api2/json/access/ticket", form(http.Header{}), url.Values{"username": {user}, "password": {password}}.Encode())
	return r, time.Since(at)
}

// Not parallel: it compares times, and two passwords are computed at a time, whoever asks.
func TestThreat34_LoginTellsNothing(t *testing.T) {
	h := newHouse(t)
	require.NoError(t, h.root.Post(t.Context(), "/access/users", client.Params{"userid": "u@pve", "password": "password"}, nil))
	require.NoError(t, h.root.Post(t.Context(), "/access/users", client.Params{"userid": "off@pve", "password": "password", "enable": false}, nil))
	tries := [][2]string{
		{"u@pve", "wrong"}, {"nobody@pve", "wrong"}, {"off@pve", "password"}, {"root@pam", "wrong"}, {"daemon@pam", "wrong"}, {"daemon@pam", ""},
		{"u@nowhere", "password"}, {"u@pve!tok", "password"},
	}
	replies, took := make([]reply, len(tries)), make([]time.Duration, len(tries))
	for first := 0; first < len(tries); first += 2 {
		together(2, func(i int) { replies[first+i], took[first+i] = h.login(tries[first+i][0], tries[first+i][1]) })
	}
	for i, r := range replies {
		require.Equal(t, 401, r.Status, tries[i])
		require.Equal(t, "authentication failure", r.Reason, tries[i])
		require.Equal(t, replies[0].Body, r.Body, tries[i])
		require.InDelta(t, took[0], took[i], float64(1500*time.Millisecond), "%v: %v", tries[i], took)
		require.GreaterOrEqual(t, took[i], 2900*time.Millisecond)
	}
	names := []string{"u@pve\n", "u @pve", "u\x00@pve", "u:x@pve", "u/../root@pam", "", "@pve", "u@", strings.Repeat("u", 70) + "@pve"}
	replies = make([]reply, len(names))
	together(len(names), func(i int) { replies[i], _ = h.login(names[i], "password") })
	for i, r := range replies {
		require.GreaterOrEqual(t, r.Status, 400, "%q", names[i])
		require.NotContains(t, r.Body, "PVE:")
	}
}

func TestThreat34_GuessingIsSlowedDown(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	together(24, func(int) { h.login("root@pam", "guess") })
	r, _ := h.login("root@pam", rootPassword)
	require.Equal(t, 401, r.Status, "from an address that guesses, the right password does not help either")
	require.NoError(t, h.root.Get(t.Context(), "/version", nil, nil), "sessions go on")
}

func TestThreat38_NobodyGivesMoreThanHeHas(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.vm(h.root, client.Params{"vmid": 100})
	h.vm(h.root, client.Params{"vmid": 200})
	require.NoError(t, h.root.Post(ctx, "/access/roles", client.Params{"roleid": "Giver", "privs": "Permissions.Modify,VM.Audit"}, nil))
	require.NoError(t, h.root.Post(ctx, "/access/groups", client.Params{"groupid": "admins"}, nil))
	require.NoError(t, h.root.Put(ctx, "/access/acl", client.Params{"path": "/", "roles": "Administrator", "groups": "admins"}, nil))
	require.NoError(t, h.root.Post(ctx, "/pools", client.Params{"poolid": "p"}, nil))

	callers := map[string]*client.Client{
		"giver of /vms/100":  h.as("giver@pve", "/vms/100", "Giver"),
		"admin of /vms/100":  h.as("vmadmin@pve", "/vms/100", "PVEVMAdmin"),
		"everything on VM":   h.as("all100@pve", "/vms/100", "Administrator"),
		"admin of a pool":    h.as("pooladmin@pve", "/pool/p", "PVEPoolAdmin"),
		"auditor":            h.as("auditor@pve", "/", "PVEAuditor"),
		"PVEAdmin of all":    h.as("pveadmin@pve", "/", "PVEAdmin"),
		"users of one group": h.as("useradmin@pve", "/access/groups/none", "PVEUserAdmin"),
	}
	for who, c := range callers {
		self := strings.Split(c.Credentials().Token, "!")[0]
		for _, p := range []client.Params{
			{"path": "/", "roles": "Administrator", "users": self}, {"path": "/", "roles": "NoAccess", "users": "root@pam"},
			{"path": "/vms", "roles": "PVEVMAdmin", "users": self}, {"path": "/vms/200", "roles": "Administrator", "users": self},
			{"path": "/access", "roles": "Administrator", "users": self}, {"path": "/", "roles": "Administrator", "tokens": self + "!all"},
			{"path": "/storage/local", "roles": "Administrator", "users": self}, {"path": "/vms/100/../..", "roles": "PVEVMAdmin", "users": self},
			{"path": "//", "roles": "PVEVMAdmin", "users": self},
		} {
			require.Error(t, c.Put(ctx, "/access/acl", p, nil), "%s: %v", who, p)
		}
		if who != "everything on VM" && who != "giver of /vms/100" { // Permissions.Modify gives anything where one has it
			require.Error(t, c.Put(ctx, "/access/acl", client.Params{"path": "/vms/100", "roles": "Administrator", "users": self}, nil), who)
		}
		for call, p := range map[string]client.Params{
			"PUT /access/roles/Giver":              {"privs": "Sys.Modify", "append": true},
			"POST /access/roles":                   {"roleid": "Mine", "privs": "Sys.Modify"},
			"PUT /access/groups/admins":            {"comment": "x"},
			"PUT /access/users/" + self:            {"groups": "admins"},
			"PUT /access/users/root@pam":           {"email": "x@example.org"},
			"PUT /access/password":                 {"userid": "root@pam", "password": "taken-over"},
			"POST /access/users/root@pam/token/x":  nil,
			"DELETE /access/users/root@pam":        nil,
			"POST /access/domains":                 {"realm": "evil", "type": "openid", "issuer-url": "https://example.org", "client-id": "x"},
			"PUT /cluster/options":                 {"keyboard": "de"},
			"POST /storage":                        {"storage": "evil", "type": "dir", "path": "/etc"},
			"POST /nodes/" + testNode + "/execute": {"commands": "[]"},
		} {
			method, path, _ := strings.Cut(call, " ")
			if who == "PVEAdmin of all" && (path == "/access/users/"+self || path == "/access/groups/admins" || path == "/storage" || path == "/access/users/root@pam") {
				continue // PVE lets it: User.Modify, Realm.AllocateUser, Group.Allocate and Datastore.Allocate everywhere
			}
			require.Error(t, c.Do(ctx, method, path, p, nil), "%s: %s", who, call)
		}
		if who != "PVEAdmin of all" {
			require.Error(t, c.Put(ctx, "/pools/p", client.Params{"vms": "200"}, nil), "%s takes a VM into the pool", who)
		}
	}
	var rows []struct {
		Path, UGID, RoleID string
	}
	require.NoError(t, h.root.Get(ctx, "/access/acl", nil, &rows))
	require.Len(t, rows, len(callers)+1, fmt.Sprint(rows))
}
