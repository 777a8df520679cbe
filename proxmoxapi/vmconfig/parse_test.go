package vmconfig

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const sample = `# second line%3A 100%25
#caf%C3%A9
agent: 1
boot: order=virtio0;net3
cores: 3
ide2: none,media=cdrom
memory: 3072
name: build.example
net3: e1000=BC:24:11:01:02:03,bridge=vmbr7
numa: 1
virtio0: tank:vm-9-disk-1,discard=on,size=12G

[PENDING]
#
delete: !ide2,numa
memory: 4096

[special:fleecing]
fleecing-images: tank:vm-9-fleece-0

[before_upgrade]
#note
cores: 2
snaptime: 1700000000
`

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, warnings, err := Parse(text, ParseOptions{VMID: 9, Strict: true})
	require.NoError(t, err)
	require.Empty(t, warnings)
	return c
}

func encode(t *testing.T, c *Config) string {
	t.Helper()
	text, err := c.Encode()
	require.NoError(t, err)
	return text
}

func TestParseAndEncode(t *testing.T) {
	c := mustParse(t, sample)
	require.Equal(t, " second line: 100%\ncafé", c.Main["description"])
	require.Equal(t, "", c.Pending["description"])
	require.Equal(t, "note", c.Snapshots["before_upgrade"]["description"])
	require.Equal(t, DeleteList{"ide2": true, "numa": false}, c.Deletes())
	require.Equal(t, Digest(sample), c.Digest)
	require.Len(t, c.Digest, 40)
	require.Equal(t, sample, encode(t, c))
}

func TestEncodeSortsAndNormalizes(t *testing.T) {
	c := mustParse(t, "onboot: yes\r\ncores:007\n  \n#late comment  \nname: \ta \ncpulimit: 1.50\n")
	require.Equal(t, "#late comment\ncores: 7\ncpulimit: 1.50\nname: a\nonboot: 1\n", encode(t, c))
}

func TestDescriptionKey(t *testing.T) {
	c := mustParse(t, "description: old%20form\n#more\n")
	require.Equal(t, "old form\nmore", c.Main["description"])
	c = mustParse(t, "#\n#\n")
	require.True(t, c.Main.Has("description"))
	require.Equal(t, "", encode(t, c), "an empty description is written in PENDING only")
	c = New()
	c.Main["description"] = "a\n\nb\x01\r\n\n"
	require.Equal(t, "#a\n#\n#b%01\n", encode(t, c))
}

func TestEmptyValueIsOneBlank(t *testing.T) {
	c := mustParse(t, "boot:    \n")
	require.Equal(t, " ", c.Main["boot"])
	require.Equal(t, "boot:  \n", encode(t, c))
	c.Main["boot"] = ""
	require.Equal(t, "boot:  \n", encode(t, c))
}

func TestOldKeys(t *testing.T) {
	c := mustParse(t, "smp: 4\ncores: 2\ncdrom: debian.iso\n")
	require.Equal(t, "ide2: local:iso/debian.iso,media=cdrom\nsockets: 4\n", encode(t, c))
	c = mustParse(t, "smp: 4\ncores: 2\nsockets: 3\ncdrom: none\n")
	require.Equal(t, "cores: 2\nide2: none,media=cdrom\nsockets: 3\n", encode(t, c))
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct{ text, problem, rest string }{
		"unknown option":       {"nonsense: 1\ncores: 1\n", "unable to parse value of 'nonsense' - unknown setting 'nonsense'", "cores: 1\n"},
		"wrong type":           {"cores: many\n", "unable to parse value of 'cores' - type check ('integer') failed - got 'many'", ""},
		"wrong boolean":        {"onboot: maybe\n", "unable to parse value of 'onboot' - type check ('boolean') failed - got 'maybe'", ""},
		"wrong number":         {"cpulimit: -1\n", "unable to parse value of 'cpulimit' - type check ('number') failed - got '-1'", ""},
		"no option":            {"what is this\n", "unable to parse config: what is this", ""},
		"no value":             {"cores:\n", "unable to parse config: cores:", ""},
		"carriage return":      {"name: a\rb\n", "unable to parse value of 'name' - property contains a line feed", ""},
		"delete in main":       {"delete: cores\n", "property 'delete' is only allowed in [PENDING]", ""},
		"duplicate pending":    {"[PENDING]\ncores: 1\n[pending]\ncores: 2\n", "duplicate section: pending", "\n[PENDING]\ncores: 2\n"},
		"duplicate snapshot":   {"[s1]\ncores: 1\n[s1]\ncores: 2\n", "duplicate snapshot section: s1", "\n[s1]\ncores: 2\n"},
		"duplicate special":    {"[special:fleecing]\na: 1\n[special:fleecing]\na: 2\n", "duplicate special section: fleecing", "\n[special:fleecing]\na: 2\n"},
		"unknown section":      {"[1st]\ncores: 1\n# c\n[PENDING]\ncores: 2\n", "skipping unknown section: '1st'", "\n[PENDING]\ncores: 2\n"},
		"one letter":           {"[s]\ncores: 1\n", "skipping unknown section: 's'", ""},
		"special name":         {"[special:other]\ncores: 1\n", "skipping unknown section: 'special:other'", ""},
		"format":               {"scsi0: justaname\n", "unable to parse value of 'scsi0' - format error\nscsi0.file: unable to parse volume ID 'justaname'", ""},
		"unknown cpu":          {"cpu: nosuchmodel\n", "unable to parse value of 'cpu' - Built-in cputype 'nosuchmodel' is not defined (missing 'custom-' prefix?)", ""},
		"snapstate":            {"[s1]\nsnapstate: odd\n", "unable to parse value of 'snapstate' - unknown setting 'snapstate'", "\n[s1]\n"},
		"option out of family": {"net32: virtio\n", "unable to parse value of 'net32' - unknown setting 'net32'", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := Parse(c.text, ParseOptions{VMID: 9, Strict: true})
			var syntax *SyntaxError
			require.ErrorAs(t, err, &syntax)
			if name != "format" {
				require.EqualError(t, err, "vm 9 - "+c.problem)
			}
			cfg, warnings, err := Parse(c.text, ParseOptions{VMID: 9})
			require.NoError(t, err)
			require.Len(t, warnings, 1)
			require.Equal(t, err == nil, true)
			require.Equal(t, c.rest, encode(t, cfg))
		})
	}
}

func TestArgsAndQuotesAreKept(t *testing.T) {
	c := mustParse(t, `args: -device "x y" -z ""`+"\n"+`searchdomain: "quoted"`+"\n")
	require.Equal(t, "args: -device \"x y\" -z \"\"\nsearchdomain: quoted\n", encode(t, c))
}

func TestCustomCPU(t *testing.T) {
	_, warnings, err := Parse("cpu: custom-mine\n", ParseOptions{CustomCPU: func(name string) bool { return name == "mine" }})
	require.NoError(t, err)
	require.Empty(t, warnings)
	_, warnings, _ = Parse("cpu: custom-other\n", ParseOptions{CustomCPU: func(name string) bool { return name == "mine" }})
	require.Len(t, warnings, 1)
}

func TestUnusedIsDroppedWhenUsed(t *testing.T) {
	c := mustParse(t, `scsi0: tank:vm-9-disk-0,size=1G
unused0: tank:vm-9-disk-0
unused1: tank:vm-9-disk-1
unused2: tank:vm-9-disk-2
unused3: tank:vm-9-disk-3

[PENDING]
scsi1: tank:vm-9-disk-1,size=1G

[snap]
scsi2: tank:vm-9-disk-2,size=1G
`)
	encode(t, c)
	require.Equal(t, []string{"scsi0", "unused2", "unused3"}, c.Main.Keys())
}

func TestCloudInitSectionNeedsDrive(t *testing.T) {
	text := "ide0: tank:vm-9-cloudinit,media=cdrom\n\n[special:cloudinit]\n"
	c := mustParse(t, text)
	require.Equal(t, text, encode(t, c), "the head alone is written")
	delete(c.Main, "ide0")
	require.Equal(t, "", encode(t, c))
}

func TestThreat21_ConfigInjection(t *testing.T) {
	for _, value := range []string{"x\nargs: -evil", "x\r[snap]", "x\n[PENDING]\ndelete: name"} {
		for _, key := range []string{"name", "args", "searchdomain", "smbios1", "vmgenid", "lock"} {
			c := New()
			c.Main[key] = value
			_, err := c.Encode()
			var bad *EncodeError
			require.ErrorAs(t, err, &bad, "%s", key)
			require.Equal(t, key, bad.Key)
		}
		c := New()
		c.Special[SpecialFleecing] = Section{"fleecing-images": value}
		_, err := c.Encode()
		require.Error(t, err)

		c = New()
		c.Main["description"] = value
		text, err := c.Encode()
		require.NoError(t, err, "a description may have lines")
		again := mustParse(t, text)
		require.Equal(t, []string{"description"}, again.Main.Keys())
		require.Empty(t, again.Pending)
		require.Empty(t, again.Snapshots)
	}
	for _, key := range []string{"a b", "name: x\nargs", "", "description\n", "digest", "Cores"} {
		c := New()
		c.Main[key] = "1"
		_, err := c.Encode()
		require.Error(t, err, "%q", key)
	}
	for _, name := range []string{"pending", "PENDING", "special:x", "a]\n[b", "x", ""} {
		c := New()
		c.Snapshots[name] = Section{}
		_, err := c.Encode()
		require.Error(t, err, "%q", name)
	}
}

func TestStringLeavesOut(t *testing.T) {
	c := New()
	c.Main = Section{"name": "ok", "args": "a\nb", "Bad Key": "x", "": "y"}
	c.Pending = Section{"cores": "many", "memory": "64", "": "y"}
	c.Special = map[string]Section{SpecialFleecing: {"x": "\n", "y": "z", "": "y"}, "other": {}}
	c.Snapshots = map[string]Section{"Pending": {}, "x": {}, "": {}, "special:fleecing": {}, "good": {"numa": "maybe", "cores": "1", "": "y"}}
	_, err := c.Encode()
	require.Error(t, err)
	want := "name: ok\n\n[PENDING]\nmemory: 64\n\n[special:fleecing]\ny: z\n\n[good]\ncores: 1\n"
	require.Equal(t, want, c.String())
	require.Equal(t, want, encode(t, c))
}

func FuzzParse(f *testing.F) {
	f.Add(sample)
	f.Add("description: x%0Ay\n#%\n# \n[a-b]\n#\n[SPECIAL:cloudinit]\nadded: \nide2: aa:cloudinit\n")
	f.Add("boot: \nargs: \"\nname: \"x\"\nscsi3: /dev/x,size=1.5G\nnet0: virtio,trunks=1;2-3\n\r\n[PENDING]\ndelete: ,!a;;\"\n")
	f.Add("[PENDING]\ndelete:\x00")
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := Parse(text, ParseOptions{VMID: 1})
		require.NoError(t, err)
		written, err := c.Encode()
		require.NoError(t, err)
		again, warnings, err := Parse(written, ParseOptions{VMID: 1, Strict: true})
		require.NoError(t, err, "%q", written)
		require.Empty(t, warnings)
		again.Digest = c.Digest
		require.Equal(t, c, again, "%q", written)
		rewritten, err := again.Encode()
		require.NoError(t, err)
		require.Equal(t, written, rewritten)
	})
}

// FuzzEncode puts one hostile value into one option: whatever is written holds that option alone.
func FuzzEncode(f *testing.F) {
	for _, value := range []string{"x\nargs: y", "\r", " ", "\"\"", "[a]", "%0A", "ü", "\xff", "\u2028"} {
		f.Add("name", value)
		f.Add("description", value)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		c := New()
		c.Main[key] = value
		text, err := c.Encode()
		if err != nil {
			return
		}
		again, _, err := Parse(text, ParseOptions{Strict: true})
		require.NoError(t, err, "%q", text)
		require.Equal(t, c.Main.Keys(), again.Main.Keys())
		require.Empty(t, again.Pending)
		require.Empty(t, again.Snapshots)
		require.False(t, strings.HasPrefix(text, "["))
	})
}
