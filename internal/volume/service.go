package volume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/hosttool"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options of New. The zero value of each field is the documented default.
type Options struct {
	Node          string          // name of this node; required
	LocalPath     string          // folder of the built-in storage local; default /var/lib/vz
	Tools         hosttool.Runner // the host's programs; default hosttool.Host
	PrivDir       string          // where passwords and keys are written for the drivers' programs; default: nowhere
	Tool          *qimg.Tool      // for copies; default qimg.New(nil)
	ProbeInterval time.Duration   // between two looks at a storage; default 10 s
	ProbeTimeout  time.Duration   // after which a storage that does not answer is inactive; default 5 s
	// Probe activates a storage and asks for its usage in place of the driver, where the driver would do so by calls to the
	// kernel about files that another machine serves: such calls may never return. It does, soon after ctx ends. nil: the driver.
	Probe        func(ctx context.Context, cfg storage.Config) (storage.Usage, error)
	RoomBytes    int64                 // of one download at most; default: what the storage has
	FetchAllowed func(netip.Addr) bool // where downloads may connect to; default: not the host itself, its link or groups
	MaxCopies    int                   // copies of whole volumes at the same time; default 4
	Clock        func() time.Time      // default time.Now
	Logger       *slog.Logger          // nil discards
}

// Access answers questions about permissions and changes them; *access.Service does.
type Access interface {
	Check(ctx context.Context, path string, privs ...string) error
	CheckAny(ctx context.Context, path string, privs ...string) error
	Has(ctx context.Context, path, priv string) bool
	Parts(ctx context.Context, fn func(*access.UserConfig) error) ([]cluster.Part, error)
}

// Service is the storage room. See the package.
type Service struct {
	store  cluster.Store
	tasks  *task.Engine
	access Access
	reg    *storage.Registry
	opts   Options
	tool   *qimg.Tool
	log    *slog.Logger
	fetch  fetcher
	copies chan struct{} // one element for each copy under way

	mu       sync.Mutex // guards the fields below; never held across I/O or a call into another package
	config   *configFile
	drivers  map[string]*mounted
	reserved map[string]time.Time     // volume ids handed out by NextName, until when
	uploads  map[string]storage.Stage // files received, by the token that their task knows

	probes sync.WaitGroup // the goroutines of probes
}

// mounted is a storage with its driver open.
type mounted struct {
	Config
	driver storage.Driver
	probe  probe
}

// New returns the service and registers its operations with tasks. It reads nothing yet.
func New(store cluster.Store, tasks *task.Engine, acc Access, reg *storage.Registry, o *Options) (*Service, error) {
	if o == nil || o.Node == "" {
		return nil, errors.New("volume: the node's name is missing")
	}
	if o.ProbeInterval < 0 || o.ProbeTimeout < 0 || o.MaxCopies < 0 {
		return nil, errors.New("volume: negative option")
	}
	s := &Service{
		store: store, tasks: tasks, access: acc, reg: reg, opts: *o, tool: o.Tool, log: o.Logger,
		drivers: map[string]*mounted{}, reserved: map[string]time.Time{}, uploads: map[string]storage.Stage{},
	}
	s.opts.LocalPath = cmp.Or(o.LocalPath, "/var/lib/vz")
	s.opts.ProbeInterval = cmp.Or(o.ProbeInterval, 10*time.Second)
	s.opts.ProbeTimeout = cmp.Or(o.ProbeTimeout, 5*time.Second)
	if s.opts.Tools == nil {
		s.opts.Tools = hosttool.Host{}
	}
	if s.fetch.allowed = o.FetchAllowed; s.fetch.allowed == nil {
		s.fetch.allowed = publicAddress
	}
	s.copies = make(chan struct{}, cmp.Or(o.MaxCopies, 4))
	if s.opts.Clock == nil {
		s.opts.Clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.tool == nil {
		var err error
		if s.tool, err = qimg.New(nil); err != nil {
			return nil, err
		}
	}
	s.registerTasks()
	return s, nil
}

// mount returns a storage that is enabled on this node, with its driver. The storage may not be reachable.
func (s *Service) mount(ctx context.Context, id string) (*mounted, error) {
	cfg, err := s.Available(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	m := s.drivers[id]
	s.mu.Unlock()
	if m != nil && m.Type == cfg.Type && maps.Equal(m.Options, cfg.Options) {
		return m, nil
	}
	if err := s.placeSecrets(ctx, cfg.Type, id, nil); err != nil {
		return nil, err
	}
	d, err := s.reg.Open(storage.Config{ID: id, Type: cfg.Type, Options: cfg.Options})
	if errors.Is(err, storage.ErrUnknownType) {
		return nil, public(err, "storage '%s' is of type '%s', which this version cannot use", id, cfg.Type)
	}
	if err != nil {
		return nil, public(err, "storage '%s': %v", id, cause(err))
	}
	m = &mounted{Config: cfg, driver: d}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.drivers[id]; now != nil && now.Type == cfg.Type && maps.Equal(now.Options, cfg.Options) {
		return now, nil // somebody else was faster
	}
	s.drivers[id] = m
	return m, nil
}

// enter returns a storage that answers, activated, for work on its volumes.
func (s *Service) enter(ctx context.Context, id string) (*mounted, error) {
	m, err := s.mount(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.usable(ctx, m); err != nil {
		return nil, err
	}
	return m, nil
}

// target is a volume id taken apart, with its storage ready.
type target struct {
	*mounted
	id   storage.VolumeID
	text string // the volume id as given
	name volid.Volume
}

// open takes a volume id apart and readies its storage.
func (s *Service) open(ctx context.Context, text string) (*target, error) {
	id, err := split(text)
	if err != nil {
		return nil, err
	}
	m, err := s.enter(ctx, id.Storage)
	if err != nil {
		return nil, err
	}
	v, err := m.storage().Parse(id.Name)
	if err != nil {
		return nil, public(err, "%v", err)
	}
	return &target{mounted: m, id: storage.VolumeID(id.Name), text: text, name: v}, nil
}

func split(text string) (volid.ID, error) {
	id, err := volid.Split(text)
	if err != nil {
		return id, public(err, "%v", err)
	}
	return id, nil
}

// public gives an error a text for the user and keeps it as the cause.
func public(err error, format string, args ...any) error {
	return &call.Error{Status: 500, Text: fmt.Sprintf(format, args...), Err: err}
}

// cause returns what a driver's error is about, without the names of the layers.
func cause(err error) error {
	if op, ok := errors.AsType[*storage.OpError](err); ok {
		return op.Err
	}
	return err
}
