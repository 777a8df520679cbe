// Package qmptest is a QMP peer for tests: it greets, answers and raises events as a test scripts it, and misbehaves on
// request: it stays silent, sends garbage, half or huge messages, floods, and hangs up at any byte.
//
//	peer := qmptest.New(t, nil)
//	peer.Handle("query-status", func(*qmptest.Request) (any, error) {
//		return map[string]any{"status": "running", "running": true}, nil
//	})
//	c, err := qmp.NewClient(ctx, peer.Conn(), nil)
//
// NewMachine gives a peer that plays a small QEMU. Run is the suite that this peer and a real QEMU both pass. Record notes
// a session with a real QEMU, and a peer with that Transcript plays it again, so that a test can have a certain QEMU's very
// words where there is no such QEMU.
//
// A peer serves one session at a time, as QEMU's monitor does; all its methods are safe for concurrent use. It uses
// neither clocks nor, with Conn, sockets, so it works inside testing/synctest.
package qmptest
