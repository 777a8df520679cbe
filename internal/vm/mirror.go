package vm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/storage"
)

// blockJob is a row of query-jobs. See qapi/job.json: JobInfo.
type blockJob struct {
	ID       string
	Status   string
	Current  int64  `json:"current-progress"`
	Total    int64  `json:"total-progress"`
	JobError string `json:"error"`
}

// mirror copies a disk of a running guest through its QEMU, which has the only consistent view of it: a backup job of the
// moment of its start into a new volume.
func (s *Service) mirror(ctx context.Context, op *task.Op, g *guest, d vmconfig.Drive, volid string) (err error) {
	if err := s.o.Volumes.Create(ctx, volid, int64(d.Size.Value)); err != nil {
		return err
	}
	at, err := s.o.Volumes.Attach(ctx, volid, g.holds().UID, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.o.Volumes.Detach(context.WithoutCancel(ctx), volid)) }()
	node, err := targetNode(at, "clone-"+d.Key)
	if err != nil {
		return err
	}
	c, err := g.proc.Client(ctx)
	if err != nil {
		return err
	}
	if err := c.Do(ctx, "blockdev-add", node, nil); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, c.Do(context.WithoutCancel(ctx), "blockdev-del", map[string]any{"node-name": node["node-name"]}, nil))
	}()
	return s.backupJob(ctx, op, c, d.Key, node["node-name"].(string))
}

// targetNode describes an attached volume for blockdev-add.
func targetNode(at storage.Attachment, name string) (map[string]any, error) {
	switch at := at.(type) {
	case storage.File:
		return map[string]any{"driver": string(at.Format), "node-name": name, "file": map[string]any{"driver": "file", "filename": at.Path}}, nil
	case storage.Block:
		return map[string]any{"driver": string(at.Format), "node-name": name, "file": map[string]any{"driver": "host_device", "filename": at.Path}}, nil
	}
	return nil, fmt.Errorf("a running guest cannot copy to a volume of type %T", at)
}

func (s *Service) backupJob(ctx context.Context, op *task.Op, c *qmp.Client, key, target string) error {
	job := "clone-" + key
	args := map[string]any{
		"job-id": job, "device": "drive-" + key, "target": target, "sync": "full", "auto-dismiss": false, "auto-finalize": true,
	}
	if err := c.Do(ctx, "blockdev-backup", args, nil); err != nil {
		return call.Errorf("mirroring error: %w", err)
	}
	defer func() { // also ends a job that is still running
		ctx := context.WithoutCancel(ctx)
		if c.Do(ctx, "job-dismiss", map[string]any{"id": job}, nil) != nil {
			c.Do(ctx, "job-cancel", map[string]any{"id": job}, nil)
			time.Sleep(200 * time.Millisecond)
			c.Do(ctx, "job-dismiss", map[string]any{"id": job}, nil)
		}
	}()
	progress := copyProgress(op).Progress
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var jobs []blockJob
		if err := c.Do(ctx, "query-jobs", nil, &jobs); err != nil {
			return err
		}
		for _, j := range jobs {
			if j.ID != job {
				continue
			}
			progress(j.Current, j.Total)
			if j.Status == "concluded" {
				if j.JobError != "" {
					return call.Errorf("mirroring error: %s", j.JobError)
				}
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
