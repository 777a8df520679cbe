package schema_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// walk calls fn for p and all properties below it.
func walk(path string, p *pveconf.Property, fn func(string, *pveconf.Property)) {
	if p == nil {
		return
	}
	fn(path, p)
	walk(path+"[]", p.Items, fn)
	walk(path+".*", p.AdditionalSchema, fn)
	for _, m := range p.Properties {
		walk(path+"."+m.Name, m.Property, fn)
	}
	for _, o := range p.OneOf {
		walk(path+"|", o, fn)
	}
}

// everything calls fn for all that Validate may meet: parameters, and keys of property strings.
func everything(fn func(string, *pveconf.Property)) {
	for _, e := range schema.Endpoints() {
		walk(e.Method+" "+e.Path, e.Params, fn)
	}
	for _, name := range schema.FormatNames() {
		walk(name, schema.Format(name), fn)
	}
}

func TestCounts(t *testing.T) {
	all := schema.Endpoints()
	require.Len(t, all, 679)
	paths := map[string]bool{}
	rootOnly, world := 0, 0
	for _, e := range all {
		paths[e.Path] = true
		if e.Permission == nil {
			rootOnly++
		}
		if e.Permission.World() {
			world++
		}
	}
	require.Len(t, paths, 448)
	require.Equal(t, 15, rootOnly)
	require.Equal(t, 6, world)
	require.Len(t, schema.Privileges(), 47)
	require.Contains(t, schema.BuiltinRoles()["PVEVMUser"], "VM.PowerMgmt")
	require.NotContains(t, schema.BuiltinRoles()["PVEVMUser"], "VM.Allocate")
}

func TestEveryEndpointIsFound(t *testing.T) {
	for _, e := range schema.Endpoints() {
		require.Same(t, e, schema.Find(e.Method, e.Path))
		path := e.Path
		want := map[string]string{}
		for _, p := range e.PathParams {
			want[p] = "v-" + p
			path = strings.Replace(path, "{"+p+"}", "v-"+p, 1)
		}
		got, params, ok := schema.Lookup(e.Method, path)
		require.True(t, ok, path)
		require.Same(t, e, got)
		if len(want) == 0 {
			require.Empty(t, params)
		} else {
			require.Equal(t, want, params)
		}
	}
}

func TestLookup(t *testing.T) {
	tests := []struct {
		name, method, path string
		want               string
		params             map[string]string
	}{
		{"root", "GET", "/", "/", nil},
		{"nothing is the root", "GET", "", "/", nil},
		{"empty segments", "GET", "//nodes///n1/qemu/", "/nodes/{node}/qemu", map[string]string{"node": "n1"}},
		{"the rest", "DELETE", "/nodes/n1/storage/s1/content/s1:iso/a.iso", "/nodes/{node}/storage/{storage}/content/{volume}", map[string]string{"node": "n1", "storage": "s1", "volume": "s1:iso/a.iso"}},
		{"the rest without empty segments", "GET", "/cluster/firewall/ipset/x/10.0.0.0//8/", "/cluster/firewall/ipset/{name}/{cidr}", map[string]string{"name": "x", "cidr": "10.0.0.0/8"}},
		{"dots are no steps", "GET", "/nodes/../qemu", "/nodes/{node}/qemu", map[string]string{"node": ".."}},
		{"blank in a parameter", "GET", "/nodes/a b/qemu", "", nil},
		{"line break in a parameter", "GET", "/nodes/a\n/qemu", "", nil},
		{"no such path", "GET", "/nodes/n1/qemux", "", nil},
		{"too long", "GET", "/version/more", "", nil},
		{"no such method on the path", "POST", "/version", "", nil},
		{"method of no path", "PATCH", "/version", "", nil},
		{"too short for the rest", "PUT", "/cluster/firewall/ipset/x", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, params, ok := schema.Lookup(tt.method, tt.path)
			if tt.want == "" {
				require.False(t, ok)
				require.Nil(t, e)
				return
			}
			require.True(t, ok)
			require.Equal(t, tt.want, e.Path)
			require.Equal(t, tt.params, params)
		})
	}
}

func TestFindNeedsTheTemplate(t *testing.T) {
	require.NotNil(t, schema.Find("GET", "/nodes/{node}/qemu/{vmid}"))
	require.Nil(t, schema.Find("GET", "/nodes/{node}/qemu/{id}"))
	require.Nil(t, schema.Find("GET", "/nodes/pve1/qemu"))
	require.Nil(t, schema.Find("HEAD", "/version"))
}

func TestEveryFormatIsKnown(t *testing.T) {
	everything(func(path string, p *pveconf.Property) {
		if p.Format == "" || p.Format == "regex" {
			return
		}
		f := schema.Formats()
		for _, name := range []string{p.Format, strings.TrimSuffix(p.Format, "-list"), strings.TrimSuffix(p.Format, "-opt")} {
			if _, ok := f.Rule(name); ok {
				return
			}
			if _, ok := f.PropertyString(name); ok {
				return
			}
		}
		t.Errorf("%s: unknown format %s", path, p.Format)
	})
}

func TestEveryPatternCompiles(t *testing.T) {
	everything(func(path string, p *pveconf.Property) {
		if p.Pattern != "" {
			_, err := schema.Formats().Pattern(p.Pattern)
			require.NoError(t, err, path)
		}
	})
}

func TestPropertiesAreSorted(t *testing.T) {
	everything(func(path string, p *pveconf.Property) {
		for i := 1; i < len(p.Properties); i++ {
			require.Less(t, p.Properties[i-1].Name, p.Properties[i].Name, path)
		}
	})
}

func TestFamilies(t *testing.T) {
	p := schema.Find("POST", "/nodes/{node}/qemu").Params
	require.NotNil(t, p.Property("net31"))
	require.Nil(t, p.Property("net32"))
	require.Nil(t, p.Property("net[n]"))
	require.Same(t, p.Property("net0"), p.Property("net1"))
}

func TestPermissions(t *testing.T) {
	p := schema.Find("POST", "/access/users").Permission
	require.Equal(t, schema.PermAnd, p.Kind)
	require.Equal(t, schema.PermUseridGroup, p.Children[1].Kind)
	require.Equal(t, "create", p.Children[1].GroupsParam)

	p = schema.Find("GET", "/access/domains/{realm}").Permission
	require.Equal(t, &schema.Permission{Kind: schema.PermPath, Path: "/access/realm", Privs: []string{"Realm.Allocate", "Sys.Audit"}, Any: true}, p)
	require.False(t, p.All())
	require.True(t, schema.Find("GET", "/version").Permission.All())
	require.False(t, (*schema.Permission)(nil).World())
}

// TestGenerated holds the generated files against the generator.
func TestGenerated(t *testing.T) {
	need.Tool(t, "go")
	dir := t.TempDir()
	for _, name := range []string{"schema.json.gz", "formats.json"} {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	tool := filepath.Join(dir, "gen")
	out, err := exec.Command("go", "build", "-o", tool, "./gen").CombinedOutput()
	require.NoError(t, err, string(out))
	gen := exec.Command(tool)
	gen.Dir = dir
	out, err = gen.CombinedOutput()
	require.NoError(t, err, string(out))
	fresh, err := filepath.Glob(filepath.Join(dir, "zz_*.go"))
	require.NoError(t, err)
	have, err := filepath.Glob("zz_*.go")
	require.NoError(t, err)
	require.Len(t, have, len(fresh))
	for _, f := range fresh {
		want, err := os.ReadFile(f)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Base(f))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "run go generate ./proxmoxapi/schema")
	}
}
