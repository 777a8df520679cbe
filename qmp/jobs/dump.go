package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// DumpMemory writes the guest's memory to f, as an ELF core file unless format says otherwise, and returns when it is there
// and the guest, which stands still meanwhile, goes on. Formats but "elf" need a file that can be sought in. QEMU cannot
// cancel a dump: the end of ctx ends only the waiting. For some moments after the end QEMU refuses another dump, or a
// migration. See qapi/dump.json: dump-guest-memory.
func DumpMemory(ctx context.Context, c *qmp.Client, f *os.File, format qapi.DumpGuestMemoryFormat) error {
	const name = "jobs-dump"
	sub := c.Subscribe(qapi.EventDumpCompleted, qapi.EventResume)
	defer sub.Close()
	before, err := qapi.QueryStatus(ctx, c)
	if err != nil {
		return err
	}
	args := &qapi.DumpGuestMemoryArgs{Protocol: "fd:" + name, Detach: new(true)}
	if format != "" {
		args.Format = &format
	}
	if err := c.DoFD(ctx, "getfd", map[string]string{"fdname": name}, f, nil); err != nil {
		return err
	}
	if err := qapi.DumpGuestMemory(ctx, c, args); err != nil {
		_ = qapi.Closefd(context.WithoutCancel(ctx), c, name) // QEMU may have taken it, to close it itself
		return err
	}
	done, err := dumped(ctx, sub)
	if err != nil {
		return err
	}
	if before.Running {
		if _, err := sub.Next(ctx, func(e qmp.Event) bool { return e.Name == qapi.EventResume }); err != nil {
			return err
		}
	}
	switch {
	case done.Error != nil:
		return &Error{ID: "dump", Text: *done.Error}
	case done.Result.Status != qapi.DumpStatusCompleted:
		return &Error{ID: "dump", Text: "dump " + string(done.Result.Status)}
	}
	return nil
}

func dumped(ctx context.Context, sub *qmp.Subscription) (qapi.DumpCompletedEvent, error) {
	e, err := sub.Next(ctx, func(e qmp.Event) bool { return e.Name == qapi.EventDumpCompleted })
	if err != nil {
		return qapi.DumpCompletedEvent{}, err
	}
	return qapi.EventAs[qapi.DumpCompletedEvent](e)
}

// ScreenOptions say what to take a picture of. Nil, and zero fields, mean the first display in QEMU's default format, PPM.
type ScreenOptions struct {
	Device string // id of the display device
	Head   int
	Format qapi.ImageFormat // since QEMU 7.1, and png only where QEMU was built with it
}

// Screenshot writes a picture of the guest's screen to w. QEMU writes to a file without a name in dir ("" is the system's
// folder for temporary files) that is passed as a descriptor, so QEMU needs no right to the folder. For each PNG QEMU 7.2
// keeps an empty descriptor set, a few bytes, until the number of the descriptor is used again. See qapi/ui.json: screendump.
func Screenshot(ctx context.Context, c *qmp.Client, w io.Writer, dir string, o *ScreenOptions) (err error) {
	f, wf, err := nameless(dir)
	if err != nil {
		return fmt.Errorf("jobs: screenshot: %w", err)
	}
	defer f.Close()
	defer wf.Close()
	var set qapi.AddfdInfo
	if err := c.DoFD(ctx, "add-fd", struct{}{}, wf, &set); err != nil {
		return err
	}
	defer func() {
		clean := qapi.RemoveFD(context.WithoutCancel(ctx), c, &qapi.RemoveFDArgs{FDSetID: set.FDSetID})
		err = errors.Join(err, clean)
	}()
	args := &qapi.ScreendumpArgs{Filename: fmt.Sprintf("/dev/fdset/%d", set.FDSetID)}
	if o != nil && o.Device != "" { // QEMU takes the head only with a device
		args.Device, args.Head = &o.Device, new(int64(o.Head))
	}
	if o != nil && o.Format != "" {
		args.Format = &o.Format
	}
	if err := qapi.Screendump(ctx, c, args); err != nil {
		return err
	}
	if _, err := io.Copy(w, f); err != nil {
		return fmt.Errorf("jobs: screenshot: %w", err)
	}
	return nil
}

// nameless returns a temporary file, once to read and once to write only: QEMU looks in a set for a descriptor with just
// the rights that it wants.
func nameless(dir string) (r, w *os.File, err error) {
	r, err = os.CreateTemp(dir, ".screen-*")
	if err != nil {
		return nil, nil, err
	}
	w, err = os.OpenFile(r.Name(), os.O_WRONLY, 0)
	if rerr := os.Remove(r.Name()); err == nil && rerr != nil {
		w.Close()
		err = rerr
	}
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	return r, w, nil
}
