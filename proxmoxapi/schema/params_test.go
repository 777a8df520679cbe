package schema_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func decode[T any](t *testing.T, raw map[string]any) T {
	var req T
	e := any(req).(schema.Request).Endpoint()
	p, errs := e.Validate(raw)
	require.Empty(t, errs)
	require.NoError(t, schema.Decode(p, &req))
	return req
}

func TestDecode(t *testing.T) {
	got := decode[schema.PostNodesQemuClone](t, map[string]any{
		"node": "n1", "vmid": "100", "newid": json.Number("101"), "full": "1", "name": "copy", "bwlimit": "0",
	})
	full, name, bw := true, "copy", got.Bwlimit
	require.Equal(t, schema.PostNodesQemuClone{Node: "n1", Vmid: 100, Newid: 101, Full: &full, Name: &name, Bwlimit: bw}, got)
	require.NotNil(t, bw)
	require.Equal(t, int64(-1), schema.Value(nil, int64(-1)))
	require.True(t, schema.Value(got.Full, false))
}

func TestDecodeConfigShaped(t *testing.T) {
	got := decode[schema.PutNodesQemuConfig](t, map[string]any{"node": "n1", "vmid": "100", "net0": "virtio", "cores": "2", "onboot": true})
	require.Equal(t, schema.PutNodesQemuConfig{
		Node: "n1", Vmid: 100, Params: schema.Params{"net0": "virtio", "cores": int64(2), "onboot": true},
	}, got)
}

func TestDecodeArrays(t *testing.T) {
	got := decode[schema.PostNodesQemuAgentExec](t, map[string]any{"node": "n1", "vmid": "100", "command": []any{"ls", "-l"}})
	require.Equal(t, []string{"ls", "-l"}, got.Command)
	got = decode[schema.PostNodesQemuAgentExec](t, map[string]any{"node": "n1", "vmid": "100", "command": "ls"})
	require.Equal(t, []string{"ls"}, got.Command)
}

func TestDecodeRefusesOthers(t *testing.T) {
	require.Error(t, schema.Decode(nil, schema.GetVersion{}))
	require.Error(t, schema.Decode(nil, new(int)))
	require.NoError(t, schema.Decode(nil, new(schema.GetVersion)))
}

func TestParams(t *testing.T) {
	p := schema.Params{"s": "a,b", "i": int64(7), "f": 1.5, "b": true, "l": []any{"x", int64(1), false}}
	require.Equal(t, "a,b", p.String("s"))
	require.Equal(t, "7", p.String("i"))
	require.Equal(t, "1.5", p.String("f"))
	require.Equal(t, "1", p.String("b"))
	require.Equal(t, "x,1,0", p.String("l"))
	require.Empty(t, p.String("none"))
	require.Equal(t, int64(7), p.Int("i"))
	require.Zero(t, p.Int("s"))
	require.InDelta(t, 7.0, p.Float("i"), 0)
	require.InDelta(t, 1.5, p.Float("f"), 0)
	require.True(t, p.Bool("b"))
	require.False(t, p.Bool("s"))
	require.True(t, p.Has("s"))
	require.False(t, p.Has("none"))
	require.Equal(t, []string{"a", "b"}, p.Strings("s"))
	require.Equal(t, []string{"x", "1", "0"}, p.Strings("l"))
	require.Nil(t, p.Strings("none"))
	require.Equal(t, []string{"7"}, p.Strings("i"))
	require.Equal(t, schema.Params{"b": true}, p.Without("s", "i", "f", "l"))
	require.NotNil(t, schema.Params(nil).Without("a"))
	require.Len(t, p, 5)
}

func TestBool(t *testing.T) {
	out, err := json.Marshal(map[string]schema.Bool{"a": true, "b": false})
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1,"b":0}`, string(out))
	for text, want := range map[string]bool{`1`: true, `"1"`: true, `true`: true, `0`: false, `"0"`: false, `""`: false, `null`: false} {
		var b schema.Bool
		require.NoError(t, json.Unmarshal([]byte(text), &b))
		require.Equal(t, want, bool(b), text)
	}
	var b schema.Bool
	require.Error(t, json.Unmarshal([]byte(`2`), &b))
}

func TestValidateOfEndpoints(t *testing.T) {
	const missing = "property is missing and it is not optional"
	tests := []struct {
		name, method, path string
		raw                map[string]any
		errs               map[string]string
	}{
		{"path parameters", "GET", "/nodes/{node}/qemu/{vmid}", map[string]any{"node": "-x", "vmid": "99"}, map[string]string{
			"node": "invalid format - value does not look like a valid node name\n", "vmid": "invalid format - value does not look like a valid VM ID\n",
		}},
		{"network without a model", "POST", "/nodes/{node}/qemu", map[string]any{"node": "n", "vmid": "100", "net3": "bridge=vmbr0"}, map[string]string{
			"net3": "invalid format - format error\nnet3.model: " + missing + "\n",
		}},
		{"beyond a family", "POST", "/nodes/{node}/qemu", map[string]any{"node": "n", "vmid": "100", "scsi31": "none"}, map[string]string{
			"scsi31": "property is not defined in schema and the schema does not allow additional properties",
		}},
		{"rules of a variant", "POST", "/cluster/ha/rules", map[string]any{"rule": "r1", "type": "node-affinity", "resources": "vm:100"}, map[string]string{
			"oneOf[node-affinity].nodes": missing,
		}},
		{"unknown CPU", "POST", "/nodes/{node}/qemu", map[string]any{"node": "n", "vmid": "100", "cpu": "Z80"}, map[string]string{
			"cpu": "invalid format - Built-in cputype 'Z80' is not defined (missing 'custom-' prefix?)\n",
		}},
		{"open parameters", "GET", "/cluster/sdn/prefix-lists/{id}/entries/{url_seq}", map[string]any{"id": "p", "url_seq": "5"}, nil},
		{"long keys", "POST", "/access/users", map[string]any{"userid": "a@pve", "keys": "x y"}, map[string]string{"keys": "value does not match the regex pattern"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errs := schema.Find(tt.method, tt.path).Validate(tt.raw)
			require.Equal(t, tt.errs, errs)
		})
	}
}

func TestChecksOfPropertyStrings(t *testing.T) {
	create := schema.Find("POST", "/nodes/{node}/qemu")
	job := schema.Find("POST", "/cluster/backup")
	check := func(e *schema.Endpoint, key, value string) string {
		_, errs := e.Validate(map[string]any{"node": "n", "vmid": "100", key: value})
		return errs[key]
	}
	for _, cpu := range []string{"host", "custom-mine", "x86-64-v3", "cputype=max,flags=+aes;-pcid", "kvm64"} {
		require.Empty(t, check(create, "cpu", cpu), cpu)
	}
	for _, cpu := range []string{"host,flags=+nosuchflag", "host,reported-model=kvm64", "flags=+aes"} {
		require.NotEmpty(t, check(create, "cpu", cpu), cpu)
	}
	require.Empty(t, check(job, "prune-backups", "keep-last=3"))
	require.Empty(t, check(job, "prune-backups", "keep-all=1,keep-last=0"))
	require.Contains(t, check(job, "prune-backups", "keep-all=1,keep-last=3"), "keep-all cannot be set together")
	require.Contains(t, check(job, "fleecing", "1"), "'storage' parameter is required when 'enabled' is set")
	require.Empty(t, check(job, "fleecing", "0"))
	_, errs := schema.Find("POST", "/access/roles").Validate(map[string]any{"roleid": "r", "privs": "VM.Audit,VM.Fly"})
	require.Equal(t, map[string]string{"privs": "invalid format - invalid privilege 'VM.Fly'\n"}, errs)
	require.NoError(t, rule(t, "pve-fw-dport-spec")("echo-request"))
	require.Error(t, rule(t, "pve-fw-dport-spec")("echo-request,80"))
	require.NoError(t, rule(t, "pve-fw-icmp-type-spec")(""))
	require.Error(t, rule(t, "pve-fw-icmp-type-spec")("echo"))
}

func rule(t *testing.T, name string) func(string) error {
	fn, ok := schema.Formats().Rule(name)
	require.True(t, ok)
	return fn
}

func TestReplies(t *testing.T) {
	out, err := json.Marshal(schema.PostNodesQemuVncproxyReply{Port: 5901, Ticket: "T", User: "u@pve"})
	require.NoError(t, err)
	require.Contains(t, string(out), `"port":"5901"`, "a port is text")
	require.NotContains(t, string(out), "password", "absent options are left out")
}

func TestTablesAreCopies(t *testing.T) {
	schema.Privileges()[0] = "x"
	require.NotEqual(t, "x", schema.Privileges()[0])
	require.Contains(t, schema.CPUModels(), "host")
	require.Contains(t, schema.CPUModelsBuiltin(), "x86-64-v2-AES")
	require.Contains(t, schema.CPUFlags(), "aes")
	require.Contains(t, schema.ICMPTypes4(), "echo-request")
	require.Contains(t, schema.ICMPTypes6(), "packet-too-big")
	require.Nil(t, schema.Format("nonesuch"))
	require.NotNil(t, schema.Format("@qemu.net"))
}
