package machineconf

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

const (
	netCount   = 32
	maxIfName  = 15  // IFNAMSIZ without the NUL
	minIPMTU   = 576 // RFC 791
	defaultMTU = 1500
)

// nets adds the network cards.
func (b *builder) nets() error {
	for n := range netCount {
		key := "net" + strconv.Itoa(n)
		text, ok := b.conf[key]
		if !ok {
			continue
		}
		b.needs(10, 0, 1)
		o, err := vmconfig.ParseNet(text)
		if err != nil {
			b.warn("%s: %v, ignoring", key, err)
			continue
		}
		if o.MAC == "" {
			if o.MAC, err = vmconfig.NewMAC(b.in.MACPrefix, b.in.Random); err != nil {
				return err
			}
		}
		u, err := b.networkCard(key, o)
		if err != nil {
			return err
		}
		b.parts.nets = append(b.parts.nets, u)
		if o.LinkDown.Or(false) {
			b.res.LinkDown = append(b.res.LinkDown, key)
		}
	}
	return nil
}

// networkCard returns one network card with the host's end.
func (b *builder) networkCard(key string, o vmconfig.Net) (machine.Unit, error) {
	backend, err := b.netBackend(key, o)
	if err != nil {
		return machine.Unit{}, err
	}
	d := b.put(key, machine.Device{Driver: o.Model, ID: key, Props: []machine.Property{{Name: "mac", Value: o.MAC}, {Name: "netdev", Value: key}}})
	add := func(name string, v any) { d.Props = append(d.Props, machine.Property{Name: name, Value: v}) }
	virtio := o.Model == "virtio"
	if virtio {
		d.Driver = "virtio-net-pci"
		b.virtioQueues(o, add)
	}
	if i, ok := b.bootIdx[key]; ok {
		add("bootindex", i)
	}
	mtu, err := b.hostMTU(key, o)
	if err != nil {
		return machine.Unit{}, err
	}
	if mtu > 0 {
		add("host_mtu", mtu)
	}
	if rom := bootROM(o.Model); rom != "" && b.typ.pxe && !b.launch() {
		add("romfile", rom)
	}
	if virtio && b.tunnelOff(o) && (!b.launch() || b.qemu.AtLeast(10, 2)) {
		add("host_tunnel", false)
	}
	return machine.Unit{Name: key, Netdevs: []machine.Netdev{backend}, Devices: []machine.Device{d}}, nil
}

func (b *builder) virtioQueues(o vmconfig.Net, add func(string, any)) {
	if q := o.Queues.Or(0); q > 1 {
		add("vectors", 2*q+2)
		add("mq", true)
		if b.version.AtLeast(7, 1) {
			add("packed", true)
		}
	}
	if b.version.AtLeast(7, 1) {
		add("rx_queue_size", 1024)
		add("tx_queue_size", 256)
	}
}

// tunnelOff tells whether the card must not offer offloads of tunnelled packets.
func (b *builder) tunnelOff(o vmconfig.Net) bool {
	switch {
	case b.version.AtLeast(11, 0, 1):
		return !o.HostTunnel.Or(false)
	case b.version.AtLeast(10, 2):
		return !o.HostTunnel.Or(true)
	}
	return false
}

// netBackend is the host's end: a tap on a bridge, or QEMU's own NAT.
func (b *builder) netBackend(key string, o vmconfig.Net) (machine.Netdev, error) {
	queues := o.Queues.Or(0)
	if o.Model != "virtio" {
		queues = 0
	}
	n := machine.Netdev{Type: "user", ID: key}
	add := func(name string, v any) { n.Props = append(n.Props, machine.Property{Name: name, Value: v}) }
	if o.Bridge == "" {
		add("hostname", b.m.Name)
		if queues > 0 && !b.launch() { // QEMU's NAT has one queue
			add("queues", queues)
		}
		return n, nil
	}
	name := fmt.Sprintf("tap%di%s", b.in.VMID, strings.TrimPrefix(key, "net"))
	if len(name) > maxIfName {
		return n, fmt.Errorf("interface name '%s' is too long (max 15 character)", name)
	}
	n.Type = "tap"
	add("ifname", name)
	if b.launch() {
		add("script", "no")
		add("downscript", "no")
	} else {
		add("script", "/usr/libexec/qemu-server/pve-bridge")
		add("downscript", "/usr/libexec/qemu-server/pve-bridgedown")
	}
	if o.Model == "virtio" && b.arch == b.host.Arch && b.host.VhostNet {
		add("vhost", true)
	}
	if queues > 0 {
		add("queues", queues)
	}
	b.res.Ports = append(b.res.Ports, Port{Key: key, Name: name, Bridge: o.Bridge, MAC: o.MAC, Queues: max(1, queues), VNetHdr: true, Net: o})
	return n, nil
}

// hostMTU is the MTU that a virtio card tells its guest, 0 for none.
func (b *builder) hostMTU(key string, o vmconfig.Net) (int, error) {
	if forced, ok := b.forcedMTU(key); ok {
		return forced, nil
	}
	mtu := o.MTU.Or(0)
	if o.Bridge == "" || o.Model != "virtio" {
		if o.MTU.Set {
			why := "not using VirtIO"
			if o.Model == "virtio" {
				why = "no bridge configured"
			}
			b.warn("netdev %s: ignoring MTU '%d', %s", key, mtu, why)
		}
		return 0, nil
	}
	bridge := b.host.bridgeMTU(o.Bridge)
	switch {
	case mtu == 0 || mtu == 1:
		mtu = bridge
	case mtu < minIPMTU:
		return 0, fmt.Errorf("netdev %s: MTU '%d' is smaller than the IP minimum MTU '%d'", key, mtu, minIPMTU)
	case bridge > 0 && mtu > bridge:
		return 0, fmt.Errorf("netdev %s: MTU '%d' is bigger than the bridge MTU '%d' - adjust the MTU for the network device in the VM configuration, while ensuring that the bridge is configured as desired.", key, mtu, bridge)
	}
	if mtu == defaultMTU && !b.version.AtLeast(10, 0, 1) {
		return 0, nil
	}
	return mtu, nil
}

// forcedMTU is the value that a saved machine was running with.
func (b *builder) forcedMTU(key string) (int, bool) {
	for pair := range strings.FieldsFuncSeq(b.in.Forced.NetsHostMTU, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		if k, v, ok := strings.Cut(pair, "="); ok && k == key {
			return atoi(v), true
		}
	}
	return 0, false
}

// bootROM is the name of the boot ROM of old versions.
func bootROM(model string) string {
	switch model {
	case "virtio", "e1000", "e1000e", "pcnet", "rtl8139":
		return "pxe-" + model + ".rom"
	}
	return ""
}
