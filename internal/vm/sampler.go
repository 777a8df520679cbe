package vm

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/inventory"
)

// sampleEvery is how often the figures of running guests are renewed, as on Proxmox VE.
const sampleEvery = 10 * time.Second

// userHz is the unit of process times in /proc: ticks a second. See man 5 proc_pid_stat.
const userHz = 100

// cpuSample is a process's processor time at a moment.
type cpuSample struct {
	at    time.Time
	ticks int64
}

// Sample renews the figures of running guests until ctx ends.
func (s *Service) Sample(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.sampleAll()
		}
	}
}

func (s *Service) sampleAll() {
	figures := map[int]inventory.Live{}
	for _, id := range s.Running() {
		g := s.guest(id)
		row := s.o.Inventory.Guest(id)
		if g != nil && row != nil {
			figures[id] = g.measure(max(1, row.CPUs), s.o.Clock())
		}
	}
	s.o.Inventory.SetLive(figures)
}

// measure reads what the kernel knows of the guest's process and ports.
func (g *guest) measure(cpus int, now time.Time) inventory.Live {
	ticks, rss := processFigures(g.proc.PID())
	var in, out int64
	for _, port := range g.holds().Ports {
		in += deviceCounter(port, "tx_bytes") // what the host sends, the guest receives
		out += deviceCounter(port, "rx_bytes")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	f := &g.figures
	if wall := now.Sub(g.sample.at).Seconds(); !g.sample.at.IsZero() && wall > 0 {
		f.CPU = float64(ticks-g.sample.ticks) / userHz / wall / float64(cpus)
	}
	g.sample = cpuSample{now, ticks}
	f.Mem, f.MemHost, f.NetIn, f.NetOut = rss, rss, in, out
	return *f
}

// processFigures returns the processor time in ticks and the resident memory in bytes of a process, zeros if it is gone.
func processFigures(pid int) (ticks, rss int64) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0
	}
	// The name in brackets may hold anything; the fields follow the last bracket, the third one first.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 22 {
		return 0, 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	pages, _ := strconv.ParseInt(fields[21], 10, 64)
	return user + system, pages * int64(os.Getpagesize())
}

func deviceCounter(device, name string) int64 {
	data, err := os.ReadFile(filepath.Join("/sys/class/net", device, "statistics", name))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n
}
