package qmp_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

func TestSlowSubscriberStallsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := qmptest.NewMachine(t, nil)
		c, err := qmp.NewClient(t.Context(), m.Conn(), &qmp.Options{MaxEvents: 3})
		require.NoError(t, err)
		slow, quick := c.Subscribe("N"), c.Subscribe("N")
		for i := range 10 {
			m.Emit("N", map[string]int{"i": i})
			e, err := quick.Next(t.Context(), nil)
			require.NoError(t, err)
			require.EqualValues(t, i, e.Int("i"))
		}
		require.NoError(t, c.Do(t.Context(), "query-status", nil, nil))

		_, err = slow.Next(t.Context(), nil)
		var gap *qmp.OverflowError
		require.ErrorAs(t, err, &gap)
		require.EqualValues(t, 7, gap.Dropped)
		for i := 7; i < 10; i++ {
			e, err := slow.Next(t.Context(), nil)
			require.NoError(t, err)
			require.EqualValues(t, i, e.Int("i"))
		}
		require.EqualValues(t, 7, slow.Dropped())
		require.Zero(t, quick.Dropped())
		require.EqualValues(t, 7, c.Stats().Dropped)
		c.Close()
		m.Close()
	})
}

func TestNextMatchesAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := qmptest.NewMachine(t, nil)
		c, err := qmp.NewClient(t.Context(), m.Conn(), nil)
		require.NoError(t, err)
		sub := c.Subscribe("DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR")
		m.Emit("DEVICE_DELETED", map[string]string{"path": "/machine/peripheral/net1/virtio-backend"})
		m.Emit("STOP", nil)
		m.Emit("DEVICE_DELETED", map[string]string{"device": "net1"})
		e, err := sub.Next(t.Context(), func(e qmp.Event) bool { return e.Str("device") == "net1" })
		require.NoError(t, err)
		require.Empty(t, e.Str("path"))
		require.Zero(t, e.Int("device"))
		require.EqualValues(t, 1_700_000_000, e.Time.Unix())

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = sub.Next(ctx, nil)
		require.ErrorIs(t, err, context.Canceled)

		m.Emit("DEVICE_DELETED", nil)
		m.HangUp()
		<-c.Done()
		e, err = sub.Next(t.Context(), nil) // what came before the end is still there
		require.NoError(t, err)
		var v struct{ Device string }
		require.NoError(t, e.Decode(&v))
		require.Empty(t, e.Str("device"))
		_, err = sub.Next(t.Context(), nil)
		require.ErrorIs(t, err, qmp.ErrDisconnected)
		sub.Close()
		sub.Close()
		c.Close()
		m.Close()
	})
}

func TestSubscriptionsComeAndGo(t *testing.T) {
	m := qmptest.NewMachine(t, nil)
	c := open(t, m.Peer, nil)
	for i := range 50 {
		sub := c.Subscribe(fmt.Sprintf("E%d", i))
		keep := c.Subscribe()
		m.Emit(fmt.Sprintf("E%d", i), nil)
		_, err := sub.Next(deadline(t), nil)
		require.NoError(t, err)
		sub.Close()
		m.Emit(fmt.Sprintf("E%d", i), nil)
		for range 2 {
			_, err = keep.Next(deadline(t), nil)
			require.NoError(t, err)
		}
		keep.Close()
	}
}
