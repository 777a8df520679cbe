package nfs

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
)

// rpcServer answers NULL calls while it lives; dead, it takes connections and says nothing.
type rpcServer struct {
	net.Listener
	dead  atomic.Bool
	calls atomic.Int32
}

func serve(t *testing.T) *rpcServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &rpcServer{Listener: l}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.answer(conn)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return s
}

func (s *rpcServer) answer(conn net.Conn) {
	defer conn.Close()
	var call [44]byte
	if _, err := io.ReadFull(conn, call[:]); err != nil {
		return
	}
	s.calls.Add(1)
	if s.dead.Load() {
		io.Copy(io.Discard, conn) // until the caller has had enough
		return
	}
	reply := binary.BigEndian.AppendUint32(nil, lastFragment|24)
	reply = append(reply, call[4:8]...)
	reply = append(reply, 0, 0, 0, 1)
	conn.Write(append(reply, make([]byte, 16)...))
}

func (s *rpcServer) port() string {
	_, port, _ := net.SplitHostPort(s.Addr().String())
	return port
}

// fakeMounts are the mounts of a machine, and what was done to them.
type fakeMounts struct {
	mounts         map[string]mount
	mounted, lazy  int
	options        string
	refuse, wanted error
}

func (f *fakeMounts) at(path string) (mount, bool, error) { m, ok := f.mounts[path]; return m, ok, nil }

func (f *fakeMounts) mount(_ context.Context, source, path, options string) error {
	if f.refuse != nil {
		return f.refuse
	}
	f.mounted++
	f.options = options
	f.mounts[path] = mount{source: source, fstype: "nfs4"}
	return nil
}

func (f *fakeMounts) unmount(_ context.Context, path string, lazy bool) error {
	if f.wanted != nil && !lazy {
		return f.wanted
	}
	if lazy {
		f.lazy++
	}
	delete(f.mounts, path)
	return nil
}

func driver(t *testing.T, s *rpcServer) (*Driver, *fakeMounts, string) {
	t.Helper()
	path := t.TempDir()
	d, err := New(Options{Server: "127.0.0.1", Export: "/srv/vm", Path: path, MountOptions: "vers=4.2,soft,port=" + s.port(),
		ProbeTimeout: 100 * time.Millisecond, ProbeEvery: time.Nanosecond})
	require.NoError(t, err)
	m := &fakeMounts{mounts: map[string]mount{}}
	d.mounter = m
	return d, m, path
}

func TestMountedOnceByWhomever(t *testing.T) {
	d, m, path := driver(t, serve(t))
	_, err := d.Stat(t.Context(), "100/vm-100-disk-0.raw")
	require.ErrorIs(t, err, storage.ErrUnavailable, "nothing is done in the folder below a mount that is not there")
	m.mounts[path] = mount{source: "127.0.0.1:/srv/vm/", fstype: "nfs", address: "127.0.0.1"}
	require.NoError(t, d.server.alive(t.Context()))
	mounted, err := d.mounted()
	require.NoError(t, err)
	require.True(t, mounted)
	for _, other := range []mount{
		{source: "127.0.0.1:/srv", fstype: "nfs4"}, {source: "127.0.0.1:/srv/vm2", fstype: "nfs4"}, {source: "/dev/sda1", fstype: "ext4"},
		{source: "10.0.0.9:/srv/vm", fstype: "nfs4", address: "10.0.0.9"}, {source: "127.0.0.1:/srv/vm", fstype: "fuse"},
	} {
		m.mounts[path] = other
		require.ErrorIs(t, d.Activate(t.Context()), storage.ErrUnavailable, other.source)
		_, err = d.Usage(t.Context())
		require.ErrorContains(t, err, "is mounted at "+path+" instead of 127.0.0.1:/srv/vm")
		require.NoError(t, d.Deactivate(t.Context()))
		require.Equal(t, other, m.mounts[path], "not ours, so left alone")
	}
	require.Zero(t, m.mounted)
}

func TestActivateMounts(t *testing.T) {
	s := serve(t)
	d, m, path := driver(t, s)
	err := d.Activate(t.Context())
	require.Equal(t, 1, m.mounted)
	require.Equal(t, "vers=4.2,soft,port="+s.port()+",nosuid,nodev", m.options)
	require.ErrorContains(t, err, "nothing is mounted", "the folder's own look at the real machine")
	m.wanted = syscall.EBUSY
	require.ErrorIs(t, d.Deactivate(t.Context()), storage.ErrInUse)
	s.dead.Store(true)
	require.NoError(t, d.Deactivate(t.Context()), "a dead mount is taken away from those who sleep in it")
	require.Equal(t, 1, m.lazy)
	require.NoError(t, d.Deactivate(t.Context()))
	s.dead.Store(false)
	m.refuse = errors.New("access denied by server")
	err = d.Activate(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorContains(t, err, "storage: nfs: activate")
	require.NotContains(t, m.mounts, path)
}

func TestDeadServerIsNotTouched(t *testing.T) {
	s := serve(t)
	d, m, path := driver(t, s)
	m.mounts[path] = mount{source: "127.0.0.1:/srv/vm", fstype: "nfs4"}
	s.dead.Store(true)
	touched := false
	began := time.Now()
	err := d.around(t.Context(), storage.Call{Op: "usage"}, func(context.Context) error { touched = true; return nil })
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorContains(t, err, "server does not answer")
	require.False(t, touched)
	require.Less(t, time.Since(began), 5*time.Second)
	s.dead.Store(false)
	require.NoError(t, d.around(t.Context(), storage.Call{Op: "usage"}, func(context.Context) error { touched = true; return nil }))
	require.True(t, touched)
}

func TestOneAsksForAll(t *testing.T) {
	s := serve(t)
	d, _, _ := driver(t, s)
	d.server.holds = time.Hour
	errs := make(chan error, 20)
	for range cap(errs) {
		go func() { errs <- d.server.alive(t.Context()) }()
	}
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
	require.Equal(t, int32(1), s.calls.Load())
}

func TestStaleMountIsMountedAgainOnce(t *testing.T) {
	d, m, path := driver(t, serve(t))
	m.mounts[path] = mount{source: "127.0.0.1:/srv/vm", fstype: "nfs4"}
	stale := &fs.PathError{Op: "open", Path: "images", Err: syscall.ESTALE}
	calls := 0
	do := func(answers ...error) func(context.Context) error {
		calls = 0
		return func(context.Context) error { calls++; return answers[calls-1] }
	}
	require.NoError(t, d.around(t.Context(), storage.Call{Op: "stat"}, do(stale, nil)))
	require.Equal(t, 2, calls)
	require.Equal(t, [2]int{1, 1}, [2]int{m.lazy, m.mounted})
	require.ErrorIs(t, d.around(t.Context(), storage.Call{Op: "stat"}, do(stale, stale)), syscall.ESTALE)
	require.Equal(t, 2, calls, "once per call")
	require.ErrorIs(t, d.around(t.Context(), storage.Call{Op: "import", Long: true}, do(stale)), syscall.ESTALE)
	require.Equal(t, 1, calls, "a stream cannot be read twice")
	require.Equal(t, 3, m.mounted)
	m.refuse = errors.New("no route to host")
	err := d.around(t.Context(), storage.Call{Op: "stat"}, do(stale))
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorIs(t, err, syscall.ESTALE)
}

func TestMountOptions(t *testing.T) {
	for _, good := range []string{"", "vers=3", "vers=4.2,soft,timeo=50,retrans=2", "nfsvers=4,sec=krb5p,proto=tcp6,port=2049", "noatime,nconnect=4", "local_lock=none"} {
		_, err := parseOptions(good)
		require.NoError(t, err, good)
	}
	for _, bad := range []string{
		"vers=5", "vers=4.2 ", " soft", "soft,", ",", "soft,,hard", "addr=10.0.0.9", "suid", "dev", "exec,suid", "bind", "remount", "loop", "helper=/bin/sh",
		"context=system_u:object_r:x", "vers=4.2\nsuid", "timeo=5;id", "timeo=`id`", "timeo=", "soft=1=2", "x-systemd.automount", "user", "port=99999",
		"port=-1", "vers=4.2\x00", "retry=$HOME", "timeo=" + strings.Repeat("9", 300),
	} {
		_, err := parseOptions(bad)
		require.ErrorIs(t, err, fs.ErrInvalid, "%q", bad)
	}
}

func TestBadOptions(t *testing.T) {
	good := Options{Server: "nas.example.org", Export: "/srv/vm", Path: "/mnt/pve/nas"}
	_, err := New(good)
	require.NoError(t, err)
	for name, edit := range map[string]func(*Options){
		"no server": func(o *Options) { o.Server = "" }, "option as a server": func(o *Options) { o.Server = "-o" },
		"server with a path": func(o *Options) { o.Server = "nas:/etc" }, "server with a blank": func(o *Options) { o.Server = "nas x" },
		"no export": func(o *Options) { o.Export = "" }, "relative export": func(o *Options) { o.Export = "srv" },
		"export of two lines": func(o *Options) { o.Export = "/srv\n/etc" }, "root": func(o *Options) { o.Path = "/" },
		"relative path": func(o *Options) { o.Path = "mnt" }, "options": func(o *Options) { o.MountOptions = "suid" },
		"content folder that leads out": func(o *Options) {
			o.Dir = &dir.Options{ContentDirs: map[storage.Content]string{storage.ISO: "../x"}}
		},
	} {
		o := good
		edit(&o)
		_, err := New(o)
		require.Error(t, err, name)
	}
	v6 := good
	v6.Server = "2001:db8::1"
	require.Equal(t, "[2001:db8::1]:/srv/vm", v6.source())
}

func TestBackend(t *testing.T) {
	b := Backend(nil)
	require.Equal(t, "nfs", b.Type)
	d, err := b.Open(storage.Config{ID: "nas", Type: "nfs", Options: map[string]string{
		"server": "nas", "export": "/srv/vm", "options": "vers=3", "content": "images,iso", "create-base-path": "0",
	}})
	require.NoError(t, err)
	own, ok := storage.As[*Driver](d)
	require.True(t, ok)
	require.Equal(t, "/mnt/pve/nas", own.opt.Path)
	require.True(t, own.noMkdir)
	require.Equal(t, uint32(3), own.server.version)
	_, ok = storage.As[storage.Streamer](d)
	require.True(t, ok, "what dir can, nfs can")
	_, ok = storage.As[*dir.Driver](d)
	require.True(t, ok, "a copy between nfs and dir may be a reflink")
	_, err = b.Open(storage.Config{ID: "nas", Type: "nfs", Options: map[string]string{"server": "nas", "export": "/srv", "options": "suid"}})
	require.ErrorIs(t, err, fs.ErrInvalid)
}

func TestMountinfo(t *testing.T) {
	const text = `22 1 0:20 / / rw - ext4 /dev/vda1 rw
90 22 0:51 / /mnt/pve/nas rw,nosuid shared:7 - nfs4 nas:/srv/vm rw,vers=4.2,addr=192.0.2.9
91 22 0:52 / /mnt/a\040b rw - nfs [2001:db8::1]:/srv/a\040b rw,addr=2001:db8::1
92 90 0:53 / /mnt/pve/nas rw - tmpfs tmpfs rw
`
	m, ok, err := parseMountinfo(strings.NewReader(text), "/mnt/a b")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, mount{source: "[2001:db8::1]:/srv/a b", fstype: "nfs", address: "2001:db8::1"}, m)
	m, ok, err = parseMountinfo(strings.NewReader(text), "/mnt/pve/nas")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "tmpfs", m.fstype, "the topmost")
	_, ok, err = parseMountinfo(strings.NewReader(text), "/mnt/pve")
	require.NoError(t, err)
	require.False(t, ok)
}

func FuzzParseOptions(f *testing.F) {
	f.Add("vers=4.2,soft,timeo=50")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := parseOptions(text); err == nil {
			require.NotContains(t, text, " ")
			require.NotContains(t, text, "\n")
			require.NotContains(t, ","+text+",", ",suid,")
		}
	})
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte("\x80\x00\x00\x18\x00\x00\x00\x07\x00\x00\x00\x01"), uint32(7))
	f.Fuzz(func(t *testing.T, reply []byte, xid uint32) {
		if readReply(strings.NewReader(string(reply)), xid) == nil {
			require.Equal(t, xid, binary.BigEndian.Uint32(reply[4:]))
		}
	})
}
