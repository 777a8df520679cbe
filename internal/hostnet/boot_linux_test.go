package hostnet

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
	"github.com/turtacn/go-proxmox/netkit"
)

// reboot begins a life of the daemon in another boot of the host, in which the network is what the file says.
func (r *rig) reboot(id string, since time.Time) {
	r.t.Helper()
	r.stop()
	r.boot = Boot{ID: id, Since: since}
	r.start(time.Minute)
}

// stage notes and writes a pending configuration, as the API's writes do.
func (r *rig) stage(text string) {
	r.t.Helper()
	require.NoError(r.t, r.s.noteStaged(text))
	r.pend(text)
}

// TestStagedNetworkIsInForceAfterABoot: not after a restart of the daemon alone.
func TestStagedNetworkIsInForceAfterABoot(t *testing.T) {
	r := newRig(t)
	later := time.Now().Add(time.Hour) // clocks may be wrong after a start: the note counts
	r.reboot("first", later)
	require.NoError(t, r.s.edit(t.Context(), func(*interfaces.File) error { return nil }))
	_, pending, err := r.s.read()
	require.NoError(t, err)
	since, err := r.s.bootedSince(pending)
	require.NoError(t, err)
	require.False(t, since, "what the API writes is noted")
	r.stage(newNet)
	for range 2 {
		r.reboot("first", later)
		require.NoError(t, r.s.CommitAfterBoot(t.Context()))
		r.isOld()
		require.FileExists(t, r.s.pendingFile())
	}
	r.reboot("second", time.Unix(0, 0))
	require.NoError(t, r.s.CommitAfterBoot(t.Context()))
	r.isNew()
	require.NoError(t, r.s.CommitAfterBoot(t.Context()), "again there is nothing to do")
	r.isNew()
}

// TestStagedBySomebodyElse has no note: its time stamp tells.
func TestStagedBySomebodyElse(t *testing.T) {
	r := newRig(t)
	r.pend(newNet)
	r.reboot("second", time.Now().Add(-time.Hour))
	require.NoError(t, r.s.CommitAfterBoot(t.Context()))
	r.isOld()
	r.reboot("", time.Now().Add(time.Hour))
	require.NoError(t, r.s.CommitAfterBoot(t.Context()))
	r.isOld()
	r.reboot("third", time.Now().Add(time.Hour))
	require.NoError(t, r.s.CommitAfterBoot(t.Context()))
	r.isNew()
}

// TestStagedNetworkThatFails: the node starts with the network it had.
func TestStagedNetworkThatFails(t *testing.T) {
	r := newRig(t)
	r.reboot("first", time.Time{})
	for _, text := range []string{
		strings.Replace(newNet, "gateway 192.0.2.2", "gateway 203.0.113.1", 1), // no address leads there: the last step fails
		"auto a-name-that-is-too-long\niface a-name-that-is-too-long inet manual\n\tbridge-ports none\n",
	} {
		r.stage(text)
		r.reboot("next", time.Time{})
		require.ErrorContains(t, r.s.CommitAfterBoot(t.Context()), "staged before the host started")
		r.isOld()
		require.FileExists(t, r.s.pendingFile())
		r.reboot("first", time.Time{})
	}

	// Only ifupdown can apply this: it becomes the file.
	ovs := oldNet + "\nauto ob\niface ob inet manual\n\tovs_type OVSBridge\n"
	r.stage(ovs)
	r.reboot("next", time.Time{})
	require.NoError(t, r.s.CommitAfterBoot(t.Context()))
	require.Equal(t, ovs, r.fileText())
	require.NoFileExists(t, r.s.pendingFile())
	_, err := r.host.Conn.Link(t.Context(), "ob")
	require.ErrorIs(t, err, netkit.ErrNotFound)
}

func TestThisBoot(t *testing.T) {
	b := ThisBoot()
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(id)), b.ID)
	require.True(t, b.Since.Before(time.Now()))
	require.NotZero(t, b.Since)
}
