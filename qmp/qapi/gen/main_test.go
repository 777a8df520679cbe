package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp/qapi/internal/facts"
)

// TestGeneratedFilesAreCurrent fails when the generator or its facts changed and go generate was not run.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := render()
	require.NoError(t, err)
	there, err := filepath.Glob("../zz_*.go")
	require.NoError(t, err)
	require.Len(t, there, len(files), "files of former runs are left")
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.True(t, slices.Equal(want, got), "%s differs: run go generate", name)
	}
	again, err := render()
	require.NoError(t, err)
	require.True(t, maps.EqualFunc(files, again, slices.Equal[[]byte]), "two runs differ")
}

func TestWriteReplacesFormerFiles(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "zz_gone.go")
	require.NoError(t, os.WriteFile(stale, nil, 0o644))
	require.NoError(t, write(dir))
	require.NoFileExists(t, stale)
	require.FileExists(t, filepath.Join(dir, "zz_block_core.go"))
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"node-name": "NodeName", "fdset-id": "FDSetID", "BLOCK_JOB_READY": "BlockJobReady", "x-colo": "XColo", "iops_rd": "IOPSRd",
		"query-cpus-fast": "QueryCPUsFast", "x86_64": "X86_64", "1.44": "1_44", "host_cdrom": "HostCdrom", "ACPI_DEVICE_OST": "ACPIDeviceOst", "bps": "Bps",
	} {
		require.Equal(t, want, goName(name), name)
	}
	for name, want := range map[string]string{
		"id": "id", "fdset-id": "fdsetID", "type": "typeArg", "c": "cArg", "up": "up", "uri": "uri", "node-name": "nodeName",
	} {
		require.Equal(t, want, paramName(name), name)
	}
	ids := identifiers{}
	require.NoError(t, ids.take("A", "the first"))
	require.ErrorContains(t, ids.take("A", "the second"), "the first and the second would both be A")
}

func TestMerge(t *testing.T) {
	str := facts.Ref{Name: "str"}
	type members = []facts.Member
	for _, tc := range []struct {
		name     string
		old, new members
		only     only
		want     []field
	}{
		{"in both", members{{Name: "a", Type: str}}, members{{Name: "a", Type: str, Since: "2.0"}}, both,
			[]field{{Member: facts.Member{Name: "a", Type: str, Since: "2.0"}, note: "since 2.0"}}},
		{"optional in one", members{{Name: "a", Type: str, Optional: true}}, members{{Name: "a", Type: str}}, both,
			[]field{{Member: facts.Member{Name: "a", Type: str, Optional: true}}}},
		{"new with its version", nil, members{{Name: "a", Type: str, Since: "8.2"}}, both,
			[]field{{Member: facts.Member{Name: "a", Type: str, Since: "8.2", Optional: true}, only: onlyNew, note: "since 8.2"}}},
		{"new without a version", nil, members{{Name: "a", Type: str}}, both,
			[]field{{Member: facts.Member{Name: "a", Type: str, Optional: true}, only: onlyNew, note: "10.0 only, not in 7.2"}}},
		{"new with a version that explains nothing", nil, members{{Name: "a", Type: str, Since: "7.1"}}, both,
			[]field{{Member: facts.Member{Name: "a", Type: str, Since: "7.1", Optional: true}, only: onlyNew, note: "10.0 only, not in 7.2"}}},
		{"gone", members{{Name: "a", Type: str, Since: "1.0"}}, nil, both,
			[]field{{Member: facts.Member{Name: "a", Type: str, Since: "1.0", Optional: true}, only: onlyOld, note: "7.2 only, not in 10.0"}}},
		{"of a new type", nil, members{{Name: "a", Type: str}}, onlyNew, []field{{Member: facts.Member{Name: "a", Type: str}}}},
		{"deprecated", members{{Name: "a", Type: str}}, members{{Name: "a", Type: str, Features: []string{"deprecated", "unstable"}}}, both,
			[]field{{Member: facts.Member{Name: "a", Type: str, Features: []string{"deprecated", "unstable"}}, note: "deprecated; unstable"}}},
	} {
		require.Equal(t, tc.want, mergeFields(tc.old, tc.new, tc.only), tc.name)
	}
}

func TestUnionsAreRefused(t *testing.T) {
	g := &generator{schema: &merged{kinds: map[string]facts.Kind{"B": facts.Struct}, fields: map[string][]field{
		"B": {{Member: facts.Member{Name: "x", Type: facts.Ref{Name: "str"}}}},
	}}, taken: identifiers{}, bodies: map[string]*strings.Builder{}}
	member := func(name string) field { return field{Member: facts.Member{Name: name, Type: facts.Ref{Name: "str"}}} }
	d := definition{name: "U", kind: facts.Union, discriminator: "kind", fields: []field{member("kind"), member("x")},
		branches: []field{{Member: facts.Member{Name: "b", Type: facts.Ref{Name: "B"}}}}}
	require.ErrorContains(t, g.writeType(d), "x is also in a branch")
	d.name, d.fields = "V", []field{member("x")}
	require.ErrorContains(t, g.writeType(d), "no member kind")
	d.name, d.kind, d.fields = "W", facts.Struct, []field{{Member: facts.Member{Name: "y", Type: facts.Ref{Name: "Gone"}}}}
	require.ErrorContains(t, g.writeType(d), `no type "Gone"`)
}
