package breaker_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/breaker"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

// healthy is a driver that answers at once.
type healthy struct {
	storage.Driver
	opened, closed atomic.Int32
}

func (*healthy) Usage(context.Context) (storage.Usage, error) {
	return storage.Usage{TotalBytes: 1}, nil
}

func (*healthy) Stat(context.Context, storage.VolumeID) (storage.Volume, error) {
	return storage.Volume{}, storage.ErrNotFound
}

func (h *healthy) Open(context.Context, storage.VolumeID, bool) (*storage.Image, error) {
	h.opened.Add(1)
	return &storage.Image{Release: func() error { h.closed.Add(1); return nil }}, nil
}

type sick struct {
	hang atomic.Pointer[chan struct{}]
	err  atomic.Pointer[error]
}

func (s *sick) fault(storage.Call) (f storagetest.Fault) {
	if c := s.hang.Load(); c != nil {
		f.Hang = *c
	}
	if err := s.err.Load(); err != nil {
		f.Before = *err
	}
	return f
}

func TestHungCallReturnsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := &sick{}, &healthy{}
		b, err := breaker.New(storagetest.NewFaults(h, s.fault), &breaker.Options{Name: "nfs"})
		require.NoError(t, err)
		stuck := make(chan struct{})
		s.hang.Store(&stuck)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err = b.Usage(ctx)
		require.ErrorIs(t, err, storage.ErrUnavailable)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 1250*time.Millisecond, time.Since(began))
		require.Equal(t, 1, b.Stats().Stuck)

		_, err = b.Usage(t.Context()) // no deadline of its own
		require.ErrorIs(t, err, storage.ErrUnavailable)

		o, ok := storage.As[storage.Opener](b)
		require.True(t, ok)
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = o.Open(ctx, "x", false)
		require.ErrorIs(t, err, storage.ErrUnavailable)
		require.Equal(t, breaker.Open, b.Stats().State, "the third in a row")

		began = time.Now()
		_, err = b.Stat(t.Context(), "100/vm-100-disk-0.raw")
		require.ErrorIs(t, err, storage.ErrUnavailable)
		require.ErrorContains(t, err, "storage: nfs: stat 100/vm-100-disk-0.raw: storage not available: no answer since 2000-01-01T00:00:")
		require.Zero(t, time.Since(began), "at once")
		require.Equal(t, uint64(1), b.Stats().Rejected)

		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorContains(t, b.Close(short), "3 calls still hang")
		s.hang.Store(nil)
		close(stuck)
		require.NoError(t, b.Close(t.Context()))
		require.Equal(t, int32(1), h.opened.Load())
		require.Equal(t, int32(1), h.closed.Load(), "an image that came too late is closed")
		_, err = b.Usage(t.Context())
		require.ErrorIs(t, err, storage.ErrUnavailable)
	})
}

func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sick{}
		b, err := breaker.New(storagetest.NewFaults(&healthy{}, s.fault), nil)
		require.NoError(t, err)
		defer b.Close(t.Context())
		usage := func() error { _, err := b.Usage(t.Context()); return err }
		dead := error(storage.ErrUnavailable)
		s.err.Store(&dead)
		for range 2 {
			require.ErrorIs(t, usage(), dead)
		}
		s.err.Store(nil)
		require.NoError(t, usage())
		_, err = b.Stat(t.Context(), "x")
		require.ErrorIs(t, err, storage.ErrNotFound, "an answer like any other")
		s.err.Store(&dead)
		for range 3 {
			require.Equal(t, breaker.Closed, b.Stats().State)
			require.ErrorIs(t, usage(), dead)
		}
		require.Equal(t, breaker.Open, b.Stats().State)
		calls := b.Stats().Calls
		require.ErrorIs(t, usage(), dead)
		require.Equal(t, calls, b.Stats().Calls, "not let through")
		time.Sleep(5 * time.Second)
		require.ErrorIs(t, usage(), dead, "the trial")
		require.Equal(t, calls+1, b.Stats().Calls)
		time.Sleep(5 * time.Second)
		s.err.Store(nil)
		require.ErrorIs(t, usage(), dead, "twice as long after a trial in vain")
		time.Sleep(5 * time.Second)
		require.NoError(t, usage())
		require.Equal(t, breaker.Closed, b.Stats().State)
		require.NoError(t, b.Stats().Reason)
	})
}

func TestOneTrialAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sick{}
		probed := 0
		b, err := breaker.New(storagetest.NewFaults(&healthy{}, s.fault), &breaker.Options{
			Failures: 1, Probe: func(context.Context) error { probed++; return nil },
		})
		require.NoError(t, err)
		dead := error(storage.ErrUnavailable)
		s.err.Store(&dead)
		_, err = b.Usage(t.Context())
		require.ErrorIs(t, err, dead)
		s.err.Store(nil)
		stuck := make(chan struct{})
		s.hang.Store(&stuck)
		time.Sleep(5 * time.Second)
		trial := make(chan error, 1)
		go func() { _, err := b.Usage(t.Context()); trial <- err }()
		synctest.Wait()
		require.Equal(t, breaker.HalfOpen, b.Stats().State)
		_, err = b.Usage(t.Context())
		require.ErrorIs(t, err, storage.ErrUnavailable, "one is enough")
		close(stuck)
		require.NoError(t, <-trial)
		require.Equal(t, 1, probed)
		require.Equal(t, breaker.Closed, b.Stats().State)
		require.NoError(t, b.Close(t.Context()))
	})
}

func TestStuckCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sick{}
		b, err := breaker.New(storagetest.NewFaults(&healthy{}, s.fault), &breaker.Options{MaxStuck: 2, Failures: 1000})
		require.NoError(t, err)
		stuck := make(chan struct{})
		s.hang.Store(&stuck)
		reason := errors.New("page closed")
		for range 5 { // callers who leave say nothing about the backend, but their calls hang all the same
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Millisecond, func() { cancel(reason) })
			_, err = b.Usage(ctx)
		}
		require.ErrorContains(t, err, "2 calls hang in it")
		require.Equal(t, breaker.Closed, b.Stats().State)
		require.Equal(t, 2, b.Stats().Stuck)
		close(stuck)
		require.NoError(t, b.Close(t.Context()))
	})
}

// TestMain is also the child of probes: a storage of type "hang" never answers.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "storage-probe" {
		if err := breaker.Serve(context.Background(), os.Stdin, os.Stdout, func(c storage.Config) (storage.Driver, error) {
			switch c.Type {
			case "hang":
				select {}
			case "exit":
				os.Exit(3)
			case "gone":
				return nil, &storage.OpError{Op: "open", Driver: "gone", Err: storage.ErrUnavailable}
			}
			return &healthy{}, nil
		}); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestProber(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	p, err := breaker.NewProber(exe, "storage-probe")
	require.NoError(t, err)
	u, err := p.Probe(t.Context(), breaker.Request{Config: storage.Config{ID: "a", Type: "good"}})
	require.NoError(t, err)
	require.Equal(t, int64(1), u.TotalBytes)
	for _, typ := range []string{"gone", "exit"} {
		_, err = p.Probe(t.Context(), breaker.Request{Config: storage.Config{ID: "a", Type: typ}})
		require.ErrorIs(t, err, storage.ErrUnavailable, typ)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = p.Probe(ctx, breaker.Request{Config: storage.Config{ID: "a", Type: "hang"}})
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), 5*time.Second)
	_, err = p.Probe(t.Context(), breaker.Request{Config: storage.Config{ID: "a", Type: "good"}})
	require.NoError(t, err, "the child was killed, so nothing is left")
	require.Zero(t, p.Stuck())
	require.NoError(t, p.Close(t.Context()))
}

func TestOneProbePerStorage(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	p, err := breaker.NewProber(exe, "storage-probe")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan error, 1)
	go func() {
		for { // until it comes first
			_, err := p.Probe(ctx, breaker.Request{Config: storage.Config{ID: "a", Type: "hang"}})
			if ctx.Err() != nil {
				hung <- err
				return
			}
		}
	}()
	require.Eventually(t, func() bool {
		_, err := p.Probe(t.Context(), breaker.Request{Config: storage.Config{ID: "a", Type: "good"}})
		return errors.Is(err, storage.ErrUnavailable)
	}, 20*time.Second, 50*time.Millisecond) // pauses in which the other comes first
	_, err = p.Probe(t.Context(), breaker.Request{Config: storage.Config{ID: "b", Type: "good"}})
	require.NoError(t, err, "others go on")
	cancel()
	require.ErrorIs(t, <-hung, storage.ErrUnavailable)
	require.NoError(t, p.Close(t.Context()))
}

func FuzzServe(f *testing.F) {
	good, err := json.Marshal(breaker.Request{Config: storage.Config{ID: "a", Type: "good"}})
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte(`{"Config":{"Options":{"path":1}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out jsonSink
		if breaker.Serve(t.Context(), &reader{in}, &out, func(storage.Config) (storage.Driver, error) { return &healthy{}, nil }) == nil {
			require.True(t, json.Valid(out.b))
		}
	})
}

type jsonSink struct{ b []byte }

func (s *jsonSink) Write(p []byte) (int, error) { s.b = append(s.b, p...); return len(p), nil }

type reader struct{ b []byte }

func (r *reader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, errors.New("end")
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}
