package machineconf

import (
	"errors"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

const virtioFSCount = 10

func (b *builder) usesVirtioFS() bool {
	for n := range virtioFSCount {
		if text, ok := b.conf["virtiofs"+strconv.Itoa(n)]; ok {
			if _, err := vmconfig.ParseVirtioFS(text); err == nil {
				return true
			}
		}
	}
	return false
}

// folders adds the shared folders; a process for each serves the files.
func (b *builder) folders() error {
	for n := range virtioFSCount {
		id := "virtiofs" + strconv.Itoa(n)
		o, err := vmconfig.ParseVirtioFS(b.conf.Text(id, ""))
		if !b.conf.Has(id) || err != nil {
			continue
		}
		path, err := b.in.Mappings.folder(o.DirID, b.host)
		if err != nil {
			return err
		}
		if b.win > 0 && o.ExposeACL.Or(false) {
			return errors.New("Please disable ACLs for virtiofs on Windows VMs, otherwise the virtiofs shared directory cannot be mounted.") //nolint:staticcheck // public text
		}
		socket := "/run/qemu-server/virtiofsd/vm" + strconv.Itoa(b.in.VMID) + "-fs" + strconv.Itoa(n)
		if b.launch() {
			socket = b.own(id)
		}
		b.res.Folders = append(b.res.Folders, FolderProcess{Socket: socket, Path: path, Tag: o.DirID, Options: o, Windows: b.win > 0})
		b.parts.virtioFS = append(b.parts.virtioFS, machine.Unit{Name: id, Chardevs: []machine.Chardev{machine.ConnectSocket(id, socket)},
			Devices: []machine.Device{{Driver: "vhost-user-fs-pci", Props: []machine.Property{{Name: "queue-size", Value: 1024},
				{Name: "chardev", Value: id}, {Name: "tag", Value: o.DirID}}}}})
	}
	return nil
}
