package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// The disk of a running guest moves by a mirror in its QEMU. Once the mirror is ready each write of the guest is in both
// images before it is done, so the configuration can name the new one before the guest is switched over: whatever ends in
// between, what the configuration names is whole.

// mirrored is the data of a stepMirror.
type mirrored struct {
	ID       int
	Disk     string
	Old, New string // values of the option
	Job      string
	From     string // node of the old image in the guest's block graph
	Node     string // and of the new one
}

// mirrorPatience bounds what is done about a mirror outside of the copying itself.
const mirrorPatience = time.Minute

// moveRunning mirrors a disk and switches the guest over to the new volume, which is as large as the old one.
func (s *Service) moveRunning(ctx context.Context, op *task.Op, v *VM, g *guest, old, moved vmconfig.Drive, p *moveParams) error {
	if err := g.canSwitchOver(old); err != nil {
		return err
	}
	from, err := s.diskNode(ctx, v, g, old.Key, old.File)
	if err != nil {
		return err
	}
	m := mirrored{ID: v.ID, Disk: old.Key, Old: old.String(), New: moved.String(), Job: "mirror-" + old.Key, From: from}
	result, err := s.translate(ctx, v.with(vmconfig.Change{Key: old.Key, Old: m.Old, New: m.New}))
	if err != nil {
		return err
	}
	node, err := dataNode(result, old.Key)
	if err != nil {
		return err
	}
	m.Node = node.NodeName
	if err := op.Step(ctx, stepMirror, m); err != nil { // from here on its undo cleans up
		return err
	}
	if node, err = s.holdTarget(ctx, op, g, result, moved); err != nil {
		return err
	}
	if err := g.do(ctx, "blockdev-add", writable(node).Arguments(), nil); err != nil {
		return call.Errorf("mirroring error: %w", err)
	}
	job, err := s.mirror(ctx, op, g, &m, p.BWLimit*1024)
	if err != nil {
		return err
	}
	defer job.Close()
	s.o.FailPoint("mirrored")
	v.Config.Main[old.Key] = m.New
	if _, err := v.Config.Main.AddUnused(old.File); err != nil { // it is in use until the guest has been switched over
		return err
	}
	if err := s.commit(ctx, op, v); err != nil {
		return err
	}
	s.o.FailPoint("settled")
	if err := switchOver(ctx, job); err != nil {
		return err
	}
	op.Logf("%s: Completed successfully.", m.Job)
	g.forgetNode(context.WithoutCancel(ctx), m.From)
	return s.endMove(context.WithoutCancel(ctx), op, v, g, old, p)
}

// canSwitchOver refuses what QEMU does not survive: before version 9 it locks the context of a disk that has a thread of its own
// twice when a mirror takes the place of a node below a filter, and then waits for itself for ever.
func (g *guest) canSwitchOver(d vmconfig.Drive) error {
	if v := g.proc.QMP().Greeting().Version; v.Major < 9 && d.IOThread.Or(false) {
		return call.Errorf("disk '%s' of the running guest has an IO thread: moving it needs QEMU 9.0 or newer, this guest runs on %s", d.Key, v.String())
	}
	return nil
}

// holdTarget makes the new volume the guest's, and returns the node that reaches it.
func (s *Service) holdTarget(ctx context.Context, op *task.Op, g *guest, r *machineconf.Result, moved vmconfig.Drive) (*machine.Node, error) {
	volumes := []string{moved.File}
	if err := s.noteNeeds(ctx, op, g, nil, volumes); err != nil {
		return nil, err
	}
	at, err := s.attach(ctx, r.Volumes, volumes, g.holds().UID)
	if err != nil {
		return nil, err
	}
	if err := reached(r, at); err != nil {
		return nil, err
	}
	return dataNode(r, moved.Key)
}

// writable returns a node that may be written to even if the guest may not, which the mirror must.
func writable(n *machine.Node) machine.Node {
	out := *n
	no := false
	out.ReadOnly = &no
	if out.File != nil {
		file := writable(out.File)
		out.File = &file
	}
	return out
}

// dataNode is the node of a disk below its filters: what a mirror replaces.
func dataNode(r *machineconf.Result, key string) (*machine.Node, error) {
	unit, ok := r.Machine.Find(key)
	if !ok || len(unit.Nodes) == 0 {
		return nil, call.Errorf("disk '%s' is not part of the running machine", key)
	}
	top := &unit.Nodes[len(unit.Nodes)-1]
	if top.Driver == "throttle" && top.File != nil {
		return top.File, nil
	}
	return top, nil
}

// diskNode asks the guest for the node of a disk below its filters. It may have another name than a translation gives, where
// an earlier version has started the guest.
func (s *Service) diskNode(ctx context.Context, v *VM, g *guest, key, file string) (string, error) {
	present, err := blockNodes(ctx, g)
	if err != nil {
		return "", err
	}
	result, err := s.translate(ctx, v)
	if err != nil {
		return "", err
	}
	node, err := dataNode(result, key)
	if err != nil {
		return "", err
	}
	if !present[node.NodeName] {
		return "", call.Errorf("disk '%s' of the running machine is not '%s'", key, file)
	}
	return node.NodeName, nil
}

// mirror starts the job and waits until it is ready.
func (s *Service) mirror(ctx context.Context, op *task.Op, g *guest, m *mirrored, bytesPerSecond int64) (*jobs.Job, error) {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return nil, err
	}
	args := &qapi.BlockdevMirrorArgs{
		JobID: &m.Job, Device: "drive-" + m.Disk, Replaces: &m.From, Target: m.Node, Sync: qapi.MirrorSyncModeFull, CopyMode: new(qapi.MirrorCopyModeWriteBlocking),
	}
	if bytesPerSecond > 0 {
		args.Speed = &bytesPerSecond
	}
	op.Logf("drive mirror is starting for drive-%s", m.Disk)
	job, err := jobs.Mirror(ctx, c, args)
	if err != nil {
		return nil, call.Errorf("mirroring error: %w", err)
	}
	waiting, stop := context.WithCancel(ctx)
	told := make(chan struct{})
	go func() { // ends with waiting
		defer close(told)
		followJob(waiting, op, job)
	}()
	err = job.WaitFor(ctx, qapi.JobStatusReady)
	stop()
	<-told
	if err == nil {
		return job, nil
	}
	job.Close()
	if e, ok := errors.AsType[*jobs.Error](err); ok {
		err = call.Errorf("mirroring error: %s", e.Text)
	}
	return nil, err
}

// followJob tells how far a job is until ctx ends.
func followJob(ctx context.Context, op *task.Op, job *jobs.Job) {
	tell := copyProgress(op).Progress
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-job.Done():
			return
		case <-ctx.Done():
			return
		}
		if p, err := job.Progress(ctx); err == nil {
			tell(p.Current, p.Total)
		}
	}
}

// switchOver lets the guest go on with the new volume. If that fails it goes on with the old one, to which the undo sets the
// configuration back.
func switchOver(ctx context.Context, job *jobs.Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mirrorPatience)
	defer cancel()
	err := job.Complete(ctx)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*jobs.Error](err); ok {
		return call.Errorf("mirroring error: %s", e.Text)
	}
	return fmt.Errorf("switch over to the new volume: %w", err)
}

// awaitClosed waits until a node has left a guest's block graph, for a while: it goes a moment after its last user.
func (g *guest) awaitClosed(ctx context.Context, node string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), qmpPatience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if present, err := blockNodes(ctx, g); err != nil || !present[node] {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// endMove lets the old volume go when the guest does not use it any more.
func (s *Service) endMove(ctx context.Context, op *task.Op, v *VM, g *guest, old vmconfig.Drive, p *moveParams) error {
	if err := s.unhold(ctx, op, g, nil, []string{old.File}); err != nil {
		return err
	}
	own := s.vols.owner(ctx, old.File) == v.ID
	for _, r := range v.Config.References(old.File) {
		if r.Section != "" || !vmconfig.IsUnused(r.Key) {
			continue
		}
		switch {
		case !own:
			delete(v.Config.Main, r.Key)
		case p.Delete:
			delete(v.Config.Main, r.Key)
			op.Logf("removing source volume '%s' after successful copy", old.File)
			if err := s.freeVolume(ctx, op, v, old.File); err != nil {
				return err
			}
		default:
			op.Logf("adding source volume '%s' as '%s' to config", old.File, r.Key)
		}
	}
	return s.commit(ctx, op, v)
}

// undoMirror ends a move of a running guest's disk that did not come to its end, in one direction or the other: if the
// configuration names the new volume and the guest can be switched over to it, it is; else the old one stays.
func (s *Service) undoMirror(ctx context.Context, op *task.Op, data json.RawMessage) error {
	var m mirrored
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorPatience)
	defer cancel()
	g := s.guest(m.ID)
	if g == nil || g.over() {
		return nil // both were equal when the guest ended, or the old one is what the configuration names
	}
	v, err := s.Load(ctx, m.ID)
	if err != nil {
		return err
	}
	settled := v.Config.Main[m.Disk] == m.New
	switched, err := s.switchedOver(ctx, g, &m)
	if err != nil {
		return err
	}
	if !switched {
		if switched, err = s.endMirror(ctx, g, &m, settled); err != nil {
			return err
		}
	}
	oldDrive, errOld := vmconfig.ParseDrive(m.Disk, m.Old)
	newDrive, errNew := vmconfig.ParseDrive(m.Disk, m.New)
	if err := errors.Join(errOld, errNew); err != nil {
		return err
	}
	if switched {
		g.forgetNode(ctx, m.From)
		return s.unhold(ctx, op, g, nil, []string{oldDrive.File})
	}
	if settled {
		v.Config.Main[m.Disk] = m.Old // which also takes it off the list of unused volumes
		if err := s.commit(ctx, op, v); err != nil {
			return err
		}
	}
	if err := ignoreMissing(g.do(ctx, "blockdev-del", map[string]any{"node-name": m.Node}, nil)); err != nil {
		return err
	}
	return s.unhold(ctx, op, g, nil, []string{newDrive.File})
}

// endMirror ends the job of a move, by switching over if that is wanted and it can still be done.
func (s *Service) endMirror(ctx context.Context, g *guest, m *mirrored, settled bool) (switched bool, err error) {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return false, err
	}
	job, err := jobs.Attach(ctx, c, m.Job)
	if errors.Is(err, jobs.ErrLost) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer job.Close()
	if settled && job.Complete(ctx) == nil {
		return true, nil
	}
	return false, job.Cancel(ctx)
}

// switchedOver reports whether a disk of a guest stands on the new node. See qapi/block-core.json: XDbgBlockGraph; QEMU calls
// the command unstable, but it has been as it is since 4.0, and no other tells what a filter stands on.
func (s *Service) switchedOver(ctx context.Context, g *guest, m *mirrored) (bool, error) {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return false, err
	}
	graph, err := qapi.XDebugQueryBlockGraph(ctx, c)
	if err != nil {
		return false, err
	}
	ids := map[string]uint64{}
	for _, n := range graph.Nodes {
		ids[n.Name] = n.ID
	}
	top, ok := ids["drive-"+m.Disk]
	below, known := ids[m.Node]
	if !ok || !known {
		return false, nil
	}
	for _, e := range graph.Edges {
		if e.Parent == top && e.Child == below {
			return true, nil
		}
	}
	return false, nil
}

// forgetNode takes a node out of a guest's block graph that nothing uses any more. One that came with the machine goes by
// itself, a moment after its last user.
func (g *guest) forgetNode(ctx context.Context, node string) {
	_ = g.do(ctx, "blockdev-del", map[string]any{"node-name": node}, nil) // refused for one that came with the machine
	g.awaitClosed(ctx, node)
}

// over reports whether the guest's process is gone.
func (g *guest) over() bool {
	select {
	case <-g.proc.Done():
		return true
	default:
		return false
	}
}

// blockNodes are the names in a guest's block graph.
func blockNodes(ctx context.Context, g *guest) (map[string]bool, error) {
	c, err := g.proc.Client(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := qapi.QueryNamedBlockNodes(ctx, c, &qapi.QueryNamedBlockNodesArgs{Flat: new(true)})
	present := map[string]bool{}
	for _, n := range nodes {
		if n.NodeName != nil {
			present[*n.NodeName] = true
		}
	}
	return present, err
}
