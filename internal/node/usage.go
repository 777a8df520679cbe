package node

import (
	"sync"
	"time"
)

// usage turns the processors' counters into shares of the time since the last sample.
type usage struct {
	read func() (ticks, error)
	now  func() time.Time
	cpus int

	mu        sync.Mutex // guards the rest; never held across read
	last      ticks
	at        time.Time
	cpu, wait float64
}

// sample returns the shares of time spent working and waiting for I/O, 0 to 1. A sample younger than ten seconds divided
// by the number of processors is returned again, since shorter intervals say little; the first is 0.
func (u *usage) sample() (cpu, wait float64) {
	now := u.now()
	t, err := u.read()
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil || now.Sub(u.at) < 10*time.Second/time.Duration(max(u.cpus, 1)) {
		return u.cpu, u.wait
	}
	if d := t.total - u.last.total; !u.at.IsZero() && d > 0 {
		u.cpu, u.wait = (t.used-u.last.used)/d, (t.wait-u.last.wait)/d
	}
	u.last, u.at = t, now
	return u.cpu, u.wait
}
