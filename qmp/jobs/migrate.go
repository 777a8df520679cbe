package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// ErrPostcopyPaused says that the connection broke while the guest ran on the target already: its memory is in two halves.
// The migration has to be recovered (migrate-recover, migrate with resume), or the guest is lost.
var ErrPostcopyPaused = errors.New("postcopy migration has lost its connection")

// MigrationError is a migration that failed. The guest runs on where it was.
type MigrationError struct {
	Status qapi.MigrationStatus // the last one
	Text   string               // QEMU's reason, or ""
	Target string               // the target's, or ""
}

func (e *MigrationError) Error() string {
	text := "jobs: migration " + string(e.Status)
	for _, t := range []string{e.Text, e.Target} {
		if t != "" {
			text += ": " + t
		}
	}
	return text
}

// Ramp raises the allowed downtime step by step, for guests that write faster than the connection carries.
type Ramp struct {
	// Start is the limit of the first passes, Max the last one. Zero Start leaves QEMU's 300 ms, or what Parameters say;
	// zero Max leaves Start.
	Start, Max time.Duration
	// Passes over the memory after which the limit doubles: 2.
	Passes int
}

// limit returns what the ramp allows in a pass, 0 for QEMU's own limit.
func (r Ramp) limit(pass int) time.Duration {
	if r.Start == 0 || r.Max <= r.Start {
		return r.Start
	}
	limit := r.Start
	for range (pass - 1) / r.Passes {
		if limit *= 2; limit >= r.Max {
			return r.Max
		}
	}
	return limit
}

// MigrateOptions say what moves where. Source and URI must be given.
type MigrateOptions struct {
	// Source runs the guest. Target was started with the same machine and -incoming defer; nil means that somebody else
	// looks after it.
	Source, Target *qmp.Client
	// URI is where the target listens and the source connects, such as "unix:/run/vm/migrate.sock".
	URI string
	// Capabilities are switched on at both sides. "events" always is.
	Capabilities []qapi.MigrationCapability
	// Parameters are set at the source and TargetParameters at the target, both before the start.
	Parameters, TargetParameters *qapi.MigrateSetParametersArgs
	// Multifd is the number of parallel connections for memory; 0 is without.
	Multifd  int
	Downtime Ramp
	// TLS encrypts the stream; nil leaves it in the clear. It does not go with postcopy.
	TLS *MigrateTLS
	// PostcopyAfter starts the guest on the target after so many passes over the memory, which follows; 0 is never.
	PostcopyAfter int
	// BeforeSwitchover is called when the source has stopped and before the target goes on: to let go of disks. Its error
	// cancels the migration. Nil switches over at once.
	BeforeSwitchover func(context.Context) error
	// OnProgress is called in the goroutine of Migrate at each change of the state and each pass over the memory.
	OnProgress func(MigrationProgress)
	// Grace is what a cancelled migration has to end: 1 minute.
	Grace time.Duration
}

// MigrateTLS names the credentials of both sides: objects of type tls-creds-x509, with the endpoint "client" at the source
// and "server" at the target. See machine.TLSCredentials.
type MigrateTLS struct {
	SourceCreds, TargetCreds string // ids; of the target nothing where somebody else looks after it
	// Hostname is what the target's certificate must be for. Empty is the host of the URI, so it must be given for others
	// than tcp.
	Hostname string
	// Authz is the id of the target's authz object, which says whose certificates it takes; empty takes all that the
	// authority has signed.
	Authz string
}

// MigrationProgress is how far a migration is.
type MigrationProgress struct {
	Status qapi.MigrationStatus
	Pass   int // over the memory, from 1
	// DowntimeLimit is what the ramp allows now; 0 without a ramp.
	DowntimeLimit time.Duration
}

// Migrate moves a running or stopped guest to another QEMU and returns what QEMU measured. At the end the target goes on as
// the source was, and the source is for its owner to quit: it is in the state postmigrate, or about to be, as QEMU raises no
// event for that.
//
// When ctx ends, or BeforeSwitchover fails, the migration is cancelled: Migrate returns when that is done and the guest is
// back at the source. A target that has got a part is of no use any more. Once in postcopy it cannot be cancelled: then ctx ends only the waiting. A migration that was
// cancelled by others is ErrCancelled. Sources of the steps: qapi/migration.json: migrate, MigrationStatus, MIGRATION,
// MIGRATION_PASS.
func Migrate(ctx context.Context, o *MigrateOptions) (*qapi.MigrationInfo, error) {
	m, err := newMigration(o)
	if err != nil {
		return nil, err
	}
	if m.Target != nil {
		m.target = m.Target.Subscribe(qapi.EventMigration)
		defer m.target.Close()
		if err := m.prepare(ctx, m.Target, m.TargetParameters); err != nil {
			return nil, err
		}
		if err := qapi.MigrateIncoming(ctx, m.Target, &qapi.MigrateIncomingArgs{URI: &m.URI}); err != nil {
			return nil, err
		}
	}
	if err := m.prepare(ctx, m.Source, m.Parameters); err != nil {
		return nil, err
	}
	m.source = m.Source.Subscribe(qapi.EventMigration, qapi.EventMigrationPass)
	defer m.source.Close()
	m.resumed = m.Source.Subscribe(qapi.EventResume)
	defer m.resumed.Close()
	if err := qapi.Migrate(ctx, m.Source, &qapi.MigrateArgs{URI: &m.URI}); err != nil {
		return nil, err
	}
	if err := m.run(ctx); err != nil {
		return nil, err
	}
	return qapi.QueryMigrate(ctx, m.Source)
}
