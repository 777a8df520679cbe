package vm

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// vhostNet is the kernel's back end of virtio network cards.
const vhostNet = "/dev/vhost-net"

// openTaps opens the taps of a machine's cards and has QEMU take them as descriptors, numbered from first on: its user may
// open neither /dev/net/tun nor /dev/vhost-net. The caller closes the files once QEMU has them.
func (s *Service) openTaps(ctx context.Context, r *machineconf.Result, uid, first int) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(files))
			files = nil
		}
	}()
	for _, p := range r.Ports {
		unit, ok := r.Machine.Find(p.Key)
		if !ok || len(unit.Netdevs) == 0 {
			continue
		}
		taps, err := s.o.Network.OpenPort(ctx, port(p, uid))
		if err != nil {
			return files, err
		}
		tapNumbers := numbers(first+len(files), len(taps))
		files = append(files, taps...)
		var vhostNumbers string
		if usesVhost(unit.Netdevs[0]) {
			vhosts, err := openVhost(len(taps))
			if err != nil {
				return files, err
			}
			vhostNumbers = numbers(first+len(files), len(vhosts))
			files = append(files, vhosts...)
		}
		unit.Netdevs[0] = byDescriptor(unit.Netdevs[0], len(taps), tapNumbers, vhostNumbers)
	}
	return files, nil
}

// numbers are n descriptors from first on, as QEMU takes a list of them.
func numbers(first, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = strconv.Itoa(first + i)
	}
	return strings.Join(out, ":")
}

func usesVhost(n machine.Netdev) bool {
	for _, p := range n.Props {
		if p.Name == "vhost" {
			return p.Value == true
		}
	}
	return false
}

func openVhost(n int) ([]*os.File, error) {
	var files []*os.File
	for range n {
		f, err := os.OpenFile(vhostNet, os.O_RDWR, 0)
		if err != nil {
			return nil, errors.Join(err, closeAll(files))
		}
		files = append(files, f)
	}
	return files, nil
}

// byDescriptor replaces the name of a tap by open descriptors. See qapi/net.json: NetdevTapOptions.
func byDescriptor(n machine.Netdev, queues int, taps, vhosts string) machine.Netdev {
	suffix := ""
	if queues > 1 {
		suffix = "s"
	}
	out := machine.Netdev{Type: n.Type, ID: n.ID, Props: []machine.Property{{Name: "fd" + suffix, Value: taps}}}
	if vhosts != "" {
		out.Props = append(out.Props, machine.Property{Name: "vhost", Value: true}, machine.Property{Name: "vhostfd" + suffix, Value: vhosts})
	}
	return out
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
