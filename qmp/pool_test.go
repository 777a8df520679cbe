package qmp_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
		require.Equal(t, qmp.PoolStats{Keys: 1, Live: 1, Holds: 20, Dials: 1}, p.Stats())

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

// TestPoolDialsAgainForHolders breaks the session of a key that is held, and of one that is not.
func TestPoolDialsAgainForHolders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := map[string]*qmptest.Machine{"held": qmptest.NewMachine(t, nil), "free": qmptest.NewMachine(t, nil)}
		var up, gone atomic.Bool
		up.Store(true)
		p := newPool(t, func(ctx context.Context, key string) (*qmp.Client, error) {
			switch {
			case gone.Load():
				return nil, fmt.Errorf("dial: %w", fs.ErrNotExist)
			case !up.Load():
				return nil, errDown
			}
			return qmp.NewClient(ctx, peers[key].Conn(), nil)
		})
		for key := range peers {
			_, err := p.Get(t.Context(), key)
			require.NoError(t, err)
		}
		p.Release("free")
		up.Store(false)
		for _, peer := range peers {
			peer.HangUp()
		}
		synctest.Wait()
		require.EqualValues(t, 2, p.Stats().Broken)
		time.Sleep(time.Second) // attempts after 100, 300 and 700 ms
		require.EqualValues(t, 3, p.Stats().Failures)
		up.Store(true)
		time.Sleep(time.Second)
		require.Equal(t, 1, p.Stats().Live, "without anybody asking")
		require.EqualValues(t, 6, p.Stats().Dials)

		// A peer that greets and hangs up is dialled ever more seldom.
		was := p.Stats().Dials
		for start := time.Now(); time.Since(start) < time.Minute; {
			synctest.Wait()
			peers["held"].HangUp()
			time.Sleep(10 * time.Millisecond)
		}
		require.Less(t, p.Stats().Dials-was, uint64(18))

		// A machine that is gone is not dialled any more, and costs nothing until somebody asks.
		time.Sleep(time.Minute)
		require.Equal(t, 1, p.Stats().Live)
		gone.Store(true)
		peers["held"].HangUp()
		time.Sleep(time.Minute)
		was = p.Stats().Dials
		time.Sleep(time.Hour)
		require.Equal(t, was, p.Stats().Dials)
		_, err := p.Get(t.Context(), "held")
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NoError(t, p.CloseAll())
		for _, peer := range peers {
			peer.Close()
		}
	})
}

// TestPoolRelease closes what nobody holds, in time, and nothing else.
func TestPoolRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peer := qmptest.NewMachine(t, nil)
		p, err := qmp.NewPool(func(ctx context.Context, key string) (*qmp.Client, error) {
			return qmp.NewClient(ctx, peer.Conn(), nil)
		}, &qmp.PoolOptions{IdleTimeout: time.Minute})
		require.NoError(t, err)
		c, err := p.Get(t.Context(), "k")
		require.NoError(t, err)
		_, err = p.Get(t.Context(), "k")
		require.NoError(t, err)
		p.Release("k")
		time.Sleep(time.Hour)
		require.NoError(t, c.Err(), "one holds it still")
		p.Release("k")
		time.Sleep(59 * time.Second)
		again, err := p.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Same(t, c, again)
		time.Sleep(time.Hour)
		require.NoError(t, c.Err(), "it was taken up again")
		p.Release("k")
		p.Release("k") // one too many
		p.Release("other")
		require.Zero(t, p.Stats().Holds)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.ErrorIs(t, c.Err(), qmp.ErrClosed)
		require.Equal(t, qmp.PoolStats{Dials: 1, Expired: 1}, p.Stats())
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
