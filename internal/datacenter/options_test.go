package datacenter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func (w *world) options(user string) string {
	w.t.Helper()
	v, err := w.GetClusterOptions(w.as(user), &schema.GetClusterOptions{})
	return w.js(v, err)
}

func (w *world) put(p schema.Params) error {
	_, err := w.PutClusterOptions(w.as(call.Root), &schema.PutClusterOptions{Params: p})
	return err
}

func TestOptions(t *testing.T) {
	w := newWorld(t)
	require.JSONEq(t, `{"allowed-tags":[],"mac_prefix":"BC:24:11","description":""}`, w.options(call.Root))
	w.file("user.cfg", "user:a@pve:1:\n")
	require.JSONEq(t, `{"allowed-tags":[]}`, w.options("a@pve"))

	w.file("datacenter.cfg", `#first %3A line
#second
console: applet
crs:
crs: ha=static,ha-rebalance-on-start=1
keyboard: klingon
max_workers: 4
migration_unsecure: 1
next-id: lower=200,upper=300
nonsense
registered-tags: z;a;z
tag-style: case-sensitive=1,ordering=config
unknown: x
user-tag-access: user-allow=list,user-allow-list=c;b
bwlimit: default=100
`)
	require.JSONEq(t, `{
		"allowed-tags":["a","b","c","z"],"bwlimit":"default=100","console":"html5","crs":{"ha":"static","ha-rebalance-on-start":1},
		"description":"first : line\nsecond\n","mac_prefix":"BC:24:11","max_workers":4,"migration":{"type":"insecure"},"replication":{"type":"insecure"},
		"next-id":{"lower":200,"upper":300},"registered-tags":["a","z"],"tag-style":{"case-sensitive":1,"ordering":"config"},
		"user-tag-access":{"user-allow":"list","user-allow-list":["b","c"]}}`, w.options(call.Root))
	require.JSONEq(t, `{"allowed-tags":["b","c"],"console":"html5","tag-style":{"case-sensitive":1,"ordering":"config"}}`, w.options("a@pve"))
	require.Equal(t, "html5", w.Console(t.Context()))
	style := w.TagStyle(t.Context())
	require.True(t, style.CaseSensitive && style.ConfigOrder)
	require.Empty(t, w.MACPrefix(t.Context()))
}

func TestPutOptions(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.put(schema.Params{"description": "one: 1\ntwo\n", "tag-style": "ordering=config,case-sensitive=1", "mac_prefix": "BC:24:11", "max_workers": int64(3)}))
	require.Equal(t, "#one%3A 1\n#two\n\nmax_workers: 3\ntag-style: ordering=config,case-sensitive=1\n", w.read("datacenter.cfg"), "given values as they are")
	require.NoError(t, w.put(schema.Params{"mac_prefix": "02:00", "delete": "description;max_workers,mac_prefix nothing"}))
	require.Equal(t, "tag-style: case-sensitive=1,ordering=config\n", w.read("datacenter.cfg"), "deletion wins; others in their canonical form")
	require.NoError(t, w.put(schema.Params{"mac_prefix": "02:00", "migration": "secure"}))
	require.Equal(t, "02:00", w.MACPrefix(t.Context()))

	before := w.read("datacenter.cfg")
	require.EqualError(t, w.put(schema.Params{"next-id": "lower=300,upper=200"}), "lower (300) <= upper (200) boundary rule broken")
	require.Equal(t, call.ParamErrors{"consent-text": "value contains a line feed"}, w.put(schema.Params{"consent-text": "x\nconsole: vv"}))
	require.Equal(t, before, w.read("datacenter.cfg"))
}

func TestAllowedTags(t *testing.T) {
	w := newWorld(t)
	w.file("user.cfg", "user:a@pve:1:\nacl:1:/vms/100:a@pve:PVEAuditor:\n")
	w.guest(100, "tags: x;y\n")
	w.guest(101, "tags: hidden\n")
	for access, want := range map[string][2]string{ // of an administrator, of a user
		"":                                      {`["hidden","r","x","y"]`, `["x","y"]`},
		"user-allow=existing,user-allow-list=l": {`["hidden","l","r","x","y"]`, `["l","x","y"]`},
		"user-allow=list,user-allow-list=l;r":   {`["hidden","l","r","x","y"]`, `["l"]`},
		"user-allow=none,user-allow-list=l":     {`["hidden","l","r","x","y"]`, `[]`},
	} {
		text := "registered-tags: r\n"
		if access != "" {
			text += "user-tag-access: " + access + "\n"
		}
		w.file("datacenter.cfg", text)
		for i, user := range []string{call.Root, "a@pve"} {
			v, err := w.GetClusterOptions(w.as(user), &schema.GetClusterOptions{})
			require.NoError(t, err)
			require.JSONEq(t, want[i], w.js(v["allowed-tags"], nil), access+" "+user)
		}
	}
}

func TestNextID(t *testing.T) {
	w := newWorld(t)
	next := func(id *int64) (string, error) {
		return w.GetClusterNextid(w.as(call.Root), &schema.GetClusterNextid{Vmid: id})
	}
	id, err := next(nil)
	require.NoError(t, err)
	require.Equal(t, "100", id)
	w.guest(100, "")
	w.guest(102, "")
	id, err = next(nil)
	require.NoError(t, err)
	require.Equal(t, "101", id)
	id, err = next(ptr[int64](555))
	require.NoError(t, err)
	require.Equal(t, "555", id)
	_, err = next(ptr[int64](102))
	require.Equal(t, call.ParamErrors{"vmid": "VM 102 already exists"}, err)
	w.file("datacenter.cfg", "next-id: lower=102,upper=103\n")
	_, err = next(nil)
	require.EqualError(t, err, "unable to get any free VMID in range [102, 103]")
}

func TestClusterStatus(t *testing.T) {
	w := newWorld(t)
	rows, err := w.GetClusterStatus(w.as(call.Root), &schema.GetClusterStatus{})
	require.JSONEq(t, `[{"type":"node","id":"node/alpha","name":"alpha","nodeid":0,"local":1,"online":1,"level":"","ip":"192.0.2.1"}]`, w.js(rows, err))
}
