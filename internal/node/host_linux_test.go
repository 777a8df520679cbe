package node

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
}

func newHost(t *testing.T) (*Host, string) {
	t.Helper()
	root := t.TempDir()
	write(t, root, "proc/meminfo", "MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n")
	write(t, root, "proc/loadavg", "0.50 1.25 12.00 1/100 4242\n")
	write(t, root, "proc/uptime", "123.99 4.5\n")
	write(t, root, "sys/kernel/mm/ksm/pages_sharing", "3\n")
	write(t, root, "usr/share/zoneinfo/Europe/Vienna", "rules")
	write(t, root, "etc/hostname", "alpha\n")
	h, err := NewHost(root)
	require.NoError(t, err)
	return h, root
}

func TestHostFigures(t *testing.T) {
	h, _ := newHost(t)
	m, s, err := h.Memory()
	require.NoError(t, err)
	require.Equal(t, Memory{Total: 1000 << 10, Free: 200 << 10, Available: 600 << 10, Used: 400 << 10}, m)
	require.Equal(t, Swap{Total: 50 << 10, Free: 20 << 10, Used: 30 << 10}, s)
	load, err := h.Load()
	require.NoError(t, err)
	require.Equal(t, []string{"0.50", "1.25", "12.00"}, load)
	require.EqualValues(t, 123, h.Uptime())
	require.EqualValues(t, 3*4096, h.KSMShared())
	require.Equal(t, BootInfo{Mode: "legacy-bios"}, h.Boot())
	d, err := h.RootFS()
	require.NoError(t, err)
	require.Equal(t, d.Total, d.Used+d.Free)
}

func TestRealProcessors(t *testing.T) {
	h, err := NewHost("/")
	require.NoError(t, err)
	c, err := h.CPU()
	require.NoError(t, err)
	require.Positive(t, c.CPUs)
	require.Positive(t, c.Sockets)
	require.Regexp(t, `^\d+\.\d{3}$`, c.MHz)
	k, err := h.Kernel()
	require.NoError(t, err)
	require.Equal(t, "Linux", k.SysName)
}

func TestDNSKeepsOtherLines(t *testing.T) {
	h, root := newHost(t)
	d, err := h.DNS()
	require.NoError(t, err)
	require.Empty(t, d)

	write(t, root, resolvConf, "# mine\ndomain old.example\nnameserver 9.9.9.1\nnameserver 9.9.9.2\nnameserver 9.9.9.3\nnameserver 9.9.9.4\noptions rotate\nsearch new.example b\n")
	d, err = h.DNS()
	require.NoError(t, err)
	require.Equal(t, DNS{Search: "new.example", Servers: []string{"9.9.9.1", "9.9.9.2", "9.9.9.3"}}, d)

	require.NoError(t, h.SetDNS(DNS{Search: "c.example", Servers: []string{"1.0.0.1", "0.0.0.0", "1.0.0.1", "1.0.0.2"}}))
	text, err := os.ReadFile(filepath.Join(root, resolvConf))
	require.NoError(t, err)
	require.Equal(t, "search c.example\nnameserver 1.0.0.1\nnameserver 1.0.0.2\n# mine\noptions rotate\n", string(text))
}

func TestTimezone(t *testing.T) {
	h, _ := newHost(t)
	require.Equal(t, "UTC", h.Timezone())
	require.NoError(t, h.SetTimezone("Europe/Vienna"))
	require.NoError(t, h.SetTimezone("Europe/Vienna"))
	require.Equal(t, "Europe/Vienna", h.Timezone())
	for _, bad := range []string{"Europe", "Europe/Nowhere", "../../../etc/passwd", "/etc/passwd", ""} {
		require.ErrorIs(t, h.SetTimezone(bad), ErrNoTimezone, bad)
	}
	require.Equal(t, "Europe/Vienna", h.Timezone())
}

func TestUsageIsAShareOfTheTimeSince(t *testing.T) {
	now := time.Unix(1000, 0)
	at := ticks{used: 100, wait: 10, total: 1000}
	u := &usage{read: func() (ticks, error) { return at, nil }, now: func() time.Time { return now }, cpus: 2}
	cpu, wait := u.sample()
	require.Zero(t, cpu+wait, "the first sample knows no interval")
	at = ticks{used: 150, wait: 30, total: 1100}
	now = now.Add(4 * time.Second)
	cpu, _ = u.sample()
	require.Zero(t, cpu, "too soon")
	now = now.Add(time.Second)
	cpu, wait = u.sample()
	require.InDelta(t, 0.5, cpu, 1e-9)
	require.InDelta(t, 0.2, wait, 1e-9)
}
