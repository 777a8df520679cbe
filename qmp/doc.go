// Package qmp is a client of the QEMU Machine Protocol: one session with one QEMU, used by any number of goroutines.
//
//	c, err := qmp.Dial(ctx, "/run/vm/qmp.sock", nil)
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	sub := c.Subscribe("DEVICE_DELETED")
//	defer sub.Close()
//	if err := c.Do(ctx, "device_del", map[string]any{"id": "net1"}, nil); err != nil {
//		return err // errors.Is(err, qmp.ErrDeviceNotFound)
//	}
//	_, err = sub.Next(ctx, func(e qmp.Event) bool { return e.Str("device") == "net1" })
//
// It is not a model of a virtual machine (package machine starts and describes one), nor a set of typed commands.
//
// # Concurrency
//
// A client is safe for concurrent use. It owns two goroutines: the reader, which never waits for a consumer, and the writer,
// which sends in one write what callers queued meanwhile. A caller whose command is the only one writes it, and reads its
// reply, without them. Commands are matched to replies by id, so they may be pipelined; one that is alone goes without an id,
// which QEMU charges for. A cancelled context ends the waiting of Do, within some milliseconds; the command may still run.
//
// QEMU's monitor socket serves one client at a time and lets others wait without a word. Share one client among all users
// of a machine: that is what [Pool] is for.
//
// # Trust
//
// A QEMU whose guest has broken out is an enemy. What it sends can end its own session with a typed error, and costs at
// most Options.MaxMessage bytes for the message being read plus MaxEventBytes per subscription; it blocks nobody else.
//
// # Privileges
//
// None but the right to open the socket.
package qmp
