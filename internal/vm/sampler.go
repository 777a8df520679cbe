package vm

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/inventory"
)

// sampleEvery is how often the figures of running guests are renewed, as on Proxmox VE.
const sampleEvery = 10 * time.Second

// sampleSideBySide bounds how many guests are asked at the same time: one that hangs must not hold up the others.
const sampleSideBySide = 16

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
			s.sampleAll(ctx)
		}
	}
}

// sampleAll takes a sample of each guest and shows them in the inventory.
func (s *Service) sampleAll(ctx context.Context) {
	running := s.Running()
	if len(running) == 0 {
		return
	}
	ports := s.counters(ctx)
	slots := make(chan struct{}, sampleSideBySide)
	var wg sync.WaitGroup
	for _, id := range running {
		g, row := s.guest(id), s.o.Inventory.Guest(id)
		if g == nil || row == nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			g.measure(s.ask(ctx, g), ports, max(1, row.CPUs), s.o.Clock())
		})
	}
	wg.Wait()
	s.publishSamples()
}

// publishSamples shows the figures of all guests at once.
func (s *Service) publishSamples() {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	figures := map[int]inventory.Live{}
	for _, id := range s.Running() {
		if g := s.guest(id); g != nil {
			g.mu.Lock()
			figures[id] = g.figures
			g.mu.Unlock()
		}
	}
	s.o.Inventory.SetLive(figures)
}

// measure takes over what QEMU told, and reads what the kernel knows of its process and ports.
func (g *guest) measure(d *detail, ports map[string]hostnet.Counters, cpus int, now time.Time) {
	ticks, rss := processFigures(g.proc.PID())
	var in, out int64
	for _, n := range nicFigures(g.holds().Ports, ports) {
		in += n.In
		out += n.Out
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	f := &g.figures
	if wall := now.Sub(g.sample.at).Seconds(); !g.sample.at.IsZero() && wall > 0 {
		f.CPU = max(0, float64(ticks-g.sample.ticks)/userHz/wall/float64(cpus))
	}
	g.sample = cpuSample{now, ticks}
	f.Mem, f.MemHost, f.NetIn, f.NetOut = d.usedMemory(rss), rss, in, out
	if d.Blocks != nil { // else it did not answer, and the counters stay what they were
		f.DiskRead, f.DiskWrite = d.Read, d.Write
	}
	g.detail = d
}

// processFigures returns the processor time in ticks and the resident memory in bytes of a process, zeros if it is gone.
func processFigures(pid int) (ticks, rss int64) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0
	}
	return parseProcessFigures(string(data))
}

// parseProcessFigures reads the text of /proc/PID/stat.
func parseProcessFigures(stat string) (ticks, rss int64) {
	// The name in brackets may hold anything; the fields follow the last bracket, the third one first.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 22 {
		return 0, 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	pages, _ := strconv.ParseInt(fields[21], 10, 64)
	return user + system, pages * int64(os.Getpagesize())
}

// nicFigure are the bytes of one network card since its port was made, as the guest sees them.
type nicFigure struct {
	In  int64 `json:"netin"`
	Out int64 `json:"netout"`
}

// nicFigures are the counters of ports: what the host sends, the guest receives.
func nicFigures(ports []string, counters map[string]hostnet.Counters) map[string]nicFigure {
	out := map[string]nicFigure{}
	for _, port := range ports {
		c := counters[port]
		out[port] = nicFigure{In: int64(c.TxBytes), Out: int64(c.RxBytes)}
	}
	return out
}

// counters reads the counters of ports in the network of the node, nil if they cannot be read; no names are all.
func (s *Service) counters(ctx context.Context, ports ...string) map[string]hostnet.Counters {
	c, err := s.o.Network.Counters(ctx, ports...)
	if err != nil && ctx.Err() == nil {
		s.o.Logger.Debug("counters of network ports", "err", err)
	}
	return c
}
