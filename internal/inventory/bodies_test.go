package inventory_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/inventory"
)

func TestBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inventory.Bodies{MaxAge: time.Second}
		made := 0
		get := func(key, version any) string {
			e, err := b.Get(key, version, func() (any, error) { made++; return made, nil })
			require.NoError(t, err)
			return string(e.Value())
		}
		require.Equal(t, "1", get("a", 1))
		require.Equal(t, "1", get("a", 1))
		require.Equal(t, "2", get("b", 1), "another caller")
		require.Equal(t, "3", get("a", 2), "another version")
		time.Sleep(time.Second)
		require.Equal(t, "4", get("a", 2), "too old")

		_, err := b.Get("a", 3, func() (any, error) { return nil, errors.New("no") })
		require.EqualError(t, err, "no")
		require.Equal(t, "5", get("a", 3), "errors are not kept")
		_, err = b.Get("a", 4, func() (any, error) { return func() {}, nil })
		require.Error(t, err)
	})
}

func TestBodiesMakesOneForMany(t *testing.T) {
	b := inventory.Bodies{MaxAge: time.Hour}
	var made atomic.Int32
	var begun, done sync.WaitGroup
	begun.Add(50)
	for range 50 {
		done.Go(func() {
			begun.Done()
			e, err := b.Get("a", 1, func() (any, error) {
				begun.Wait() // all have come
				return made.Add(1), nil
			})
			require.NoError(t, err)
			require.Equal(t, "1", string(e.Value()))
		})
	}
	done.Wait()
}

func TestBodiesServesTheOldOneMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inventory.Bodies{MaxAge: time.Second}
		get := func(version, value int, delay time.Duration) string {
			e, err := b.Get("a", version, func() (any, error) { time.Sleep(delay); return value, nil })
			require.NoError(t, err)
			return string(e.Value())
		}
		require.Equal(t, "1", get(1, 1, 0))
		time.Sleep(time.Second)
		done := make(chan string)
		go func() { done <- get(1, 2, time.Second/2) }()
		synctest.Wait()
		require.Equal(t, "1", get(1, 3, 0), "too old, but being made")
		require.Equal(t, "2", <-done)
		require.Equal(t, "2", get(1, 4, 0))
		time.Sleep(2 * time.Second)
		require.Equal(t, "5", get(1, 5, 0), "much too old")
	})
}

func TestBodiesIsBounded(t *testing.T) {
	b := inventory.Bodies{MaxAge: time.Hour}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 500 {
				key := strconv.Itoa(i + worker)
				e, err := b.Get(key, 1, func() (any, error) { return key, nil })
				require.NoError(t, err)
				require.Equal(t, `"`+key+`"`, string(e.Value()))
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, b.Len(), 128)
}
