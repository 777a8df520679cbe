package vm

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMonitor(t *testing.T) {
	s := newGuestSite(t)
	s.users("user:see@pve:1:0:::::\nuser:do@pve:1:0:::::\nrole:See:Sys.Audit:\nrole:Do:Sys.Modify,VM.Console:\nacl:1:/vms/100:see@pve:See:\nacl:1:/:do@pve:Do:\n")
	s.makeVM(100, "memory", 16)
	monitor := func(ctx context.Context, command string) (string, error) {
		return ask(s, ctx, s.PostNodesQemuMonitor, kv{"vmid", 100, "command", command})
	}
	out, err := monitor(s.root(), "info status")
	require.NoError(t, err)
	require.Equal(t, "ERROR: VM 100 not running\n", out)
	s.startVM(100)
	for _, ctx := range []context.Context{s.root(), s.as("see@pve"), s.as("do@pve")} {
		out, err = monitor(ctx, "info status")
		require.NoError(t, err)
		require.Equal(t, "VM status: running\n", out)
	}
	out, err = monitor(s.root(), "no-such-command")
	require.NoError(t, err)
	require.Contains(t, out, "unknown command: 'no-such-command'")

	_, err = monitor(s.as("see@pve"), "stop")
	require.ErrorContains(t, err, "/, Sys.Modify")
	_, err = monitor(s.as("do@pve"), "stop")
	require.NoError(t, err)
	s.eventually("it has stopped", func() bool { return s.current(100).QMPStatus == "paused" })
	for command, text := range map[string]string{
		"quit": "root-only command 'quit'", " \t xp/10c 0": "root-only command 'xp'", "\nmigrate exec:id": "root-only command 'migrate'",
		"pmemsave 0 1 \"/tmp/x\"": "root-only command 'pmemsave'",
		"new_one":                 "command 'new_one' non-existent or not assigned a required permission yet, limiting to root user",
		"":                        "command '' non-existent or not assigned a required permission yet, limiting to root user",
	} {
		_, err = monitor(s.as("do@pve"), command)
		require.EqualError(t, err, text)
	}
	_, err = monitor(s.as("other@pve"), "info status")
	require.Error(t, err)
}

func TestSendKey(t *testing.T) {
	s := newGuestSite(t)
	s.users("user:do@pve:1:0:::::\nrole:Do:VM.Console:\nacl:1:/vms/100:do@pve:Do:\n")
	s.makeVM(100, "memory", 16)
	press := func(key string) error {
		_, err := ask(s, s.as("do@pve"), s.PutNodesQemuSendkey, kv{"vmid", 100, "key", key})
		return err
	}
	require.EqualError(t, press("ret"), "VM 100 not running")
	s.startVM(100)
	require.NoError(t, press("ctrl-alt-delete"))
	require.NoError(t, press("a"))
	require.ErrorContains(t, press("nokey"), "nokey")
	for _, bad := range []string{"a 1000000", "a\nquit", "-a", "a--b", ""} {
		require.EqualError(t, press(bad), "invalid parameter: "+bad)
	}
	require.NotZero(t, s.pid(100))
	_, err := ask(s, s.as("do@pve"), s.PutNodesQemuSendkey, kv{"vmid", 100, "key", "a", "skiplock", 1})
	require.ErrorContains(t, err, "skiplock")
}
