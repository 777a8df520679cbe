package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

func TestDaemonLivesAndRemembers(t *testing.T) {
	h := newHouse(t)
	var v struct{ Version string }
	require.NoError(t, h.root.Get(t.Context(), "/version", nil, &v))
	require.Regexp(t, `^9\.2\.\d+$`, v.Version)
	var nodes []struct {
		Node, Status string
		Print        string `json:"ssl_fingerprint"`
	}
	require.NoError(t, h.root.Get(t.Context(), "/nodes", nil, &nodes))
	require.Len(t, nodes, 1)
	require.Equal(t, testNode, nodes[0].Node)
	require.Equal(t, "online", nodes[0].Status)
	print, err := fingerprint(h.data("pki", "server.crt"))
	require.NoError(t, err)
	require.Equal(t, print, nodes[0].Print)
	h.vm(h.root, client.Params{"vmid": 100, "name": "kept"})
	ticket := h.root.Credentials()
	require.NoError(t, h.stop())
	_, err = net.Dial("tcp", h.addr)
	require.Error(t, err)

	again := openHouse(t, h.dir)
	again.root.SetCredentials(ticket)
	var conf struct{ Name string }
	require.NoError(t, again.root.Get(t.Context(), "/nodes/alpha/qemu/100/config", nil, &conf), "tickets outlive the daemon")
	require.Equal(t, "kept", conf.Name)
}

func TestGuestsOutliveTheDaemon(t *testing.T) {
	h := newHouse(t)
	h.guest(h.root, 100)
	pid := func(h *house) (st struct {
		Status string
		PID    int
	}) {
		require.NoError(t, h.root.Get(t.Context(), pathOfVM+"/100/status/current", nil, &st))
		return st
	}
	before := pid(h)
	require.Equal(t, "running", before.Status)
	at := time.Now()
	require.NoError(t, h.stop())
	require.Less(t, time.Since(at), 5*time.Second)
	require.DirExists(t, filepath.Join("/proc", strconv.Itoa(before.PID)))

	again := openHouse(t, h.dir)
	require.Equal(t, before, pid(again))
	require.NoError(t, again.task(again.root, "POST", pathOfVM+"/100/status/stop", nil))
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(before.PID), "cmdline"))
	require.True(t, err != nil || len(line) == 0, "it runs on") // its parent, this process, may not have noticed yet
}

func TestSecondDaemonIsRefused(t *testing.T) {
	h := newHouse(t)
	keys := pki{pkiPath(h.data())}
	require.NoError(t, keys.create("alpha", []string{"localhost"}, time.Now().Add(time.Hour-serverLife))) // about to end
	before, err := os.ReadFile(keys.cert())
	require.NoError(t, err)
	_, err = New(t.Context(), testConfig(t, h.dir))
	require.ErrorIs(t, err, cluster.ErrInUse)
	require.ErrorContains(t, err, "another gpved works in "+h.data())
	after, err := os.ReadFile(keys.cert())
	require.NoError(t, err)
	require.Equal(t, string(before), string(after), "the certificate is renewed by its owner alone")
	require.NoError(t, h.root.Get(t.Context(), "/version", nil, nil), "the first one goes on")
}

func TestFaultsOfADataDirectory(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(t *testing.T, dir string)
		want string
	}{
		"no state": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(stateFile(dir))) }, "the state is missing"},
		"broken state": {func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(stateFile(dir), []byte("not a database, whatever it is"), 0o600))
		}, "state: "},
		"no certificate": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(pki{pkiPath(dir)}.cert())) }, "certificate: "},
		"key of another": {func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(pki{pkiPath(dir)}.caKey(), pki{pkiPath(dir)}.key()))
		}, "certificate: "},
		"log is a folder": {func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, "..", "gpved.log"), 0o700))
		}, "log: "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDataDir(t)
			c.harm(t, filepath.Join(dir, "data"))
			_, err := New(t.Context(), testConfig(t, dir))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestPortInUseTouchesNothing(t *testing.T) {
	dir := newDataDir(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg := testConfig(t, dir)
	require.NoError(t, cfg.SetListen(l.Addr().String()))
	cfg.Network.Bridges = []BridgeConfig{{Name: "vmbrnever", CIDR: "10.255.255.1/30"}}
	d, err := New(t.Context(), cfg)
	require.NoError(t, err)
	require.ErrorContains(t, d.Run(t.Context(), nil), "address already in use")
	require.NoDirExists(t, "/sys/class/net/vmbrnever")
	openHouse(t, dir) // the lock is free again
}

func TestStopBeforeReady(t *testing.T) {
	dir := newDataDir(t)
	d, err := New(t.Context(), testConfig(t, dir))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, d.Run(ctx, nil))
	openHouse(t, dir)
}

// A part that runs in the background ends the daemon when it fails: half a daemon would answer from stale lists.
func TestBackgroundFailureEndsTheDaemon(t *testing.T) {
	dir := newDataDir(t)
	d, err := New(t.Context(), testConfig(t, dir))
	require.NoError(t, err)
	ready := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- d.Run(t.Context(), func(net.Addr) { close(ready) }) }()
	<-ready
	require.NoError(t, d.store.Close())
	select {
	case err := <-done:
		require.ErrorIs(t, err, cluster.ErrClosed)
	case <-time.After(20 * time.Second):
		require.Fail(t, "the daemon goes on without its state")
	}
}

// The guests of a boot are started once, but what a stop has cut short is not forgotten.
func TestBootIsRemembered(t *testing.T) {
	dir := t.TempDir()
	b, ok := newBoot(dir)
	require.True(t, ok)
	_, ok = newBoot(dir)
	require.True(t, ok, "not done yet")
	require.NoError(t, b.done())
	_, ok = newBoot(dir)
	require.False(t, ok)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "boot-id"), []byte("of yesterday\n"), 0o600))
	_, ok = newBoot(dir)
	require.True(t, ok)
}

func TestStopIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	require.ErrorIs(t, ended(ctx, errors.ErrUnsupported), errors.ErrUnsupported)
	cancel()
	require.NoError(t, ended(ctx, ctx.Err()))
}
