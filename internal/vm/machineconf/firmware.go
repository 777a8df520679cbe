package machineconf

import (
	"errors"
	"fmt"
	"path"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// proxmoxFirmware is where Proxmox VE's firmware package lies. The second slash is how
// the name is printed there.
const proxmoxFirmware = "/usr/share/pve-edk2-firmware//"

// efiImages are a firmware's code and the template of its variables, by file name.
type efiImages struct{ code, vars string }

// firmware describes UEFI firmware; without it the board's own is used.
func (b *builder) firmware() error {
	if err := b.check32Bit(); err != nil {
		return err
	}
	if !b.efi {
		return nil
	}
	disk, hasDisk, err := b.conf.Drive("efidisk0")
	hasDisk = hasDisk && err == nil
	if bios := b.sealedFirmware(); bios != "" {
		if hasDisk {
			b.warn("EFI disks are not supported with Confidential Virtual Machines and will be ignored")
		}
		b.m.Firmware.BIOS, err = b.firmwareFile(bios, "base")
		return err
	}
	images := b.efiImages(disk, hasDisk)
	code, err := b.firmwareFile(images.code, "base")
	if err != nil {
		return err
	}
	if !hasDisk {
		template, err := b.firmwareFile(images.vars, "vars")
		if err != nil {
			return err
		}
		b.warn("no efidisk configured! Using temporary efivars disk.")
		disk = vmconfig.Drive{Key: "efidisk0", Format: "raw", File: fmt.Sprintf("/run/qemu-server/efidisk/%d-ovmf.fd", b.in.VMID)}
		if b.launch() {
			disk.File = b.in.run("efivars.fd")
		}
		b.res.Copies = append(b.res.Copies, Copy{From: template, To: disk.File})
	}
	return b.flash(code, images.vars, disk, !hasDisk)
}

// sealedFirmware is the firmware of guests that need it as one measured image.
func (b *builder) sealedFirmware() string {
	if b.arm() {
		return ""
	}
	if text, ok := b.conf["amd-sev"]; ok {
		if sev, err := vmconfig.ParseSEV(text); err == nil {
			if sev.Type == "snp" {
				return "OVMF_SEV_4M.fd"
			}
			return ""
		}
	}
	if b.conf.Has("intel-tdx") {
		return "OVMF_TDX_4M.ms.fd"
	}
	return ""
}

// efiImages chooses the images. Which one a disk was made for cannot be changed later.
func (b *builder) efiImages(disk vmconfig.Drive, hasDisk bool) efiImages {
	keys := hasDisk && disk.PreEnrolledKeys.Or(false)
	if b.arm() {
		if keys && b.firmwareThere("AAVMF_CODE.secboot.fd") {
			return efiImages{"AAVMF_CODE.secboot.fd", "AAVMF_VARS.ms.fd"}
		}
		if keys {
			b.warn("no firmware with secure boot for aarch64 found, using the one without")
		}
		return efiImages{"AAVMF_CODE.fd", "AAVMF_VARS.fd"}
	}
	if b.conf.Has("amd-sev") {
		return efiImages{"OVMF_SEV_CODE_4M.fd", "OVMF_SEV_VARS_4M.fd"}
	}
	if !hasDisk || disk.EFIType != "4m" {
		return efiImages{"OVMF_CODE.fd", "OVMF_VARS.fd"}
	}
	images := efiImages{"OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"}
	if b.q35 {
		images.code = "OVMF_CODE_4M.secboot.fd"
	}
	if keys {
		images.vars = "OVMF_VARS_4M.ms.fd"
	}
	return images
}

// firmwarePath returns the path of a firmware file.
func (b *builder) firmwarePath(name string) string {
	if !b.launch() {
		return proxmoxFirmware + name
	}
	folders := b.host.QEMU.OVMF
	if b.arm() {
		folders = b.host.QEMU.AAVMF
	}
	for _, dir := range folders {
		if p := path.Join(dir, name); b.host.FirmwareExists == nil || b.host.FirmwareExists(p) {
			return p
		}
	}
	return path.Join(append([]string{"/usr/share/OVMF"}, folders...)[0], name)
}

func (b *builder) firmwareThere(name string) bool {
	return b.host.FirmwareExists == nil || b.host.FirmwareExists(b.firmwarePath(name))
}

func (b *builder) firmwareFile(name, what string) (string, error) {
	p := b.firmwarePath(name)
	if !b.firmwareThere(name) {
		return "", fmt.Errorf("EFI %s image '%s' not found", what, p)
	}
	return p, nil
}

// varsSize is how many bytes of the variables' image the guest sees.
func (b *builder) varsSize(name string) int64 {
	if b.host.FirmwareSize != nil {
		if n := b.host.FirmwareSize(b.firmwarePath(name)); n > 0 {
			return n
		}
	}
	switch name {
	case "OVMF_VARS.fd":
		return 131072
	case "AAVMF_VARS.fd", "AAVMF_VARS.ms.fd":
		return 67108864
	}
	return 540672
}

// flash describes the two banks: code that cannot be written, and variables.
func (b *builder) flash(code, varsName string, disk vmconfig.Drive, temporary bool) error {
	if disk.IsPath() && disk.Format == "" && !temporary {
		return errors.New("efidisk format must be specified")
	}
	if !temporary {
		b.use(disk)
	}
	if !b.blockdev() {
		return b.flashDrives(code, varsName, disk)
	}
	if disk.Cache == "" {
		disk.Cache = "writeback"
	}
	vars, err := b.blockGraph(disk, b.varsSize(varsName))
	if err != nil {
		return err
	}
	yes := true
	codeNode := machine.Image("raw", code)
	codeNode.NodeName, codeNode.ReadOnly = "pflash0", &yes
	b.m.Firmware.Objects = b.throttleObjects(disk)
	b.m.Firmware.Code, b.m.Firmware.Vars = &codeNode, &vars
	b.m.Board.PFlash0, b.m.Board.PFlash1 = codeNode.NodeName, vars.NodeName
	return nil
}

func (b *builder) flashDrives(code, varsName string, disk vmconfig.Drive) error {
	src, err := b.source(disk)
	if err != nil {
		return err
	}
	file := src.text
	vars := []machine.Property{{Name: "if", Value: "pflash"}, {Name: "unit", Value: 1}, {Name: "id", Value: "drive-efidisk0"}}
	if src.rbd() {
		vars = append(vars, machine.Property{Name: "cache", Value: "writeback"})
		file += ":rbd_cache_policy=writeback"
	}
	vars = append(vars, machine.Property{Name: "format", Value: src.format}, machine.Property{Name: "file", Value: file})
	if src.format == "raw" && b.needs(4, 1, 2) {
		vars = append(vars, machine.Property{Name: "size", Value: strconv.FormatInt(b.varsSize(varsName), 10)})
	}
	if b.template {
		vars = append(vars, machine.Property{Name: "readonly", Value: machine.On})
	}
	b.m.Firmware.Drives = []machine.Drive{
		{Props: []machine.Property{{Name: "if", Value: "pflash"}, {Name: "unit", Value: 0}, {Name: "format", Value: "raw"},
			{Name: "readonly", Value: machine.On}, {Name: "file", Value: code}}},
		{Props: vars},
	}
	return nil
}
