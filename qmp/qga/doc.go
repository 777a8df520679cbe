// Package qga talks to the guest agent (qemu-ga) of a virtual machine through the unix socket of its virtio-serial port.
//
//	c, err := qga.Dial(ctx, "/run/vm/qga.sock", nil)
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	nics, err := c.NetworkGetInterfaces(ctx) // errors.Is(err, qga.ErrNotRunning)
//
// It is not QMP: there is no greeting, the agent may not run at all, and what is read may be the reply to a question of an
// hour ago, since the port keeps what nobody read. So each command is preceded by guest-sync-delimited with a fresh id, and
// all that comes before the answer to exactly this is thrown away. Handshakes that nobody answers pile up in the port until
// an agent starts and works through them: after ErrNotRunning close the client, and dial again for the next attempt.
//
// # Trust
//
// The agent is software of the guest: everything it sends is hostile until shown otherwise. A reply has a greatest size, a
// greatest depth and a time; text that is not UTF-8 comes out with replacement characters. A bad reply fails its command,
// and the next command starts afresh on the same connection.
//
// # Concurrency and privileges
//
// A client is safe for concurrent use; the agent executes one command at a time, and further callers wait within their
// context. It owns no goroutine. It needs the right to open the socket, which serves one client at a time.
package qga
