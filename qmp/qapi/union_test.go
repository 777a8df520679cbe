package qapi_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp/qapi"
)

func TestMarshal(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		v          any
	}{
		{"the branch names itself", `{"driver":"raw","node-name":"n","file":"f"}`,
			qapi.BlockdevOptions{NodeName: new("n"), Raw: &qapi.BlockdevOptionsRaw{File: qapi.BlockdevRef{Reference: new("f")}}}},
		{"a nested definition", `{"driver":"qcow2","file":{"driver":"file","filename":"x"},"backing":null}`,
			qapi.BlockdevOptions{Qcow2: &qapi.BlockdevOptionsQcow2{
				File:    qapi.BlockdevRef{Definition: &qapi.BlockdevOptions{File: &qapi.BlockdevOptionsFile{Filename: "x"}}},
				Backing: qapi.BlockdevRefOrNull{Null: &struct{}{}},
			}}},
		{"a discriminator without a branch", `{"type":"pc-system-flash-unknown"}`, qapi.ChardevBackend{Type: "pc-system-flash-unknown"}},
		{"an empty branch", `{"qom-type":"rng-builtin","id":"r"}`, qapi.ObjectOptions{ID: "r", RngBuiltin: &qapi.RngProperties{}}},
		{"a union as a branch", `{"transport":"socket","type":"unix","path":"/s"}`,
			qapi.MigrationAddress{Socket: &qapi.SocketAddress{Unix: &qapi.UnixSocketAddress{Path: "/s"}}}},
		{"an optional discriminator", `{"enabled":false,"api-major":0,"api-minor":0,"build-id":0,"state":"uninit","policy":3}`,
			qapi.SevInfo{State: qapi.SevStateUninit, Policy: new(uint32(3))}},
		{"what has moved to a branch", `{"enabled":false,"api-major":0,"api-minor":0,"build-id":0,"state":"uninit","sev-type":"sev","policy":4,"handle":0}`,
			qapi.SevInfo{State: qapi.SevStateUninit, Policy: new(uint32(3)), SEV: &qapi.SevGuestInfo{Policy: 4}}},
		{"a list that is empty and not absent", `{"block-bitmap-mapping":[]}`,
			qapi.MigrateSetParametersArgs{BlockBitmapMapping: []qapi.BitmapMigrationNodeAlias{}}},
		{"absent members", `{}`, qapi.MigrateSetParametersArgs{}},
	} {
		b, err := json.Marshal(tc.v)
		require.NoError(t, err, tc.name)
		require.JSONEq(t, tc.want, string(b), tc.name)
	}
}

func TestMarshalRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		v          any
	}{
		{"no branch", "neither", qapi.BlockdevOptions{NodeName: new("n")}},
		{"two branches", "both file and raw", qapi.BlockdevOptions{File: &qapi.BlockdevOptionsFile{}, Raw: &qapi.BlockdevOptionsRaw{}}},
		{"another branch", `it is a "qcow2", but file is set`,
			qapi.BlockdevOptions{Driver: qapi.BlockdevDriverQcow2, File: &qapi.BlockdevOptionsFile{}}},
		{"an empty alternate", "BlockdevRef: nothing is set", qapi.BlockdevOptions{Raw: &qapi.BlockdevOptionsRaw{}}},
		{"a full alternate", "both", qapi.StrOrNull{S: new("s"), N: &struct{}{}}},
	} {
		_, err := json.Marshal(tc.v)
		require.ErrorContains(t, err, tc.want, tc.name)
	}
}

func TestUnmarshal(t *testing.T) {
	var u qapi.BlockdevOptions
	require.NoError(t, json.Unmarshal([]byte(` {"driver": "no-such-driver", "node-name": "n", "file": "f", "new": 1}`), &u))
	require.Equal(t, qapi.BlockdevOptions{Driver: "no-such-driver", NodeName: new("n")}, u, "of a newer QEMU")
	require.NoError(t, json.Unmarshal([]byte(`{"driver":"null-co","size":4096}`), &u))
	require.Equal(t, qapi.BlockdevOptions{Driver: qapi.BlockdevDriverNullCo, NullCo: &qapi.BlockdevOptionsNull{Size: new(int64(4096))}}, u)

	var q qapi.BlockdevOptionsQcow2
	require.NoError(t, json.Unmarshal([]byte(`{"file": "f", "backing": null}`), &q))
	require.NotNil(t, q.Backing.Null, "null is not absence")
	require.NoError(t, json.Unmarshal([]byte(`{"file": "f"}`), &q))

	var s qapi.SevInfo
	require.NoError(t, json.Unmarshal([]byte(`{"enabled":true,"policy":5,"handle":6}`), &s))
	require.EqualValues(t, 5, *s.Policy)
	require.NoError(t, json.Unmarshal([]byte(`{"enabled":true,"policy":5,"handle":6,"sev-type":"sev"}`), &s))
	require.Nil(t, s.Policy)
	require.EqualValues(t, 5, s.SEV.Policy)

	for _, tc := range []struct {
		json, want string
		v          any
	}{
		{`{"node-name":"n"}`, "no discriminator", &u},
		{`null`, "no object", &u},
		{`[]`, "no object", &u},
		{`{"driver":"file","filename":1}`, "filename", &u},
		{`{"driver":1}`, "driver", &u},
		{`true`, "bool is none of its forms", &qapi.BlockdevRef{}},
		{`"x"`, "string is none", &qapi.StatsValue{}},
		{`-1`, "cannot unmarshal", &qapi.StatsValue{}},
	} {
		require.ErrorContains(t, json.Unmarshal([]byte(tc.json), tc.v), tc.want, tc.json)
	}
}

func TestAlternateForms(t *testing.T) {
	for in, want := range map[string]qapi.StatsValue{
		`7`: {Scalar: new(uint64(7))}, ` false`: {Boolean: new(false)}, `[]`: {List: []uint64{}}, `[1,18446744073709551615]`: {List: []uint64{1, 1<<64 - 1}},
	} {
		var v qapi.StatsValue
		require.NoError(t, json.Unmarshal([]byte(in), &v))
		require.Equal(t, want, v)
		b, err := json.Marshal(v)
		require.NoError(t, err)
		require.JSONEq(t, in, string(b))
	}
}
