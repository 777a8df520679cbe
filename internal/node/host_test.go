package node

import (
	"bytes"
	"encoding/binary"
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

// zoneFile is a time zone without any change of the clock. See RFC 9636, section 3.
func zoneFile(name string, offset int32) string {
	var b bytes.Buffer
	b.WriteString("TZif")
	b.Write(make([]byte, 16))
	for _, count := range []uint32{0, 0, 0, 0, 1, uint32(len(name) + 1)} {
		binary.Write(&b, binary.BigEndian, count)
	}
	binary.Write(&b, binary.BigEndian, offset)
	b.Write([]byte{0, 0})
	b.WriteString(name + "\x00")
	return b.String()
}

func newHost(t *testing.T) (*Host, string) {
	t.Helper()
	root := t.TempDir()
	write(t, root, "proc/meminfo", "MemTotal: 1000 kB\nMemFree: 200 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n")
	write(t, root, "proc/loadavg", "0.50 1.25 12.00 1/100 4242\n")
	write(t, root, "proc/uptime", "123.99 4.5\n")
	write(t, root, "sys/kernel/mm/ksm/pages_sharing", "3\n")
	write(t, root, "usr/share/zoneinfo/Europe/Vienna", zoneFile("CET", 3600))
	write(t, root, "usr/share/zoneinfo/zone.tab", "AT\t+4813+01620\tEurope/Vienna\n")
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
	for _, bad := range []string{"Europe", "Europe/Nowhere", "../../../etc/passwd", "/etc/passwd", "", "zone.tab", "Europe/Vienna/x"} {
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

func TestTimezoneOfDebianAlone(t *testing.T) {
	h, root := newHost(t)
	write(t, root, "etc/timezone", "Europe/Vienna\n")
	require.Equal(t, "Europe/Vienna", h.Timezone())
	require.Equal(t, "CET", func() string { n, _ := time.Unix(0, 0).In(h.location()).Zone(); return n }())
	write(t, root, "etc/timezone", "../etc\n")
	require.Equal(t, time.UTC, h.location())
}

func TestCGroupMode(t *testing.T) {
	h, root := newHost(t)
	require.Equal(t, 1, h.CGroupMode())
	write(t, root, "sys/fs/cgroup/cgroup.controllers", "cpu\n")
	require.Equal(t, 2, h.CGroupMode())
	require.Equal(t, "aarch64", hostArch("arm64"))
	require.Empty(t, hostArch("amd64"))
}

func TestEFI(t *testing.T) {
	h, root := newHost(t)
	write(t, root, "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", "\x06\x00\x00\x00\x01")
	on := 1
	require.Equal(t, BootInfo{Mode: "efi", SecureBoot: &on}, h.Boot())
}
