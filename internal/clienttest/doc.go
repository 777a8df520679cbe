// Package clienttest runs real clients of Proxmox VE, unchanged, against a running gpved: luthermonson/go-proxmox for Go,
// proxmox-api for Node, and curl as its users write it. It is a module of its own, so that the go.mod of gpved carries no
// client; it holds tests only.
//
// `make test-clients` runs it, as root: the environment names the daemon's program (GPVED) and the folder of the tiny guest
// (GPVE_TINYGUEST). What a client needs and the machine does not have fails the test. All clients talk to one gpved, in a
// folder of its own, on a free loopback port, with a bridge of its own (vmbrclients, 10.213.78.0/24); nothing of it stays.
package clienttest
