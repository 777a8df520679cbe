package inventory

import (
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Bodies caches the encoded answers of one list. An answer is good for as long as what it shows has the same version, but
// not longer than MaxAge, since uptimes grow without a change. The zero value with MaxAge set is ready, and safe for
// concurrent use; callers of the same answer that come together have it made once.
type Bodies struct {
	MaxAge time.Duration

	encoder call.Encoder
	mu      sync.Mutex // guards entries
	entries map[any]*body
}

// maxBodies bounds the cache: callers beyond it replace others.
const maxBodies = 128

type body struct {
	mu      sync.Mutex // held while the answer is made
	version any
	made    time.Time
	answer  *call.Encoded
}

// Get returns the answer for a caller's key (who asks, with which parameters). version must change with anything that the
// answer depends on; both must be comparable. make returns the value to encode.
func (b *Bodies) Get(key, version any, make func() (any, error)) (*call.Encoded, error) {
	e := b.entry(key)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answer != nil && e.version == version && time.Since(e.made) < b.MaxAge {
		return e.answer, nil
	}
	made := time.Now()
	v, err := make()
	if err != nil {
		return nil, err
	}
	answer, err := b.encoder.Encode(v)
	if err != nil {
		return nil, err
	}
	e.version, e.made, e.answer = version, made, answer
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
