package vm

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// Options are what the service stands on. All fields without a default are required.
type Options struct {
	Node      string
	Store     cluster.Store
	Tasks     *task.Engine
	Access    *access.Service
	Volumes   *volume.Service
	Network   *hostnet.Service
	Inventory *inventory.Inventory
	Host      *Host
	RunDir    string   // sockets and records of running guests; 0711
	UIDs      UIDRange // users that guests run as
	Settings  Settings // of the datacenter
	Clock     func() time.Time
	Random    io.Reader // nil: crypto/rand
	Logger    *slog.Logger

	// FailPoint is called between steps of the operations that start and end processes, at each of which a crash must leave
	// no trace. For tests.
	FailPoint func(where string)
}

// UIDRange is a range of user ids. A zero Count runs guests as the daemon's own user.
type UIDRange struct{ First, Count int }

// Settings are the datacenter's options that concern VMs.
type Settings interface {
	// MACPrefix is the option mac_prefix, empty for the default.
	MACPrefix(ctx context.Context) string
	// TagStyle is the option tag-style, as far as it concerns stored tags.
	TagStyle(ctx context.Context) vmconfig.TagStyle
	// AllowsTag reports whether the caller may give a tag to a guest or take it away, apart from privileges on the guest:
	// the options user-tag-access and registered-tags.
	AllowsTag(ctx context.Context, tag string) (bool, error)
	// MaxWorkers is the option max_workers, 0 if it is not set.
	MaxWorkers(ctx context.Context) int
}

// Service implements the API's methods below /nodes/{node}/qemu. It is safe for concurrent use.
type Service struct {
	Repository
	o    Options
	vols volumes

	lists    inventory.Bodies
	stopping chan struct{} // closed by Close

	mu     sync.Mutex // guards guests; never held across I/O
	guests map[int]*guest
	wg     sync.WaitGroup // watchers of guests

	publishing sync.Mutex // orders what the inventory is told of guests, which it takes without waiting
}

// New registers the operations of VMs with the task engine, which must not run yet. It touches nothing.
func New(o Options) *Service {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FailPoint == nil {
		o.FailPoint = func(string) {}
	}
	s := &Service{
		Repository: Repository{store: o.Store, node: o.Node}, o: o, vols: volumes{o.Volumes}, guests: map[int]*guest{},
		lists: inventory.Bodies{MaxAge: time.Second}, stopping: make(chan struct{}),
	}
	s.register()
	return s
}

func (s *Service) register() {
	undoVolume := map[string]task.UndoFunc{stepVolume: s.undoVolume, stepConfig: s.undoConfig, stepCopies: s.undoCopies}
	// What ends or starts a process lets pending changes take effect, which may free volumes.
	undoPower := map[string]task.UndoFunc{
		stepVolume: s.undoVolume, stepHold: s.undoHold, stepReboot: s.undoReboot, stepSuspend: s.undoSuspend,
	}
	for name, h := range map[string]task.Handler{
		opCreate:   {Run: s.runCreate, Recovery: task.Undo, Undo: undoVolume},
		opClone:    {Run: s.runClone, Recovery: task.Undo, Undo: undoVolume},
		opConfig:   {Run: s.runConfig, Recovery: task.Resume, Undo: undoVolume},
		opSetSync:  {Run: s.runConfig, Recovery: task.Resume, Undo: undoVolume},
		opDestroy:  {Run: s.runDestroy, Recovery: task.Resume},
		opTemplate: {Run: s.runTemplate, Recovery: task.Resume},
		opResize:   {Run: s.runResize, Recovery: task.Resume},
		opMove: {Run: s.runMove, Recovery: task.Undo, Undo: map[string]task.UndoFunc{
			stepVolume: s.undoVolume, stepMirror: s.undoMirror, stepReassign: s.undoReassign,
		}},
		opStart:    {Run: s.runStart, Recovery: task.Resume, Undo: undoPower},
		opStop:     {Run: s.runStop, Recovery: task.Resume, Undo: undoPower},
		opShutdown: {Run: s.runShutdown, Recovery: task.Resume, Undo: undoPower},
		opReboot:   {Run: s.runReboot, Recovery: task.Resume, Undo: undoPower},
		opReset:    {Run: s.runReset, Recovery: task.Fail},
		opPause:    {Run: s.runPause, Recovery: task.Resume},
		opSuspend:  {Run: s.runSuspend, Recovery: task.Resume, Undo: undoPower},
		opResume:   {Run: s.runResume, Recovery: task.Resume, Undo: undoPower},
		opExited:   {Run: s.runExited, Recovery: task.Resume, Undo: undoPower},
		opMedium:   {Run: s.runMedium, Recovery: task.Fail},

		opStartAll:   {Run: s.runStartAll, Recovery: task.Resume},
		opStopAll:    {Run: s.runStopAll, Recovery: task.Resume},
		opSuspendAll: {Run: s.runSuspendAll, Recovery: task.Resume},
	} {
		s.o.Tasks.Register(name, h)
	}
}

// Types of operations. Those with Proxmox VE's names are tasks that users see; the others are hidden.
const (
	opCreate   = "qmcreate"
	opClone    = "qmclone"
	opConfig   = "qmconfig"
	opDestroy  = "qmdestroy"
	opTemplate = "qmtemplate"
	opResize   = "resize"
	opMove     = "qmmove"
	opStart    = "qmstart"
	opStop     = "qmstop"
	opShutdown = "qmshutdown"
	opReboot   = "qmreboot"
	opReset    = "qmreset"
	opPause    = "qmpause"
	opSuspend  = "qmsuspend" // to disk
	opResume   = "qmresume"
	opSetSync  = "qmset"       // PUT config and unlink
	opExited   = "qmexited"    // cleans up behind a process that has ended
	opMedium   = "qmcloudinit" // makes the cloud-init medium anew

	opStartAll   = "startall"
	opStopAll    = "stopall"
	opSuspendAll = "suspendall"
)

// Steps of operations, as their journals name them.
const (
	stepVolume = "volume" // a volume that the operation makes: free it
	stepConfig = "config" // the VM's configuration, made with the operation: remove it
	stepCopies = "copies" // jobs of a running guest's QEMU that copy its disks: end them
	stepMirror = "mirror" // the job and the node by which a running guest's disk moves: end it in one direction or the other
	stepHold   = "hold"   // what the node holds for a process: let it go

	stepReassign = "reassign" // a volume gets another VM's name: give it back

	stepReboot  = "reboot"  // the note that the VM is to be started again: take it back
	stepSuspend = "suspend" // the state of a guest that is being saved: free it, and let the guest go on
)

// spec is an operation of a VM's queue.
func spec(ctx context.Context, typ string, id int, params any) task.Spec {
	return task.Spec{Type: typ, ID: fmt.Sprint(id), User: caller(ctx), Queue: queue(id), Params: params}
}

// submit commits an operation and returns its UPID as the API answers it.
func (s *Service) submit(ctx context.Context, sp task.Spec, parts ...cluster.Part) (string, error) {
	id, err := s.o.Tasks.Submit(ctx, sp, parts...)
	if err != nil {
		return "", err
	}
	return id.String(), nil
}

// defaults are the facts that new values of a configuration are made from.
func (s *Service) defaults(ctx context.Context) vmconfig.Defaults {
	return vmconfig.Defaults{
		MACPrefix: s.o.Settings.MACPrefix(ctx), Tags: s.o.Settings.TagStyle(ctx),
		QEMUVersion: s.o.Host.QEMUVersion(), Arch: s.o.Host.Arch(),
		UnixTime: s.o.Clock().Unix(), Random: s.o.Random,
	}
}
