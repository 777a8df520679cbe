package vm

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/task"
)

func TestStartupOrder(t *testing.T) {
	guests := func() []*inventory.Guest {
		return []*inventory.Guest{
			{ID: 100}, {ID: 101, Startup: "order=2,up=60"}, {ID: 102, Startup: "up=10"}, {ID: 103, Startup: "2"}, {ID: 104, Startup: "order=1, down=7"},
			{ID: 105, Startup: "order=x,up=y"}, {ID: 99},
		}
	}
	type event struct {
		ID int
		At time.Duration
	}
	run := func(t *testing.T, opposite bool, workers int, limit time.Duration) (events []event, err error) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			began := time.Now()
			var mu sync.Mutex
			err = inOrder(ctx, guests(), opposite, workers, func(g *inventory.Guest) {
				mu.Lock()
				events = append(events, event{g.ID, time.Since(began)})
				mu.Unlock()
				sleep(ctx, time.Second) // that long it takes
				sleep(ctx, time.Duration(startup(g.Startup).UpSec.Or(defaultPause))*time.Second)
			})
		})
		return events, err
	}
	events, err := run(t, false, 1, time.Hour)
	require.NoError(t, err)
	require.Equal(t, []event{
		{104, 0}, {101, 4 * time.Second}, {103, 65 * time.Second}, {99, 69 * time.Second}, {100, 73 * time.Second}, {102, 77 * time.Second}, {105, 88 * time.Second},
	}, events)

	events, err = run(t, true, 1, time.Hour)
	require.NoError(t, err)
	var ids []int
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	require.Equal(t, []int{105, 102, 100, 99, 103, 101, 104}, ids)

	// Side by side within an order, the next order when the whole of the one before is done.
	events, err = run(t, false, 2, time.Hour)
	require.NoError(t, err)
	slices.SortFunc(events, func(a, b event) int {
		if a.At != b.At {
			return int(a.At - b.At)
		}
		return a.ID - b.ID
	})
	require.Equal(t, []event{
		{104, 0}, {101, 4 * time.Second}, {103, 4 * time.Second}, {99, 65 * time.Second}, {100, 65 * time.Second}, {102, 69 * time.Second}, {105, 69 * time.Second},
	}, events)

	events, err = run(t, false, 1, 2*time.Second)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Len(t, events, 1)
}

// bulk returns the outcome and the log of the last task of a type.
func (s *site) bulk(typ string) (log []string) {
	s.t.Helper()
	s.idle()
	rows, _ := s.tasks.List(task.Filter{Finished: true, Type: typ, Limit: 1})
	require.Len(s.t, rows, 1)
	exit, log := s.wait(rows[0].UPID.String())
	require.Equal(s.t, "OK", exit)
	return log
}

func TestStartOnBoot(t *testing.T) {
	s := newGuestSite(t)
	for id, p := range map[int][]any{
		100: {"onboot", 1, "startup", "order=2,up=0"}, 101: {}, 102: {"onboot", 1, "startup", "order=1,up=1"}, 103: {"onboot", 1, "args", "-no-such-option", "startup", "order=1,up=60"},
	} {
		s.makeVM(id, append([]any{"memory", 16}, p...)...)
	}
	s.makeVM(104, "memory", 16, "onboot", 1)
	s.ok(ask(s, s.root(), s.PostNodesQemuTemplate, kv{"vmid", 104}))
	for id, lock := range map[int]string{100: "backup", 101: "backup", 103: "create"} {
		require.NoError(t, s.setVM(id, "lock", lock))
	}
	s.options.Settings.Workers = 1
	require.NoError(t, s.setVM(103, "delete", "lock", "skiplock", 1))
	require.NoError(t, s.StartOnBoot(t.Context()))
	log := s.bulk(opStartAll)
	require.ElementsMatch(t, []int{100, 102}, s.Running())
	require.ElementsMatch(t, []string{"removed left over backup lock from '100'!", "removed left over backup lock from '101'!"}, log[:2])
	require.False(t, s.conf(101).Main.Has("lock"))
	require.Equal(t, []string{
		"Starting VM 102", "Waiting for 1 seconds (startup delay)", "Starting VM 103", "Starting VM 103 failed: start failed: QEMU exited with code 1", "Starting VM 100", "TASK OK",
	}, log[2:])
	rows, _ := s.tasks.List(task.Filter{Finished: true, Type: opStart, Limit: -1})
	require.Len(t, rows, 3, "each is a task of its own")
	require.Equal(t, "root@pam", rows[0].UPID.User)

	// Asked for by a user, with those that run left alone and locks as they are.
	require.NoError(t, s.setVM(101, "lock", "backup"))
	s.ok(ask(s, s.root(), s.PostNodesStartall, kv{"force", 1, "vms", "100 101,104"}))
	log = s.bulk(opStartAll)
	require.Equal(t, []string{"Starting VM 101", "Starting VM 101 failed: VM is locked (backup)", "TASK OK"}, log)
}

func TestStopAllAndSuspendAll(t *testing.T) {
	s := newGuestSite(t)
	s.users("user:op@pve:1:0:::::\nacl:1:/vms/100:op@pve:PVEVMUser:\n")
	s.options.Settings.Workers = 1
	s.makeVM(100, "memory", 16, "startup", "order=1,down=1")
	s.makeVM(101, "memory", 16)
	s.makeVM(102, "memory", 16, "startup", "order=2")
	s.makeVM(103, "memory", 16)
	for _, id := range []int{100, 101, 102} {
		s.startVM(id)
	}
	s.ok(s.suspend(101)) // its plug is pulled, as of one that is in order and does not hear

	_, err := ask(s, s.as("op@pve"), s.PostNodesStopall, kv{})
	require.ErrorContains(t, err, "/, VM.PowerMgmt")
	_, err = ask(s, s.as("op@pve"), s.PostNodesStopall, kv{"vms", "100,101"})
	require.ErrorContains(t, err, "/, VM.PowerMgmt")
	_, err = ask(s, s.as("op@pve"), s.PostNodesSuspendall, kv{})
	require.ErrorContains(t, err, "/, VM.PowerMgmt && VM.Config.Disk")

	s.ok(ask(s, s.root(), s.PostNodesStopall, kv{"timeout", 2}))
	require.Equal(t, []string{
		"Stopping VM 101 (timeout = 2 seconds)", "Stopping VM 102 (timeout = 2 seconds)", "Stopping VM 100 (timeout = 1 seconds)", "TASK OK",
	}, s.bulk(opStopAll))
	require.Empty(t, s.Running())

	s.startVM(100)
	s.startVM(102)
	s.ok(ask(s, s.as("op@pve"), s.PostNodesStopall, kv{"vms", "100", "force-stop", 0}))
	require.Contains(t, strings.Join(s.bulk(opStopAll), "\n"), "Stopping VM 100 failed: VM quit/powerdown failed - got timeout")
	require.ElementsMatch(t, []int{100, 102}, s.Running())

	s.ok(ask(s, s.root(), s.PostNodesSuspendall, kv{}))
	require.Equal(t, []string{"Suspending VM 102", "Suspending VM 100", "TASK OK"}, s.bulk(opSuspendAll))
	require.Empty(t, s.Running())
	require.Equal(t, "suspended", s.conf(100).Main["lock"])
	s.ok(ask(s, s.root(), s.PostNodesStartall, kv{"force", 1}))
	require.ElementsMatch(t, []int{100, 101, 102, 103}, s.Running())
}

// A start of many that the end of the daemon cuts short goes on, and waits for what was under way.
func TestStartAllOutlivesTheDaemon(t *testing.T) {
	s := newGuestSite(t)
	calls, _ := s.hookScript("hook.sh")
	s.options.Settings.Workers = 1
	s.makeVM(100, "memory", 16, "startup", "order=1,up=600", "hookscript", "local:snippets/hook.sh")
	s.makeVM(101, "memory", 16, "startup", "up=0")
	id, err := ask(s, s.root(), s.PostNodesStartall, kv{"force", 1})
	require.NoError(t, err)
	s.eventually("the first runs", func() bool { return len(s.Running()) == 1 })
	s.eventually("its start has ended", func() bool {
		rows, _ := s.tasks.List(task.Filter{Finished: true, Type: opStart, Limit: 1})
		return len(rows) == 1 && rows[0].Status == "OK"
	})
	s.halt()
	n, err := startNode(s.dir, s.options)
	require.NoError(t, err)
	s.node, s.up = n, true
	exit, log := s.wait(id)
	require.Equal(t, "OK", exit, log)
	require.Contains(t, log, "going on after a restart")
	require.ElementsMatch(t, []int{100, 101}, s.Running())
	require.Equal(t, 1, strings.Count(calls(), "pre-start"))
}
