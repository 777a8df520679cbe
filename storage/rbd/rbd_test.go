package rbd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/cephlab"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

func TestMain(m *testing.M) {
	storagetest.Main(labRun{m}, func(backend string, step func()) (storage.Driver, error) {
		var o Options
		if err := json.Unmarshal([]byte(backend), &o); err != nil {
			return nil, err
		}
		d, err := New(&o)
		if err == nil {
			d.tool.step = step
		}
		return d, err
	})
}

// labRun stops the cluster after the tests.
type labRun struct{ *testing.M }

func (r labRun) Run() int {
	defer lab.stop()
	return r.M.Run()
}

// lab is the cluster that all tests share, started by the first that needs it.
var lab labCluster

type labCluster struct {
	once    sync.Once
	cluster *cephlab.Cluster
	err     error
	spaces  atomic.Int64
}

func (l *labCluster) get(t testing.TB) *cephlab.Cluster {
	need.Root(t)
	for _, tool := range append(cephlab.Tools, "qemu-img", "qemu-io") {
		need.Tool(t, tool)
	}
	l.once.Do(func() {
		dir, err := os.MkdirTemp("", "ceph")
		if err != nil {
			l.err = err
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		l.cluster, l.err = cephlab.Start(ctx, dir)
	})
	require.NoError(t, l.err)
	return l.cluster
}

func (l *labCluster) stop() {
	if l.cluster != nil {
		l.cluster.Stop()
		os.RemoveAll(l.cluster.Dir)
	}
}

// newDriver returns a driver of an empty namespace.
func newDriver(t testing.TB) *Driver { return driverWith(t, "") }

// driverWith is newDriver for another program than rbd.
func driverWith(t testing.TB, program string) *Driver {
	c := lab.get(t)
	space := fmt.Sprintf("test-%d", lab.spaces.Add(1))
	out, err := exec.Command("rbd", "--conf", c.ConfFile, "namespace", "create", "rbd/"+space).CombinedOutput()
	require.NoError(t, err, "%s", out)
	d, err := New(&Options{Monitors: []string{c.Monitor}, Keyring: c.Keyring, Namespace: space, RunDir: t.TempDir(), Program: program})
	require.NoError(t, err)
	return d
}

func TestConformance(t *testing.T) { conformance(t, "") }

// TestConformanceLibrbd is the same over go-ceph, in the helper process.
func TestConformanceLibrbd(t *testing.T) {
	need.Tool(t, "gcc")
	need.File(t, "librbd-dev", "/usr/include/rbd/librbd.h")
	helper := filepath.Join(t.TempDir(), "gpve-rbd")
	cmd := exec.Command("go", "build", "-tags", "ceph,pacific", "-o", helper, "./gpve-rbd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	conformance(t, helper)
}

func conformance(t *testing.T, program string) {
	t.Parallel()
	c := storagetest.Config{
		Type:    "rbd",
		New:     func(t *testing.T) storage.Driver { return driverWith(t, program) },
		Granule: 1 << 20, Concurrent: true,
		Claims: map[storage.Format]storagetest.Claims{storage.Raw: storagetest.Resize | storagetest.Snapshot | storagetest.RollbackPast |
			storagetest.Clone | storagetest.Rename | storagetest.Open | storagetest.OpenSnapshot | storagetest.Fill | storagetest.Copy |
			storagetest.CopySnapshot | storagetest.Stream},
		Use: use,
		Residue: func(t *testing.T, sd storage.Driver) []string {
			d := sd.(*Driver)
			names, err := d.tool.names(t.Context())
			require.NoError(t, err)
			files, err := filepath.Glob(filepath.Join(d.opt.RunDir, "image+*"))
			require.NoError(t, err)
			names = slices.DeleteFunc(names, func(name string) bool { _, ok := d.describe(image{Name: name}); return ok })
			return append(names, files...)
		},
	}
	if program != "" {
		c.Parallel = 20 // the hundred are about the driver
	} else { // the steps between which it is killed are the same
		c.Backend = func(sd storage.Driver) string {
			o := sd.(*Driver).opt
			o.Logger = nil
			text, _ := json.Marshal(o)
			return string(text)
		}
	}
	storagetest.Run(t, c)
}

// use opens the image for writing with QEMU's own code until release.
func use(t *testing.T, at storage.Attachment) (release func()) {
	r := at.(storage.RBD)
	cmd := exec.Command("qemu-io", "--image-opts", fmt.Sprintf("driver=raw,file.driver=rbd,file.pool=%s,file.namespace=%s,file.image=%s,file.conf=%s,file.user=%s",
		r.Pool, r.Namespace, r.Image, r.ConfFile, r.User))
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	d, err := New(&Options{ConfFile: r.ConfFile, Pool: r.Pool, Namespace: r.Namespace, User: r.User, RunDir: t.TempDir()})
	require.NoError(t, err)
	watched := func(want bool) {
		require.Eventually(t, func() bool {
			open, err := d.tool.open(context.Background(), r.Image)
			return err == nil && open == want
		}, 20*time.Second, 50*time.Millisecond)
	}
	watched(true)
	return sync.OnceFunc(func() {
		in.Close()
		cmd.Wait()
		watched(false)
	})
}

func TestOptions(t *testing.T) {
	for name, o := range map[string]*Options{
		"nothing":             nil,
		"pool":                {ConfFile: "/c", Pool: "a/b"},
		"snapshot in pool":    {ConfFile: "/c", Pool: "a@b"},
		"option as namespace": {ConfFile: "/c", Namespace: "--help"},
		"user":                {ConfFile: "/c", User: "x y"},
		"line in monitor":     {Monitors: []string{"h\nkeyring=/etc/shadow"}},
		"relative":            {ConfFile: "ceph.conf"},
		"line in keyring":     {ConfFile: "/c", Keyring: "/k\n[global]"},
	} {
		_, err := New(o)
		require.ErrorIs(t, err, fs.ErrInvalid, name)
	}
}

func TestBackend(t *testing.T) {
	priv := t.TempDir()
	b := Backend(Paths{PrivDir: priv})
	require.Equal(t, "rbd", b.Type)
	open := func(v map[string]string) *Driver {
		d, err := b.Open(storage.Config{ID: "vms", Type: "rbd", Options: v})
		require.NoError(t, err)
		return d.(*Driver)
	}
	d := open(map[string]string{"pool": "fast", "namespace": "a", "username": "pve", "data-pool": "ec"})
	require.Equal(t, "/etc/ceph/ceph.conf", d.opt.ConfFile)
	require.Equal(t, []string{"fast", "a", "pve", "ec", "/run/gpve/rbd/vms"}, []string{d.opt.Pool, d.opt.Namespace, d.opt.User, d.opt.DataPool, d.opt.RunDir})
	require.Empty(t, d.opt.Keyring)

	require.NoError(t, os.WriteFile(filepath.Join(priv, "vms.keyring"), []byte("[client.admin]\n\tkey = AAAA==\n"), 0o600))
	d = open(map[string]string{"monhost": "10.0.0.1 10.0.0.2:6789;[fd00::1]:3300"})
	require.Empty(t, d.opt.ConfFile)
	require.Equal(t, []string{"10.0.0.1", "10.0.0.2:6789", "[fd00::1]:3300"}, d.opt.Monitors)
	text, err := d.conf.text(d.opt.Keyring)
	require.NoError(t, err)
	require.Equal(t, "[global]\nmon_host = 10.0.0.1,10.0.0.2:6789,[fd00::1]:3300\nauth_client_required = cephx\n"+
		"[client.admin]\nkeyring = "+priv+"/vms.keyring\n", text)

	_, err = b.Open(storage.Config{ID: "vms", Type: "rbd", Options: map[string]string{"krbd": "1"}})
	require.ErrorContains(t, err, "krbd")
	_, err = b.Open(storage.Config{ID: "../x", Type: "rbd"})
	require.ErrorIs(t, err, fs.ErrInvalid)
}

func TestAttachmentIsForOneUser(t *testing.T) {
	d := newDriver(t)
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 4 << 20})
	require.NoError(t, err)
	at, err := d.Attach(t.Context(), "vm-100-disk-0", storage.AttachOptions{UID: 60123})
	require.NoError(t, err)
	r := at.(storage.RBD)
	for _, f := range []string{r.ConfFile, strings.TrimSuffix(r.ConfFile, ".conf") + ".keyring"} {
		fi, err := os.Stat(f)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o400), fi.Mode())
		require.Equal(t, uint32(60123), fi.Sys().(*syscall.Stat_t).Uid)
	}
	for dir := d.opt.RunDir; dir != "/"; dir = filepath.Dir(dir) { // the test's own folders let nobody through
		fi, err := os.Stat(dir)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(dir, fi.Mode().Perm()|0o011))
	}
	cmd := exec.Command("qemu-io", "-c", "write -P 7 0 64k", "--image-opts", fmt.Sprintf("driver=raw,file.driver=rbd,file.pool=%s,file.namespace=%s,file.image=%s,file.conf=%s,file.user=%s",
		r.Pool, r.Namespace, r.Image, r.ConfFile, r.User))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 60123, Gid: 60123}}
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, d.Detach(t.Context(), "vm-100-disk-0"))
	require.NoFileExists(t, r.ConfFile)
}

func TestClusterThatDoesNotAnswer(t *testing.T) {
	need.Tool(t, "rbd")
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("[client.admin]\n\tkey = AQBvzC1naFZQMBAAdkKZ2ojLh2uJBZ0PLi9KIA==\n"), 0o600))
	d, err := New(&Options{Monitors: []string{"192.0.2.1:6789"}, Keyring: key, RunDir: t.TempDir()}) // TEST-NET-1: nobody is there
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	start := time.Now()
	err = d.Activate(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 10*time.Second)
}

func TestMissingPoolIsUnavailable(t *testing.T) {
	c := lab.get(t)
	d, err := New(&Options{ConfFile: c.ConfFile, Keyring: c.Keyring, Pool: "nowhere", RunDir: t.TempDir()})
	require.NoError(t, err)
	require.ErrorIs(t, d.Activate(t.Context()), storage.ErrUnavailable)
	_, err = d.Usage(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = d.Stat(t.Context(), "vm-100-disk-0")
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.False(t, errors.Is(err, storage.ErrNotFound), "a pool that is away is not a volume that is gone")
}
