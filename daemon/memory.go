package daemon

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// ReturnMemory gives memory that a peak has left back to the system, until ctx ends. Each check of a password takes 64 MiB
// for a moment, which the collector would keep for minutes. It acts on the whole process, so it is for programs that are a
// daemon and nothing else.
func ReturnMemory(ctx context.Context) {
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	rest := heldMemory()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if held := heldMemory(); held > rest*5/2+peak {
			debug.FreeOSMemory()
			rest = heldMemory()
		} else {
			rest = min(rest, held)
		}
	}
}

// peak is how much more than two and a half times what was needed at rest a daemon may hold: what the collector leaves between its
// cycles is not given back for a moment.
const peak = 24 << 20

// heldMemory is what the Go runtime holds of the system's memory, in bytes.
func heldMemory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}
