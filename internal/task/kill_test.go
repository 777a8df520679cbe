package task_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/boltstore"
	"github.com/turtacn/go-proxmox/internal/task"
)

// Environment of the process that kills itself: where it works, what it does, and at which of the points a crash must
// not matter it dies (0: at none).
const (
	killDirVar   = "GPVE_TEST_KILL_DIR"
	killPlanVar  = "GPVE_TEST_KILL_PLAN"
	killPointVar = "GPVE_TEST_KILL_POINT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDirVar); dir != "" {
		point, err := strconv.Atoi(os.Getenv(killPointVar))
		if err != nil {
			panic(err)
		}
		if err := killable(dir, os.Getenv(killPlanVar), int32(point)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// plans are the operations that are killed. Each makes a volume file and a key, in steps; "fails" fails then and
// "cancelled" is cancelled.
var plans = map[string]task.Recovery{
	"resume": task.Resume, "undo": task.Undo, "fail": task.Fail, "fails": task.Undo, "fails resumed": task.Resume, "cancelled": task.Resume, "hidden": task.Undo,
}

// site is what the killed process and its heir share.
type site struct {
	dir   string
	store *boltstore.Store
	*task.Engine
}

func newSite(dir, plan string, failPoint func(string)) (*site, error) {
	store, err := boltstore.Open(filepath.Join(dir, "state.db"), nil)
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir, store: store}
	s.Engine, err = task.New(store, task.Options{Node: "pve1", LogDir: dir, Clock: func() time.Time { return began }, FailPoint: failPoint})
	if err != nil {
		return nil, err
	}
	s.Register("qmcreate", task.Handler{
		Recovery: plans[plan],
		Undo: map[string]task.UndoFunc{
			"config": func(ctx context.Context, op *task.Op, _ json.RawMessage) error {
				return op.Commit(ctx, cluster.Delete("/vm/100"))
			},
			"file": func(_ context.Context, op *task.Op, data json.RawMessage) error {
				var name string
				if err := json.Unmarshal(data, &name); err != nil {
					return err
				}
				op.Logf("removing %s", name)
				if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
					return err
				}
				return nil
			},
		},
		Run: func(ctx context.Context, op *task.Op) error { return s.create(ctx, op, plan, failPoint) },
	})
	return s, nil
}

func (s *site) create(ctx context.Context, op *task.Op, plan string, failPoint func(string)) error {
	op.Logf("creating")
	for _, name := range []string{"disk-0", "disk-1"} {
		if err := op.Step(ctx, "file", name); err != nil {
			return err
		}
		failPoint("before acting")
		if err := os.WriteFile(filepath.Join(s.dir, name), nil, 0o600); err != nil {
			return err
		}
		failPoint("after acting")
	}
	if err := op.Save(ctx, "disks are there"); err != nil {
		return err
	}
	if strings.HasPrefix(plan, "fails") {
		return errors.New("no such bridge")
	}
	if plan == "cancelled" {
		if err := s.Cancel(ctx, op.UPID()); err != nil {
			return err
		}
		return untilCancelled(ctx)
	}
	return op.Finish(ctx, cluster.Put("/vm/100", []byte("name: done")))
}

func (s *site) spec(plan string) task.Spec {
	return task.Spec{Type: "qmcreate", ID: "100", User: "root@pam", Queue: "vm/100", Hidden: plan == "hidden", Undo: []task.StepSpec{{Kind: "config"}}}
}

// killable runs one operation and dies at the given point.
func killable(dir, plan string, point int32) error {
	var passed atomic.Int32
	s, err := newSite(dir, plan, func(string) {
		if passed.Add(1) == point {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				panic(err)
			}
			select {}
		}
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-s.Ready()
	_, err = s.SubmitWait(ctx, s.spec(plan), cluster.If(cluster.Absent("/vm/100")), cluster.Put("/vm/100", []byte("lock: create")))
	fmt.Println("outcome:", err)
	cancel()
	return errors.Join(<-ended, s.store.Close())
}

// TestKilledAtEveryPoint kills a process -9 at each point of an operation's life in turn, starts the engine again on what
// is left, and checks that the operation is done entirely or not at all, and that the log tells which.
func TestKilledAtEveryPoint(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	for plan, recovery := range plans {
		t.Run(plan, func(t *testing.T) {
			points := 0
			for point := 1; ; point++ {
				dir := t.TempDir()
				child := exec.Command(self)
				child.Env = append(os.Environ(), killDirVar+"="+dir, killPlanVar+"="+plan, fmt.Sprintf("%s=%d", killPointVar, point))
				out, err := child.CombinedOutput()
				if err == nil {
					break // it lived through all points
				}
				ws, ok := child.ProcessState.Sys().(syscall.WaitStatus)
				require.True(t, ok && ws.Signal() == syscall.SIGKILL, "point %d: %v: %s", point, err, out)
				points++
				exit := recoverSite(t, dir, plan, point)
				switch {
				case plan == "cancelled":
					require.Contains(t, []string{"received interrupt"}, exit, point)
				case strings.HasPrefix(plan, "fails"):
					require.Contains(t, []string{"no such bridge", task.ErrInterrupted.Error()}, exit, point)
				case recovery == task.Resume:
					require.Equal(t, "OK", exit, point)
				default:
					require.Contains(t, []string{"OK", task.ErrInterrupted.Error()}, exit, point)
				}
			}
			require.GreaterOrEqual(t, points, 10, "all points were met")
		})
	}
}

// recoverSite starts the engine on what a killed process left, waits until nothing is left to do, and returns the outcome.
func recoverSite(t *testing.T, dir, plan string, point int) string {
	s, err := newSite(dir, plan, func(string) {})
	require.NoError(t, err)
	run, cancel := context.WithCancel(ctx(t))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(run) }()
	require.Eventually(t, func() bool {
		kvs, _, err := s.store.List(ctx(t), task.OpPrefix("pve1"))
		return err == nil && len(kvs) == 0
	}, 20*time.Second, time.Millisecond, "point %d: the operation ends", point)
	<-s.Ready()
	cancel()
	require.NoError(t, <-ended)
	defer func() { require.NoError(t, s.store.Close()) }()

	_, vmErr := s.store.Get(ctx(t), "/vm/100")
	disks, err := filepath.Glob(filepath.Join(dir, "disk-*"))
	require.NoError(t, err)
	exists := vmErr == nil
	if exists {
		kv, err := s.store.Get(ctx(t), "/vm/100")
		require.NoError(t, err)
		require.Equal(t, "name: done", string(kv.Value), "point %d: no lock is left", point)
		require.Len(t, disks, 2, "point %d", point)
	} else {
		require.ErrorIs(t, vmErr, cluster.ErrNotFound)
		require.Empty(t, disks, "point %d: nothing is left", point)
	}
	if plan == "hidden" {
		if exists {
			return "OK"
		}
		return task.ErrInterrupted.Error()
	}
	rows, total := s.List(task.Filter{Active: true, Finished: true, Limit: -1})
	require.Equal(t, 1, total, "point %d", point)
	require.Equal(t, exists, rows[0].Status == "OK", "point %d: %s", point, rows[0].Status)
	log, err := os.ReadFile(filepath.Join(dir, "tasks", "A", rows[0].UPID.String()))
	require.NoError(t, err)
	require.Equal(t, rows[0].Status, task.StatusFromLog(string(log)), "point %d: %s", point, log)
	require.Equal(t, 1, strings.Count(string(log), "TASK "), "point %d: %s", point, log)
	return rows[0].Status
}
