// Package hostnet is the network of this node as guests see it: the bridges that the configuration asks for, and the taps
// that connect guests to bridges. It also answers the node's network list, from the interfaces file in use; a pending
// interfaces.new of Proxmox VE is not looked at, since nothing here could apply it.
//
// Bridges of the host's own (from its interfaces file) are used, never made or changed.
package hostnet
