package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// Overlay is a new image over what a disk holds now.
type Overlay struct {
	// Node is the disk's active node, which its device uses. It becomes the backing of the overlay and is not written any
	// more.
	Node string
	// Image is the overlay: with a node name, of a format that can have a backing, and without one yet. Where the image
	// names its backing file itself, its Backing must be the null alternative.
	Image *qapi.BlockdevOptions
	// Create are images to write first, in this order: usually the file, then the format in it. Empty when the image is
	// there already.
	Create []qapi.BlockdevCreateOptions
}

// SnapshotOverlays takes external snapshots of all disks at the same moment: from then on the guest writes to the overlays.
// It goes on running; for a quiet file system freeze it around the call, through its agent. A failure leaves no overlay in
// use or in QEMU's hands; files that were written stay. MergeDown and MergeUp end such snapshots. See
// qapi/transaction.json: transaction, qapi/block-core.json: blockdev-snapshot.
func SnapshotOverlays(ctx context.Context, c *qmp.Client, overlays ...Overlay) (err error) {
	if len(overlays) == 0 {
		return errors.New("jobs: snapshot: no disks")
	}
	for _, o := range overlays {
		if o.Image == nil || o.Image.NodeName == nil || o.Node == "" {
			return errors.New("jobs: snapshot: an overlay needs the disk's node, and a name of its own")
		}
	}
	var added []string
	defer func() {
		if err != nil {
			err = errors.Join(err, deleteNodes(context.WithoutCancel(ctx), c, added))
		}
	}()
	var actions []qapi.TransactionAction
	for _, o := range overlays {
		name := *o.Image.NodeName
		if err := createImages(ctx, c, name, o.Create); err != nil {
			return err
		}
		if err := qapi.BlockdevAdd(ctx, c, o.Image); err != nil {
			return err
		}
		added = append(added, name)
		actions = append(actions, qapi.TransactionAction{BlockdevSnapshot: &qapi.BlockdevSnapshotWrapper{
			Data: qapi.BlockdevSnapshotArgs{Node: o.Node, Overlay: name}}})
	}
	return qapi.Transaction(ctx, c, &qapi.TransactionArgs{Actions: actions})
}

func createImages(ctx context.Context, c *qmp.Client, node string, images []qapi.BlockdevCreateOptions) error {
	for i := range images {
		job, err := Create(ctx, c, fmt.Sprintf("create-%s-%d", node, i), &images[i])
		if err != nil {
			return err
		}
		if err := job.Run(ctx, nil); err != nil {
			return err
		}
	}
	return nil
}

// MergeDown ends external snapshots by writing what their overlays hold into base, on which the guest goes on: overlays are
// the nodes from the active one down to the one above base, and are taken out of QEMU's hands afterwards (blockdev-del). The
// guest runs meanwhile. When ctx ends before the guest has been switched over, the work
// is cancelled and all is as before, but that base holds newer data. o may be nil.
func MergeDown(ctx context.Context, c *qmp.Client, id string, overlays []string, base string, o *RunOptions) error {
	if len(overlays) == 0 {
		return errors.New("jobs: merge: no overlays")
	}
	job, err := Commit(ctx, c, &qapi.BlockCommitArgs{JobID: &id, Device: overlays[0], BaseNode: &base})
	if err != nil {
		return err
	}
	if err := job.runThrough(ctx, o); err != nil {
		return err
	}
	return deleteNodes(context.WithoutCancel(ctx), c, overlays) // the guest has been switched over, whatever ctx says by now
}

// MergeUp ends external snapshots by reading what lies below the active node into it: below are the nodes from the one under
// active down to the last that has to go; what lies under that one stays as the backing. They are taken out of QEMU's
// hands afterwards (blockdev-del). The guest runs meanwhile, and the end of ctx cancels the work, all being as before but
// that active has grown. o may be nil.
func MergeUp(ctx context.Context, c *qmp.Client, id, active string, below []string, o *RunOptions) error {
	if len(below) == 0 {
		return errors.New("jobs: merge: nothing below")
	}
	job, err := Stream(ctx, c, &qapi.BlockStreamArgs{JobID: &id, Device: active, Bottom: &below[len(below)-1]})
	if err != nil {
		return err
	}
	if err := job.Run(ctx, o); err != nil {
		return err
	}
	return deleteNodes(context.WithoutCancel(ctx), c, below)
}

// runThrough is Run for a job with a phase in which it is ready, completed there.
func (j *Job) runThrough(ctx context.Context, o *RunOptions) error {
	completed := make(chan error, 1)
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() { completed <- j.Complete(waiting) }() // ends with the job or with waiting
	err := j.Run(ctx, o)
	stop()
	if cerr := <-completed; err == nil && cerr != nil && !errors.Is(cerr, context.Canceled) {
		err = cerr
	}
	return err
}

// deleteNodes gives up nodes, the upper ones first.
func deleteNodes(ctx context.Context, c *qmp.Client, nodes []string) error {
	var errs []error
	for _, n := range nodes {
		errs = append(errs, qapi.BlockdevDel(ctx, c, n))
	}
	return errors.Join(errs...)
}
