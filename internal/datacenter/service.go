package datacenter

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// NodeRow is a node in the list of resources.
type NodeRow any

// StorageRow is a storage of a node as the list of resources shows it.
type StorageRow struct {
	Storage, Node, Type, Content string
	Shared, Active               bool
	Total, Used                  int64 // bytes, 0 when not active
}

// Options are what the service stands on; all are required but Address, Clock and Logger.
type Options struct {
	Node      string
	Store     cluster.Store
	Access    *access.Service
	Inventory *inventory.Inventory
	// NodeRow returns this node's row as the caller in ctx may see it.
	NodeRow func(ctx context.Context) (NodeRow, error)
	// Storages returns all enabled storages of this node.
	Storages func(ctx context.Context) ([]StorageRow, error)
	Address  string // of this node, for /cluster/status; may be empty
	Clock    func() time.Time
	Logger   *slog.Logger
}

// Service implements the API's methods below /cluster and /pools. It is safe for concurrent use.
type Service struct {
	o     Options
	log   *Log
	lists inventory.Bodies

	keptDirty chan struct{} // holds one token when kept is to be stored
	keptMu    sync.Mutex    // guards kept; never held across I/O
	kept      []keptEntry   // the oldest first
}

// New touches nothing.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o, log: newLog(o.Node, os.Getpid()), lists: inventory.Bodies{MaxAge: time.Second}, keptDirty: make(chan struct{}, 1)}
}

// Log returns the cluster's log.
func (s *Service) Log() *Log { return s.log }

// GetClusterStatus answers GET /cluster/status: a node on its own.
func (s *Service) GetClusterStatus(context.Context, *schema.GetClusterStatus) ([]schema.GetClusterStatusRow, error) {
	yes := schema.Bool(true)
	row := schema.GetClusterStatusRow{
		Type: "node", Id: "node/" + s.o.Node, Name: s.o.Node, Nodeid: new(int64), Local: &yes, Online: &yes, Level: new(string),
	}
	if s.o.Address != "" {
		row.Ip = &s.o.Address
	}
	return []schema.GetClusterStatusRow{row}, nil
}
