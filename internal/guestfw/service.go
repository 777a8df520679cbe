package guestfw

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/netkit/firewall/nflog"
)

// Kernel is what the engine needs of a [firewall.Conn].
type Kernel interface {
	Apply(ctx context.Context, want *firewall.Ruleset) (*firewall.Report, error)
	Guard(ctx context.Context, ports ...string) error
	Release(ctx context.Context, ports ...string) error
	Closed(ctx context.Context) ([]string, error)
	Foreign(ctx context.Context) (bool, error)
}

// Options are what the service stands on. Node, Store and Kernel are required.
type Options struct {
	Node   string
	Store  cluster.Store
	Kernel Kernel

	// Facts are the addresses of the node, asked for at every look; nil: none are known.
	Facts func(ctx context.Context) (firewall.Node, error)
	// Sysctls sets values of /proc/sys by their path below it; nil: none are set.
	Sysctls func(ctx context.Context, values map[string]string) error
	// Packets opens the stream of what rules log; nil: nothing is logged.
	Packets func(ctx context.Context) (PacketSource, error)
	LogFile string // what rules log; empty: nowhere

	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discarded
}

// PacketSource is what the log is written from: an [nflog.Conn].
type PacketSource interface {
	Next(ctx context.Context) (*nflog.Packet, error)
	Close() error
}

// Service is safe for concurrent use.
type Service struct {
	o      Options
	log    *slog.Logger
	parsed parsedFiles
	guests guestRecords
	view   view
	file   *logFile
	opens  chan *opening
	ended  chan struct{} // closed when Run returns

	mu     sync.Mutex       // guards the fields below; never held across I/O
	ports  map[string]int64 // that are open or opening, with the revision of the guest's record that they were opened at
	closed map[string]bool  // that the kernel may have been told to close
	status Status
}

// New makes a service. It touches nothing.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		o: o, log: o.Logger, opens: make(chan *opening), ended: make(chan struct{}),
		ports: map[string]int64{}, closed: map[string]bool{}, file: newLogFile(o.LogFile),
	}
	s.view.init()
	return s
}

// Status is how the node's filtering stands.
type Status struct {
	Enabled  bool      // the cluster's firewall is on
	Applied  time.Time // when a ruleset was last found or made to be what the kernel holds
	Err      error     // why the last one is not; the one before it holds then
	Warnings []string  // what of the files has no effect, and why
}

// Status tells how the node's filtering stands.
func (s *Service) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}
