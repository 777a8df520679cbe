package main

import (
	"context"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
)

// say prints one step.
func (t *tour) say(step, format string, args ...any) {
	fmt.Fprintf(t.out, "%-13s"+format+"\n", append([]any{step}, args...)...)
}

// progress prints how far long work is, each time another tenth of it is done.
func (t *tour) progress(step string) func(done, total int64) {
	last := int64(-1)
	return func(done, total int64) {
		if total <= 0 {
			return
		}
		if tenth := 10 * done / total; tenth > last {
			last = tenth
			t.say(step, "%3d %%", 10*tenth)
		}
	}
}

// note keeps in mind what was made.
func (t *tour) note(v storage.Volume) storage.Volume {
	t.made[v.ID] = true
	return v
}

func (t *tour) remove(ctx context.Context, id storage.VolumeID) error {
	if err := t.store.Delete(ctx, id); err != nil {
		return err
	}
	delete(t.made, id)
	t.say("delete", "%s", id)
	return nil
}

// cleanUp deletes what an unfinished walk has left, clones before their bases.
func (t *tour) cleanUp(ctx context.Context) {
	for range len(t.made) {
		for id := range t.made {
			if t.store.Delete(ctx, id) == nil {
				delete(t.made, id)
			}
		}
	}
	for id := range t.made {
		t.say("left", "%s", id)
	}
}

// emptyImage makes an image to import.
func (t *tour) emptyImage(ctx context.Context) (path string, err error) {
	f, err := os.CreateTemp("", "example-*.qcow2")
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := t.tool.Create(ctx, f, qimg.CreateOptions{Format: storage.QCOW2, SizeBytes: 64 * mib}); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}
