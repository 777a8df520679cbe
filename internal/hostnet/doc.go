// Package hostnet is the network of this node: the bridges that gpved's configuration asks for, the taps that connect guests
// to bridges, and the node's interfaces file with the API in front of it.
//
// A guest's card is one tap, straight in its bridge ([Service.CreatePort]). Its guard, the firewall, closes it before it
// exists and opens it when the rules are in. On a VLAN-aware bridge its VLANs are the port's; on a plain one, a tag leads to
// a bridge of its own over VLAN devices on the uplinks, vmbr0v5.
//
// The API writes interfaces.new beside the interfaces file and shows the difference. PUT /nodes/{node}/network applies it in
// a task: the kernel is changed by a plan, then the task waits until a request of a logged-in client gets through to the node
// ([Service.Confirm]), and only then does the new file take the place of the old one, in one rename. Without such a request,
// after an error, or when gpved is killed meanwhile, the kernel is brought back to what it was, from the task's journal; the
// pending file stays. So the file in use, which the host's own tools read at boot, is one that the node could be reached with.
// A restart of the host puts a pending configuration in force without asking ([Service.CommitAfterBoot]), as Proxmox VE does.
//
// What needs a shell or a DHCP client (up and down commands, method dhcp) is left to the host's tools at the next boot, and
// the task warns about it. Open vSwitch is not applied to a running node. Links that no file mentions are never touched.
package hostnet
