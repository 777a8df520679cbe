package datacenter_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/datacenter"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func (w *world) log(user string, limit int64) []datacenter.Entry {
	w.t.Helper()
	v, err := w.GetClusterLog(w.as(user), &schema.GetClusterLog{Max: &limit})
	require.NoError(w.t, err)
	return v.([]datacenter.Entry)
}

func messages(rows []datacenter.Entry) []string {
	out := []string{}
	for _, e := range rows {
		out = append(out, e.Msg)
	}
	return out
}

func TestClusterLog(t *testing.T) {
	w := newWorld(t)
	w.file("user.cfg", "user:a@pve:1:\nuser:b@pve:1:\nuser:s@pve:1:\nrole:Log:Sys.Syslog:\nacl:1:/:s@pve:Log:\n")
	w.Log().Add(now, datacenter.Info, "a@pve", "one")
	w.LoggedIn("b@pve")
	w.PasswordChanged("b@pve")
	w.Log().Add(now.Add(-time.Hour), datacenter.Error, "a@pve", "long ago")
	require.Equal(t, []string{"changed password for user 'b@pve'", "successful auth for user 'b@pve'", "one", "long ago"}, messages(w.log("s@pve", 50)))
	require.Equal(t, []string{"one", "long ago"}, messages(w.log("a@pve", 50)))
	require.Empty(t, w.log("b@pve", 50))
	rows := w.log(call.Root, 1)
	require.Len(t, rows, 1)
	rows[0].PID = 7
	require.JSONEq(t, `[{"uid":3,"id":"3:alpha","time":1800000000,"pri":6,"tag":"pvedaemon","pid":7,"node":"alpha","user":"root@pam","msg":"changed password for user 'b@pve'"}]`, w.js(rows, nil))

	for i := range 3000 {
		w.Log().Add(now, datacenter.Info, "a@pve", fmt.Sprint(i))
	}
	all := w.log(call.Root, 5000)
	require.Len(t, all, 500)
	require.Equal(t, "2999", all[0].Msg)
	require.Equal(t, "2500", all[499].Msg)
}

func TestLogFollowsTasks(t *testing.T) {
	w := newWorld(t)
	engine, err := task.New(w.store, task.Options{Node: "alpha", LogDir: t.TempDir()})
	require.NoError(t, err)
	hold := make(chan struct{})
	for typ, run := range map[string]func(context.Context, *task.Op) error{
		"fine":  func(context.Context, *task.Op) error { return nil },
		"warns": func(_ context.Context, op *task.Op) error { op.Warnf("careful"); return nil },
		"fails": func(context.Context, *task.Op) error { return errors.New("no way") },
		"waits": func(context.Context, *task.Op) error { <-hold; return nil },
	} {
		engine.Register(typ, task.Handler{Run: run, Recovery: task.Fail})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() { engine.Run(ctx); done <- struct{}{} }()
	<-engine.Ready()
	run := func(typ string, hidden bool) string {
		id, err := engine.Submit(t.Context(), task.Spec{Type: typ, ID: "100", User: "a@pve", Hidden: hidden})
		require.NoError(t, err)
		if typ != "waits" {
			_, err = engine.Wait(t.Context(), id)
			require.NoError(t, err)
		}
		return id.String()
	}
	before := run("fine", false)
	go func() { w.Run(ctx); done <- struct{}{} }()
	want := map[string]int{"starting task " + before: datacenter.Info, "end task " + before + " OK": datacenter.Info}
	hidden := run("fine", true)
	for typ, end := range map[string]string{"fine": "OK", "warns": "WARNINGS: 1", "fails": "no way"} {
		for range 20 {
			id := run(typ, false)
			want["starting task "+id] = datacenter.Info
			want["end task "+id+" "+end] = map[string]int{"fine": datacenter.Info, "warns": datacenter.Warning, "fails": datacenter.Error}[typ]
		}
	}
	waits := run("waits", false)
	want["starting task "+waits] = datacenter.Info
	require.Eventually(t, func() bool { return len(w.log("a@pve", 500)) >= len(want) }, 10*time.Second, time.Millisecond)
	got := map[string]int{}
	for _, e := range w.log("a@pve", 500) {
		got[e.Msg] = e.Pri
	}
	require.Equal(t, want, got)
	require.Len(t, w.log("a@pve", 500), len(want), "nothing twice")
	for msg := range got {
		require.NotContains(t, msg, hidden)
	}
	close(hold)
	require.Eventually(t, func() bool { return messages(w.log("a@pve", 1))[0] == "end task "+waits+" OK" }, 10*time.Second, time.Millisecond)
	cancel()
	<-done
	<-done
}
