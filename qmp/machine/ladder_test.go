package machine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/tinyguest"
	"github.com/turtacn/go-proxmox/qmp/qga"
)

// climb notes the rungs.
type climb struct {
	rungs []Rung
	whys  []error
}

func (c *climb) note(r Rung, why error) {
	c.rungs, c.whys = append(c.rungs, r), append(c.whys, why)
}

func TestStopQuits(t *testing.T) {
	p := launch(t, options(t, "-S"))
	var c climb
	require.NoError(t, p.Stop(limited(t), &LadderOptions{OnRung: c.note}))
	require.Equal(t, []Rung{RungQuit}, c.rungs)
	require.Equal(t, Quit, p.Exit().Cause)
	require.NoError(t, p.Stop(limited(t), &LadderOptions{OnRung: c.note}))
	require.NoError(t, p.Shutdown(limited(t), &LadderOptions{OnRung: c.note}))
	require.Len(t, c.rungs, 1, "nothing is left to do")
}

func TestStopOfAHungMachine(t *testing.T) {
	p := launch(t, options(t, "-S"))
	require.NoError(t, syscall.Kill(p.PID(), syscall.SIGSTOP)) // hears neither QMP nor SIGTERM
	var c climb
	require.NoError(t, p.Stop(limited(t), &LadderOptions{Timeout: 50 * time.Millisecond, TermGrace: 50 * time.Millisecond, OnRung: c.note}))
	require.Equal(t, []Rung{RungQuit, RungTerm, RungKill}, c.rungs)
	require.NoError(t, c.whys[0])
	require.ErrorIs(t, c.whys[1], ErrStillRunning)
	require.ErrorIs(t, c.whys[2], ErrStillRunning)
	require.Equal(t, Killed, p.Exit().Cause)
	require.Equal(t, syscall.SIGKILL, p.Exit().Signal)
}

func TestShutdownOfADeafGuest(t *testing.T) {
	p := launch(t, options(t)) // firmware that finds no disk ignores the power button
	var c climb
	err := p.Shutdown(limited(t), &LadderOptions{Timeout: 100 * time.Millisecond, OnRung: c.note})
	require.ErrorIs(t, err, ErrStillRunning)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Equal(t, []Rung{RungAsk}, c.rungs)

	refused := errors.New("agent refuses")
	ask := func(context.Context) error { return refused }
	require.ErrorIs(t, p.Shutdown(limited(t), &LadderOptions{Ask: ask}), refused)
	require.Zero(t, p.Exit().Cause)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Shutdown(ctx, &LadderOptions{Force: true}), context.Canceled)
	require.Zero(t, p.Exit().Cause, "the caller's end is no reason to use force")

	c = climb{}
	require.NoError(t, p.Shutdown(limited(t), &LadderOptions{Ask: ask, Force: true, OnRung: c.note}))
	require.Equal(t, []Rung{RungAsk, RungTerm}, c.rungs)
	require.ErrorIs(t, c.whys[1], refused)
	require.Equal(t, Killed, p.Exit().Cause)
	require.Equal(t, "host-signal", p.Exit().Reason)
}

// A real guest under -no-shutdown, asked by its agent. The demonstration presses the power button of the same guest.
func TestShutdownOfARealGuest(t *testing.T) {
	disk := tinyguest.Disk(t)
	dir := t.TempDir()
	serial, port := filepath.Join(dir, "serial"), filepath.Join(dir, "qga.sock")
	o := options(t, "-no-shutdown", "-snapshot", "-drive", "if=virtio,format=qcow2,file="+disk,
		"-serial", "file:"+serial, "-device", "virtio-serial",
		"-chardev", "socket,id=qga,server=on,wait=off,path="+port, "-device", "virtserialport,chardev=qga,name=org.qemu.guest_agent.0")
	o.Args[3] = "192" // its -m
	p := launch(t, o)
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(serial)
		return err == nil && bytes.Contains(text, []byte(tinyguest.Up))
	}, 2*time.Minute, 100*time.Millisecond)

	agent, err := qga.Dial(limited(t), port, nil)
	require.NoError(t, err)
	defer agent.Close()
	require.NoError(t, agent.Ping(limited(t)))
	nics, err := agent.NetworkGetInterfaces(limited(t))
	require.NoError(t, err)
	require.Equal(t, "lo", nics[0].Name)

	var c climb
	ask := func(ctx context.Context) error { return agent.Shutdown(ctx, qga.PowerDown) }
	require.NoError(t, p.Shutdown(limited(t), &LadderOptions{Ask: ask, OnRung: c.note}))
	require.Equal(t, []Rung{RungAsk}, c.rungs)
	require.Equal(t, GuestShutdown, p.Exit().Cause)
	require.Zero(t, p.Exit().Code)
}
