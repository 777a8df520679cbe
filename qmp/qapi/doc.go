// Package qapi is QEMU's QAPI schema in Go: a function for each command, a struct for each event, and the types of both,
// generated from the schemas of QEMU 7.2 and 10.0 together.
//
//	if err := qapi.BlockdevAdd(ctx, c, &qapi.BlockdevOptions{
//		NodeName: new("root"),
//		Qcow2:    &qapi.BlockdevOptionsQcow2{File: qapi.BlockdevRef{Reference: new("root-file")}},
//	}); err != nil {
//		return err
//	}
//	sub := c.Subscribe(qapi.EventDeviceDeleted)
//	defer sub.Close()
//	if err := qapi.DeviceDel(ctx, c, "net1"); err != nil {
//		return err // errors.Is(err, qmp.ErrDeviceNotFound)
//	}
//	_, err := sub.Next(ctx, func(e qmp.Event) bool {
//		d, err := qapi.EventAs[qapi.DeviceDeletedEvent](e)
//		return err == nil && d.Device != nil && *d.Device == "net1"
//	})
//
// It is not the client (that is package qmp; any [Client] will do) and does not wait, retry or order commands: see package
// jobs for what takes several. The meaning of commands and members is told by QEMU's own documentation, under the names
// that each comment here gives.
//
// # Members
//
// Members of base types stand in the struct itself. An optional member is a pointer, or a slice or json.RawMessage, and nil
// leaves it out; an empty slice that is not nil is sent. A list that is not optional must not be nil. QAPI's int is int64,
// its size uint64, its number float64; a value of any type stays as it came.
//
// A union is a struct with the common members and a pointer for each branch, of which one may be set. To send, set the
// branch; the discriminator follows. It has to be given where the discriminator's value has no members of its own. What
// came from QEMU has both. An alternate is a struct of pointers of which exactly one is set; as an optional member it is
// left out when it is zero.
//
// # Versions
//
// The two schemas are merged: what only one has is there and its comment says so ("since 8.2", "7.2 only, not in 10.0");
// what one has as optional is optional. What was renamed has the newer name. A running QEMU, which may lie between or
// beyond, and may be built without parts, is asked with [Probe]. From a newer one, unknown members are dropped, and
// unknown values of enums and discriminators kept.
//
// # Concurrency, privileges
//
// Everything here is data and functions without state.
package qapi
