// Package goqemu lets code written for github.com/digitalocean/go-qemu run on the client of package qmp: a [Monitor] is a
// go-qemu qmp.Monitor, so qemu.NewDomain takes it.
//
//	mon := goqemu.New("/run/vm/qmp.sock", nil)
//	if err := mon.Connect(); err != nil {
//		return err
//	}
//	dom, err := qemu.NewDomain(mon, "vm100") // of go-qemu
//	if err != nil {
//		return err
//	}
//	defer dom.Close()
//
// It differs from go-qemu's SocketMonitor where that one loses: replies may be as large as the client takes (32 MiB, not
// 64 KiB), commands run concurrently, an event nobody reads holds up nothing, errors have QEMU's class
// (errors.Is(err, qmp.ErrDeviceNotFound)) with the same text, and a stopped QEMU fails Connect in time. It is not a new
// API: code that is not tied to go-qemu uses qmp.Client.
//
// # Concurrency, privileges
//
// A Monitor is safe for concurrent use. Each stream of events owns one goroutine, which ends with its context or with
// Disconnect. Privileges are those of the socket.
package goqemu
