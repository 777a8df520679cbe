// Package machine describes a QEMU virtual machine as a typed value and turns it into
// QEMU's command line.
//
// A [Machine] holds what the command line can say: board, processors, memory, firmware,
// displays and the [Unit]s of hardware. The pieces know both their forms: what is an
// argument at start ([Device.String], [Node.JSON]) is also the argument of the QMP
// command that plugs the same piece into a running machine ([Device.Properties],
// [Node.Arguments]). [Plug] and [Unplug] do that with a whole unit.
//
//	m := machine.New("demo", "q35")
//	m.Memory.SizeMiB = 1024
//	m.Add(machine.VirtioDisk("root", machine.Image("qcow2", "/vm/root.qcow2"), 1))
//	m.Add(machine.UserNet("net0"))
//	argv := append([]string{"qemu-system-x86_64"}, m.Args()...)
//
// The description does not check that QEMU knows what is described, nor that files
// exist; QEMU says so when it starts. Texts of users are safe in every place: the
// separators of QEMU's option syntax are escaped.
//
// The package also starts and watches the process; see the functions for what they need.
package machine
