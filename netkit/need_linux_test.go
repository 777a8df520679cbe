package netkit_test

import (
	"errors"
	"testing"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/netkittest"
)

// needLinks needs a kernel that makes the links; the need is called kernel-NAME.
func needLinks(t *testing.T, name string, links ...netkit.Link) {
	t.Helper()
	h := netkittest.NewHost(t)
	steps, err := netkit.Plan(nil, links)
	if err == nil {
		err = h.Conn.Apply(t.Context(), steps)
	}
	need.That(t, "kernel-"+name, err == nil || !errors.Is(err, errors.ErrUnsupported), "a kernel with it")
}

func needVLANs(t *testing.T) {
	t.Helper()
	needLinks(t, "vlan", netkit.Link{Name: "d", Kind: netkit.KindDummy}, netkit.Link{Name: "d.5", Kind: netkit.KindVLAN, Parent: "d", VLAN: &netkit.VLAN{ID: 5}})
}

func needFiltering(t *testing.T) {
	t.Helper()
	needLinks(t, "vlan-filtering", netkit.Link{Name: "b", Kind: netkit.KindBridge, Bridge: &netkit.Bridge{VLANAware: true, PVID: 1}})
}

func needPolice(t *testing.T) {
	t.Helper()
	needLinks(t, "police", netkit.Link{Name: "d", Kind: netkit.KindTap, Rate: &netkit.Rate{In: 1000}})
}
