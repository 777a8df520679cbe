package guestfw

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/netkit/firewall"
)

const node = "here"

// kernel remembers what it was told. It is a kernel with a bridge table, unless err says otherwise.
type kernel struct {
	mu      sync.Mutex
	err     error // of Apply
	closed  map[string]bool
	rules   []*firewall.Ruleset // applied, in order
	applied chan struct{}       // one token for each Apply
	foreign bool
}

func newKernel() *kernel {
	return &kernel{closed: map[string]bool{}, applied: make(chan struct{}, 1000)}
}

func (k *kernel) Apply(_ context.Context, want *firewall.Ruleset) (*firewall.Report, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	defer func() { k.applied <- struct{}{} }()
	if k.err != nil {
		return nil, k.err
	}
	k.rules, k.foreign = append(k.rules, want), false
	report := &firewall.Report{}
	for _, p := range want.Ports {
		if k.closed[p.Name] {
			delete(k.closed, p.Name)
			report.Opened = append(report.Opened, p.Name)
		}
	}
	return report, nil
}

func (k *kernel) Guard(_ context.Context, ports ...string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range ports {
		k.closed[p] = true
	}
	return nil
}

func (k *kernel) Release(_ context.Context, ports ...string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range ports {
		delete(k.closed, p)
	}
	return nil
}

func (k *kernel) Closed(context.Context) ([]string, error) { return k.list(), nil }

func (k *kernel) Foreign(context.Context) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.foreign, nil
}

func (k *kernel) list() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for p := range k.closed {
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

// last is the ruleset that holds.
func (k *kernel) last() *firewall.Ruleset {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.rules) == 0 {
		return &firewall.Ruleset{}
	}
	return k.rules[len(k.rules)-1]
}

// count is how many rulesets were applied.
func (k *kernel) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.rules)
}

// meddle is somebody else changing the rules.
func (k *kernel) meddle() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.foreign = true
}

func (k *kernel) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// site is a store with a service on it.
type site struct {
	*Service
	t     *testing.T
	store cluster.Store
	k     *kernel
}

func newSite(t *testing.T, change ...func(*Options)) *site {
	store := memstore.New()
	t.Cleanup(func() { store.Close() })
	k := newKernel()
	o := Options{Node: node, Store: store, Kernel: k}
	for _, c := range change {
		c(&o)
	}
	return &site{Service: New(o), t: t, store: store, k: k}
}

func (s *site) put(key, text string) {
	s.t.Helper()
	_, err := s.store.Txn(s.t.Context(), cluster.Put(key, []byte(text)))
	require.NoError(s.t, err)
}

// guest stores a guest with a configuration.
func (s *site) guest(id int, config string) {
	s.t.Helper()
	s.put(inventory.Key(id), string(inventory.Encode(node, config)))
}

func (s *site) text(key string) string {
	s.t.Helper()
	kv, err := s.store.Get(s.t.Context(), key)
	if errors.Is(err, cluster.ErrNotFound) {
		return ""
	}
	require.NoError(s.t, err)
	return string(kv.Value)
}

// run runs the engine until the test ends.
func (s *site) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.ErrorIs(s.t, <-done, context.Canceled)
		})
	}
	s.t.Cleanup(stop)
	return stop
}

// until waits for a state of the kernel that Apply brings about.
func (s *site) until(ok func(*firewall.Ruleset) bool) {
	s.t.Helper()
	timeout := time.After(10 * time.Second)
	for !ok(s.k.last()) {
		select {
		case <-s.k.applied:
		case <-timeout:
			s.t.Fatal("the ruleset does not come")
		}
	}
}

const (
	onText    = "[OPTIONS]\nenable: 1\n"
	guestOn   = "[OPTIONS]\nenable: 1\n\n[RULES]\nIN ACCEPT -p tcp -dport 80\n"
	guardedNC = "net0: virtio=02:00:00:00:00:01,bridge=vmbr0,firewall=1\n"
	openNC    = "net0: virtio=02:00:00:00:00:01,bridge=vmbr0\n"
)

func hasChain(rs *firewall.Ruleset, name string) bool { return chain(rs, name) != nil }

// chain is one of the guests' table, nil if it is not there.
func chain(rs *firewall.Ruleset, name string) *firewall.Chain {
	t, ok := rs.Table(firewall.GuestTable)
	if !ok {
		return nil
	}
	ch, _ := t.Chain(name)
	return ch
}
