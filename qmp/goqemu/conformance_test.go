package goqemu_test

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/digitalocean/go-qemu/qemu"
	dgqmp "github.com/digitalocean/go-qemu/qmp"
	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/goqemu"
	"github.com/turtacn/go-proxmox/qmp/internal/qemutest"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// implementation is one way to have a go-qemu monitor on a socket.
type implementation struct {
	name string
	open func(t *testing.T, path string) dgqmp.Monitor
	// limited is go-qemu's own: it ends at the first of the cases that it is known not to pass.
	limited bool
}

var implementations = []implementation{
	{name: "go-qemu", limited: true, open: func(t *testing.T, path string) dgqmp.Monitor {
		m, err := dgqmp.NewSocketMonitor("unix", path, 5*time.Second)
		require.NoError(t, err)
		return m
	}},
	{name: "dialled", open: func(t *testing.T, path string) dgqmp.Monitor {
		return goqemu.New(path, &goqemu.Options{Timeout: 20 * time.Second})
	}},
	{name: "shared", open: func(t *testing.T, path string) dgqmp.Monitor {
		c, err := qmp.Dial(t.Context(), path, nil)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		return goqemu.Wrap(c, nil)
	}},
}

// races: go-qemu's SocketMonitor hands out replies as slices of its bufio.Scanner's buffer (listen sends scanner.Bytes, Run
// returns it), and goes on to scan into the same buffer while the caller decodes. The race detector sees that in TestDomain
// nearly each time, and may see it wherever an event follows a reply. So go-qemu's own monitor runs without the detector
// only; make test has a run for that.

// peers are what the suite runs against.
var peers = map[string]func(t *testing.T) string{
	"fake": func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "s")
		qmptest.NewMachine(t, nil).Listen(path)
		return path
	},
	"qemu": startQEMU,
}

func startQEMU(t *testing.T) string {
	return qemutest.Start(t, "-S", "-M", "pc", "-vga", "std",
		"-device", "virtio-blk-pci,drive=d", "-blockdev", "driver=null-co,node-name=d,read-zeroes=on")
}

func TestConformance(t *testing.T) {
	for peer, path := range peers {
		for _, impl := range implementations {
			if impl.limited && raceDetector { // see races
				continue
			}
			t.Run(peer+"/"+impl.name, func(t *testing.T) {
				m := impl.open(t, path(t))
				require.NoError(t, m.Connect())
				testReplies(t, m)
				testEvents(t, m)
				if !impl.limited {
					testUnreadEvents(t, m)
					testLargeReply(t, m)
					testConcurrency(t, m)
					testClass(t, m)
				}
				require.NoError(t, m.Disconnect())
			})
		}
	}
}

func run(t *testing.T, m dgqmp.Monitor, c dgqmp.Command) []byte {
	t.Helper()
	b, err := json.Marshal(c)
	require.NoError(t, err)
	out, err := m.Run(append(b, '\n'))
	require.NoError(t, err)
	return out
}

func testReplies(t *testing.T, m dgqmp.Monitor) {
	var status struct{ Return struct{ Status string } }
	require.NoError(t, json.Unmarshal(run(t, m, dgqmp.Command{Execute: "query-status"}), &status))
	require.Equal(t, "prelaunch", status.Return.Status)
	require.JSONEq(t, `{"return":{}}`, string(run(t, m, dgqmp.Command{Execute: "system_reset"})))
	out, err := m.Run([]byte(`{"execute":"query-version","id":"mine"}`))
	require.NoError(t, err)
	var version struct {
		ID     json.RawMessage
		Return dgqmp.Version
	}
	require.NoError(t, json.Unmarshal(out, &version))
	require.JSONEq(t, `"mine"`, string(version.ID))
	require.NotEqual(t, "0.0.0", version.Return.String())

	_, err = m.Run([]byte(`{"execute":"device_del","arguments":{"id":"nothing"}}`))
	require.EqualError(t, err, "Device 'nothing' not found")
	_, err = m.Run([]byte(`{"execute":"no-such-command"}`))
	require.ErrorContains(t, err, "The command no-such-command has not been found")
	run(t, m, dgqmp.Command{Execute: "query-status"}) // errors end nothing
}

func testEvents(t *testing.T, m dgqmp.Monitor) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := m.Events(ctx)
	require.NoError(t, err)
	var names []string
	var last dgqmp.Event
	var wg sync.WaitGroup
	wg.Go(func() {
		for e := range events {
			if names, last = append(names, e.Event), e; e.Event == "RESET" && e.Data["reason"] == "host-qmp-system-reset" {
				return
			}
		}
	})
	for _, cmd := range []string{"cont", "stop", "system_reset"} {
		run(t, m, dgqmp.Command{Execute: cmd})
	}
	wg.Wait()
	require.Equal(t, []string{"RESUME", "STOP", "RESET"}, names)
	require.Equal(t, false, last.Data["guest"])
	require.Greater(t, last.Timestamp.Seconds, int64(1_600_000_000))
}

// testUnreadEvents leaves a stream unread: go-qemu's monitor never answers again.
func testUnreadEvents(t *testing.T, m dgqmp.Monitor) {
	unread, err := m.Events(t.Context())
	require.NoError(t, err)
	for range 600 { // more than the client keeps
		run(t, m, dgqmp.Command{Execute: "system_reset"})
	}
	require.Equal(t, "RESET", (<-unread).Event)
}

// testLargeReply asks for more than 64 KiB: go-qemu's monitor ends with "token too long".
func testLargeReply(t *testing.T, m dgqmp.Monitor) {
	require.Greater(t, len(run(t, m, dgqmp.Command{Execute: "query-qmp-schema"})), 100_000)
}

func testConcurrency(t *testing.T, m dgqmp.Monitor) {
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 20 {
				out, err := m.Run([]byte(`{"execute":"query-status","id":7}`))
				if err != nil || !json.Valid(out) {
					t.Errorf("%s, %v", out, err)
				}
			}
		})
	}
	wg.Wait()
}

// testClass looks for what go-qemu drops.
func testClass(t *testing.T, m dgqmp.Monitor) {
	_, err := m.Run([]byte(`{"execute":"device_del","arguments":{"id":"nothing"}}`))
	require.ErrorIs(t, err, qmp.ErrDeviceNotFound)
}

// TestDomain runs go-qemu's own user of monitors on each.
func TestDomain(t *testing.T) {
	for _, impl := range implementations {
		if impl.limited && raceDetector { // see races
			continue
		}
		t.Run(impl.name, func(t *testing.T) {
			m := impl.open(t, startQEMU(t))
			require.NoError(t, m.Connect())
			d, err := qemu.NewDomain(m, "vm100")
			require.NoError(t, err)

			status, err := d.Status()
			require.NoError(t, err)
			require.Equal(t, qemu.StatusPreLaunch, status)
			version, err := d.Version()
			require.NoError(t, err)
			require.NotEqual(t, "0.0.0", version)
			_, err = d.PackageVersion()
			require.NoError(t, err)
			has, err := d.Supported("blockdev-add")
			require.NoError(t, err)
			require.True(t, has)
			disks, err := d.BlockDevices()
			require.NoError(t, err)
			require.Len(t, disks, 1)
			_, err = d.BlockStats()
			require.NoError(t, err)
			jobs, err := d.BlockJobs()
			require.NoError(t, err)
			require.Empty(t, jobs)
			devices, err := d.PCIDevices()
			require.NoError(t, err)
			require.NotEmpty(t, devices)
			_, err = d.CPUs() // query-cpus is gone since QEMU 6.0
			require.ErrorContains(t, err, "query-cpus")

			shot, err := d.ScreenDump()
			require.NoError(t, err)
			picture, err := io.ReadAll(shot)
			require.NoError(t, err)
			require.NoError(t, shot.Close())
			require.Equal(t, "P6", string(picture[:2]))

			events, done, err := d.Events()
			require.NoError(t, err)
			require.NoError(t, d.SystemReset())
			require.Equal(t, "RESET", (<-events).Event)
			require.NoError(t, d.SystemPowerdown())
			require.Equal(t, "POWERDOWN", (<-events).Event)
			close(done)
			require.NoError(t, d.Close())
		})
	}
}
