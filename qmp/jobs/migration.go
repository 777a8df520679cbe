package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// migration is one that is under way.
type migration struct {
	MigrateOptions
	source, target *qmp.Subscription // to the migration's events
	resumed        *qmp.Subscription // of the source
	now            MigrationProgress
	postcopy       bool // asked for
}

func newMigration(o *MigrateOptions) (*migration, error) {
	if o == nil || o.Source == nil || o.URI == "" {
		return nil, errors.New("jobs: migrate: no source or no URI")
	}
	m := &migration{MigrateOptions: *o}
	if m.Multifd < 0 || m.Multifd > 255 || m.PostcopyAfter < 0 || m.Downtime.Start < 0 || m.Downtime.Max < 0 || m.Downtime.Passes < 0 {
		return nil, errors.New("jobs: migrate: an option is out of range")
	}
	if tls := m.TLS; tls != nil && (tls.SourceCreds == "" || m.Target != nil && tls.TargetCreds == "") {
		return nil, errors.New("jobs: migrate: TLS without credentials")
	}
	if m.Grace <= 0 {
		m.Grace = time.Minute
	}
	if m.Downtime.Passes == 0 {
		m.Downtime.Passes = 2
	}
	m.now.DowntimeLimit = m.Downtime.Start
	m.Capabilities = append(slices.Clone(m.Capabilities), qapi.MigrationCapabilityEvents)
	for capability, wanted := range map[qapi.MigrationCapability]bool{
		qapi.MigrationCapabilityMultifd:               m.Multifd > 0,
		qapi.MigrationCapabilityPostcopyRAM:           m.PostcopyAfter > 0,
		qapi.MigrationCapabilityPauseBeforeSwitchover: m.BeforeSwitchover != nil,
	} {
		if wanted {
			m.Capabilities = append(m.Capabilities, capability)
		}
	}
	return m, nil
}

// prepare sets one side up.
func (m *migration) prepare(ctx context.Context, c *qmp.Client, params *qapi.MigrateSetParametersArgs) error {
	var list []qapi.MigrationCapabilityStatus
	for _, capability := range m.Capabilities {
		list = append(list, qapi.MigrationCapabilityStatus{Capability: capability, State: true})
	}
	if err := qapi.MigrateSetCapabilities(ctx, c, list); err != nil {
		return err
	}
	var p qapi.MigrateSetParametersArgs
	if params != nil {
		p = *params
	}
	if m.Multifd > 0 {
		p.MultifdChannels = new(uint8(m.Multifd))
	}
	if m.TLS != nil {
		m.TLS.set(&p, c == m.Source)
	}
	if m.now.DowntimeLimit > 0 && c == m.Source {
		p.DowntimeLimit = new(uint64(m.now.DowntimeLimit.Milliseconds()))
	}
	return qapi.MigrateSetParameters(ctx, c, &p)
}

func (tls *MigrateTLS) set(p *qapi.MigrateSetParametersArgs, source bool) {
	creds := tls.TargetCreds
	if source {
		creds = tls.SourceCreds
		p.TLSHostname.S = &tls.Hostname
	} else if tls.Authz != "" {
		p.TLSAuthz.S = &tls.Authz
	}
	p.TLSCreds.S = &creds
}

// run follows the source to its end, and then the target.
func (m *migration) run(ctx context.Context) error {
	err := m.follow(ctx)
	switch {
	case err == nil:
		return m.arrive(ctx)
	case m.Source.Err() != nil:
		return err
	case m.over():
		return errors.Join(err, m.back(ctx))
	case m.now.Status == qapi.MigrationStatusPostcopyActive:
		return fmt.Errorf("jobs: migration goes on: %w", err)
	}
	return m.cancel(ctx, err)
}

// cancel ends the migration because of why, and returns when the guest is back, or has arrived after all.
func (m *migration) cancel(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.Grace)
	defer cancel()
	if err := qapi.MigrateCancel(ctx, m.Source); err != nil {
		return errors.Join(why, err)
	}
	switch err := m.follow(ctx); {
	case err == nil: // it was too late
		return m.arrive(ctx)
	case errors.Is(err, ErrCancelled):
		return errors.Join(why, m.back(ctx))
	default:
		return errors.Join(why, err)
	}
}

// back waits until the source, which stops its guest for the last part of a migration, has let it go on.
func (m *migration) back(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.Grace)
	defer cancel()
	for {
		s, err := qapi.QueryStatus(ctx, m.Source)
		if err != nil {
			return fmt.Errorf("jobs: migration: source: %w", err)
		}
		if s.Status != qapi.RunStateFinishMigrate {
			return nil
		}
		if _, err := m.resumed.Next(ctx, nil); err != nil {
			return fmt.Errorf("jobs: migration: the source does not go on: %w", err)
		}
	}
}

// over tells whether the source is through, one way or the other.
func (m *migration) over() bool {
	switch m.now.Status {
	case qapi.MigrationStatusCompleted, qapi.MigrationStatusFailed, qapi.MigrationStatusCancelled, qapi.MigrationStatusPostcopyPaused:
		return true
	}
	return false
}

// follow handles the source's events until its end. Nil means completed.
func (m *migration) follow(ctx context.Context) error {
	for {
		e, err := m.source.Next(ctx, nil)
		if _, ok := errors.AsType[*qmp.OverflowError](err); ok {
			continue // the ring keeps the newest 256, among them the end
		}
		if err != nil {
			return err
		}
		data, err := qapi.DecodeEvent(e)
		if err != nil {
			return err
		}
		switch d := data.(type) {
		case *qapi.MigrationEvent:
			m.now.Status = d.Status
			m.report()
			if done, err := m.changed(ctx); done || err != nil {
				return err
			}
		case *qapi.MigrationPassEvent:
			m.now.Pass = int(d.Pass)
			if err := m.passed(ctx); err != nil {
				return err
			}
			m.report()
		}
	}
}

func (m *migration) report() {
	if m.OnProgress != nil {
		m.OnProgress(m.now)
	}
}

func (m *migration) changed(ctx context.Context) (done bool, err error) {
	switch m.now.Status {
	case qapi.MigrationStatusCompleted:
		return true, nil
	case qapi.MigrationStatusFailed:
		return true, m.failure(ctx)
	case qapi.MigrationStatusCancelled:
		return true, fmt.Errorf("jobs: migration: %w", ErrCancelled)
	case qapi.MigrationStatusPostcopyPaused:
		return true, fmt.Errorf("jobs: migration: %w", ErrPostcopyPaused)
	case qapi.MigrationStatusPreSwitchover:
		if m.BeforeSwitchover == nil { // the caller has set the capability: it goes on as it likes
			return false, nil
		}
		if err := m.BeforeSwitchover(ctx); err != nil {
			return false, fmt.Errorf("jobs: migration: before switchover: %w", err)
		}
		return false, qapi.MigrateContinue(ctx, m.Source, qapi.MigrationStatusPreSwitchover)
	}
	return false, nil
}

// passed acts on the start of another pass over the memory.
func (m *migration) passed(ctx context.Context) error {
	if m.PostcopyAfter > 0 && m.now.Pass > m.PostcopyAfter && !m.postcopy {
		m.postcopy = true
		return qapi.MigrateStartPostcopy(ctx, m.Source)
	}
	limit := m.Downtime.limit(m.now.Pass)
	if limit == m.now.DowntimeLimit {
		return nil
	}
	m.now.DowntimeLimit = limit
	return qapi.MigrateSetParameters(ctx, m.Source, &qapi.MigrateSetParametersArgs{DowntimeLimit: new(uint64(limit.Milliseconds()))})
}

// failure asks both sides for the reason.
func (m *migration) failure(ctx context.Context) error {
	e := &MigrationError{Status: m.now.Status, Text: reason(ctx, m.Source)}
	if m.Target != nil {
		e.Target = reason(ctx, m.Target) // which may be gone
	}
	return e
}

func reason(ctx context.Context, c *qmp.Client) string {
	info, err := qapi.QueryMigrate(ctx, c)
	if err != nil || info.ErrorDesc == nil {
		return ""
	}
	return *info.ErrorDesc
}

// arrive waits until the target has everything.
func (m *migration) arrive(ctx context.Context) error {
	if m.target == nil {
		return nil
	}
	for {
		e, err := m.target.Next(ctx, nil)
		if err != nil {
			return fmt.Errorf("jobs: migration: target: %w", err)
		}
		data, err := qapi.EventAs[qapi.MigrationEvent](e)
		switch {
		case err != nil:
			return err
		case data.Status == qapi.MigrationStatusCompleted:
			return nil
		case data.Status == qapi.MigrationStatusFailed:
			return &MigrationError{Status: data.Status, Target: reason(ctx, m.Target)}
		}
	}
}
