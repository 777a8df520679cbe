package volume

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// probe is what is known of whether a storage answers.
type probe struct {
	mu      sync.Mutex    // guards the fields below
	running chan struct{} // closed when the present probe ends; nil if none is under way
	started time.Time     // of the present probe
	at      time.Time     // of the last result; zero: none yet
	usage   storage.Usage
	err     error
	swept   bool // what dead processes left in it was removed, and nobody was writing anything else
}

// Run probes the storages of this node until ctx ends, and sweeps what dead processes left in them. It waits for the probes
// under way, but not for a storage that does not answer.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.opts.ProbeInterval)
	defer tick.Stop()
	for {
		s.probeAll(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.waitProbes()
			return nil
		}
	}
}

func (s *Service) waitProbes() {
	done := make(chan struct{})
	go func() { // ends with the last probe: a hung file system keeps it, and the process, no longer than itself
		s.probes.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(s.opts.ProbeTimeout):
		s.log.Warn("storages that do not answer are left behind")
	}
}

func (s *Service) probeAll(ctx context.Context) {
	configs, _, err := s.Storages(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("storage configuration", "err", err)
		}
		return
	}
	for _, cfg := range configs {
		if !cfg.EnabledOn(s.opts.Node) {
			continue
		}
		if m, err := s.mount(ctx, cfg.ID); err == nil {
			s.startProbe(ctx, m)
		}
	}
}

// startProbe begins a probe unless one is under way, and returns what is closed at its end.
func (s *Service) startProbe(ctx context.Context, m *mounted) <-chan struct{} {
	p := &m.probe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running != nil {
		return p.running
	}
	done := make(chan struct{})
	p.running, p.started = done, s.opts.Clock()
	ctx = context.WithoutCancel(ctx) // the answer is for all who ask
	s.probes.Go(func() {
		usage, err := s.look(ctx, m)
		p.mu.Lock()
		p.usage, p.err, p.at, p.running = usage, err, s.opts.Clock(), nil
		sweep := err == nil && !p.swept
		p.swept = p.swept || sweep
		p.mu.Unlock()
		close(done)
		if st, ok := storage.As[storage.Sweeper](m.driver); ok && sweep {
			s.sweep(ctx, m, st)
		}
	})
	return done
}

// sweep removes what dead processes left. While somebody still writes to some of it, the next probe sweeps again: the writer
// may be one that is about to die.
func (s *Service) sweep(ctx context.Context, m *mounted, st storage.Sweeper) {
	n, err := st.Sweep(ctx)
	if errors.Is(err, storage.ErrInUse) {
		m.probe.mu.Lock()
		m.probe.swept = false
		m.probe.mu.Unlock()
		err = nil
	}
	if err != nil || n > 0 {
		s.log.Info("unfinished files removed", "storage", m.ID, "count", n, "err", err)
	}
}

// look activates a storage and asks for its usage. One that another machine serves gets a time in which to answer; where the
// kernel would hold whoever waits for it, Options.Probe waits in place of this process.
func (s *Service) look(ctx context.Context, m *mounted) (storage.Usage, error) {
	cfg := storage.Config{ID: m.ID, Type: m.Type, Options: m.Options}
	if ServedElsewhere(cfg) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, probePatience*s.opts.ProbeTimeout)
		defer cancel()
		if s.opts.Probe != nil && (m.Type == "nfs" || m.Type == "dir") { // the other types ask programs, which die with ctx
			return s.opts.Probe(ctx, cfg)
		}
	}
	if a, ok := storage.As[storage.Activator](m.driver); ok {
		if err := a.Activate(ctx); err != nil {
			return storage.Usage{}, err
		}
	}
	return m.driver.Usage(ctx)
}

// probePatience is how many times the ProbeTimeout, after which a storage counts as not answering, a probe may take until it is
// ended: mounting and logging in take their time.
const probePatience = 12

// ServedElsewhere reports whether a storage depends on another machine, which may fall silent. A folder does if it is marked as
// shared, or has to be a mount point.
func ServedElsewhere(cfg storage.Config) bool {
	switch cfg.Type {
	case "nfs", "rbd", "iscsi", "iscsidirect":
		return true
	case "dir":
		st := volid.Storage{Type: cfg.Type, Options: cfg.Options}
		_, mounted := st.MountPoint()
		return st.Bool("shared") || mounted
	}
	return false
}

// state returns the last result and when it came, never for the zero time; hung says that the present probe is beyond its deadline.
func (p *probe) state(now time.Time, timeout time.Duration) (u storage.Usage, at time.Time, hung bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.usage, p.at, p.running != nil && now.Sub(p.started) > timeout, p.err
}

// ask returns what is known of a storage, waiting for the first answer no longer than the probe's deadline.
func (s *Service) ask(ctx context.Context, m *mounted) (storage.Usage, error) {
	now := s.opts.Clock()
	u, at, hung, err := m.probe.state(now, s.opts.ProbeTimeout)
	if hung {
		return storage.Usage{}, storage.ErrUnavailable
	}
	if !at.IsZero() && err == nil {
		if now.Sub(at) > 2*s.opts.ProbeInterval { // Run does not run: refresh for the next question
			s.startProbe(ctx, m)
		}
		return u, nil
	}
	// Never asked yet, or it failed and may be back.
	timer := time.NewTimer(s.opts.ProbeTimeout)
	defer timer.Stop()
	select {
	case <-s.startProbe(ctx, m):
	case <-timer.C:
		return storage.Usage{}, storage.ErrUnavailable
	case <-ctx.Done():
		return storage.Usage{}, context.Cause(ctx)
	}
	u, _, _, err = m.probe.state(s.opts.Clock(), s.opts.ProbeTimeout)
	return u, err
}

// known is ask for those who only show what is: that a storage does not answer is news for one interval.
func (s *Service) known(ctx context.Context, m *mounted) (storage.Usage, error) {
	now := s.opts.Clock()
	_, at, _, err := m.probe.state(now, s.opts.ProbeTimeout)
	if err != nil && !at.IsZero() && now.Sub(at) <= s.opts.ProbeInterval {
		return storage.Usage{}, err
	}
	return s.ask(ctx, m)
}

// usable returns the public error of a storage that does not answer.
func (s *Service) usable(ctx context.Context, m *mounted) error {
	_, err := s.ask(ctx, m)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return public(err, "storage '%s' is not online", m.ID)
}

// within does fn in a goroutine and gives up waiting when ctx ends: a storage that hangs keeps the goroutine, not the caller.
func within[T any](ctx context.Context, s *Service, fn func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	s.probes.Go(func() {
		v, err := fn()
		done <- result{v, err}
	})
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}
