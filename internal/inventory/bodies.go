package inventory

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Bodies caches the encoded answers of one list. An answer is good for as long as what it shows has the same version, but
// not longer than MaxAge, since uptimes grow without a change. The zero value with MaxAge set is ready, and safe for
// concurrent use. Callers of the same answer that come together have it made once: those who come while one that has only
// become too old is made anew get the old one, which is twice MaxAge old at most; the others wait.
type Bodies struct {
	MaxAge time.Duration

	encoder call.Encoder
	mu      sync.Mutex // guards entries; never held while an answer is made
	entries map[any]*body
}

// maxBodies bounds the cache: callers beyond it replace others.
const maxBodies = 128

// body is one answer. mu is held while it is made.
type body struct {
	mu  sync.Mutex
	now atomic.Pointer[madeBody] // nil before the first
}

type madeBody struct {
	version any
	at      time.Time
	answer  *call.Encoded
}

// good reports whether the body shows that version and is younger than age.
func (m *madeBody) good(version any, age time.Duration) bool {
	return m != nil && m.version == version && time.Since(m.at) < age
}

// Get returns the answer for a caller's key (who asks, with which parameters). version must change with anything that the
// answer depends on, and must have been read before what make reads; both must be comparable. make returns the value to
// encode; its error is returned and nothing is kept.
func (b *Bodies) Get(key, version any, make func() (any, error)) (*call.Encoded, error) {
	e := b.entry(key)
	old := e.now.Load()
	switch {
	case old.good(version, b.MaxAge):
		return old.answer, nil
	case !old.good(version, 2*b.MaxAge):
		e.mu.Lock()
	case !e.mu.TryLock(): // somebody is making it
		return old.answer, nil
	}
	defer e.mu.Unlock()
	if m := e.now.Load(); m.good(version, b.MaxAge) { // made while this caller waited
		return m.answer, nil
	}
	at := time.Now()
	v, err := make()
	if err != nil {
		return nil, err
	}
	answer, err := b.encoder.Encode(v)
	if err != nil {
		return nil, err
	}
	e.now.Store(&madeBody{version, at, answer})
	return answer, nil
}

func (b *Bodies) entry(key any) *body {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[key]; e != nil {
		return e
	}
	if len(b.entries) >= maxBodies {
		for k := range b.entries { // any: the next caller makes it again
			delete(b.entries, k)
			break
		}
	}
	if b.entries == nil {
		b.entries = map[any]*body{}
	}
	e := &body{}
	b.entries[key] = e
	return e
}

// Len returns how many answers are kept, at most 128.
func (b *Bodies) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}
