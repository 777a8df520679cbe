// Package guestfw is the firewall room: the texts of Proxmox VE's firewall in the store, the API's methods on them, and the
// engine that makes this node's kernel filter as they say.
//
// The texts lie where Proxmox VE keeps them: /pve/firewall/cluster.fw, /pve/firewall/ID.fw and /pve/nodes/NODE/host.fw. A
// change reads, edits and writes one of them in a guarded transaction, so two editors never lose each other's work. A guest's
// file goes with the guest, in the transaction that removes it: see [DropParts].
//
// The engine ([Service.Run]) is one goroutine. It follows the store and the node's addresses, compiles one ruleset from all
// of it and has package netkit/firewall apply that; what changes meanwhile is in the next one. A ruleset that cannot be applied
// leaves the rules before it, and is tried again.
//
// Guests' ports fail closed. [Service.Close] has the kernel drop a port's frames before the port exists, [Service.Open]
// returns when the rules that know of the port are in and read back, and reports why not otherwise: the guest then does not start.
// Ports whose frames nothing filters (no firewall in the cluster, the guest or the card) need nothing of the kernel.
//
// What rules log is read from the kernel ([Service.Log]) and written to a file of bounded size in Proxmox VE's form.
//
// Not here: rules of virtual networks (vnets), sets of the SDN, peers of a corosync cluster.
package guestfw
