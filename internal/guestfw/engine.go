package guestfw

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/netkit/firewall"
)

const (
	// lookAgain is how often the node's addresses are looked at, and whether somebody else has changed the kernel's rules.
	lookAgain = 10 * time.Second
	// A ruleset that could not be applied is tried again after retryFirst, then twice as long each time, up to retryLast.
	retryFirst = time.Second
	retryLast  = time.Minute
)

// Run makes the kernel filter as the store says until ctx ends or the store closes, and returns the reason. The rules stay
// when it ends. It must run once; ports cannot be opened before.
func (s *Service) Run(ctx context.Context) error {
	defer close(s.ended)
	prefixes := s.prefixes()
	s.view.mu.Lock()
	s.view.waiting = len(prefixes)
	s.view.mu.Unlock()
	g, ctx := errgroup.WithContext(ctx)
	for _, prefix := range prefixes {
		g.Go(func() error { return s.watch(ctx, prefix) })
	}
	e := &engine{s: s, logOn: make(chan struct{}), delay: retryFirst}
	g.Go(func() error { return e.run(ctx) })
	g.Go(func() error { return s.writeLog(ctx, e.logOn) })
	return g.Wait()
}

// engine is the one goroutine that changes the kernel's rules. Its fields are its own.
type engine struct {
	s *Service

	compiler firewall.Compiler // the configurations are those of parsedFiles, which never change

	node    firewall.Node
	applied *world // that the kernel holds, nil before the first
	delay   time.Duration
	next    time.Time // when to try again after an error, zero without
	told    string    // the last error that was logged
	warned  []string  // the last warnings that were logged
	logging bool
	logOn   chan struct{} // closed when there is something to log
}

func (e *engine) run(ctx context.Context) error {
	s := e.s
	e.adoptClosed(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var waiting []*opening
		look := false
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.view.changed:
		case <-timer.C:
			look = true
		case o := <-s.opens:
			waiting = append(waiting, o)
		}
		waiting = e.drain(waiting)
		e.step(ctx, waiting, look)
		timer.Reset(e.wait())
	}
}

// drain takes the other ports that wait: one ruleset serves them all.
func (e *engine) drain(waiting []*opening) []*opening {
	for {
		select {
		case o := <-e.s.opens:
			waiting = append(waiting, o)
		default:
			return waiting
		}
	}
}

// wait is how long nothing needs to be done.
func (e *engine) wait() time.Duration {
	d, now := lookAgain, e.s.now()
	if !e.next.IsZero() {
		d = min(d, e.next.Sub(now))
	}
	if e.applied != nil {
		if at := e.applied.Expires(); !at.IsZero() {
			d = min(d, at.Sub(now))
		}
	}
	return max(d, time.Millisecond)
}

// adoptClosed finds the ports that an earlier life of the program closed.
func (e *engine) adoptClosed(ctx context.Context) {
	ports, err := e.s.o.Kernel.Closed(ctx)
	if err != nil {
		e.s.log.Debug("firewall: closed ports", "err", err)
		return
	}
	e.s.mu.Lock()
	defer e.s.mu.Unlock()
	for _, port := range ports {
		e.s.closed[port] = true
	}
}

// step makes the kernel hold what follows from the store now, and answers those who wait for that. look asks whether things
// outside of the store have changed.
func (e *engine) step(ctx context.Context, waiting []*opening, look bool) {
	s := e.s
	if err := e.prepare(ctx, waiting); err != nil {
		answer(waiting, err)
		return
	}
	w, err := s.worldWith()
	if err == nil && !w.ready && len(waiting) > 0 {
		err = e.untilReady(ctx)
		if err == nil {
			w, err = s.worldWith()
		}
	}
	if err != nil {
		e.fail(err)
		answer(waiting, err)
		return
	}
	if !w.ready {
		return // a ruleset without the guests that are yet to be seen would open their ports
	}
	foreign := (look || len(waiting) > 0) && e.outside(ctx, w)
	w.Node = e.node
	switch {
	case e.applied == nil, foreign, !w.same(e.applied), !e.next.IsZero() && (len(waiting) > 0 || !s.now().Before(e.next)):
		err = e.apply(ctx, w)
	}
	e.answer(ctx, w, waiting, err)
}

// prepare notes ports that are about to be opened, and reads what decides on them: what their makers have stored is seen.
func (e *engine) prepare(ctx context.Context, waiting []*opening) error {
	s := e.s
	for _, o := range waiting {
		if err := s.refreshPort(ctx, o.port); err != nil {
			return err
		}
		id, _, _ := portOf(o.port)
		basis := s.view.rev(inventory.Key(id))
		s.mu.Lock()
		s.ports[o.port] = basis
		s.mu.Unlock()
	}
	return nil
}

// untilReady waits for the first reports of the watches.
func (e *engine) untilReady(ctx context.Context) error {
	for {
		if _, ready := e.s.view.snapshot(); ready {
			return nil
		}
		select {
		case <-e.s.view.changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// outside looks at what the store does not tell: the node's addresses, and rules that somebody else has changed.
func (e *engine) outside(ctx context.Context, w *world) (changed bool) {
	if !w.on() {
		return false
	}
	s := e.s
	if s.o.Facts != nil {
		node, err := s.o.Facts(ctx)
		if err != nil {
			s.log.Warn("firewall: addresses of the node", "err", err)
		} else if !node.Equal(e.node) {
			e.node, changed = node, true
		}
	}
	foreign, err := s.o.Kernel.Foreign(ctx)
	if err != nil {
		s.log.Debug("firewall: has somebody changed the rules", "err", err)
	}
	return changed || foreign
}

// apply has the kernel hold the ruleset of w.
func (e *engine) apply(ctx context.Context, w *world) error {
	s := e.s
	if w.on() && e.applied == nil || w.on() && !e.applied.on() {
		e.outside(ctx, w) // nobody looked while it was off
		w.Node = e.node
	}
	rs := e.compiler.Compile(&w.World)
	// A port that nothing is known of must not be open.
	if err := e.closeUnknown(ctx, w); err != nil {
		e.fail(err)
		return err
	}
	report, err := s.o.Kernel.Apply(ctx, rs)
	e.warn(w, rs)
	if err != nil && w.on() {
		e.fail(err)
		e.note(w, err)
		return err
	}
	e.applied, e.next, e.delay = w, time.Time{}, retryFirst
	if err != nil { // nothing is to be filtered; what an earlier life left may have to go yet
		s.log.Debug("firewall: take the rules away", "err", err)
		e.next = s.now().Add(retryLast)
	}
	if e.told != "" {
		e.told = ""
		s.log.Info("firewall: the rules are in again")
	}
	if report != nil && len(report.Steps) > 0 {
		s.log.Debug("firewall: rules changed", "steps", len(report.Steps), "opened", report.Opened, "closed", report.Closed)
	}
	e.note(w, nil)
	if w.on() {
		e.whileOn(ctx, w)
	}
	s.forgetGone(w)
	return nil
}

// closeUnknown closes ports that no card belongs to.
func (e *engine) closeUnknown(ctx context.Context, w *world) error {
	if !w.on() || len(w.unknown) == 0 {
		return nil
	}
	e.s.mu.Lock()
	for _, port := range w.unknown {
		e.s.closed[port] = true
	}
	e.s.mu.Unlock()
	return e.s.o.Kernel.Guard(ctx, w.unknown...)
}

// whileOn does what goes with a firewall that is on: limits of connection tracking, and the log.
func (e *engine) whileOn(ctx context.Context, w *world) {
	if e.s.o.Sysctls != nil {
		if err := e.s.o.Sysctls(ctx, firewall.Sysctls(w.Host)); err != nil {
			e.s.log.Warn("firewall: limits of connection tracking", "err", err)
		}
	}
	if !e.logging {
		e.logging = true
		close(e.logOn)
	}
}

// fail notes an error and when to try again. The same error is logged once.
func (e *engine) fail(err error) {
	s := e.s
	e.next = s.now().Add(e.delay)
	e.delay = min(2*e.delay, retryLast)
	if text := err.Error(); text != e.told {
		e.told = text
		s.log.Error("firewall: the rules cannot be changed, the ones before stay", "err", err)
	}
	s.mu.Lock()
	s.status.Err = err
	s.mu.Unlock()
}

// note publishes how things stand.
func (e *engine) note(w *world, err error) {
	s := e.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Enabled, s.status.Err, s.status.Warnings = w.on(), err, e.warned
	if err == nil {
		s.status.Applied = s.now()
	}
}

// warn logs what of the files has no effect, when that changes.
func (e *engine) warn(w *world, rs *firewall.Ruleset) {
	all := slices.Concat(w.warnings, rs.Warnings)
	slices.Sort(all)
	all = slices.Compact(all)
	if w.on() && len(all) > 0 && !slices.Equal(all, e.warned) {
		e.s.log.Warn("firewall: parts of the files have no effect", "warnings", strings.Join(all, "; "))
	}
	e.warned = all
}

// answer tells those who wait how their ports stand.
func (e *engine) answer(ctx context.Context, w *world, waiting []*opening, err error) {
	for _, o := range waiting {
		switch state := w.portState(o.port); {
		case state == portUnknown:
			o.done <- errors.Join(errUnknownPort(o.port), err)
		case state == portFiltered && err != nil:
			o.done <- err
		default: // its rules are in, or it needs none
			o.done <- e.s.letPass(ctx, o.port)
		}
	}
}

// letPass opens a port if it was closed.
func (s *Service) letPass(ctx context.Context, port string) error {
	s.mu.Lock()
	closed := s.closed[port]
	s.mu.Unlock()
	if !closed {
		return nil
	}
	return s.o.Kernel.Release(ctx, port)
}

func answer(waiting []*opening, err error) {
	for _, o := range waiting {
		o.done <- err
	}
}

// forgetGone drops what is remembered of guests that are not here any more.
func (s *Service) forgetGone(w *world) {
	here := map[int]bool{}
	for i := range w.Guests {
		here[w.Guests[i].ID] = true
	}
	s.guests.keep(func(id int) bool { return here[id] })
	s.parsed.keep(func(p string) bool {
		place, ok := placeOf(p)
		return ok && (place.level != firewall.Guest || here[place.guest])
	})
}
