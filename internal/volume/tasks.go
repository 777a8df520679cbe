package volume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Types of operations.
const (
	taskDelete = "imgdel"
	taskCopy   = "imgcopy"
)

// copyParams are those of imgcopy: a received file that is put in its place (Token), or a volume that is copied (Source).
type copyParams struct {
	Volume    string // the volume that comes into being
	Token     string `json:",omitempty"`
	Size      int64  `json:",omitempty"`
	Algorithm string `json:",omitempty"`
	Checksum  string `json:",omitempty"` // expected
	Got       string `json:",omitempty"`
	Source    string `json:",omitempty"`
}

// stepCreated is journaled before a copied volume can appear: its undo removes it.
const stepCreated = "volume created"

func (s *Service) registerTasks() {
	s.tasks.Register(taskDelete, task.Handler{Run: s.runDelete, Recovery: task.Resume})
	s.tasks.Register(taskDownload, task.Handler{Run: s.runDownload, Recovery: task.Fail})
	s.tasks.Register(taskPrune, task.Handler{Run: s.runPrune, Recovery: task.Resume})
	s.tasks.Register(taskCopy, task.Handler{
		Run: func(ctx context.Context, op *task.Op) error {
			var p copyParams
			if err := op.Decode(&p); err != nil {
				return err
			}
			if p.Token != "" {
				return s.runReceive(ctx, op, &p)
			}
			return s.runCopy(ctx, op, &p)
		},
		Recovery: task.Fail,
		Undo: map[string]task.UndoFunc{stepCreated: func(ctx context.Context, op *task.Op, data json.RawMessage) error {
			var id string
			if err := json.Unmarshal(data, &id); err != nil {
				return err
			}
			if err := s.Free(ctx, id); !errors.Is(err, storage.ErrNotFound) {
				return err
			}
			return nil
		}},
	})
}

// DeleteNodesStorageContentVolume removes a volume in a task.
func (s *Service) DeleteNodesStorageContentVolume(ctx context.Context, req *schema.DeleteNodesStorageContentVolume) (any, error) {
	t, err := s.named(ctx, req.Storage, req.Volume)
	if err != nil {
		return nil, err
	}
	if err := s.mayDelete(ctx, t); err != nil {
		return nil, err
	}
	id := t.ID
	if t.name.VMID != 0 {
		id = strconv.Itoa(t.name.VMID) + "@" + t.ID
	}
	upid, err := s.tasks.Submit(ctx, task.Spec{Type: taskDelete, ID: id, User: call.From(ctx).AuthID, Params: t.text})
	if err != nil {
		return nil, err
	}
	if req.Delay == nil {
		return upid.String(), nil
	}
	wait, cancel := context.WithTimeout(ctx, time.Duration(*req.Delay)*time.Second)
	defer cancel()
	st, err := s.tasks.Wait(wait, upid)
	switch {
	case err != nil: // still at it
		return upid.String(), nil
	case st.Err != nil:
		return nil, st.Err
	case st.Exit != "OK":
		return nil, call.Errorf("%s", st.Exit)
	}
	return nil, nil
}

func (s *Service) runDelete(ctx context.Context, op *task.Op) error {
	var id string
	if err := op.Decode(&id); err != nil {
		return err
	}
	err := s.Free(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		op.Logf("volume '%s' was already gone", id)
		err = nil
	}
	if err == nil {
		op.Logf("Removed volume '%s'", id)
	}
	return err
}

// PostNodesStorageContentVolume copies a volume in a task.
func (s *Service) PostNodesStorageContentVolume(ctx context.Context, req *schema.PostNodesStorageContentVolume) (string, error) {
	if err := rootOnly(ctx); err != nil {
		return "", err
	}
	if req.TargetNode != nil && *req.TargetNode != s.opts.Node {
		return "", call.Param("target_node", "copying to another node is not supported")
	}
	from, err := s.named(ctx, req.Storage, req.Volume)
	if err != nil {
		return "", err
	}
	to, err := s.named(ctx, &from.ID, req.Target)
	if volid.IsID(req.Target) {
		to, err = s.named(ctx, nil, req.Target)
	}
	switch {
	case err != nil:
		return "", err
	case to.name.Content != from.name.Content:
		return "", call.Param("target", "content type needs to be '%s'", from.name.Content)
	case to.text == from.text:
		return "", call.Param("target", "source and target are the same volume")
	}
	upid, err := s.tasks.Submit(ctx, task.Spec{Type: taskCopy, ID: to.ID, User: call.From(ctx).AuthID, Params: copyParams{Volume: to.text, Source: from.text}})
	return upid.String(), err
}

func (s *Service) runCopy(ctx context.Context, op *task.Op, p *copyParams) error {
	from, err := s.open(ctx, p.Source)
	if err != nil {
		return err
	}
	if from.name.Content != volid.Images {
		return s.copyFile(ctx, op, from, p.Volume)
	}
	if _, err := s.Stat(ctx, p.Volume); !errors.Is(err, storage.ErrNotFound) {
		if err == nil {
			err = public(storage.ErrExists, "disk image '%s' already exists", p.Volume)
		}
		return err
	}
	if err := op.Step(ctx, stepCreated, p.Volume); err != nil {
		return err
	}
	err = s.Copy(ctx, p.Source, p.Volume, CopyOptions{Progress: reporter(op)})
	if errors.Is(err, storage.ErrExists) { // somebody made it meanwhile: not ours to remove
		return errors.Join(err, op.Retract(ctx))
	}
	return err
}

// reporter logs the progress of a copy in steps of one percent.
func reporter(op *task.Op) func(done, total int64) {
	last := -1
	return func(done, total int64) {
		if total <= 0 {
			return
		}
		fraction := float64(done) / float64(total)
		if percent := int(fraction * 100); percent > last {
			last = percent
			op.Progress(fraction, fmt.Sprintf("transferred %s of %s (%.2f%%)", gib(done), gib(total), fraction*100))
			op.Logf("transferred %s of %s (%.2f%%)", gib(done), gib(total), fraction*100)
		}
	}
}

func gib(n int64) string {
	value, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, u
	}
	return strconv.FormatFloat(value, 'f', 1, 64) + " " + unit
}

// copyFile copies a volume that is a plain file, such as an ISO image.
func (s *Service) copyFile(ctx context.Context, op *task.Op, from *target, to string) error {
	t, err := s.open(ctx, to)
	if err != nil {
		return err
	}
	st, ok := storage.As[storage.Stager](t.driver)
	if !ok {
		return call.Errorf("can't upload to storage type '%s'", t.Type)
	}
	img, err := from.openImage(ctx)
	if err != nil {
		return err
	}
	defer img.Close()
	stage, err := st.Stage(ctx, t.id)
	if err != nil {
		return t.explain(err, "can't upload to storage type '"+t.Type+"'")
	}
	defer stage.Discard()
	if _, err := io.Copy(stage, &contextReader{ctx, img.File}); err != nil {
		return t.explain(err, "")
	}
	op.Logf("copied '%s' to '%s'", from.text, to)
	return t.explain(stage.Commit(ctx, false), "")
}

// contextReader ends a copy when its context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives within one call
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
