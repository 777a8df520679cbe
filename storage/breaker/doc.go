// Package breaker keeps callers safe from a backend that no longer answers: a dead NFS server, a cluster without quorum, a
// disk that swallows commands. The kernel holds whoever touches such a backend in a sleep that not even SIGKILL ends.
//
//	d := breaker.New(driver, &breaker.Options{Name: "nfs"})
//	u, err := d.Usage(ctx) // returns when ctx ends, whatever the backend does
//	if errors.Is(err, storage.ErrUnavailable) { … }
//
// [New] wraps a driver: each call runs in a goroutine of its own and is given up soon after its context ends. After several
// failures or hangs in a row the circuit opens: calls fail at once with storage.ErrUnavailable and since when. After a while
// one call is let through to see; if it succeeds, the circuit closes. How many calls may hang is bounded.
//
// [Prober] looks at a backend from a child process, so that a hanging statfs costs a process and not a thread of this one.
//
// It repairs nothing, and it does not undo what a call that was given up may still do: such a call may yet take effect.
// Callbacks of a call (fill, progress, streams) are not begun after it was given up, but one that runs may run on.
package breaker
