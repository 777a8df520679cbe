package vm

import (
	"fmt"

	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// port is the host's end of a translated NIC.
func port(p machineconf.Port, uid int) hostnet.Port {
	return hostnet.Port{Name: p.Name, Bridge: p.Bridge, Owner: uint32(uid), MTU: mtuOf(p.Net), Queues: p.Queues}
}

// hostPort is the host's end of netN.
func hostPort(id, index int, n vmconfig.Net, uid int) hostnet.Port {
	return hostnet.Port{Name: fmt.Sprintf("tap%di%d", id, index), Bridge: n.Bridge, Owner: uint32(uid), MTU: mtuOf(n), Queues: n.Queues.Or(0)}
}

// mtuOf is the MTU of a NIC in bytes, 0 for the bridge's own, which the option also writes as 1.
func mtuOf(n vmconfig.Net) int {
	if m := n.MTU.Or(0); m > 1 {
		return m
	}
	return 0
}
