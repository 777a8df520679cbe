package jobs_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

const diskSize = 4 << 20

// blank writes an empty image for a copy.
func blank(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.WriteFile(path, make([]byte, diskSize), 0o600))
	return path
}

func TestMirrorFinish(t *testing.T) {
	ctx, c := limited(t), start(t)
	src, dst := image(t, "src", diskSize), blank(t)
	addRaw(t, c, "src", src)
	addRaw(t, c, "dst", dst)
	job, err := jobs.Mirror(ctx, c, &qapi.BlockdevMirrorArgs{JobID: new("m"), Device: "src", Target: "dst", Sync: qapi.MirrorSyncModeFull})
	require.NoError(t, err)
	require.Equal(t, "m", job.ID())
	require.NoError(t, job.WaitFor(ctx, qapi.JobStatusReady))
	p, err := job.Progress(ctx)
	require.NoError(t, err)
	require.Equal(t, jobs.Progress{Status: qapi.JobStatusReady, Current: diskSize, Total: diskSize}, p)
	require.NoError(t, job.Finish(ctx))
	require.NoError(t, job.Err())
	requireSame(t, src, dst)
	noJobs(t, c)
}

func TestMirrorComplete(t *testing.T) {
	ctx := limited(t)
	src, dst := image(t, "src", diskSize), blank(t)
	c := start(t, "-blockdev", "driver=raw,node-name=src,file.driver=file,file.filename="+src, "-device", "virtio-blk-pci,id=vd,drive=src")
	addRaw(t, c, "dst", dst)
	job, err := jobs.Mirror(ctx, c, &qapi.BlockdevMirrorArgs{JobID: new("m"), Device: "src", Target: "dst", Sync: qapi.MirrorSyncModeFull})
	require.NoError(t, err)
	require.NoError(t, job.Complete(ctx))
	blocks, err := qapi.QueryBlock(ctx, c)
	require.NoError(t, err)
	require.Equal(t, "dst", *blocks[0].Inserted.NodeName, "the device uses the copy")
	requireSame(t, src, dst)
}

func TestBackup(t *testing.T) {
	ctx, c := limited(t), start(t)
	src, dst := image(t, "src", diskSize), blank(t)
	addRaw(t, c, "src", src)
	addRaw(t, c, "dst", dst)
	args := &qapi.BlockdevBackupArgs{JobID: new("b"), Device: "src", Target: "dst", Sync: qapi.MirrorSyncModeFull}
	job, err := jobs.Backup(ctx, c, args)
	require.NoError(t, err)
	require.Nil(t, args.AutoDismiss, "arguments are the caller's")
	require.NoError(t, job.Run(ctx, nil))
	requireSame(t, src, dst)
	noJobs(t, c)
}

// slowBackup starts a backup that takes 4 s of 1 MiB each.
func slowBackup(t *testing.T, c *qmp.Client) *jobs.Job {
	t.Helper()
	addRaw(t, c, "src", image(t, "src", diskSize))
	addRaw(t, c, "dst", blank(t))
	job, err := jobs.Backup(limited(t), c, &qapi.BlockdevBackupArgs{JobID: new("b"), Device: "src", Target: "dst",
		Sync: qapi.MirrorSyncModeFull, Speed: new(int64(1 << 16))})
	require.NoError(t, err)
	return job
}

func TestRunCancels(t *testing.T) {
	c := start(t)
	job := slowBackup(t, c)
	ctx, cancel := context.WithCancel(limited(t))
	defer cancel()
	var seen []jobs.Progress
	err := job.Run(ctx, &jobs.RunOptions{Every: 20 * time.Millisecond, OnProgress: func(p jobs.Progress) {
		if seen = append(seen, p); len(seen) == 3 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, job.Err(), jobs.ErrCancelled)
	require.EqualValues(t, diskSize, seen[2].Total)
	noJobs(t, c)
}

func TestCancelByAnother(t *testing.T) {
	ctx, c := limited(t), start(t)
	job := slowBackup(t, c)
	require.NoError(t, job.Pause(ctx))
	require.NoError(t, job.WaitFor(ctx, qapi.JobStatusPaused))
	require.NoError(t, job.Resume(ctx))
	require.NoError(t, job.WaitFor(ctx, qapi.JobStatusRunning))
	require.NoError(t, qapi.JobCancel(ctx, c, "b"))
	require.ErrorIs(t, job.Wait(ctx), jobs.ErrCancelled)
	require.NoError(t, job.Cancel(ctx), "it has ended")
	noJobs(t, c)
}

func TestSpeedAndAttach(t *testing.T) {
	ctx, c := limited(t), start(t)
	first := slowBackup(t, c)
	first.Close() // as if the caller had been restarted
	require.ErrorIs(t, first.Wait(ctx), jobs.ErrClosed)
	job, err := jobs.Attach(ctx, c, "b")
	require.NoError(t, err)
	short, cancel := context.WithCancel(ctx)
	cancel()
	require.ErrorIs(t, job.Wait(short), context.Canceled)
	require.NoError(t, job.SetSpeed(ctx, 0))
	require.NoError(t, job.Wait(ctx))
	_, err = jobs.Attach(ctx, c, "b")
	require.ErrorIs(t, err, jobs.ErrLost)
}

func TestAttachToOneThatHasEnded(t *testing.T) {
	ctx, c := limited(t), start(t)
	addRaw(t, c, "src", image(t, "src", diskSize))
	addRaw(t, c, "dst", blank(t))
	sub := c.Subscribe(qapi.EventJobStatusChange)
	defer sub.Close()
	require.NoError(t, qapi.BlockdevBackup(ctx, c, &qapi.BlockdevBackupArgs{JobID: new("b"), Device: "src", Target: "dst",
		Sync: qapi.MirrorSyncModeFull, AutoDismiss: new(false)}))
	_, err := sub.Next(ctx, func(e qmp.Event) bool { return e.Str("status") == "concluded" })
	require.NoError(t, err)
	job, err := jobs.Attach(ctx, c, "b")
	require.NoError(t, err)
	require.NoError(t, job.Wait(ctx))
	noJobs(t, c)
}

func TestJobError(t *testing.T) {
	ctx, c := limited(t), start(t)
	require.NoError(t, qapi.BlockdevAdd(ctx, c, &qapi.BlockdevOptions{NodeName: new("bad"), Blkdebug: &qapi.BlockdevOptionsBlkdebug{
		Image:       qapi.BlockdevRef{Definition: &qapi.BlockdevOptions{File: &qapi.BlockdevOptionsFile{Filename: image(t, "src", diskSize)}}},
		InjectError: []qapi.BlkdebugInjectErrorOptions{{Event: qapi.BlkdebugEventNone, Iotype: new(qapi.BlkdebugIOTypeRead), Errno: new(int64(5))}},
	}}))
	addRaw(t, c, "dst", blank(t))
	job, err := jobs.Mirror(ctx, c, &qapi.BlockdevMirrorArgs{JobID: new("m"), Device: "bad", Target: "dst", Sync: qapi.MirrorSyncModeFull})
	require.NoError(t, err)
	err = job.Complete(ctx)
	var failed *jobs.Error
	require.ErrorAs(t, err, &failed)
	require.Equal(t, &jobs.Error{ID: "m", Type: qapi.JobTypeMirror, Text: "Input/output error"}, failed)
	noJobs(t, c)

	_, err = jobs.Mirror(ctx, c, &qapi.BlockdevMirrorArgs{JobID: new("m"), Device: "nothing", Target: "dst", Sync: qapi.MirrorSyncModeFull})
	require.Error(t, err)
	_, err = jobs.Mirror(ctx, c, &qapi.BlockdevMirrorArgs{Device: "bad", Target: "dst"})
	require.ErrorContains(t, err, "needs an id")
}

// TestChain snapshots twice, commits one layer, streams, and commits the active layer.
func TestChain(t *testing.T) {
	ctx, c := limited(t), start(t)
	addRaw(t, c, "base", image(t, "base", diskSize))
	for i, node := range []string{"a", "b", "c"} {
		addQcow2(t, c, node, diskSize, nil)
		require.NoError(t, qapi.BlockdevSnapshot(ctx, c, &qapi.BlockdevSnapshotArgs{Node: []string{"base", "a", "b"}[i], Overlay: node}))
	}
	job, err := jobs.Commit(ctx, c, &qapi.BlockCommitArgs{JobID: new("j"), Device: "c", TopNode: new("a"), BaseNode: new("base")})
	require.NoError(t, err)
	require.NoError(t, job.Complete(ctx), "one that is never ready")
	job, err = jobs.Stream(ctx, c, &qapi.BlockStreamArgs{JobID: new("j"), Device: "c", BaseNode: new("base")})
	require.NoError(t, err)
	require.NoError(t, job.Run(ctx, nil))
	job, err = jobs.Commit(ctx, c, &qapi.BlockCommitArgs{JobID: new("j"), Device: "c"})
	require.NoError(t, err)
	require.ErrorIs(t, job.WaitFor(canceled(ctx), qapi.JobStatusPaused), context.Canceled)
	require.NoError(t, job.Complete(ctx))
	noJobs(t, c)
}

func canceled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func TestSnapshots(t *testing.T) {
	ctx := limited(t)
	c := start(t, "-boot", "c", "-drive", "if=none,id=b,format=raw,file="+bootDisk(t, writer), "-device", "ide-hd,drive=b")
	addQcow2(t, c, "state", 64<<20, nil)
	args := &qapi.SnapshotSaveArgs{JobID: "s", Tag: "one", Vmstate: "state", Devices: []string{"state"}}
	job, err := jobs.SaveSnapshot(ctx, c, args)
	require.NoError(t, err)
	require.NoError(t, job.Wait(ctx))
	nodes, err := qapi.QueryNamedBlockNodes(ctx, c, nil)
	require.NoError(t, err)
	require.Equal(t, "one", snapshots(nodes, "state")[0].Name)

	require.NoError(t, qapi.Stop(ctx, c))
	job, err = jobs.LoadSnapshot(ctx, c, "l", "one", "state", []string{"state"})
	require.NoError(t, err)
	require.NoError(t, job.Wait(ctx))
	require.NoError(t, qapi.Cont(ctx, c))
	job, err = jobs.LoadSnapshot(ctx, c, "l", "two", "state", []string{"state"})
	require.NoError(t, err)
	var failed *jobs.Error
	require.ErrorAs(t, job.Wait(ctx), &failed)
	job, err = jobs.DeleteSnapshot(ctx, c, "d", "one", []string{"state"})
	require.NoError(t, err)
	require.NoError(t, job.Wait(ctx))
	nodes, err = qapi.QueryNamedBlockNodes(ctx, c, nil)
	require.NoError(t, err)
	require.Empty(t, snapshots(nodes, "state"))
	noJobs(t, c)
}

func snapshots(nodes []qapi.BlockDeviceInfo, name string) []qapi.SnapshotInfo {
	for _, n := range nodes {
		if *n.NodeName == name {
			return n.Image.Snapshots
		}
	}
	return nil
}
