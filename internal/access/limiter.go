package access

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

// maxRemotes bounds how many addresses the limiter remembers; the one that failed longest ago is forgotten first.
const maxRemotes = 4096

// limiter counts failed logins by address: a bucket of burst failures that drains by one each refill.
type limiter struct {
	burst  float64
	refill time.Duration

	mu     sync.Mutex // guards what follows; nothing blocks under it
	byAddr map[string]*list.Element
	byAge  *list.List // of *bucket, latest failure first
}

type bucket struct {
	addr  string
	level float64
	at    time.Time
}

func newLimiter(burst int, refill time.Duration) *limiter {
	return &limiter{burst: float64(burst), refill: refill, byAddr: map[string]*list.Element{}, byAge: list.New()}
}

// addrKey is what one party can be taken to own: an IPv4 address, an IPv6 /64.
func addrKey(remote string) string {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		return remote
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return p.String()
}

func (b *bucket) drained(now time.Time, refill time.Duration) float64 {
	return max(0, b.level-float64(now.Sub(b.at))/float64(refill))
}

// blocked reports whether attempts from the address are refused unlooked at.
func (l *limiter) blocked(remote string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	el := l.byAddr[addrKey(remote)]
	return el != nil && el.Value.(*bucket).drained(now, l.refill) > l.burst-1
}

// fail counts a failure from the address.
func (l *limiter) fail(remote string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := addrKey(remote)
	el := l.byAddr[key]
	if el == nil {
		if l.byAge.Len() >= maxRemotes {
			delete(l.byAddr, l.byAge.Remove(l.byAge.Back()).(*bucket).addr)
		}
		el = l.byAge.PushFront(&bucket{addr: key, at: now})
		l.byAddr[key] = el
	}
	l.byAge.MoveToFront(el)
	b := el.Value.(*bucket)
	b.level, b.at = min(b.drained(now, l.refill)+1, l.burst), now
}
