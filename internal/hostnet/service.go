package hostnet

import (
	"context"
	"log/slog"
	"os/exec"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/netkit"
)

// DefaultConfirmTime is how long a new network configuration waits for a request before it is taken back.
const DefaultConfirmTime = time.Minute

// Options are what the service needs of its host.
type Options struct {
	Conn    *netkit.Conn // in the namespace of the guests' bridges; the caller closes it
	Bridges []Bridge     // to be made by EnsureBridges
	// InterfacesFile is Debian's /etc/network/interfaces; a missing file is an empty one. Beside it lie interfaces.new, with
	// what is not applied yet, and a lock file. Empty: there is none, and nothing can be written.
	InterfacesFile string
	Node           string // name of this node
	// Access decides which bridges a caller may see in the node's network list; without it only root@pam sees any.
	Access *access.Service
	Tasks  *task.Engine // applies new configurations; nil: that is unsupported
	Guard  PortGuard    // of guests' ports; nil: none
	// ConfirmTime is how long a new configuration waits for a request that shows that the node can be reached; 0 is
	// DefaultConfirmTime, and a negative one keeps it unconfirmed.
	ConfirmTime time.Duration
	// Boot is the host's present one. Without its ID a staged configuration is never put in force by a restart of the host.
	Boot Boot
	// OpenVSwitch tells whether its tools are installed; nil looks for ovs-vsctl in PATH.
	OpenVSwitch func() bool
	Logger      *slog.Logger // nil discards
}

// Service is safe for concurrent use.
type Service struct {
	conn    *netkit.Conn
	bridges []Bridge
	file    string
	node    string
	access  *access.Service
	tasks   *task.Engine
	guard   PortGuard
	confirm time.Duration
	boot    Boot
	ovs     func() bool
	log     *slog.Logger
	links   func(context.Context) ([]netkit.Link, error) // of the host
	awaits  confirmations
	fail    func(ctx context.Context, point string) // of tests; never nil

	// changes serialises plan and apply: two planners of one link would see each other's half.
	changes sync.Mutex
}

// New checks the options and registers the operation with Tasks; it touches nothing else.
func New(o Options) (*Service, error) {
	for _, b := range o.Bridges {
		if err := b.Check(); err != nil {
			return nil, err
		}
	}
	s := &Service{
		conn: o.Conn, bridges: o.Bridges, file: o.InterfacesFile, node: o.Node, access: o.Access, tasks: o.Tasks, guard: o.Guard,
		confirm: o.ConfirmTime, boot: o.Boot, ovs: o.OpenVSwitch, log: o.Logger, fail: func(context.Context, string) {},
	}
	if s.guard == nil {
		s.guard = noGuard{}
	}
	if s.confirm == 0 {
		s.confirm = DefaultConfirmTime
	}
	if s.ovs == nil {
		s.ovs = func() bool { _, err := exec.LookPath("ovs-vsctl"); return err == nil }
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.links = func(ctx context.Context) ([]netkit.Link, error) { return s.conn.Links(ctx) }
	if s.tasks != nil {
		s.registerReload()
	}
	return s, nil
}

// change makes links as they are wanted and removes those that shall be gone; have reads what is there.
func (s *Service) change(ctx context.Context, have func() ([]netkit.Link, error), want []netkit.Link, gone ...string) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	links, err := have()
	if err != nil {
		return err
	}
	steps, err := netkit.Plan(links, want, gone...)
	if err != nil {
		return err
	}
	return s.conn.Apply(ctx, steps)
}
