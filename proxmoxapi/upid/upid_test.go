package upid_test

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     upid.UPID
	}{
		{"guest", "UPID:pve1:0000A1B2:00C3D4E5:66F00000:qmstart:100:root@pam:",
			upid.UPID{Node: "pve1", PID: 0xA1B2, PStart: 0xC3D4E5, Start: 0x66F00000, Type: "qmstart", ID: "100", User: "root@pam"}},
		{"no id", "UPID:n:00000001:00000002:00000003:startall::root@pam:",
			upid.UPID{Node: "n", PID: 1, PStart: 2, Start: 3, Type: "startall", User: "root@pam"}},
		{"token", "UPID:a-b-9:FFFFFFFF:00000000:FFFFFFFF:download:x.iso:ci@pve!build-1:",
			upid.UPID{Node: "a-b-9", PID: 1<<32 - 1, Start: 1<<32 - 1, Type: "download", ID: "x.iso", User: "ci@pve!build-1"}},
		{"long uptime", "UPID:n:00000001:123456789:00000003:t:i:u@pve:",
			upid.UPID{Node: "n", PID: 1, PStart: 0x123456789, Start: 3, Type: "t", ID: "i", User: "u@pve"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := upid.Parse(tc.in)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.in, got.String())
		})
	}
	lower, err := upid.Parse("UPID:n:0000abcd:00000002:00000003:t::u@pve:")
	require.NoError(t, err, "lower case is read")
	require.Equal(t, "UPID:n:0000ABCD:00000002:00000003:t::u@pve:", lower.String())
}

func TestThreat43_HostileUPIDsAreRefused(t *testing.T) {
	good := "UPID:pve1:0000A1B2:00C3D4E5:66F00000:qmstart:100:root@pam:"
	for _, bad := range []string{
		"", "UPID", "UPID::::::::", good[:len(good)-1], good + ":", good + "\n", " " + good, strings.ToLower(good),
		strings.Replace(good, "pve1", "-pve1", 1), strings.Replace(good, "pve1", "pve1-", 1), strings.Replace(good, "pve1", "p.ve", 1), strings.Replace(good, "pve1", "", 1),
		strings.Replace(good, "0000A1B2", "A1B2", 1), strings.Replace(good, "0000A1B2", "+000A1B2", 1), strings.Replace(good, "0000A1B2", "0000A1_2", 1),
		strings.Replace(good, "0000A1B2", "000000001", 1), strings.Replace(good, "00C3D4E5", "0000C3D4E5", 1), strings.Replace(good, "66F00000", "066F00000", 1),
		strings.Replace(good, "qmstart", "", 1), strings.Replace(good, "qmstart", "qm start", 1), strings.Replace(good, "qmstart", "../../x", 1),
		strings.Replace(good, "100", "../../../etc/passwd", 1), strings.Replace(good, "100", "1\x00", 1), strings.Replace(good, "100", "1\x1b[2J", 1), strings.Replace(good, "100", "1\u00a02", 1), strings.Replace(good, "100", "\xff", 1),
		strings.Replace(good, "root@pam", "", 1), strings.Replace(good, "root@pam", "a/b", 1),
	} {
		_, err := upid.Parse(bad)
		require.ErrorIs(t, err, upid.ErrInvalid, "%q", bad)
		require.ErrorIs(t, err, fs.ErrInvalid)
		require.EqualError(t, err, "unable to parse worker upid", "the text is for clients")
	}
}

func TestCheckAndJSON(t *testing.T) {
	u := upid.UPID{Node: "n", Type: "t", User: "u@pve"}
	require.NoError(t, u.Check())
	require.False(t, u.IsZero())
	require.True(t, upid.UPID{}.IsZero())
	b, err := json.Marshal(map[string]any{"data": u})
	require.NoError(t, err)
	require.JSONEq(t, `{"data":"UPID:n:00000000:00000000:00000000:t::u@pve:"}`, string(b))
	var back struct{ Data upid.UPID }
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, u, back.Data)
	for _, bad := range []upid.UPID{
		{}, {Node: "n", Type: "t", User: "u", Start: -1}, {Node: "n", Type: "t", User: "u", Start: 1 << 32},
		{Node: "n", Type: "t", User: "u", PStart: 1 << 36}, {Node: "n", Type: "t", User: "u", ID: "a:b"},
		{Node: "n", User: "u"}, {Node: "n", Type: "t"},
	} {
		require.ErrorIs(t, bad.Check(), upid.ErrInvalid, "%+v", bad)
		_, err := json.Marshal(bad)
		require.Error(t, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("UPID:pve1:0000A1B2:00C3D4E5:66F00000:qmstart:100:root@pam:")
	f.Add("UPID:n:00000001:123456789:00000003:t::u@pve!t:")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := upid.Parse(s)
		if err != nil {
			return
		}
		require.NotContains(t, s, "/")
		// Two writings of one UPID differ in the case of digits and in a ninth zero alone.
		require.LessOrEqual(t, len(s)-len(u.String()), 1)
		again, err := upid.Parse(u.String())
		require.NoError(t, err)
		require.Equal(t, u, again)
	})
}
