package pveconf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

func TestParsePropertyString(t *testing.T) {
	tests := []struct {
		in   string
		want map[string]string
		err  string
	}{
		{"virtio", map[string]string{"model": "virtio"}, ""},
		{"model=e1000,firewall=Yes,bridge=vmbr0", map[string]string{"model": "e1000", "firewall": "1", "bridge": "vmbr0"}, ""},
		{"e1000=02:00:00:00:00:01,firewall=off", map[string]string{"model": "e1000", "macaddr": "02:00:00:00:00:01", "firewall": "0"}, ""},
		{" ,virtio,,", map[string]string{"model": "virtio"}, ""},
		{"virtio,bridge=a=b", nil, "format error\nbridge: invalid format - invalid bridge ID 'a=b'"},
		{"virtio,firewall=maybe", nil, "format error\nfirewall: type check ('boolean') failed - got 'maybe'"},
		{"virtio,mtu=1500", nil, "format error\nbridge: missing property required by 'mtu'"},
		{"virtio,mtu=0,bridge=b", nil, "format error\nmtu: value must have a minimum value of 1"},
		{"virtio,bridge=", nil, "missing key in comma-separated list property"},
		{"virtio,=x", nil, "missing key in comma-separated list property"},
		{"virtio,bridge=a,bridge=b", nil, "duplicate key in comma-separated list property: bridge"},
		{"model=virtio,e1000=02:00:00:00:00:01", nil, "duplicate key in comma-separated list property: model"},
		{"virtio,x=1", nil, "format error\nx: property is not defined in schema and the schema does not allow additional properties"},
		{"", nil, "format error\nmodel: property is missing and it is not optional"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			got, err := pveconf.ParsePropertyString(tt.in, nic(), nil)
			if tt.err != "" {
				require.EqualError(t, err, tt.err)
				_, ok := errors.AsType[*pveconf.FormatError](err)
				require.True(t, ok)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	noDefault := &prop{Properties: []named{{Name: "a", Property: &prop{Type: "string"}}}}
	_, err := pveconf.ParsePropertyString("x", noDefault, nil)
	require.EqualError(t, err, "value without key, but schema does not define a default key")
	got, err := pveconf.ParsePropertyString("a=1,b=2", noDefault, nil)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "1", "b": "2"}, got)
}

func TestPropertyStringCheck(t *testing.T) {
	p := nic()
	p.Check = func(v map[string]string) error {
		if v["firewall"] == "1" && v["bridge"] == "" {
			return errors.New("a firewall needs a bridge")
		}
		return nil
	}
	_, err := pveconf.ParsePropertyString("virtio,firewall=1", p, nil)
	require.EqualError(t, err, "a firewall needs a bridge")
	_, err = pveconf.ParsePropertyString("virtio,firewall=1,bridge=b", p, nil)
	require.NoError(t, err)
}

func TestPrintPropertyString(t *testing.T) {
	tests := []struct {
		in   map[string]string
		want string
	}{
		{map[string]string{"model": "virtio", "mtu": "9000", "bridge": "vmbr0"}, "virtio,bridge=vmbr0,mtu=9000"},
		{map[string]string{"model": "virtio", "macaddr": "02:00:00:00:00:01", "bridge": "b"}, "virtio=02:00:00:00:00:01,bridge=b"},
		{map[string]string{"model": "a=b"}, "model=a=b"},
		{map[string]string{"bridge": "b"}, "bridge=b"},
		{nil, ""},
	}
	for _, tt := range tests {
		got, err := pveconf.PrintPropertyString(tt.in, nic())
		require.NoError(t, err)
		require.Equal(t, tt.want, got)
	}
	for _, bad := range []map[string]string{
		{"model": "virtio", "bridge": "a,firewall=0"}, {"model": ""}, {"model": "a,b"}, {"bridge": "a\nb"}, {"x": "1"}, {"virtio": "02:00:00:00:00:01"},
	} {
		_, err := pveconf.PrintPropertyString(bad, nic())
		require.Error(t, err, "%v", bad)
	}
}

func TestThreat20_PropertyStringsKeepTheirKeys(t *testing.T) {
	_, err := pveconf.PrintPropertyString(map[string]string{"model": "virtio", "bridge": "vmbr0,firewall=0"}, nic())
	require.Error(t, err)
}

func FuzzParsePropertyString(f *testing.F) {
	for _, s := range []string{"virtio=02:00:00:00:00:00,bridge=vmbr0", "model=virtio,firewall=on", ",,a=b=c", "virtio,virtio"} {
		f.Add(s)
	}
	free := &prop{Properties: []named{{Name: "d", Property: &prop{Type: "string", DefaultKey: true, Optional: true}}}}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range []*prop{nic(), free} {
			got, err := pveconf.ParsePropertyString(s, p, nil)
			if err != nil {
				continue
			}
			text, err := pveconf.PrintPropertyString(got, p)
			if err != nil {
				require.True(t, strings.ContainsAny(s, "\n\r\x00"), "%q", s)
				continue
			}
			again, err := pveconf.ParsePropertyString(text, p, nil)
			require.NoError(t, err)
			require.Equal(t, got, again)
		}
	})
}
