package cephconf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/cephconf"
)

func Example() {
	cfg := cephconf.Parse("[osd]\nosd journal size = 1024 # MiB\n")
	if err := cfg.Set("global", "mon host", "192.0.2.1"); err != nil {
		panic(err)
	}
	fmt.Print(cfg)
	// Output:
	// [global]
	// 	mon_host = 192.0.2.1
	//
	// [osd]
	// 	osd_journal_size = 1024
}

// all returns a configuration as plain maps.
func all(c *cephconf.Config) map[string]map[string]string {
	m := map[string]map[string]string{}
	for _, name := range c.Sections() {
		m[name], _ = c.Section(name)
	}
	return m
}

type m = map[string]map[string]string

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       m
	}{
		{"nothing", "", m{}},
		{"before a section", "a = b\n[x]\n", m{"x": {}}},
		{"spelling of keys", "[x]\n a  b = 1\na b=2\n", m{"x": {"a_b": "2"}}},
		{"quotes", "[x]\na = \"v w\"\nb = 'v' # c\nc = \"v\" w\nd = \"v\ne = v \"w\"\nf = ''\n", m{"x": {"a": "v w", "b": "v", "e": `v "w"`}}},
		{"comments", "[x] ; c\na = v#c\nb = v\\#w\n#d = e\nc = \"v;w\"\nd = \"v\\;w\"\n", m{"x": {"a": "v", "b": "v#w", "d": "v;w"}}},
		{"continued", "[\\\nx]\na \\\nb = \\\n  v \\\n w\nc = v # c \\\nd = w\\\n", m{"x": {"a_b": "v  w", "c": "v", "d": "w"}}},
		{"no value", "[x]\na =\nb\n= c\n", m{"x": {}}},
		{"bad section", "[x]\na = 1\n[y\nb = 2\n[x]\nc = 3\nd = [1]\ne = 4\n", m{"x": {"a": "1", "c": "3"}}},
		{"text beside a section", "[x] y\na = 1\n[]\nb = 1\n[ z ]\nc = 1\n", m{" z ": {"c": "1"}}},
		{"equals in a value", "[x]\na = b = c\n", m{"x": {"a": "b = c"}}},
		{"CRLF", "[x]\r\na = v\\\r\nw\r\n", m{"x": {"a": "vw"}}},
	} {
		got := cephconf.Parse(c.text)
		require.Equal(t, c.want, all(got), c.name)
		require.Equal(t, c.want, all(cephconf.Parse(got.String())), c.name)
	}
}

func TestOrder(t *testing.T) {
	c := cephconf.Parse("[z]\n[osd.2]\n[osd]\n[mon.b]\n[mgr]\n[mds.a]\n[client.x]\n[client]\n[global]\nb=1\na=2\n[a]\n[osdx]\n[mon.a]\n")
	require.Equal(t, []string{"global", "client", "client.x", "mds.a", "mon.a", "mon.b", "osd", "osd.2", "mgr", "a", "osdx", "z"}, c.Sections())
	require.True(t, strings.HasPrefix(c.String(), "[global]\n\ta = 2\n\tb = 1\n\n[client]\n\n"))
}

func TestChange(t *testing.T) {
	c := &cephconf.Config{}
	require.NoError(t, c.Set("global", "a b", "x;y"))
	v, ok := c.Get("global", "a_b")
	require.True(t, ok)
	require.Equal(t, "x;y", v)
	require.NoError(t, c.AddSection("mon.a"))
	c.Delete("global", "a b")
	c.Delete("nowhere", "a")
	c.DeleteSection("nowhere")
	require.Equal(t, m{"global": {}, "mon.a": {}}, all(c))
	c.DeleteSection("mon.a")
	s, _ := c.Section("global")
	s["leak"] = "x"
	require.Equal(t, m{"global": {}}, all(c))
	for _, v := range []string{" x ", `x\`, `"x`, `'x`, `"x" y`, "'", `\;`, `\\#`} {
		require.NoError(t, c.Set("global", "k", v), "%q", v)
		back, _ := cephconf.Parse(c.String()).Get("global", "k")
		require.Equal(t, v, back)
	}
}

// A value never makes a second key or section.
func TestThreat21_NoInjection(t *testing.T) {
	c := &cephconf.Config{}
	for _, bad := range []struct{ section, key, value string }{
		{"global", "k", "v\nx = y"}, {"global", "k", "v\n[mon]"}, {"global", "k", "[mon]"}, {"global", "k", ""}, {"global", "k", "'\"\n"},
		{"global", "k=x", "v"}, {"global", "k\nx", "v"}, {"global", "[k", "v"}, {"global", "", "v"}, {"global", " ", "v"},
		{"a]", "k", "v"}, {"a\nb", "k", "v"}, {"", "k", "v"}, {"global", "k", ` "'`},
	} {
		require.ErrorIs(t, c.Set(bad.section, bad.key, bad.value), cephconf.ErrUnwritable, "%q", bad)
	}
	require.ErrorIs(t, c.AddSection("a]\n[b"), cephconf.ErrUnwritable)
	require.Empty(t, c.Sections())
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"[x]\na = b\n", "[a\\;b]\nk\\#=\"v\"\\\n#c\n", "[x]\nk = \\\\;v \\\n\\", "[x]\nk = 'a\"'\nq=\\\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := cephconf.Parse(text)
		again := cephconf.Parse(c.String())
		require.Equal(t, all(c), all(again), "%q", c.String())
		require.Equal(t, c.String(), again.String())
	})
}
