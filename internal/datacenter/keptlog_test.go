package datacenter_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/datacenter"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Logins and changes of passwords outlive the daemon, as far as the log goes.
func TestLogOutlivesTheDaemon(t *testing.T) {
	w := newWorld(t)
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		return func() {
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
		}
	}
	next := func() { // another life of the daemon, on the same store
		w.Service = datacenter.New(datacenter.Options{Node: "alpha", Store: w.store, Access: w.access, Inventory: w.inv, Clock: func() time.Time { return now }})
	}
	stop := run()
	w.LoggedIn("a@pve")
	w.PasswordChanged("a@pve")
	stop() // what waits to be stored is stored now
	for range 2 {
		next()
		require.Empty(t, w.log(call.Root, 50))
		stop = run()
		require.Eventually(t, func() bool { return len(w.log(call.Root, 50)) == 2 }, 10*time.Second, time.Millisecond)
		require.Equal(t, []string{"changed password for user 'a@pve'", "successful auth for user 'a@pve'"}, messages(w.log(call.Root, 50)))
		stop()
	}
	next()
	stop = run()
	for i := range 2000 {
		w.LoggedIn(fmt.Sprintf("u%d@pve", i))
	}
	stop()
	kv, err := w.store.Get(t.Context(), "/log/alpha")
	require.NoError(t, err)
	require.Less(t, len(kv.Value), 100<<10, "it is bounded")
	next()
	stop = run()
	require.Eventually(t, func() bool { return len(w.log(call.Root, 5000)) == 500 }, 10*time.Second, time.Millisecond)
	require.Equal(t, "successful auth for user 'u1999@pve'", w.log(call.Root, 1)[0].Msg)
	stop()
}
