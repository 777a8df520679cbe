package vm

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// childVar names the environment variable that turns the test program into one of children.
const childVar = "GPVE_TEST_VM_CHILD"

// children are the programs that tests start and kill. Each gets the rest of the variable's value.
var children = map[string]func(arg string) error{
	"kill":  killChild,
	"power": powerChild,
}

func TestMain(m *testing.M) {
	if name, arg, _ := strings.Cut(os.Getenv(childVar), " "); name != "" {
		if err := children[name](arg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// site is a node under test. When the test ends, all its VMs are stopped and destroyed through the API, and nothing may be
// left then: no process, tap, hold, volume, run folder or operation.
type site struct {
	*node
	t       testing.TB
	options nodeOptions
	up      bool
}

// kv is the parameters of a request, name and value by turns.
type kv []any

func (p kv) params() map[string]any {
	out := map[string]any{}
	for i := 0; i+1 < len(p); i += 2 {
		out[fmt.Sprint(p[i])] = fmt.Sprint(p[i+1])
	}
	return out
}

// newSite starts a node without a network, for what starts no guest.
func newSite(t testing.TB) *site {
	t.Helper()
	need.Tool(t, "qemu-img", "qemu-system-x86_64")
	return startSite(t, t.TempDir(), nodeOptions{Store: memstore.New()})
}

// newGuestSite starts a node that can run guests, with the bridges vmbr0 and vmbr1.
func newGuestSite(t testing.TB) *site {
	t.Helper()
	need.Root(t)
	need.Tool(t, "qemu-img", "qemu-system-x86_64")
	ns, err := netkit.NewNS()
	require.NoError(t, err)
	t.Cleanup(func() { ns.Close() })
	return startSite(t, t.TempDir(), nodeOptions{Store: memstore.New(), NS: ns})
}

// startSite starts a node in a folder, and writes the storages' configuration if there is none.
func startSite(t testing.TB, folder string, o nodeOptions) *site {
	t.Helper()
	for p := folder; p != os.TempDir() && p != "/"; p = filepath.Dir(p) { // guests' users pass through
		require.NoError(t, os.Chmod(p, 0o711))
	}
	if o.Settings == nil {
		o.Settings = &fakeSettings{}
	}
	s := &site{t: t, options: o}
	var err error
	s.node, err = startNode(folder, o)
	require.NoError(t, err)
	s.up = true
	t.Cleanup(s.end)
	if _, err := s.store.Get(t.Context(), volume.Key); err != nil {
		s.put(volume.Key, storageCfg(folder))
	}
	return s
}

func (s *site) put(key, value string) {
	s.t.Helper()
	_, err := s.store.Txn(context.Background(), cluster.Put(key, []byte(value)))
	require.NoError(s.t, err)
}

// halt ends the node; restart starts one on the same state, as after an update of the program. Guests go on.
func (s *site) halt() {
	s.t.Helper()
	require.True(s.t, s.up)
	s.up = false
	require.NoError(s.t, s.node.stop())
}

func (s *site) restart() {
	s.t.Helper()
	if s.up {
		s.halt()
	}
	n, err := startNode(s.dir, s.options)
	require.NoError(s.t, err)
	s.node, s.up = n, true
	s.idle()
}

// idle waits until no operation is left.
func (s *site) idle() {
	s.t.Helper()
	s.eventually("all operations end, and are in the archive", func() bool {
		_, active := s.tasks.List(task.Filter{Active: true, Limit: -1})
		return active == 0 && len(s.keys(task.OpPrefix(testNode))) == 0
	})
}

// eventually waits for a condition.
func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); {
		require.False(s.t, time.Now().After(deadline), what)
		t := time.NewTimer(10 * time.Millisecond)
		<-t.C
	}
}

// keys returns the keys of the store under a prefix.
func (s *site) keys(prefix string) []string {
	s.t.Helper()
	kvs, _, err := s.store.List(context.Background(), prefix)
	require.NoError(s.t, err)
	var keys []string
	for _, kv := range kvs {
		keys = append(keys, kv.Key)
	}
	return keys
}

// as is the context of a request by a user; root of one by root@pam. Both have a test's patience.
func (s *site) as(user string) context.Context {
	ctx, cancel := context.WithTimeout(call.With(context.Background(), call.Caller{AuthID: user}), time.Minute)
	s.t.Cleanup(cancel)
	return ctx
}

func (s *site) root() context.Context { return s.as(call.Root) }

// users adds lines to user.cfg.
func (s *site) users(lines string) {
	s.t.Helper()
	old := ""
	if kv, err := s.store.Get(s.root(), access.UserKey); err == nil {
		old = string(kv.Value)
	}
	s.put(access.UserKey, old+lines)
	s.eventually("the users are known", func() bool {
		v, err := s.access.Viewer(s.root())
		kv, getErr := s.store.Get(s.root(), access.UserKey)
		return err == nil && getErr == nil && v.Rev() >= kv.ModRev
	})
}

// ask makes a request as the API's front does: validation by the schema, permission, then the method.
func ask[Req schema.Request, Resp any](s *site, ctx context.Context, method func(context.Context, *Req) (Resp, error), p kv) (Resp, error) {
	var zero Resp
	req := new(Req)
	e := (*req).Endpoint()
	raw := p.params()
	raw["node"] = testNode
	params, errs := e.Validate(raw)
	if len(errs) > 0 {
		return zero, call.ParamErrors(errs)
	}
	text := map[string]string{}
	for k, v := range raw {
		text[k] = v.(string)
	}
	if err := s.access.Authorize(ctx, call.From(ctx), e.Permission, text); err != nil {
		return zero, err
	}
	if err := schema.Decode(params, req); err != nil {
		return zero, err
	}
	return method(ctx, req)
}

// wait waits for a task and returns its outcome and its log.
func (s *site) wait(text string) (exit string, log []string) {
	s.t.Helper()
	id, err := upid.Parse(text)
	require.NoError(s.t, err)
	st, err := s.tasks.Wait(s.root(), id)
	require.NoError(s.t, err)
	lines, _, err := s.tasks.Log(id, 0, 0)
	require.NoError(s.t, err)
	for _, l := range lines {
		log = append(log, l.T)
	}
	return st.Exit, log
}

// ok requires that a task was accepted and ends well, and returns its log.
func (s *site) ok(id string, err error) []string {
	s.t.Helper()
	require.NoError(s.t, err)
	exit, log := s.wait(id)
	require.Equal(s.t, "OK", exit, strings.Join(log, "\n"))
	return log
}

// fails requires that a task was accepted and ends with an error, and returns its text.
func (s *site) fails(id string, err error) string {
	s.t.Helper()
	require.NoError(s.t, err)
	exit, log := s.wait(id)
	require.NotEqual(s.t, "OK", exit, strings.Join(log, "\n"))
	return exit
}

// makeVM creates a VM as root and returns the log.
func (s *site) makeVM(id int, p ...any) []string {
	s.t.Helper()
	return s.ok(ask(s, s.root(), s.PostNodesQemu, append(kv{"vmid", id}, p...)))
}

// setVM changes a VM's configuration as root.
func (s *site) setVM(id int, p ...any) error {
	s.t.Helper()
	return s.setAs(s.root(), id, p...)
}

func (s *site) setAs(ctx context.Context, id int, p ...any) error {
	s.t.Helper()
	_, err := ask(s, ctx, s.PutNodesQemuConfig, append(kv{"vmid", id}, p...))
	return err
}

// startVM, stopVM and dropVM start, stop and destroy one.
func (s *site) startVM(id int) []string {
	s.t.Helper()
	return s.ok(ask(s, s.root(), s.PostNodesQemuStatusStart, kv{"vmid", id}))
}

func (s *site) stopVM(id int) []string {
	s.t.Helper()
	return s.ok(ask(s, s.root(), s.PostNodesQemuStatusStop, kv{"vmid", id, "skiplock", 1}))
}

func (s *site) dropVM(id int, p ...any) []string {
	s.t.Helper()
	return s.ok(ask(s, s.root(), s.DeleteNodesQemuVmid, append(kv{"vmid", id}, p...)))
}

// conf reads a VM's stored configuration.
func (s *site) conf(id int) *vmconfig.Config {
	s.t.Helper()
	v, err := s.Load(s.root(), id)
	require.NoError(s.t, err)
	return v.Config
}

// vmids lists the VMs in the store.
func (s *site) vmids() []int {
	var ids []int
	for _, key := range s.keys(inventory.Prefix) {
		id, err := strconv.Atoi(strings.TrimPrefix(key, inventory.Prefix))
		require.NoError(s.t, err)
		ids = append(ids, id)
	}
	return ids
}

// files lists the files of all guests' images below the storages, relative to the node's folder.
func (s *site) files() []string {
	s.t.Helper()
	var files []string
	for _, st := range []string{"local", "other"} {
		err := filepath.WalkDir(filepath.Join(s.dir, st, "images"), func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(s.dir, p)
				files = append(files, rel)
			}
			return nil
		})
		require.NoError(s.t, err)
	}
	slices.Sort(files)
	return files
}

// path is the file of a volume.
func (s *site) path(volid string) string {
	s.t.Helper()
	p, err := s.volumes.Path(s.root(), volid)
	require.NoError(s.t, err)
	return p
}

// orphans lists the image files that no stored configuration names.
func (s *site) orphans() []string {
	s.t.Helper()
	named := map[string]bool{}
	for _, id := range s.vmids() {
		c := s.conf(id)
		for _, sec := range append([]vmconfig.Section{c.Main, c.Pending}, slices.Collect(maps.Values(c.Snapshots))...) {
			for _, key := range sec.Keys() {
				if d, ok, err := sec.Drive(key); ok && err == nil && isVolume(d.File) {
					rel, _ := filepath.Rel(s.dir, s.path(d.File))
					named[rel] = true
				}
			}
		}
	}
	return slices.DeleteFunc(s.files(), func(f string) bool { return named[f] })
}

// processes finds the running QEMUs of the node, and their TPMs, by the lock of the run folder that they hold.
func (s *site) processes() []int {
	locks, err := filepath.Glob("/proc/[0-9]*/fd/3")
	require.NoError(s.t, err)
	var pids []int
	for _, fd := range locks {
		target, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(target, s.runFolder()+"/") {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(fd, "/")[2]); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// taps lists the taps of the node's namespace.
func (s *site) taps() []string {
	s.t.Helper()
	if s.conn == nil {
		return nil
	}
	links, err := s.net.Ports(s.root(), "tap")
	require.NoError(s.t, err)
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
	}
	return names
}

// end takes everything down through the API and requires that nothing is left.
func (s *site) end() {
	if s.t.Failed() {
		s.kill()
		_ = exec.Command("chattr", "-R", "-i", s.dir).Run() // base volumes are immutable
		return
	}
	if !s.up {
		s.restart()
	}
	defer s.kill()
	s.idle()
	for _, id := range s.Running() {
		s.stopVM(id)
	}
	for left := s.vmids(); len(left) > 0; left = s.vmids() {
		for _, id := range slices.Backward(left) { // clones before their templates, mostly
			if s.conf(id).Main.Has("protection") {
				require.NoError(s.t, s.setVM(id, "delete", "protection", "skiplock", 1))
			}
			if up, err := ask(s, s.root(), s.DeleteNodesQemuVmid, kv{"vmid", id, "skiplock", 1}); err == nil {
				s.wait(up)
			}
		}
		require.Less(s.t, len(s.vmids()), len(left), "VMs that cannot be destroyed: %v", left)
	}
	s.idle()
	require.Empty(s.t, s.files(), "volumes are left")
	require.Empty(s.t, s.processes(), "processes are left")
	require.Empty(s.t, s.taps(), "taps are left")
	require.Empty(s.t, s.keys("/obs/"), "holds are left")
	run, err := filepath.Glob(filepath.Join(s.runFolder(), "*"))
	require.NoError(s.t, err)
	require.Empty(s.t, run, "run folders are left")
}

// kill ends what is left the hard way.
func (s *site) kill() {
	for _, pid := range s.processes() {
		s.t.Logf("killing process %d", pid)
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if s.up {
		s.up = false
		if err := s.node.stop(); err != nil {
			s.t.Error(err)
		}
	}
}

// bootMarker is what the guest of bootSector prints on its first serial port, again and again.
const bootMarker = "gpve-boot"

// bootSector is a guest of 512 bytes: it prints bootMarker at each tick of its clock.
func bootSector() []byte {
	code := []byte{
		0x31, 0xC0, // xor ax, ax
		0x8E, 0xD8, // mov ds, ax
		0xBE, 0x16, 0x7C, // again: mov si, text
		0xAC,       // next: lodsb
		0x84, 0xC0, // test al, al
		0x74, 0x06, // jz wait
		0xBA, 0xF8, 0x03, // mov dx, 3F8h
		0xEE,       // out dx, al
		0xEB, 0xF5, // jmp next
		0xFB,       // wait: sti
		0xF4,       // hlt
		0xEB, 0xEE, // jmp again
	}
	sector := make([]byte, 512)
	copy(sector[copy(sector, code):], bootMarker+"\r\n")
	sector[510], sector[511] = 0x55, 0xAA
	return sector
}

// bootImage writes bootSector as a raw disk of 1 MiB into the node's folder, for import-from, and returns its path.
func (s *site) bootImage() string {
	s.t.Helper()
	path := filepath.Join(s.dir, "boot.raw")
	require.NoError(s.t, os.WriteFile(path, bootSector(), 0o600))
	require.NoError(s.t, os.Truncate(path, 1<<20))
	return path
}
