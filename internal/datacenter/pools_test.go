package datacenter_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func TestPools(t *testing.T) {
	w := pooledWorld(t)
	require.JSONEq(t, `[{"poolid":"left","comment":"mine"},{"poolid":"right"},{"poolid":"still"}]`, w.js(w.GetPools(w.as(call.Root), &schema.GetPools{})))
	require.JSONEq(t, `[{"poolid":"right"}]`, w.js(w.GetPools(w.as("b@pve"), &schema.GetPools{})))
	require.JSONEq(t, `[]`, w.js(w.GetPools(w.as("n@pve"), &schema.GetPools{})))

	member := row100[:len(row100)-len(`,"lock":"backup","tags":"a;b"`)]
	members := `"members":[` + member + `},` + row1000 + `},` + data + `]`
	require.JSONEq(t, `[{"poolid":"left","comment":"mine",`+members+`}]`, w.js(w.GetPools(w.as("a@pve"), &schema.GetPools{Poolid: ptr("left")})))
	require.JSONEq(t, `{"comment":"mine",`+members+`}`, w.js(w.GetPoolsPoolid(w.as("a@pve"), &schema.GetPoolsPoolid{Poolid: "left"})))
	require.JSONEq(t, `{"comment":"mine","members":[`+data+`]}`, w.js(w.GetPoolsPoolid(w.as("a@pve"), &schema.GetPoolsPoolid{Poolid: "left", Type: ptr("storage")})))
	require.JSONEq(t, `{"members":[]}`, w.js(w.GetPoolsPoolid(w.as(call.Root), &schema.GetPoolsPoolid{Poolid: "right", Type: ptr("lxc")})))

	_, err := w.GetPoolsPoolid(w.as(call.Root), &schema.GetPoolsPoolid{Poolid: "zero"})
	require.EqualError(t, err, "pool 'zero' does not exist")
	_, err = w.GetPools(w.as("n@pve"), &schema.GetPools{Poolid: ptr("left")})
	require.EqualError(t, err, "Permission check failed (/pool/left, Pool.Audit)")
}

func TestPostPools(t *testing.T) {
	w := pooledWorld(t)
	post := func(name string, comment *string) error {
		_, err := w.PostPools(w.as(call.Root), &schema.PostPools{Poolid: name, Comment: comment})
		return err
	}
	require.NoError(t, post("top", ptr("c")))
	require.NoError(t, post("top/below", nil))
	require.Contains(t, w.read("user.cfg"), "pool:top:c:::\n")
	require.EqualError(t, post("top", nil), "create pool failed: pool 'top' already exists")
	require.EqualError(t, post("no/below", nil), "create pool failed: parent 'no' of pool 'no/below' does not exist")
	require.EqualError(t, post("1st", nil), "create pool failed: pool name must start with a letter")
	require.EqualError(t, post("top/1st", nil), "create pool failed: pool name must start with a letter")
}

func TestPutPools(t *testing.T) {
	w := pooledWorld(t)
	put := func(user string, r schema.PutPools) error {
		_, err := w.PutPools(w.as(user), &r)
		return err
	}
	const prefix = "update pools failed: "
	for want, r := range map[string]schema.PutPools{
		"pool 'zero' does not exist":                                         {Poolid: "zero"},
		"VM 100 is already a pool member":                                    {Poolid: "left", Vms: ptr("100")},
		"VM 101 belongs already to pool 'right' and 'allow-move' is not set": {Poolid: "left", Vms: ptr("555,101")},
		"Storage 'data' is already a pool member":                            {Poolid: "left", Storage: ptr("local;data")},
		"VM 102 is not a pool member":                                        {Poolid: "left", Vms: ptr("100,102"), Delete: ptr(true)},
		"Storage 'local' is not a pool member":                               {Poolid: "left", Storage: ptr("data,local"), Delete: ptr(true)},
	} {
		require.EqualError(t, put(call.Root, r), prefix+want)
	}
	for want, r := range map[string]schema.PutPools{
		"403 Permission check failed (/vms/102, Permissions.Modify|VM.Allocate)": {Poolid: "left", Vms: ptr("102"), AllowMove: ptr(true)},
		"403 Permission check failed (/storage/local, Datastore.Allocate)":       {Poolid: "left", Storage: ptr("local")},
		"403 Permission check failed (/pool/right, Pool.Allocate)":               {Poolid: "left", Vms: ptr("101"), AllowMove: ptr(true)},
	} {
		err := put("a@pve", r)
		require.EqualError(t, err, prefix+want)
		require.Equal(t, 500, err.(*call.Error).Status)
	}
	require.Equal(t, pooled, w.read("user.cfg"), "all or nothing")

	require.NoError(t, put(call.Root, schema.PutPools{Poolid: "left", Comment: ptr(""), Vms: ptr("101,555"), Storage: ptr("local"), AllowMove: ptr(true)}))
	require.JSONEq(t, `[{"poolid":"left"},{"poolid":"right"},{"poolid":"still"}]`, w.js(w.GetPools(w.as(call.Root), &schema.GetPools{})))
	require.Contains(t, w.read("user.cfg"), "pool:left::100,1000,101,555:data,local:\n")
	_, err := w.PutPoolsPoolid(w.as("a@pve"), &schema.PutPoolsPoolid{Poolid: "left", Vms: ptr("100"), Storage: ptr("data"), Delete: ptr(true)})
	require.NoError(t, err)
	require.Contains(t, w.read("user.cfg"), "pool:left::1000,101,555:local:\n")
}

func TestDeletePools(t *testing.T) {
	w := pooledWorld(t)
	del := func(name string) error {
		_, err := w.DeletePools(w.as(call.Root), &schema.DeletePools{Poolid: name})
		return err
	}
	require.EqualError(t, del("zero"), "delete pool failed: pool 'zero' does not exist")
	require.EqualError(t, del("left"), "delete pool failed: pool 'left' is not empty (contains VM 100)")
	w.file("user.cfg", "user:a@pve:1:\npool:p:::data:\npool:q::555:gone:\npool:q/r::::\nacl:1:/pool/q:a@pve:PVEAdmin:\n")
	require.EqualError(t, del("p"), "delete pool failed: pool 'p' is not empty (contains storage 'data')")
	require.EqualError(t, del("q"), "delete pool failed: pool 'q' is not empty (contains pool 'q/r')")
	require.NoError(t, del("q/r"))
	_, err := w.DeletePoolsPoolid(w.as(call.Root), &schema.DeletePoolsPoolid{Poolid: "q"})
	require.NoError(t, err, "members that are gone do not count")
	require.NotContains(t, w.read("user.cfg"), "acl:", "the list of permissions goes with it")
}
