package daemon

import (
	"context"
	"crypto/tls"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/need"
)

// tree is everything below dir with its mode and content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		text := st.Mode().String()
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(data)
		}
		out[path] = text
		return nil
	}))
	return out
}

func TestInitTwiceChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	o := InitOptions{DataDir: dir, Node: "alpha", Bridges: []BridgeConfig{{Name: "vmbr0", CIDR: "10.0.0.1/24", NAT: true}}}
	r, err := Init(t.Context(), o)
	require.NoError(t, err)
	require.Len(t, r.Password, 26)
	require.Equal(t, []string{"vmbr0 10.0.0.1/24"}, r.Bridges)
	cfg, err := LoadConfig(filepath.Join(dir, ConfigFile), dir)
	require.NoError(t, err)
	require.Equal(t, o.Bridges, cfg.Network.Bridges)
	shown, err := tls.LoadX509KeyPair(pki{pkiPath(dir)}.cert(), pki{pkiPath(dir)}.key())
	require.NoError(t, err)
	require.NoError(t, shown.Leaf.VerifyHostname("10.0.0.1"), "or the first start after the bridge is there shows another certificate than clients have pinned")

	before := tree(t, dir)
	_, err = Init(t.Context(), o)
	require.ErrorIs(t, err, ErrInitialized)
	require.Equal(t, before, tree(t, dir))
}

func TestFilesAreClosedToOthers(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "data")
	_, err := Init(t.Context(), InitOptions{DataDir: dir, Node: "alpha"})
	require.NoError(t, err)
	for name, want := range map[string]fs.FileMode{
		".": 0o711, "local": 0o711, "run": 0o711, "pki": 0o711, "state": 0o700, "log": 0o700,
		"config.yaml": 0o600, "state/gpve.db": 0o600, "pki/ca.key": 0o600, "pki/server.key": 0o600, "pki/ca.crt": 0o644, "pki/server.crt": 0o644,
	} {
		st, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, want, st.Mode().Perm(), name)
	}
}

func TestInitTakesAnEmptyFolderAsItIs(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o750))
	_, err := Init(t.Context(), InitOptions{DataDir: dir, Node: "alpha"})
	require.NoError(t, err)
	st, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o751), st.Mode().Perm(), "guests can pass, the rest is the operator's")
}

func TestFailedInit(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	bridge := func(name, cidr string) []BridgeConfig { return []BridgeConfig{{Name: name, CIDR: cidr, NAT: true}} }
	for want, o := range map[string]InitOptions{
		"network.bridges[0].cidr: ": {Bridges: bridge("vmbr0", "10.0.0.1")},
		"network's own address":     {Bridges: bridge("vmbr0", "10.0.0.0/24")},
		"network.bridges[0]: ":      {Bridges: bridge("far-too-long-for-a-link", "10.0.0.1/24")},
		"agent.nodeName: ":          {Node: "a_b"},
		"shorter than 5":            {Password: "äöü4"},
		"agent.runDir: ":            {DataDir: strings.Repeat("long/", 20)},
		"context canceled":          {},
	} {
		t.Run("", func(t *testing.T) { // a short name: the path of the folder has a limit
			dir := t.TempDir()
			ctx := t.Context()
			if want == "context canceled" {
				ctx = ended
			}
			o.DataDir = filepath.Join(dir, "new", "data", o.DataDir)
			if o.Node == "" {
				o.Node = "alpha"
			}
			_, err := Init(ctx, o)
			require.ErrorContains(t, err, want)
			require.False(t, strings.HasPrefix(err.Error(), ":"), err)
			require.Equal(t, []string{dir}, keys(tree(t, dir)))
		})
	}
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	return out
}

func TestInitRefusesAForeignFolder(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600))
	_, err := Init(t.Context(), InitOptions{DataDir: dir, Node: "alpha"})
	require.ErrorIs(t, err, ErrForeign)
	require.ErrorContains(t, err, "thesis.tex")

	file := filepath.Join(dir, "thesis.tex")
	_, err = Init(t.Context(), InitOptions{DataDir: file, Node: "alpha"})
	require.ErrorIs(t, err, syscall.ENOTDIR)
}

func TestInitOnAFullDisk(t *testing.T) {
	need.Root(t)
	for _, size := range []string{"4k", "16k", "32k"} {
		t.Run(size, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
			t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
			_, err := Init(t.Context(), InitOptions{DataDir: filepath.Join(dir, "data"), Node: "alpha"})
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.Equal(t, []string{dir}, keys(tree(t, dir)))
		})
	}
}

// A crash leaves everything but the configuration file, at worst.
func TestInitCompletesWhatACrashLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := Init(t.Context(), InitOptions{DataDir: dir, Node: "alpha"})
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(dir, ConfigFile), filepath.Join(dir, "."+ConfigFile+".1")))
	second, err := Init(t.Context(), InitOptions{DataDir: dir, Node: "alpha"})
	require.NoError(t, err)
	require.NotEqual(t, first.Password, second.Password)
	require.Equal(t, first.Fingerprint, second.Fingerprint, "clients may know the certificate")
}

func TestInitBesideAnotherGpved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.MkdirAll(statePath(dir), 0o700))
	store, err := openState(dir)
	require.NoError(t, err)
	before := keys(tree(t, dir))
	_, err = Init(t.Context(), InitOptions{DataDir: dir, Node: "alpha"})
	require.ErrorIs(t, err, cluster.ErrInUse)
	require.ErrorContains(t, err, "another gpved works in "+dir)
	require.ElementsMatch(t, before, keys(tree(t, dir)))
	require.NoError(t, store.Close())
}
