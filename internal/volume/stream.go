package volume

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/storage"
)

// copyStream copies a volume whose backend gives no file of it, only a stream, to one that takes such a stream.
func (s *Service) copyStream(ctx context.Context, from, to *target, o CopyOptions) error {
	unsupported := public(errors.ErrUnsupported, "cannot copy from storage type '%s' to '%s'", from.Type, to.Type)
	src, ok := storage.As[storage.Streamer](from.driver)
	if !ok {
		return unsupported
	}
	dst, ok := storage.As[storage.Streamer](to.driver)
	if !ok {
		return unsupported
	}
	so := storage.StreamOptions{Snapshot: o.SourceSnapshot}
	offered, err := src.StreamFormats(ctx, from.id, so)
	if err != nil {
		return from.explain(err, "volume '"+from.text+"' cannot be exported")
	}
	taken, err := dst.ImportFormats(to.id, storage.StreamOptions{})
	if err != nil {
		return to.explain(err, "volume '"+to.text+"' cannot be imported")
	}
	i := slices.IndexFunc(offered, func(f storage.StreamFormat) bool { return slices.Contains(taken, f) })
	if i < 0 {
		return unsupported
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { // ends when the import has closed the pipe, or the export is through
		err := src.Export(ctx, w, from.id, offered[i], so)
		w.CloseWithError(err)
		ended <- err
	}()
	in := &meter{ctx: ctx, r: r, rate: o.BWLimit, begun: time.Now()}
	if strings.HasSuffix(string(offered[i]), "+size") {
		in.report = o.Progress
	}
	_, err = dst.Import(ctx, in, to.id, offered[i], storage.StreamOptions{})
	r.CloseWithError(err) // a nil error is io.ErrClosedPipe for an export that has more than was wanted
	if exported := <-ended; err != nil && exported != nil && !errors.Is(exported, err) {
		err = errors.Join(err, exported)
	}
	s.created(to, err)
	return to.explain(err, "volume '"+to.text+"' cannot be imported")
}

// meter passes a stream on no faster than a rate, and tells how far it is. A form with a size begins with eight bytes of it.
type meter struct {
	ctx    context.Context //nolint:containedctx // lives within one copy
	r      io.Reader
	rate   int64 // bytes per second, 0 for no limit
	report func(done, total int64)
	begun  time.Time
	done   int64
	head   []byte
}

func (m *meter) Read(p []byte) (int, error) {
	if m.rate > 0 { // what has come so far may not be ahead of the clock
		ahead := time.Duration(float64(m.done)/float64(m.rate)*float64(time.Second)) - time.Since(m.begun)
		if ahead > 0 {
			timer := time.NewTimer(ahead)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-m.ctx.Done():
				return 0, context.Cause(m.ctx)
			}
		}
		p = p[:min(int64(len(p)), max(m.rate/8, 4096))]
	}
	n, err := m.r.Read(p)
	m.done += int64(n)
	if need := 8 - len(m.head); need > 0 {
		m.head = append(m.head, p[:min(n, need)]...)
	}
	if total := m.total(); m.report != nil && total > 0 {
		m.report(min(m.done, total), total)
	}
	return n, err
}

// total is the size at the head of the stream, 0 if there is no sane one.
func (m *meter) total() int64 {
	if len(m.head) < 8 {
		return 0
	}
	if n := binary.LittleEndian.Uint64(m.head); n < 1<<60 {
		return int64(n)
	}
	return 0
}
