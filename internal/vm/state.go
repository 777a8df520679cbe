package vm

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/storage"
)

// A stock QEMU saves its state as a migration into a file and loads it as a migration out of one. The file is opened here
// and passed as a descriptor: QEMU's user has no right to it, and its sandbox lets it start no program in between. How that
// is said depends on the version: fd: for files is deprecated since 9.1, file: with a set of descriptors is there since 8.2.
const (
	stateFD  = "gpve-state"
	stateSet = 4711 // a number that nobody else gives to a set
)

// unlimited is a bandwidth in bytes a second that nothing reaches, in place of QEMU's modest default for networks.
const unlimited = 1 << 40

// openState opens the volume of a VM's saved state.
func (s *Service) openState(ctx context.Context, volume string, write bool) (*os.File, error) {
	at, err := s.o.Volumes.Attach(ctx, volume, 0, !write)
	if err != nil {
		return nil, err
	}
	var path string
	links := 0 // the names of block devices are links
	switch at := at.(type) {
	case storage.File:
		path, links = at.Path, syscall.O_NOFOLLOW
	case storage.Block:
		path = at.Path
	default:
		return nil, call.Errorf("storage of volume '%s' cannot keep the state of a VM", volume)
	}
	flags := os.O_RDONLY
	if write {
		flags = os.O_WRONLY // exactly so: QEMU takes of a set what fits the use
	}
	return os.OpenFile(path, flags|links, 0)
}

// migration is what query-migrate tells. See qapi/migration.json: MigrationInfo.
type migration struct {
	Status string `json:"status"`
	Error  string `json:"error-desc"`
	RAM    struct {
		Transferred int64 `json:"transferred"`
		Total       int64 `json:"total"`
		Remaining   int64 `json:"remaining"`
	} `json:"ram"`
}

// over reports whether a migration has ended or never begun.
func (m *migration) over() bool {
	switch m.Status {
	case "", "none", "completed", "failed", "cancelled":
		return true
	}
	return false
}

// saveState stops the guest and writes its state into f.
func (g *guest) saveState(ctx context.Context, op *task.Op, f *os.File) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	if err := c.Do(ctx, "stop", nil, nil); err != nil {
		return call.Errorf("VM %d qmp command 'stop' failed - %w", g.id, err)
	}
	if err := c.Do(ctx, "migrate-set-parameters", map[string]any{"max-bandwidth": unlimited}, nil); err != nil {
		return call.Errorf("VM %d qmp command 'migrate-set-parameters' failed - %w", g.id, err)
	}
	if err := transfer(ctx, c, "migrate", f); err != nil {
		return call.Errorf("VM %d qmp command 'migrate' failed - %w", g.id, err)
	}
	m, err := follow(ctx, c, func(m *migration) {
		if m.RAM.Total > 0 {
			op.Progress(1-float64(m.RAM.Remaining)/float64(m.RAM.Total), fmt.Sprintf("%d MiB of state written", m.RAM.Transferred>>20))
		}
	})
	if err != nil {
		return err
	}
	if m.Status != "completed" {
		return call.Errorf("saving the state failed: %s", m.reason())
	}
	return nil
}

func (m *migration) reason() string {
	if m.Error != "" {
		return m.Error
	}
	return "migration " + m.Status
}

// transfer passes f to QEMU and begins to migrate into or out of it.
func transfer(ctx context.Context, c *qmp.Client, cmd string, f *os.File) error {
	if v := c.Greeting().Version; v.Major < 9 || v.Major == 9 && v.Minor < 1 {
		if err := c.DoFD(ctx, "getfd", map[string]any{"fdname": stateFD}, f, nil); err != nil {
			return err
		}
		return c.Do(ctx, cmd, map[string]any{"uri": "fd:" + stateFD}, nil)
	}
	_ = c.Do(ctx, "remove-fd", map[string]any{"fdset-id": stateSet}, nil) // of an attempt that failed
	if err := c.DoFD(ctx, "add-fd", map[string]any{"fdset-id": stateSet}, f, nil); err != nil {
		return err
	}
	return c.Do(ctx, cmd, map[string]any{"uri": fmt.Sprintf("file:/dev/fdset/%d", stateSet)}, nil)
}

// untransfer takes back a descriptor that was not used, or not used up.
func untransfer(ctx context.Context, c *qmp.Client) {
	_ = c.Do(ctx, "closefd", map[string]any{"fdname": stateFD}, nil)
	_ = c.Do(ctx, "remove-fd", map[string]any{"fdset-id": stateSet}, nil)
}

// follow waits for the end of a migration.
func follow(ctx context.Context, c *qmp.Client, progress func(*migration)) (*migration, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var m migration
		if err := c.Do(ctx, "query-migrate", nil, &m); err != nil {
			return nil, err
		}
		if m.over() {
			return &m, nil
		}
		progress(&m)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// cancelSave breaks a saving off, at whatever point it is, and lets the guest go on if it shall.
func (g *guest) cancelSave(ctx context.Context, run bool) error {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	_ = c.Do(ctx, "migrate_cancel", nil, nil) // there may be none
	if _, err := follow(ctx, c, func(*migration) {}); err != nil {
		return err
	}
	untransfer(ctx, c)
	if !run {
		return nil
	}
	return c.Do(ctx, "cont", nil, nil)
}

// resumeState loads saved state into a QEMU that waits for it, and lets the guest run. The state is discarded in between:
// once the guest runs, its disks do not fit it any more.
func (s *Service) resumeState(ctx context.Context, op *task.Op, v *VM, g *guest, path string) error {
	volume := v.Config.Main["vmstate"]
	f, err := s.openSaved(ctx, volume, path)
	if err != nil {
		return err
	}
	defer f.Close()
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	if err := transfer(ctx, c, "migrate-incoming", f); err != nil {
		return call.Errorf("VM %d qmp command 'migrate-incoming' failed - %w", g.id, err)
	}
	m, err := follow(ctx, c, func(*migration) {})
	untransfer(ctx, c)
	switch {
	case err != nil:
		return fmt.Errorf("load the saved state: %w", err)
	case m.Status != "completed":
		return call.Errorf("loading the saved state failed: %s", m.reason())
	}
	s.o.FailPoint("loaded")
	op.Logf("Resumed VM, removing state")
	for _, key := range append([]string{"vmstate", "lock"}, runningKeys...) {
		delete(v.Config.Main, key)
	}
	if isVolume(volume) {
		if err := s.freeVolume(ctx, op, v, volume); err != nil {
			return err
		}
	}
	if err := s.commitDoomed(ctx, op, v); err != nil {
		return err
	}
	s.o.FailPoint("discarded")
	return g.command(ctx, "cont", nil)
}

// openSaved opens the state of a suspended VM: a volume, or a file that root has named.
func (s *Service) openSaved(ctx context.Context, volume, path string) (*os.File, error) {
	if isVolume(volume) {
		return s.openState(ctx, volume, false)
	}
	return os.Open(path)
}

// machineType asks QEMU for the versioned type of its board, such as pc-i440fx-9.2.
func machineType(ctx context.Context, c *qmp.Client) (string, error) {
	var typ string
	if err := c.Do(ctx, "qom-get", map[string]any{"path": "/machine", "property": "type"}, &typ); err != nil {
		return "", err
	}
	return strings.TrimSuffix(typ, "-machine"), nil
}
