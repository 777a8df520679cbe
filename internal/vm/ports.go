package vm

import (
	"context"
	"fmt"
	"regexp"

	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// port is the host's end of a translated NIC.
func port(p machineconf.Port, uid int) hostnet.Port {
	out := portOf(p.Name, p.Net, uid)
	out.Bridge, out.MAC, out.Queues = p.Bridge, p.MAC, p.Queues
	return out
}

// hostPort is the host's end of netN.
func hostPort(id, index int, n vmconfig.Net, uid int) hostnet.Port {
	return portOf(fmt.Sprintf("tap%di%d", id, index), n, uid)
}

func portOf(name string, n vmconfig.Net, uid int) hostnet.Port {
	p := hostnet.Port{
		Name: name, Bridge: n.Bridge, Owner: uint32(uid), MTU: mtuOf(n), Queues: queuesOf(n), MAC: n.MAC, VLAN: n.Tag.Or(0),
		RateMBps: n.Rate.Float(), LinkDown: n.LinkDown.Or(false), Firewall: n.Firewall.Or(false),
	}
	for _, r := range n.Trunks {
		p.Trunks = append(p.Trunks, hostnet.VLANRange{First: uint16(r.First), Last: uint16(r.Last)})
	}
	return p
}

// queuesOf are the queues of a NIC's tap; only virtio has several.
func queuesOf(n vmconfig.Net) int {
	if n.Model != "virtio" {
		return 0
	}
	return n.Queues.Or(0)
}

// mtuOf is the MTU of a NIC in bytes, 0 for the bridge's own, which the option also writes as 1.
func mtuOf(n vmconfig.Net) int {
	if m := n.MTU.Or(0); m > 1 {
		return m
	}
	return 0
}

// guestPort is what the taps of guests are called.
var guestPort = regexp.MustCompile(`^tap[1-9][0-9]*i[0-9]+$`)

// dropStrayPorts removes taps of users of this node's guests that are held for none: those of a state that is lost. Taps of
// others, which have other owners, are left alone.
func (s *Service) dropStrayPorts(ctx context.Context, holds []*Hold) error {
	if s.o.UIDs.Count == 0 {
		return nil // guests run as the daemon's user, and so may others
	}
	held := map[string]bool{}
	for _, h := range holds {
		for _, name := range h.Ports {
			held[name] = true
		}
	}
	return s.o.Network.Reconcile(ctx, func(name string, owner uint32) bool {
		uid := int(owner)
		return guestPort.MatchString(name) && !held[name] && uid >= s.o.UIDs.First && uid < s.o.UIDs.First+s.o.UIDs.Count
	})
}
