package access_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/access/password"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// clock is a clock that sleeping moves on.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(_ context.Context, d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.slept += d
}

func (c *clock) advance(d time.Duration) { c.Sleep(context.Background(), d) }

// world is a service with its store and clock.
type world struct {
	*access.Service
	t     testing.TB
	store *memstore.Store
	clock *clock
}

var cheap = password.Options{Params: password.Params{Time: 1, MemoryKiB: 64, Threads: 1}}

func newWorld(t testing.TB) *world {
	w := &world{t: t, store: memstore.New(), clock: &clock{now: time.Unix(1_800_000_000, 0)}}
	s, err := access.New(w.store, &access.Options{Clock: w.clock, Passwords: cheap, ClusterName: "lab"})
	require.NoError(t, err)
	w.Service = s
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	return w
}

// as returns a context of a call by authID.
func (w *world) as(authID string) context.Context {
	return call.With(w.t.Context(), call.Caller{AuthID: authID, Remote: "192.0.2.7", Ticket: true})
}

// config writes user.cfg as it is.
func (w *world) config(text string) {
	_, err := w.store.Txn(w.t.Context(), cluster.Put(access.UserKey, []byte(text)))
	require.NoError(w.t, err)
}

func (w *world) file(name string) string {
	kv, err := w.store.Get(w.t.Context(), "/pve/"+name)
	if errors.Is(err, cluster.ErrNotFound) {
		return ""
	}
	require.NoError(w.t, err)
	return string(kv.Value)
}

func (w *world) login(user, pw string) (*access.Login, error) {
	out, err := w.PostAccessTicket(w.as(""), &schema.PostAccessTicket{Username: user, Password: pw})
	if err != nil {
		return nil, err
	}
	return out.(*access.Login), nil
}

// refused asserts a *call.Error with status and text.
func refused(t testing.TB, err error, status int, text string) {
	t.Helper()
	e, ok := errors.AsType[*call.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, status, e.Status)
	require.Equal(t, text, e.Text)
}

func badParam(t testing.TB, err error, name, text string) {
	t.Helper()
	p, ok := errors.AsType[call.ParamErrors](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, text, p[name])
}

func TestEmptyStoreHasRoot(t *testing.T) {
	w := newWorld(t)
	cfg, err := w.UserConfig(t.Context())
	require.NoError(t, err)
	require.Len(t, cfg.Users, 1)
	require.NoError(t, w.Check(w.as("root@pam"), "/", "Sys.Modify"))
	refused(t, w.Check(w.as(""), "/", "Sys.Modify"), 403, "Permission check failed (user != null)")
	refused(t, w.Check(w.as("nobody@pve"), "vms/100/", "VM.Audit", "VM.Console"), 403, "Permission check failed (/vms/100, VM.Audit)")
	refused(t, w.CheckAny(w.as("nobody@pve"), "/vms/100", "VM.Audit", "VM.Console"), 403, "Permission check failed (/vms/100, VM.Audit|VM.Console)")
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []access.Options{{MaxDelayed: -1}, {Burst: -1}, {Passwords: password.Options{Concurrent: -1}}} {
		_, err := access.New(memstore.New(), &o)
		require.Error(t, err)
	}
}

const team = `user:root@pam:1:
user:ops@pve:1:
user:dev@pve:1:
token:dev@pve!ci:0:1:
token:ops@pve!all:0:0:
group:devs:dev@pve:
pool:prod::100,101:fast:
role:Power:VM.PowerMgmt:
acl:1:/pool/prod:@devs:PVEVMUser:
acl:0:/vms/200:dev@pve:Power:
acl:1:/vms:dev@pve!ci:PVEVMAdmin:
acl:1:/:ops@pve:PVEAdmin:
acl:1:/sdn/zones/localnetwork/vmbr0/5:dev@pve:PVESDNUser:
`

func TestChecks(t *testing.T) {
	w := newWorld(t)
	w.config(team)
	dev := w.as("dev@pve")
	require.True(t, w.Can(dev, "/vms/100", "VM.Console", "VM.PowerMgmt"))
	require.False(t, w.Can(dev, "/vms/100", "VM.Console", "VM.Allocate"))
	require.True(t, w.Has(dev, "/vms/200", "VM.PowerMgmt"))
	require.False(t, w.Has(dev, "/vms/200", "No.Such"))
	require.NoError(t, w.CheckAny(dev, "/vms/200", "VM.Audit", "VM.PowerMgmt"))

	require.NoError(t, w.CheckVM(dev, 999, "prod", "VM.Console"), "through the pool it is to be in")
	refused(t, w.CheckVM(dev, 999, "other", "VM.Console"), 403, "Permission check failed (/vms/999, VM.Console)")
	refused(t, w.CheckVM(dev, 999, "", "VM.Console"), 403, "Permission check failed (/vms/999, VM.Console)")
	require.NoError(t, w.CheckVMAny(dev, 999, "prod", "VM.Allocate", "VM.Console"))
	refused(t, w.CheckVMAny(w.as(""), 999, "prod", "VM.Console"), 403, "Permission check failed (user != null)")

	require.NoError(t, w.CheckBridge(dev, access.LocalZone, "vmbr0", "SDN.Use"), "a VLAN of it is enough")
	refused(t, w.CheckBridge(dev, access.LocalZone, "vmbr1", "SDN.Use"), 403, "Permission check failed (/sdn/zones/localnetwork/vmbr1, SDN.Use)")

	v, err := w.Viewer(dev)
	require.NoError(t, err)
	require.Equal(t, "dev@pve", v.AuthID())
	require.True(t, v.Can("/storage/fast", "VM.Audit"))
	rev := v.Rev()
	require.NoError(t, w.AddGuestToPool(t.Context(), "prod", 300))
	again, err := w.Viewer(dev)
	require.NoError(t, err)
	require.NotEqual(t, rev, again.Rev())
	require.True(t, again.Can("/vms/300", "VM.Console"))
	require.False(t, v.Can("/vms/300", "VM.Console"), "a viewer sees one state")
}

func TestGuestsJoinTransactions(t *testing.T) {
	w := newWorld(t)
	w.config(team)
	ctx := t.Context()
	refused(t, w.AddGuestToPool(ctx, "none", 300), 500, "pool 'none' does not exist")

	parts, err := w.AddGuestParts(ctx, "prod", 300)
	require.NoError(t, err)
	require.NoError(t, w.Update(ctx, func(c *access.UserConfig) error { c.Users["late@pve"] = usercfg.NewUser(); return nil }))
	_, err = w.store.Txn(ctx, append(parts, cluster.Put("/vm/300", []byte("x")))...)
	require.True(t, cluster.ConflictOn(err, access.UserKey))

	parts, err = w.AddGuestParts(ctx, "prod", 300)
	require.NoError(t, err)
	_, err = w.store.Txn(ctx, append(parts, cluster.Put("/vm/300", []byte("x")))...)
	require.NoError(t, err)
	pool, err := w.PoolOf(ctx, 300)
	require.NoError(t, err)
	require.Equal(t, "prod", pool)

	parts, err = w.DropGuestParts(ctx, 100)
	require.NoError(t, err)
	require.NotEmpty(t, parts)
	parts, err = w.DropGuestParts(ctx, 77777)
	require.NoError(t, err)
	require.Empty(t, parts, "nothing to change")
	require.NoError(t, w.DropGuest(ctx, 200))
	require.NotContains(t, w.file("user.cfg"), "/vms/200")
}

func TestUpdatesDoNotGetLost(t *testing.T) {
	w := newWorld(t)
	other, err := access.New(w.store, &access.Options{Passwords: cheap})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for i := range 20 {
		s := w.Service
		if i%2 == 0 {
			s = other
		}
		wg.Go(func() {
			err := s.Update(t.Context(), func(c *access.UserConfig) error {
				c.Users[fmt.Sprintf("u%d@pve", i)] = usercfg.NewUser()
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	cfg, err := w.UserConfig(t.Context())
	require.NoError(t, err)
	require.Len(t, cfg.Users, 21)
	refusal := errors.New("no")
	require.ErrorIs(t, w.Update(t.Context(), func(c *access.UserConfig) error { clear(c.Users); return refusal }), refusal)
	commits := w.store.Commits()
	require.NoError(t, w.Update(t.Context(), func(*access.UserConfig) error { return nil }))
	require.Equal(t, commits, w.store.Commits(), "no change, no commit")
}

func TestRunKeepsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.config(team)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		synctest.Wait()
		require.True(t, w.Can(w.as("dev@pve"), "/vms/100", "VM.Console"))

		w.config("user:dev@pve:1:") // by somebody else
		synctest.Wait()
		require.False(t, w.Can(w.as("dev@pve"), "/vms/100", "VM.Console"))

		_, err := w.store.Txn(ctx, cluster.Delete(access.UserKey))
		require.NoError(t, err)
		synctest.Wait()
		cfg, err := w.UserConfig(ctx)
		require.NoError(t, err)
		require.Len(t, cfg.Users, 1)

		require.NoError(t, w.Update(ctx, func(c *access.UserConfig) error { c.Users["a@pve"] = usercfg.NewUser(); return nil }))
		cfg, err = w.UserConfig(ctx) // not waiting for the watch
		require.NoError(t, err)
		require.Contains(t, cfg.Users, "a@pve")

		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		w.config(team)
		require.True(t, w.Can(w.as("dev@pve"), "/vms/100", "VM.Console"), "without the watch the store is asked")
	})
}

func TestRunEndsWithTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		done := make(chan error, 1)
		go func() { done <- w.Run(t.Context()) }()
		synctest.Wait()
		require.NoError(t, w.store.Close())
		require.ErrorIs(t, <-done, cluster.ErrClosed)
		require.Error(t, w.Check(w.as("a@pve"), "/", "Sys.Audit"))
	})
}

// manyGuests is a service that follows its store, with 1000 guests of which a user may see half.
func manyGuests(b *testing.B) (*world, context.Context) {
	w := newWorld(b)
	require.NoError(b, w.Update(b.Context(), func(c *access.UserConfig) error {
		c.Users["u@pve"] = usercfg.NewUser()
		c.Groups["g"] = &usercfg.Group{Members: usercfg.SetOf("u@pve")}
		pool := c.AddPool("p")
		for i := range 1000 {
			switch i % 4 {
			case 0:
				c.ACL.At(fmt.Sprintf("/vms/%d", 100+i)).Groups.Set("g", "PVEVMUser", true)
			case 1:
				pool.VMs.Add(fmt.Sprint(100 + i))
			}
		}
		c.ACL.At("/pool/p").Users.Set("u@pve", "PVEVMUser", true)
		return nil
	}))
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Run(ctx) })
	b.Cleanup(func() { cancel(); wg.Wait() })
	return w, w.as("u@pve")
}

func BenchmarkCheck(b *testing.B) {
	w, ctx := manyGuests(b)
	b.ReportAllocs()
	for b.Loop() {
		if !w.Can(ctx, "/vms/500", "VM.Audit") {
			b.Fatal("refused")
		}
	}
}

func BenchmarkFilter1000Guests(b *testing.B) {
	w, ctx := manyGuests(b)
	paths := make([]string, 1000)
	for i := range paths {
		paths[i] = fmt.Sprintf("/vms/%d", 100+i)
	}
	b.ReportAllocs()
	for b.Loop() {
		v, err := w.Viewer(ctx)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for _, p := range paths {
			if v.Can(p, "VM.Audit") {
				n++
			}
		}
		if n != 500 {
			b.Fatal(n)
		}
	}
}
