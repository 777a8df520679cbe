package pveconf_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

func rules() *pveconf.SectionRules {
	text := &prop{Type: "string", Optional: true}
	flag := &prop{Type: "boolean", Optional: true}
	return &pveconf.SectionRules{
		CheckID: func(id string) error { return pveconf.CheckFormat("pve-storage-id", id) },
		First:   []string{"disable"},
		Types: []*pveconf.SectionType{
			{Name: "folder", Properties: map[string]*prop{
				"path": {Type: "string", Format: "pve-storage-path"}, "content": text, "disable": flag, "shared": flag,
				"limit": {Type: "integer", Maximum: num(9), Optional: true},
				"alt":   {Type: "array", Optional: true, Items: &prop{Type: "string", Format: "pve-configid"}},
			}},
			{Name: "pool", Properties: map[string]*prop{"pool": {Type: "string"}, "content": text, "disable": flag}},
		},
	}
}

const storages = `# a comment
folder: local
	path /srv/a b  
	# another
	content iso,images
	shared
	alt one
	alt two

POOL:  tank
    content images
  pool rpool/data
	disable

`

func TestParseSections(t *testing.T) {
	f, warnings := pveconf.ParseSections(storages, rules())
	require.Empty(t, warnings)
	require.Equal(t, []*pveconf.Section{
		{
			Type: "folder", ID: "local", Values: map[string]string{"path": "/srv/a b", "content": "iso,images", "shared": "1"},
			Lists: map[string][]string{"alt": {"one", "two"}},
		},
		{Type: "pool", ID: "tank", Values: map[string]string{"pool": "rpool/data", "content": "images", "disable": "1"}},
	}, f.Sections())
	require.Equal(t, pveconf.Digest(storages), f.Digest())
	require.Equal(t, "folder: local\n\tpath /srv/a b\n\talt one\n\talt two\n\tcontent iso,images\n\tshared 1\n\n"+
		"pool: tank\n\tdisable\n\tpool rpool/data\n\tcontent images\n\n", f.String())
}

func TestParseSectionsWarns(t *testing.T) {
	f, warnings := pveconf.ParseSections(strings.Join([]string{
		"folder: a1", "\tpath /x", "\tfoo bar", "\tlimit 10", "\tlimit 3", "\tlimit 4", "\tcontent", "column0", "\talt 1x", "",
		"stuff", "nfs: n1", "\tpath /y", "pool: hidden", "", "pool: 1bad", "\tpool p", "", "pool: a1", "\tpool p", "\tdisable 0",
	}, "\n"), rules())
	require.Equal(t, []*pveconf.Section{{Type: "pool", ID: "a1", Values: map[string]string{"pool": "p", "disable": "0"}}}, f.Sections())
	var texts []string
	for _, w := range warnings {
		texts = append(texts, w.Text)
	}
	require.Equal(t, []string{
		"unexpected property 'foo'", "invalid value for 'limit': value must have a maximum value of 9", "duplicate attribute 'limit'",
		"property 'content' without a value", "ignore config line: column0", "invalid value for 'alt': invalid format - invalid configuration ID '1x'",
		"ignore config line: stuff", "unknown section type 'nfs'", "storage ID '1bad' contains illegal characters",
		"duplicate section, the earlier one is dropped",
	}, texts)
	require.Equal(t, pveconf.Warning{Line: 3, Type: "folder", ID: "a1", Key: "foo", Text: "unexpected property 'foo'"}, warnings[0])
	require.Equal(t, "pool: a1\n\tpool p\n\n", f.String(), "a bare word is written only if true")
}

func TestUnknownSectionsAreKept(t *testing.T) {
	r := rules()
	r.KeepUnknown = true
	f, warnings := pveconf.ParseSections("nfs: n1\n\tz 1\n\tb 1\n\tb 2\n\tb 3\n\tdisable\n", r)
	require.Empty(t, warnings)
	require.Equal(t, map[string][]string{"b": {"1", "2", "3"}}, f.Get("n1").Lists)
	require.Equal(t, "nfs: n1\n\tb 1\n\tb 2\n\tb 3\n\tdisable\n\tz 1\n\n", f.String())
}

func TestSectionFileChanges(t *testing.T) {
	f := pveconf.NewSectionFile(rules())
	require.Equal(t, "da39a3ee5e6b4b0d3255bfef95601890afd80709", f.Digest())
	s := &pveconf.Section{Type: "pool", ID: "p1", Values: map[string]string{"pool": "a", "content": ""}}
	require.NoError(t, f.Set(s))
	s.Values["pool"] = "changed"
	f.Get("p1").Values["pool"] = "changed"
	require.Equal(t, "pool: p1\n\tpool a\n\n", f.String(), "sections are copies, empty values are not written")
	require.NoError(t, f.Set(&pveconf.Section{Type: "pool", ID: "p2", Values: map[string]string{"pool": "b"}}))
	require.NoError(t, f.Set(&pveconf.Section{Type: "pool", ID: "p1", Values: map[string]string{"pool": "c"}}))
	require.Equal(t, "pool: p1\n\tpool c\n\npool: p2\n\tpool b\n\n", f.String(), "in its place")
	require.True(t, f.Delete("p1"))
	require.False(t, f.Delete("p1"))
	require.Nil(t, f.Get("p1"))
}

func TestThreat21_SectionsCarryNoLines(t *testing.T) {
	f := pveconf.NewSectionFile(rules())
	for name, s := range map[string]*pveconf.Section{
		"line in a value": {Type: "pool", ID: "p1", Values: map[string]string{"pool": "a\n\tdisable"}},
		"line in a list":  {Type: "folder", ID: "p1", Lists: map[string][]string{"alt": {"a\nb"}}},
		"line in a key":   {Type: "pool", ID: "p1", Values: map[string]string{"pool\n": "a"}},
		"line in an id":   {Type: "pool", ID: "p1\n", Values: map[string]string{"pool": "a"}},
		"blank at an end": {Type: "pool", ID: "p1", Values: map[string]string{"pool": "a "}},
		"type":            {Type: "pool: x\npool", ID: "p1"},
		"key and list":    {Type: "pool", ID: "p1", Values: map[string]string{"a": "1"}, Lists: map[string][]string{"a": {"1"}}},
		"comment":         {Type: "pool", ID: "p1", Values: map[string]string{"#a": "1"}},
	} {
		require.Error(t, f.Set(s), name)
	}
	require.Empty(t, f.String())
}

func FuzzParseSections(f *testing.F) {
	f.Add(storages)
	f.Add("nfs: a\n b\n b c\n\n#x\nfolder: bb\n\tpath /x\r\n\talt aa\n\talt bb")
	f.Fuzz(func(t *testing.T, text string) {
		for _, keep := range []bool{false, true} {
			r := rules()
			r.KeepUnknown = keep
			first, _ := pveconf.ParseSections(text, r)
			written := first.String()
			again, warnings := pveconf.ParseSections(written, r)
			require.Empty(t, warnings, "%q", written)
			require.Equal(t, written, again.String())
			for _, s := range first.Sections() {
				for _, k := range r.First { // false is not written, where we know it for a boolean
					if s.Values[k] == "0" && (s.Type == "folder" || s.Type == "pool") {
						delete(s.Values, k)
					}
				}
				require.Equal(t, s, again.Get(s.ID), "%q", written)
			}
		}
	})
}
