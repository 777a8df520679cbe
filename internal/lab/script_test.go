package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
)

func TestQuotedWordsReachTheProgramAsTheyWere(t *testing.T) {
	need.Tool(t, "bash")
	words := []string{"plain", "", "a b", "it's", `$(id) "x" \`, "line\nline", "-n", "*"}
	out, err := exec.Command("bash", "-c", "printf '%s\\0' "+quoteAll(words)).Output()
	require.NoError(t, err)
	require.Equal(t, words, splitZero(out))
}

func splitZero(out []byte) (words []string) {
	for w := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte{0}), []byte{0}) {
		words = append(words, string(w))
	}
	return words
}

// The step function runs on the host too, as long as there are no disks.
func TestStepsReportStatusAndGoOn(t *testing.T) {
	need.Tool(t, "bash")
	need.Tool(t, "udevadm")
	dir := t.TempDir()
	script := steps(testMark, 0, []step{
		{name: "a", folder: dir, require: "root,x", argv: []string{"bash", "-c", `echo "$GPVE_TEST_REQUIRE in $PWD"; exit 3`}},
		{name: "b", folder: filepath.Join(dir, "none"), argv: []string{"true"}},
		{name: "c", folder: dir, argv: []string{"true"}},
	})
	cmd := exec.Command("bash", "-c", script)
	var out, said bytes.Buffer
	board := newScoreboard(&out, testMark, []step{{name: "a"}, {name: "b"}, {name: "c"}})
	cmd.Stdout, cmd.Stderr = board, &said
	require.NoError(t, cmd.Run(), said.String())
	require.Equal(t, 2, board.finish(false), out.String())
	require.Equal(t, 3, board.results[0].status)
	require.NotZero(t, board.results[1].status, "a folder that is not there")
	require.Zero(t, board.results[2].status)
	require.Contains(t, out.String(), "root,x in "+dir)
}

func TestTheEnvironmentIsPassedOn(t *testing.T) {
	t.Setenv("GPVE_TEST_REQUIRE", "root")
	t.Setenv("GPVE_LAB_DIR", "/elsewhere")
	m := &machine{settings: settings{out: "/tmp/out"}, shares: []share{{"/repo", false}, {"/out put", true}}}
	script := m.prologue()
	require.Contains(t, script, "export 'GPVE_LAB=1'\nexport 'GPVE_LAB_OUT=/tmp/out'\n")
	require.Contains(t, script, "export 'GPVE_TEST_REQUIRE=root'\n")
	require.NotContains(t, script, "elsewhere")
	require.Contains(t, script, "mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000 share0 '/repo'")
	require.Contains(t, script, "mount -t 9p -o rw,trans=virtio,version=9p2000.L,msize=512000 share1 '/out put'")
}

func TestMissingNamesEverythingAtOnce(t *testing.T) {
	err := missing([]requirement{tool("no-such-tool", "no-such-package"), {"root", func() bool { return false }}, {"air", func() bool { return true }}})
	require.ErrorContains(t, err, "no-such-tool in PATH (Debian: no-such-package); root")
	require.NotContains(t, err.Error(), "air")
	require.NoError(t, missing(nil))
}

func TestThePackagesOfTheListAreChosen(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(root, packages[0].folder), 0o755))
	list, err := choose(root, nil)
	require.NoError(t, err)
	require.Equal(t, packages[:1], list, "what is not there is left out")
	list, err = choose(root, []string{"./" + packages[0].folder + "/"})
	require.NoError(t, err)
	require.Equal(t, packages[:1], list, "with what it may not skip")
	_, err = choose(root, []string{"no/such"})
	require.ErrorIs(t, err, os.ErrNotExist, "what was asked for must be there")
}

func TestFlagValue(t *testing.T) {
	v, ok := flagValue([]string{"-test.v", "-test.timeout=5m0s"}, "timeout")
	require.True(t, ok)
	require.Equal(t, "5m0s", v)
	_, ok = flagValue([]string{"-test.timeout"}, "timeout")
	require.False(t, ok)
}
