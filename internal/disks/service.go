package disks

import (
	"context"
	"errors"
	"log/slog"

	"github.com/turtacn/go-proxmox/internal/hosttool"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Access answers questions about permissions; *access.Service does.
type Access interface {
	Check(ctx context.Context, path string, privs ...string) error
}

// Storages registers what is made of a disk as a storage; *volume.Service does.
type Storages interface {
	// CheckForNode tells whether AddForNode can.
	CheckForNode(ctx context.Context, typ, id string, options map[string]string) error
	// AddForNode makes a storage for this node alone, or adds this node to one that is configured alike.
	AddForNode(ctx context.Context, typ, id string, options map[string]string) error
	// DropForNode takes this node out of the storages that match, and removes those that are left without a node.
	DropForNode(ctx context.Context, match func(*volume.Config) bool) error
}

// Options of New. The zero value of each field but Node is the documented default.
type Options struct {
	Node    string
	Tools   hosttool.Runner // default hosttool.Host
	Root    string          // where /sys, /proc, /dev and /etc are looked for; default "/"
	UnitDir string          // of mount units; default /etc/systemd/system
	Logger  *slog.Logger    // nil discards
}

// Service implements the methods below /nodes/{node}/disks.
type Service struct {
	tasks    *task.Engine
	access   Access
	storages Storages
	o        Options
	log      *slog.Logger
}

// New returns the service and registers its operations with tasks, which must not run yet. Nothing is touched.
func New(tasks *task.Engine, acc Access, storages Storages, o Options) (*Service, error) {
	if o.Node == "" {
		return nil, errors.New("disks: the node's name is missing")
	}
	s := &Service{tasks: tasks, access: acc, storages: storages, o: o, log: o.Logger}
	if s.o.Tools == nil {
		s.o.Tools = hosttool.Host{}
	}
	if s.o.Root == "" {
		s.o.Root = "/"
	}
	if s.o.UnitDir == "" {
		s.o.UnitDir = "/etc/systemd/system"
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for name, run := range map[string]func(context.Context, *task.Op) error{
		taskInit: s.runInit, taskWipe: s.runWipe, taskDir: s.runDirectory, taskLVM: s.runLVM, taskThin: s.runThin, taskZFS: s.runZFS,
		taskDropDir: s.runDropDirectory, taskDropLVM: s.runDropLVM, taskDropThin: s.runDropThin, taskDropZFS: s.runDropZFS,
	} {
		tasks.Register(name, task.Handler{Run: run, Recovery: task.Fail}) // what is half done on a disk is for a person to look at
	}
	return s, nil
}

// Types of operations.
const (
	taskInit     = "diskinit"
	taskWipe     = "wipedisk"
	taskDir      = "dircreate"
	taskLVM      = "lvmcreate"
	taskThin     = "lvmthincreate"
	taskZFS      = "zfscreate"
	taskDropDir  = "dirremove"
	taskDropLVM  = "lvmremove"
	taskDropThin = "lvmthinremove"
	taskDropZFS  = "zfsremove"
)

// queue is the one of all operations that change disks.
const queue = "disks"

// submit accepts an operation and returns its UPID.
func (s *Service) submit(ctx context.Context, typ, id string, params any) (string, error) {
	upid, err := s.tasks.Submit(ctx, task.Spec{Type: typ, ID: id, User: call.From(ctx).AuthID, Queue: queue, Params: params})
	if err != nil {
		return "", err
	}
	return upid.String(), nil
}

// mayChange is the caller's right to change disks, and to make storages of them.
func (s *Service) mayChange(ctx context.Context, storage bool) error {
	if err := s.access.Check(ctx, "/", "Sys.Modify"); err != nil || !storage {
		return err
	}
	return s.access.Check(ctx, "/storage", "Datastore.Allocate")
}

// GetNodesDisks answers the index.
func (s *Service) GetNodesDisks(context.Context, *schema.GetNodesDisks) (any, error) {
	rows := []map[string]any{}
	for _, name := range []string{"list", "initgpt", "smart", "lvm", "lvmthin", "directory", "wipedisk", "zfs"} {
		rows = append(rows, map[string]any{"name": name})
	}
	return rows, nil
}
