// Package goproxmox is the root of go-proxmox, which re-implements the core of Proxmox VE in Go. It holds no code: import
// the packages below it, each of which stands alone (qmp, storage, netkit, cluster, proxmoxapi), or the whole as daemon.
package goproxmox
