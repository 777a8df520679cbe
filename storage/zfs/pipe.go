package zfs

import (
	"context"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// transfer is zfs send piped into zfs recv.
type transfer struct {
	send, recv     []string
	from, to       *tool
	bytesPerSecond int64
	progress       func(done int64) // of the stream, from one goroutine at a time; may be nil
}

// run runs both to their ends. Without a limit of speed, the kernel's pipe is all that is between them.
func (t transfer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, in, err := pipes(t.bytesPerSecond > 0)
	if err != nil {
		return err
	}
	var sendErr, recvErr, copyErr error
	var wg sync.WaitGroup
	sent := make(chan struct{})
	wg.Go(func() {
		defer close(sent)
		defer out.w.Close()
		c := command{program: t.from.zfs, args: t.send, stdout: out.w, started: func() { out.w.Close() }}
		if t.progress != nil {
			c.line = func(line string) {
				if n, ok := progressOf(line); ok {
					t.progress(n)
				}
			}
		}
		_, sendErr = t.from.do(ctx, c)
		if sendErr != nil && !brokenPipe(sendErr) {
			cancel() // or recv would wait for more
		}
	})
	if t.bytesPerSecond > 0 {
		wg.Go(func() {
			copyErr = copyLimited(ctx, in.w, out.r, t.bytesPerSecond)
			copyErr = errors.Join(copyErr, in.w.Close(), out.r.Close())
		})
	}
	_, recvErr = t.to.do(ctx, command{program: t.to.zfs, args: t.recv, stdin: in.r, started: func() { in.r.Close() }})
	in.r.Close()        // also when it has not started: then send ends with a broken pipe
	if recvErr != nil { // as a rule send has ended before, or ends as nobody reads: if it was killed now, its own error were lost
		select {
		case <-sent:
		case <-time.After(grace):
			cancel()
		}
	}
	wg.Wait()
	switch {
	case recvErr != nil && (sendErr == nil || brokenPipe(sendErr) || errors.Is(sendErr, context.Canceled)):
		return recvErr
	case sendErr != nil:
		return sendErr
	}
	return copyErr
}

// brokenPipe reports whether a command ended because nobody read what it wrote.
func brokenPipe(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (strings.Contains(e.Err.Error(), syscall.SIGPIPE.String()) || strings.Contains(e.Stderr, "Broken pipe"))
}

type ends struct{ r, w *os.File }

// pipes are the pipe that is written to and the one that is read from: one, or two with somebody in between.
func pipes(two bool) (out, in ends, err error) {
	if out.r, out.w, err = os.Pipe(); err != nil || !two {
		return out, out, err
	}
	if in.r, in.w, err = os.Pipe(); err != nil {
		out.r.Close()
		out.w.Close()
	}
	return out, in, err
}

// progressOf reads a line of zfs send -vP: TIME, bytes, snapshot.
func progressOf(line string) (int64, bool) {
	f := strings.Fields(line)
	if len(f) != 3 || strings.Count(f[0], ":") != 2 {
		return 0, false
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	return n, err == nil && n >= 0
}

// estimate reads what zfs send -nP says of a stream's size.
func estimate(out []byte) (n int64) {
	_ = rows(out, func(line string) error {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "size" {
			n, _ = strconv.ParseInt(f[1], 10, 64) // an estimate, by nature
		}
		return nil
	})
	return max(n, 0)
}

// copyLimited copies at a speed, evened out over a tenth of a second.
func copyLimited(ctx context.Context, w io.Writer, r io.Reader, bytesPerSecond int64) error {
	buf := make([]byte, min(max(bytesPerSecond/10, 4<<10), 1<<20))
	next := time.Now()
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, e := w.Write(buf[:n]); e != nil {
				return e
			}
			next = next.Add(time.Duration(float64(n) / float64(bytesPerSecond) * float64(time.Second)))
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		wait := time.Until(next)
		if wait < -100*time.Millisecond { // a source that is slower gains nothing for later
			next = time.Now()
		}
		if wait > 0 {
			pause := time.NewTimer(wait)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return context.Cause(ctx)
			}
		}
	}
}
