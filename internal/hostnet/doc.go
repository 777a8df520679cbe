// Package hostnet is the network of this node as guests see it: the bridges that the configuration asks for, and the taps
// that connect guests to bridges. It also answers the node's network list.
//
// Bridges of the host's own (from its interfaces file) are used, never made or changed.
package hostnet
