package qmp_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

var errDown = errors.New("down")

func newPool(t *testing.T, dial qmp.DialFunc) *qmp.Pool {
	t.Helper()
	p, err := qmp.NewPool(dial, nil)
	require.NoError(t, err)
	return p
}

func TestPoolSharesOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.NewMachine(t, nil)
		var dials atomic.Int32
		p := newPool(t, func(ctx context.Context, key string) (*qmp.Client, error) {
			dials.Add(1)
			return qmp.NewClient(ctx, peer.Conn(), nil)
		})
		require.Zero(t, p.Stats().Dials, "nothing is dialled unasked")
		var wg sync.WaitGroup
		clients := make([]*qmp.Client, 20)
		for i := range clients {
			wg.Go(func() {
				var err error
				if clients[i], err = p.Get(t.Context(), "100"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, c := range clients {
			require.Same(t, clients[0], c)
		}
		require.EqualValues(t, 1, dials.Load())
		require.Equal(t, qmp.PoolStats{Keys: 1, Live: 1, Dials: 1}, p.Stats())

		peer.HangUp() // the session ends: the next one who asks gets a new one
		<-clients[0].Done()
		require.Zero(t, p.Stats().Live)
		c, err := p.Get(t.Context(), "100")
		require.NoError(t, err)
		require.NotSame(t, clients[0], c)
		require.NoError(t, c.Do(t.Context(), "query-status", nil, nil))

		require.NoError(t, p.Remove("100"))
		require.NoError(t, p.Remove("100"))
		require.ErrorIs(t, c.Err(), qmp.ErrClosed)
		require.Zero(t, p.Stats().Keys)
		require.NoError(t, p.CloseAll())
		peer.Close()
	})
}

func TestPoolBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.NewMachine(t, nil)
		up, dials := false, 0
		p := newPool(t, func(ctx context.Context, key string) (*qmp.Client, error) {
			if dials++; !up {
				return nil, errDown
			}
			return qmp.NewClient(ctx, peer.Conn(), nil)
		})
		pause := 100 * time.Millisecond
		for range 10 {
			_, err := p.Get(t.Context(), "k")
			require.ErrorIs(t, err, errDown)
			require.NotErrorIs(t, err, qmp.ErrBackoff)
			was := dials
			time.Sleep(pause - time.Millisecond)
			_, err = p.Get(t.Context(), "k")
			require.ErrorIs(t, err, qmp.ErrBackoff)
			require.ErrorIs(t, err, errDown)
			require.Equal(t, was, dials)
			time.Sleep(time.Millisecond)
			pause = min(2*pause, 5*time.Second)
		}
		require.EqualValues(t, 10, p.Stats().Failures)
		up = true
		c, err := p.Get(t.Context(), "k")
		require.NoError(t, err)
		c.Close() // against the rules, yet harmless
		_, err = p.Get(t.Context(), "k")
		require.NoError(t, err)
		require.NoError(t, p.CloseAll())
		require.NoError(t, p.CloseAll())
		_, err = p.Get(t.Context(), "k")
		require.ErrorIs(t, err, qmp.ErrClosed)
		peer.Close()
	})
}

func TestPoolSlowKeyAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.NewMachine(t, nil)
		p := newPool(t, func(ctx context.Context, key string) (*qmp.Client, error) {
			if key == "slow" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return qmp.NewClient(ctx, peer.Conn(), nil)
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.Get(ctx, "slow")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		start := time.Now()
		_, err = p.Get(t.Context(), "quick")
		require.NoError(t, err)
		require.Zero(t, time.Since(start))
		_, err = p.Get(t.Context(), "slow") // joins the attempt that goes on
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 14*time.Second, time.Since(start))
		require.EqualValues(t, 2, p.Stats().Dials)
		time.Sleep(time.Second)
		done := make(chan error, 1)
		go func() { _, err := p.Get(t.Context(), "slow"); done <- err }()
		synctest.Wait()
		require.NoError(t, p.CloseAll()) // also ends attempts
		require.Error(t, <-done)
		peer.Close()
	})
}

func TestPoolRemoveDuringDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.NewMachine(t, nil)
		gate := make(chan struct{})
		var made []*qmp.Client
		p := newPool(t, func(ctx context.Context, key string) (*qmp.Client, error) {
			<-gate
			c, err := qmp.NewClient(ctx, peer.Conn(), nil)
			made = append(made, c)
			return c, err
		})
		got := make(chan *qmp.Client, 1)
		go func() {
			c, err := p.Get(t.Context(), "k")
			if err != nil {
				t.Error(err)
			}
			got <- c
		}()
		synctest.Wait()
		require.NoError(t, p.Remove("k"))
		close(gate)
		c := <-got
		require.NoError(t, c.Err())
		require.Len(t, made, 2)
		require.ErrorIs(t, made[0].Err(), qmp.ErrClosed, "the client that nobody wants any more is not leaked")
		require.NoError(t, p.CloseAll())
		peer.Close()
	})
}

func TestPoolOptions(t *testing.T) {
	_, err := qmp.NewPool(nil, nil)
	require.Error(t, err)
	dial := func(context.Context, string) (*qmp.Client, error) { return nil, errDown }
	_, err = qmp.NewPool(dial, &qmp.PoolOptions{MinBackoff: time.Second, MaxBackoff: time.Millisecond})
	require.Error(t, err)
	p, err := qmp.NewPool(dial, &qmp.PoolOptions{MinBackoff: time.Minute})
	require.NoError(t, err)
	require.NoError(t, p.CloseAll())
}
