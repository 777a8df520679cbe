package node

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const cpuinfo = `processor	: 0
vendor_id	: GenuineIntel
cpu family	: 6
model name	: Some Processor
cpu MHz		: 2400.5
physical id	: 0
core id		: 0
cpu cores	: 2
flags		: fpu vmx

processor	: 1
vendor_id	: GenuineIntel
cpu family	: 6
model name	: Some Processor
cpu MHz		: 2400.5
physical id	: 1
core id		: 0
cpu cores	: 2
flags		: fpu vmx

`

// newService is a node on a made-up root; auditors are those who may see its figures.
func newService(t *testing.T, o Options) (*Service, string) {
	t.Helper()
	h, root := newHost(t)
	write(t, root, "proc/cpuinfo", cpuinfo)
	write(t, root, "proc/stat", "cpu  10 0 10 70 10 0 0 0 0 0\n")
	o.Name, o.Version = "alpha", "v0.1.0"
	o.Can = func(ctx context.Context, path string, privs ...string) bool {
		return call.From(ctx).AuthID == "auditor@pve" && path == "/nodes/alpha" && privs[0] == "Sys.Audit"
	}
	if o.Fingerprint == nil {
		o.Fingerprint = func() string { return "" }
	}
	o.Console = func(context.Context) string { return "html5" }
	s, err := New(h, o)
	require.NoError(t, err)
	return s, root
}

func as(t *testing.T, user string) context.Context {
	return call.With(t.Context(), call.Caller{AuthID: user})
}

// shape is an answer as clients get it: its members with the kinds of their values.
func shape(t *testing.T, v any, err error) map[string]any {
	t.Helper()
	require.NoError(t, err)
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

func TestStatus(t *testing.T) {
	s, _ := newService(t, Options{})
	v, err := s.GetNodesStatus(t.Context(), &schema.GetNodesStatus{})
	got := shape(t, v, err)
	require.Equal(t, []any{"0.50", "1.25", "12.00"}, got["loadavg"])
	require.Equal(t, map[string]any{
		"user_hz": 100.0, "vendor": "GenuineIntel", "family": "6", "model": "Some Processor", "mhz": "2400.500", "flags": "fpu vmx", "hvm": "1",
		"cpus": 2.0, "sockets": 2.0, "cores": 4.0,
	}, got["cpuinfo"])
	require.Equal(t, map[string]any{"total": 1024000.0, "free": 204800.0, "available": 614400.0, "used": 409600.0}, got["memory"])
	require.Equal(t, map[string]any{"total": 51200.0, "free": 20480.0, "used": 30720.0}, got["swap"])
	require.Equal(t, map[string]any{"shared": 12288.0}, got["ksm"])
	require.Equal(t, map[string]any{"mode": "legacy-bios"}, got["boot-info"])
	require.Equal(t, 123.0, got["uptime"])
	require.Equal(t, 0.0, got["idle"])
	require.Equal(t, 0.0, got["cpu"])
	require.Equal(t, 0.0, got["wait"])
	require.Regexp(t, `^Linux \S+ .+`, got["kversion"])
	require.Regexp(t, `^pve-manager/9\.2\.\d+/[0-9a-f]{8}$`, got["pveversion"])
	for _, key := range []string{"sysname", "release", "version", "machine"} {
		require.NotEmpty(t, got["current-kernel"].(map[string]any)[key], key)
	}
	for _, key := range []string{"total", "used", "avail", "free"} {
		require.Contains(t, got["rootfs"], key)
	}
}

func TestStatusOfABrokenHost(t *testing.T) {
	s, root := newService(t, Options{})
	require.NoError(t, os.Remove(filepath.Join(root, "proc/meminfo")))
	_, err := s.GetNodesStatus(t.Context(), &schema.GetNodesStatus{})
	require.Error(t, err)
	_, err = s.GetNodes(as(t, "auditor@pve"), &schema.GetNodes{})
	require.Error(t, err)
	require.NoError(t, os.Remove(filepath.Join(root, "proc/cpuinfo")))
	_, err = New(s.Host, Options{})
	require.Error(t, err)
}

func TestNodes(t *testing.T) {
	s, _ := newService(t, Options{})
	list := func(user string) string {
		rows, err := s.GetNodes(as(t, user), &schema.GetNodes{})
		require.NoError(t, err)
		text, err := json.Marshal(rows)
		require.NoError(t, err)
		return string(text)
	}
	require.JSONEq(t, `[{"id":"node/alpha","node":"alpha","type":"node","status":"online","level":"","ssl_fingerprint":null}]`, list("a@pve"))
	s.o.Fingerprint = func() string { return "AA:BB" }
	require.Regexp(t, `"maxcpu":2,"cpu":0,"maxmem":1024000,"mem":409600,"maxdisk":\d+,"disk":\d+,"uptime":123,"ssl_fingerprint":"AA:BB"`, list("auditor@pve"))

	row, err := s.Row(as(t, "a@pve"))
	require.NoError(t, err)
	text, err := json.Marshal(row)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"node/alpha","node":"alpha","type":"node","status":"online","level":"","cgroup-mode":1}`, string(text))
	row, err = s.Row(as(t, "auditor@pve"))
	require.NoError(t, err)
	require.EqualValues(t, 1024000, row.MaxMem)
}

func TestVersion(t *testing.T) {
	s, _ := newService(t, Options{})
	v, err := s.GetVersion(t.Context(), &schema.GetVersion{})
	got := shape(t, v, err)
	require.Regexp(t, `^9\.2\.\d+$`, got["version"])
	require.Equal(t, "9.2", got["release"])
	require.Regexp(t, `^[0-9a-f]{8}$`, got["repoid"])
	require.Equal(t, "html5", got["console"])
	require.Equal(t, "v0.1.0", got["gpve"])
	v, err = s.GetNodesVersion(t.Context(), &schema.GetNodesVersion{})
	require.NotContains(t, shape(t, v, err), "console")
}

func TestTime(t *testing.T) {
	s, _ := newService(t, Options{Clock: func() time.Time { return time.Unix(1_800_000_000, 0) }})
	put := func(zone string) error {
		v, err := s.PutNodesTime(t.Context(), &schema.PutNodesTime{Timezone: zone})
		require.Nil(t, v)
		return err
	}
	require.NoError(t, put("Europe/Vienna"))
	require.Equal(t, call.ParamErrors{"timezone": "No such timezone"}, put("Europe/Atlantis"))
	v, err := s.GetNodesTime(t.Context(), &schema.GetNodesTime{})
	require.Equal(t, map[string]any{"time": 1_800_000_000.0, "localtime": 1_800_003_600.0, "timezone": "Europe/Vienna"}, shape(t, v, err))
}

func TestDNS(t *testing.T) {
	s, root := newService(t, Options{})
	get := func() map[string]any {
		v, err := s.GetNodesDns(t.Context(), &schema.GetNodesDns{})
		return shape(t, v, err)
	}
	require.Empty(t, get())
	one, three := "192.0.2.1", "192.0.2.3"
	v, err := s.PutNodesDns(t.Context(), &schema.PutNodesDns{Search: "lab.example", Dns1: &one, Dns3: &three})
	require.NoError(t, err)
	require.Nil(t, v)
	require.Equal(t, map[string]any{"search": "lab.example", "dns1": "192.0.2.1", "dns2": "192.0.2.3"}, get())
	_, err = s.PutNodesDns(t.Context(), &schema.PutNodesDns{Search: "x\nnameserver 203.0.113.6"})
	require.Equal(t, call.ParamErrors{"search": "value contains a control character"}, err)
	require.NoError(t, os.RemoveAll(filepath.Join(root, "etc/resolv.conf")))
	require.NoError(t, os.Mkdir(filepath.Join(root, "etc/resolv.conf"), 0o755))
	_, err = s.GetNodesDns(t.Context(), &schema.GetNodesDns{})
	require.Error(t, err)
}

func TestPower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		did := make(chan string, 2)
		s, _ := newService(t, Options{Power: func(c string) error { did <- c; return errors.New("no") }})
		post := func(command string) error {
			v, err := s.PostNodesStatus(t.Context(), &schema.PostNodesStatus{Command: command})
			require.Nil(t, v)
			return err
		}
		require.ErrorContains(t, post("reboot"), "agent.allowHostPower")
		s.o.AllowPower = true
		require.Error(t, post("reboot; rm"))
		require.NoError(t, post("reboot"))
		time.Sleep(2*time.Second - 1)
		require.Empty(t, len(did), "the answer goes first")
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		require.Equal(t, "reboot", <-did)
		require.Empty(t, len(did))
	})
}
