package nfs

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/breaker"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

func run(t testing.TB, argv ...string) {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	require.NoError(t, err, "%v: %s", argv, out)
}

const exported = "/srv/nfs"

var once sync.Once // of kernelServer

// TestMain is also the child of probes; and it stops the server, which has a disk of the lab.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == probeWord {
		if err := breaker.Serve(context.Background(), os.Stdin, os.Stdout, dir.Backend(nil).Open); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	status := m.Run()
	if _, ok, err := (system{}).at(exported); err == nil && ok {
		for _, argv := range [][]string{{"rpc.nfsd", "0"}, {"exportfs", "-ua"}, {"exportfs", "-f"}, {"umount", exported}} {
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "%v: %v: %s\n", argv, err, out)
				status = max(status, 1)
			}
		}
	}
	os.Exit(status)
}

const probeWord = "storage-probe"

// kernelServer starts the kernel's server once, on a disk of the lab.
func kernelServer(t *testing.T) {
	t.Helper()
	need.Root(t)
	need.Tool(t, "qemu-img", "qemu-io", "mkfs.ext4", "mount", "mount.nfs", "exportfs", "rpc.nfsd", "rpc.mountd", "rpcbind", "nft")
	device := need.LabDisk(t, 0)
	need.Module(t, "nfsd", "nfs", "nf_tables")
	once.Do(func() {
		for _, folder := range []string{exported, "/run/rpcbind", "/var/lib/nfs/rpc_pipefs", "/proc/fs/nfsd"} {
			if err := os.MkdirAll(folder, 0o755); err != nil && !strings.HasPrefix(folder, "/proc/") {
				require.NoError(t, err)
			}
		}
		run(t, "mkfs.ext4", "-q", "-F", device)
		run(t, "mount", device, exported)
		if _, err := os.Stat("/proc/fs/nfsd/threads"); err != nil {
			run(t, "mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
		}
		run(t, "ip", "link", "set", "lo", "up")
		run(t, "rpcbind", "-w")
		run(t, "rpc.statd", "--no-notify")
		run(t, "exportfs", "-o", "rw,no_root_squash,insecure,fsid=0,no_subtree_check", "127.0.0.1:"+exported)
		run(t, "rpc.nfsd", "--grace-time", "10", "--lease-time", "10", "4") // by default it waits 90 seconds for clients of before
		run(t, "rpc.mountd")
	})
}

// mounted returns a driver on an emptied export.
func mounted(t *testing.T, source, options string) *Driver {
	t.Helper()
	below := "t" + rand.Text() // each driver has folders of its own on the one export
	d, err := New(Options{Server: "127.0.0.1", Export: source, Path: "/mnt/pve/lab", MountOptions: options,
		Dir: &dir.Options{Contents: []storage.Content{storage.Images, storage.ISO},
			ContentDirs: map[storage.Content]string{storage.Images: below + "/images", storage.ISO: below + "/iso"}}, ProbeTimeout: time.Second, ProbeEvery: 100 * time.Millisecond})
	require.NoError(t, err)
	require.NoError(t, d.Activate(t.Context()))
	t.Cleanup(func() {
		if err := d.Deactivate(context.Background()); err != nil {
			t.Error(err)
		}
		require.NoError(t, os.RemoveAll(filepath.Join(exported, below)))
	})
	return d
}

func suite(source, options string, formats ...storage.Format) storagetest.Config {
	all := storagetest.Resize | storagetest.Clone | storagetest.Rename | storagetest.Open | storagetest.Fill | storagetest.Stage | storagetest.Stream
	c := storagetest.Config{
		Type: "nfs", Parallel: 30, Claims: map[storage.Format]storagetest.Claims{},
		New: func(t *testing.T) storage.Driver { return mounted(t, source, options) },
		Residue: func(t *testing.T, d storage.Driver) (left []string) {
			own, _ := storage.As[*dir.Driver](d)
			path, err := own.Path("100/vm-100-disk-0.raw")
			require.NoError(t, err)
			require.NoError(t, filepath.WalkDir(filepath.Dir(filepath.Dir(path)), func(path string, e fs.DirEntry, err error) error {
				if err == nil && !e.IsDir() {
					left = append(left, path)
				}
				return err
			}))
			return left
		},
	}
	for _, f := range formats {
		c.Claims[f] = all
		if f == storage.QCOW2 {
			c.Claims[f] |= storagetest.Snapshot | storagetest.RollbackPast | storagetest.OpenSnapshot
		}
	}
	return c
}

func TestLabConformanceNFS42(t *testing.T) {
	kernelServer(t)
	storagetest.Run(t, suite("/", "vers=4.2,soft,timeo=50", storage.Raw, storage.QCOW2))
}

func TestLabConformanceNFS3(t *testing.T) {
	kernelServer(t)
	storagetest.Run(t, suite(exported, "vers=3,soft,timeo=50", storage.Raw))
}

// kill lets the server fall silent until the test ends, or back is called.
func kill(t *testing.T) (back func()) {
	t.Helper()
	run(t, "nft", "add table inet dead; add chain inet dead in { type filter hook input priority 0; }; add rule inet dead in tcp dport 2049 drop")
	back = sync.OnceFunc(func() { run(t, "nft", "delete table inet dead") })
	t.Cleanup(back)
	return back
}

// TestLabDeadServerCostsNoThread: a folder of a dead server is probed in a child, which dies of it.
func TestLabDeadServerCostsNoThread(t *testing.T) {
	kernelServer(t)
	d := mounted(t, "/", "vers=4.2,hard,timeo=20")
	exe, err := os.Executable()
	require.NoError(t, err)
	p, err := breaker.NewProber(exe, probeWord)
	require.NoError(t, err)
	probe := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := p.Probe(ctx, breaker.Request{Config: storage.Config{ID: "share", Type: "dir",
			Options: map[string]string{"path": d.opt.Path, "content": "images", "create-subdirs": "0"}}, Activate: true})
		return err
	}
	require.NoError(t, probe(time.Minute))
	back := kill(t)
	const limit = 2 * time.Second
	for n := range 3 {
		began := time.Now()
		require.ErrorIs(t, probe(limit), context.DeadlineExceeded, "probe %d", n)
		require.Less(t, time.Since(began), limit+2*time.Second)
		require.Zero(t, p.Stuck(), "what waits for a server can be killed")
	}
	require.Empty(t, uninterruptible(t))
	back()
	require.Eventually(t, func() bool { return probe(time.Minute) == nil }, 2*time.Minute, 100*time.Millisecond, "back")
	require.NoError(t, p.Close(t.Context()))
}

// uninterruptible are the threads of this process that the kernel holds.
func uninterruptible(t *testing.T) (threads []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/stat")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		if _, after, ok := strings.Cut(string(text), ") "); ok && strings.HasPrefix(after, "D ") {
			threads = append(threads, string(text))
		}
	}
	return threads
}

// TestLabDeadServer: the server falls silent. Callers return within their time, and all is well when it is back.
func TestLabDeadServer(t *testing.T) {
	kernelServer(t)
	d := mounted(t, "/", "vers=4.2,hard,timeo=20")
	b, err := breaker.New(d, &breaker.Options{Name: "nfs", Cooldown: 500 * time.Millisecond})
	require.NoError(t, err)
	id := storage.VolumeID("100/vm-100-disk-0.raw")
	_, err = b.Create(t.Context(), storage.VolumeSpec{ID: id, SizeBytes: 1 << 20})
	require.NoError(t, err)

	back := kill(t)
	d.server.mu.Lock()
	d.server.asked, d.server.err, d.server.holds = time.Now(), nil, 4*time.Second // the last answer still holds: the worst moment
	d.server.mu.Unlock()
	const limit = 2 * time.Second
	for n := range 8 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		began := time.Now()
		_, err := b.Create(ctx, storage.VolumeSpec{ID: storage.VolumeID("100/vm-100-disk-" + string(rune('1'+n)) + ".raw"), SizeBytes: 1 << 20})
		require.ErrorIs(t, err, storage.ErrUnavailable)
		require.Less(t, time.Since(began), limit+2*time.Second, "call %d", n)
		cancel()
	}
	t.Logf("with the server dead: %+v", b.Stats())
	require.NotEqual(t, breaker.Closed, b.Stats().State)
	back()
	require.Eventually(t, func() bool {
		_, err := b.Stat(t.Context(), id)
		return err == nil
	}, 60*time.Second, 100*time.Millisecond, "back")
	require.Equal(t, breaker.Closed, b.Stats().State)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, b.Close(ctx), "the calls that hung have ended")
	for v, err := range d.List(t.Context(), storage.Filter{}) {
		require.NoError(t, err)
		require.Equal(t, int64(1<<20), v.SizeBytes, "whole or not at all")
	}
}

// TestLabDeadServerIsUnmounted: Deactivate does not wait for a server that is gone.
func TestLabDeadServerIsUnmounted(t *testing.T) {
	kernelServer(t)
	d := mounted(t, "/", "vers=4.2,hard,timeo=20")
	kill(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, d.Deactivate(ctx))
	_, ok, err := d.mounter.at("/mnt/pve/lab")
	require.NoError(t, err)
	require.False(t, ok)
	_, err = d.Usage(ctx)
	require.ErrorIs(t, err, storage.ErrUnavailable)
}

// TestLabStaleMount: the root of the export is made anew, and every handle of it is stale.
func TestLabStaleMount(t *testing.T) {
	kernelServer(t)
	sub := filepath.Join(exported, "sub")
	require.NoError(t, os.Mkdir(sub, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(sub)) })
	run(t, "exportfs", "-o", "rw,no_root_squash,insecure,fsid=7,no_subtree_check", "127.0.0.1:"+sub)
	t.Cleanup(func() { run(t, "exportfs", "-u", "127.0.0.1:"+sub) })
	d := mounted(t, sub, "vers=3,soft,timeo=20,actimeo=0")
	_, err := d.Create(t.Context(), storage.VolumeSpec{ID: "100/vm-100-disk-0.raw", SizeBytes: 1 << 20})
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(sub))
	require.NoError(t, os.Mkdir(sub, 0o755))
	_, err = os.ReadDir("/mnt/pve/lab")
	require.ErrorIs(t, err, syscall.ESTALE)
	run(t, "exportfs", "-r")
	run(t, "exportfs", "-o", "rw,no_root_squash,insecure,fsid=0,no_subtree_check", "127.0.0.1:"+exported)
	run(t, "exportfs", "-o", "rw,no_root_squash,insecure,fsid=7,no_subtree_check", "127.0.0.1:"+sub)
	_, err = d.Create(t.Context(), storage.VolumeSpec{ID: "100/vm-100-disk-1.raw", SizeBytes: 1 << 20})
	require.NoError(t, err)
	found, err := filepath.Glob(filepath.Join(sub, "*/images/100/vm-100-disk-1.raw"))
	require.NoError(t, err)
	require.Len(t, found, 1)
}

// TestLabWrongExport: another export at the path is no storage, and stays mounted.
func TestLabWrongExport(t *testing.T) {
	kernelServer(t)
	first := mounted(t, "/", "vers=4.2,soft,timeo=50")
	other, err := New(Options{Server: "127.0.0.1", Export: "/other", Path: first.opt.Path})
	require.NoError(t, err)
	require.ErrorIs(t, other.Activate(t.Context()), storage.ErrUnavailable)
	require.NoError(t, other.Deactivate(t.Context()))
	_, err = first.Usage(t.Context())
	require.NoError(t, err)
	f, err := os.Open(first.opt.Path)
	require.NoError(t, err)
	require.ErrorIs(t, first.Deactivate(t.Context()), storage.ErrInUse)
	require.NoError(t, f.Close())
}
