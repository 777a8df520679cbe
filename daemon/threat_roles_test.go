package daemon

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// rolesOn gives each built-in role to a user on a path, and returns the users' names by role.
func (h *house) rolesOn(path string) map[string]string {
	h.t.Helper()
	var roles []struct {
		RoleID  string
		Special int
	}
	require.NoError(h.t, h.root.Get(h.t.Context(), "/access/roles", nil, &roles))
	users := map[string]string{}
	for _, r := range roles {
		require.Equal(h.t, 1, r.Special)
		user := strings.ToLower(r.RoleID) + "@pve"
		require.NoError(h.t, h.root.Post(h.t.Context(), "/access/users", client.Params{"userid": user}, nil))
		require.NoError(h.t, h.root.Put(h.t.Context(), "/access/acl", client.Params{"path": path, "roles": r.RoleID, "users": user}, nil))
		users[r.RoleID] = user
	}
	return users
}

// The permission of every method, for every built-in role on everything. A method that a role may call may still refuse it
// what its parameters ask for.
func TestThreat37_RolesAndMethods(t *testing.T) {
	h := newHouse(t)
	users := h.rolesOn("/")
	require.NoError(t, h.root.Post(t.Context(), "/pools", client.Params{"poolid": "p"}, nil))
	require.NoError(t, h.root.Post(t.Context(), "/access/groups", client.Params{"groupid": "g"}, nil))
	var b strings.Builder
	names := slices.Sorted(maps.Keys(users))
	for _, e := range schema.Endpoints() {
		params := map[string]string{}
		for _, p := range e.PathParams {
			params[p] = map[string]string{"node": testNode, "vmid": "100", "storage": "local", "userid": "root@pam", "poolid": "p", "groupid": "g"}[p]
			if params[p] == "" {
				params[p] = "x1"
			}
		}
		var may []string
		for _, role := range names {
			if e.Permission != nil && h.d.access.Authorize(t.Context(), call.Caller{AuthID: users[role], Ticket: true}, e.Permission, params) == nil {
				may = append(may, role)
			}
		}
		text := strings.Join(may, " ")
		switch {
		case e.Permission == nil:
			text = "root@pam"
		case len(may) == len(names):
			text = "all"
		}
		fmt.Fprintf(&b, "%s %s: %s\n", e.Method, e.Path, text)
	}
	golden(t, "roles.txt", b.String())
}

// What a role on one VM, its pool or nothing lets a user do with it over the API. A call that would change something lacks a
// parameter or names nothing, so that it is refused later.
func TestThreat37_RolesOnAVM(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx := t.Context()
	require.NoError(t, h.root.Post(ctx, "/pools", client.Params{"poolid": "p"}, nil))
	h.vm(h.root, client.Params{"vmid": 100, "pool": "p"})
	h.vm(h.root, client.Params{"vmid": 200})
	vm := pathOfVM + "/100"
	calls := []string{
		"GET " + vm + "/config", "GET " + vm + "/pending", "GET " + vm + "/status/current", "PUT " + vm + "/config name=-", "PUT " + vm + "/config memory=x",
		"PUT " + vm + "/config tags=a", "PUT " + vm + "/config cores=2", "PUT " + vm + "/config memory=256", "PUT " + vm + "/config net0=model=virtio",
		"PUT " + vm + "/config ciuser=a", "PUT " + vm + "/config ide2=none,media=cdrom", "PUT " + vm + "/config scsi0=nowhere:1", "PUT " + vm + "/config machine=q35",
		"PUT " + vm + "/config args=-S", "PUT " + vm + "/config hookscript=local:snippets/x", "POST " + vm + "/config name=-", "POST " + vm + "/status/start timeout=x",
		"POST " + vm + "/status/stop timeout=x", "POST " + vm + "/clone", "POST " + vm + "/template disk=x", "PUT " + vm + "/resize", "PUT " + vm + "/unlink",
		"POST " + vm + "/termproxy serial=x", "POST " + vm + "/vncproxy websocket=x", "GET " + vm + "/snapshot", "POST " + vm + "/snapshot", "GET " + vm + "/agent/info",
		"POST " + vm + "/agent/exec", "POST " + vm + "/migrate", "DELETE " + vm + " purge=x", "GET " + pathOfVM + "/200/config", "POST " + pathOfVM + "/200/status/stop timeout=x",
		"GET /pools/p", "PUT /pools/p vms=999", "PUT /access/acl", "PUT /access/acl path=/vms/100&roles=PVEVMUser&users=nobody@pve", "GET /nodes/" + testNode + "/storage/local/content",
		"GET /nodes/" + testNode + "/status", "POST /nodes/" + testNode + "/qemu vmid=300", "POST /nodes/" + testNode + "/qemu vmid=300&pool=p&net0=bad",
	}
	var b strings.Builder
	for _, path := range []string{"/vms/100", "/pool/p", "/"} {
		users := h.rolesOn(path)
		names := slices.Sorted(maps.Keys(users))
		names = slices.DeleteFunc(names, func(role string) bool { return strings.Contains(role, "SDN") || strings.Contains(role, "Mapping") })
		clients := make([]*client.Client, len(names))
		for i, role := range names {
			clients[i] = h.withToken(users[role], "tok", false)
		}
		answers := make([]string, len(calls))
		for i, c := range calls {
			method, rest, _ := strings.Cut(c, " ")
			target, params, _ := strings.Cut(rest, " ")
			groups := map[string][]string{}
			for j, role := range names {
				url, body, headers := "/api2/json"+target, params, form(auth(clients[j], false))
				if method == "GET" || method == "DELETE" {
					url, body = url+"?"+params, ""
					headers.Del("Content-Type")
				}
				switch r := h.raw(method, url, headers, body); r.Status {
				case 200:
					groups["answered"] = append(groups["answered"], role)
				case 403:
				default:
					groups["let through"] = append(groups["let through"], role)
				}
			}
			for _, group := range slices.Sorted(maps.Keys(groups)) {
				text := strings.Join(groups[group], " ")
				if len(groups[group]) == len(names) {
					text = "all"
				}
				answers[i] += fmt.Sprintf("  %s: %s\n", group, text)
			}
		}
		fmt.Fprintf(&b, "# roles on %s, but those of SDN and Mapping: whom a call answers, or refuses for another reason than a missing privilege\n", path)
		for i, c := range calls {
			fmt.Fprintf(&b, "%s\n%s", c, answers[i])
		}
		for _, user := range users {
			require.NoError(t, h.root.Delete(ctx, "/access/users/"+user, nil, nil))
		}
	}
	golden(t, "roles-on-a-vm.txt", b.String())
}
