package machineconf

import "github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"

// VarsTemplate returns the path of the firmware's variables with which a new EFI disk begins, on a host that runs a stock
// QEMU. conf is the guest's configuration, disk its efidisk0.
func VarsTemplate(h *Host, conf vmconfig.Section, disk vmconfig.Drive) (string, error) {
	b := &builder{in: &Input{Host: h, Config: conf, Profile: Launch}, host: h, conf: conf, res: &Result{}}
	if m, err := vmconfig.ParseMachine(conf.Text("machine", "")); err == nil {
		b.machine = m
	}
	b.q35 = b.machine.IsQ35()
	if err := b.architecture(); err != nil {
		return "", err
	}
	return b.firmwareFile(b.efiImages(disk, true).vars, "vars")
}
