package datacenter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func (w *world) resources(user, kind string) string {
	w.t.Helper()
	req := &schema.GetClusterResources{}
	if kind != "" {
		req.Type = &kind
	}
	return w.js(w.GetClusterResources(w.as(user), req))
}

const pooled = `user:a@pve:1:
user:b@pve:1:
user:n@pve:1:
pool:left:mine:100,1000:data:
pool:right::101::
pool:still::102::
acl:1:/pool/left:a@pve:PVEAdmin:
acl:1:/pool/right:b@pve:PVEAdmin:
acl:1:/sdn/zones/localnetwork:b@pve:PVEAdmin:
acl:1:/vms/101:a@pve:PVEVMAdmin:
`

func pooledWorld(t *testing.T) *world {
	w := newWorld(t)
	w.file("user.cfg", pooled)
	w.guest(100, "name: web\nmemory: 1024\ncores: 2\nboot: order=scsi0\nscsi0: data:x,size=2G\ntags: a;b\nlock: backup\n")
	w.guest(101, "template: 1\n")
	w.guest(102, "")
	w.guest(1000, "name: db\ncores: 6\n")
	w.inv.SetLive(map[int]inventory.Live{
		100:  {Status: "running", PID: 4, Started: now.Unix() - 60, CPU: 0.5, Mem: 10, MemHost: 20, NetIn: 1, NetOut: 2, DiskRead: 3, DiskWrite: 4},
		1000: {Status: "paused", PID: 5, Started: now.Unix() - 90, CPU: 0.1, Mem: 30, MemHost: 40},
	})
	return w
}

const (
	row100 = `{"id":"qemu/100","type":"qemu","vmid":100,"node":"alpha","name":"web","status":"running","template":0,"uptime":60,"maxcpu":2,"cpu":0.5,
		"maxmem":1073741824,"mem":10,"memhost":20,"maxdisk":2147483648,"disk":0,"netin":1,"netout":2,"diskread":3,"diskwrite":4,"lock":"backup","tags":"a;b"`
	row1000 = `{"id":"qemu/1000","type":"qemu","vmid":1000,"node":"alpha","name":"db","status":"paused","template":0,"uptime":90,"maxcpu":6,"cpu":0.1,
		"maxmem":536870912,"mem":30,"memhost":40,"maxdisk":0,"disk":0,"netin":0,"netout":0,"diskread":0,"diskwrite":0`
	stopped = `"status":"stopped","uptime":0,"maxcpu":1,"cpu":0,"maxmem":536870912,"mem":0,"memhost":0,"maxdisk":0,"disk":0,"netin":0,"netout":0,"diskread":0,"diskwrite":0`
	row101  = `{"id":"qemu/101","type":"qemu","vmid":101,"node":"alpha","name":"VM 101","template":1,` + stopped
	row102  = `{"id":"qemu/102","type":"qemu","vmid":102,"node":"alpha","name":"VM 102","template":0,` + stopped
	left    = `{"id":"/pool/left","type":"pool","pool":"left","uptime":90,"mem":40,"maxmem":1610612736,"maxcpu":8,"cpu":0.2}`
	right   = `{"id":"/pool/right","type":"pool","pool":"right"}`
	still   = `{"id":"/pool/still","type":"pool","pool":"still"}`
	node    = `{"id":"node/alpha","type":"node"}`
	data    = `{"id":"storage/alpha/data","type":"storage","storage":"data","node":"alpha","plugintype":"dir","content":"images","shared":0,"status":"unknown"}`
	local   = `{"id":"storage/alpha/local","type":"storage","storage":"local","node":"alpha","plugintype":"dir","content":"iso,images","shared":1,"status":"available","disk":10,"maxdisk":1000}`
	zone    = `{"id":"network/alpha/zone/localnetwork","type":"network","network":"localnetwork","network-type":"zone","node":"alpha","status":"ok","zone-type":"localnetwork"}`
)

func TestResources(t *testing.T) {
	w := pooledWorld(t)
	l, r, s := `,"pool":"left"}`, `,"pool":"right"}`, `,"pool":"still"}`
	require.JSONEq(t, `[`+left+`,`+right+`,`+still+`,`+row100+l+`,`+row1000+l+`,`+row101+r+`,`+row102+s+`,`+node+`,`+data+`,`+local+`,`+zone+`]`, w.resources(call.Root, ""))
	require.JSONEq(t, `[`+left+`,`+row100+l+`,`+row1000+l+`,`+row101+`},`+node+`,`+data+`]`, w.resources("a@pve", ""), "a pool is only named to those who may see it")
	require.JSONEq(t, `[`+right+`,`+row101+r+`,`+node+`,`+zone+`]`, w.resources("b@pve", ""))
	require.JSONEq(t, `[`+node+`]`, w.resources("n@pve", ""))

	require.JSONEq(t, `[`+row100+l+`,`+row1000+l+`,`+row101+`}]`, w.resources("a@pve", "vm"))
	require.JSONEq(t, `[`+node+`]`, w.resources("a@pve", "node"))
	require.JSONEq(t, `[`+data+`]`, w.resources("a@pve", "storage"))
	require.JSONEq(t, `[]`, w.resources("a@pve", "sdn"))
}

func TestResourcesFollowChanges(t *testing.T) {
	w := pooledWorld(t)
	first := w.resources("a@pve", "vm")
	require.Equal(t, first, w.resources("a@pve", "vm"))
	w.inv.SetLive(map[int]inventory.Live{100: {}})
	require.NotEqual(t, first, w.resources("a@pve", "vm"), "figures")
	w.file("user.cfg", "user:a@pve:1:\n")
	require.Equal(t, "[]", w.resources("a@pve", "vm"), "permissions")
	w.file("user.cfg", pooled)
	_, err := w.store.Txn(t.Context(), cluster.Delete(inventory.Key(100)), cluster.Delete(inventory.Key(1000)), cluster.Delete(inventory.Key(101)))
	require.NoError(t, err)
	w.guest(103, "")
	require.Equal(t, "[]", w.resources("a@pve", "vm"), "guests")
}

// TestThreat40_ListsTellNothingOfOthers compares everything that a user sees with and without another user's objects.
func TestThreat40_ListsTellNothingOfOthers(t *testing.T) {
	see := func(with bool) string {
		w := newWorld(t)
		users := "user:a@pve:1:\nuser:b@pve:1:\npool:left:mine:100:data:\nacl:1:/pool/left:a@pve:PVEAdmin:\n"
		w.guest(100, "name: web\ntags: mine\n")
		w.inv.SetLive(map[int]inventory.Live{100: {Status: "running", Started: now.Unix() - 5}})
		if with {
			users = "user:a@pve:1:\nuser:b@pve:1:\npool:aside:other:1000,101:local:\npool:left:mine:100:data:\npool:left2:::\nacl:1:/pool/aside:b@pve:PVEAdmin:\nacl:1:/pool/left:a@pve:PVEAdmin:\n"
			w.guest(101, "name: secret\ntags: theirs\n")
			w.guest(1000, "name: secret\n")
			w.inv.SetLive(map[int]inventory.Live{1000: {Status: "running", Started: now.Unix() - 50, Mem: 7}})
			w.Log().Add(now, 6, "b@pve", "starting task of b")
		}
		w.Log().Add(now, 6, "a@pve", "starting task of a")
		if with {
			w.LoggedIn("b@pve")
		}
		w.Log().Add(now, 6, "a@pve", "end task of a")
		w.file("user.cfg", users)
		ctx := w.as("a@pve")
		out := ""
		for _, kind := range []string{"", "vm", "node", "storage", "sdn"} {
			out += w.resources("a@pve", kind) + "\n"
		}
		out += w.js(w.GetPools(ctx, &schema.GetPools{})) + "\n"
		out += w.js(w.GetPools(ctx, &schema.GetPools{Poolid: ptr("left")})) + "\n"
		out += w.js(w.GetClusterOptions(ctx, &schema.GetClusterOptions{})) + "\n"
		out += w.js(w.GetClusterLog(ctx, &schema.GetClusterLog{})) + "\n"
		out += w.js(w.GetClusterStatus(ctx, &schema.GetClusterStatus{})) + "\n"
		for _, pool := range []string{"aside", "nowhere"} { // the same refusal whether it exists or not
			_, err := w.GetPools(ctx, &schema.GetPools{Poolid: &pool})
			out += err.Error()[:len("Permission check failed")] + "\n"
		}
		return out
	}
	without := see(false)
	require.Equal(t, without, see(true))
	require.Contains(t, without, `"name":"web"`)
	require.Contains(t, without, "end task of a")
	require.NotContains(t, without, "secret")
}
