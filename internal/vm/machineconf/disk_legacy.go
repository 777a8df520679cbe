package machineconf

import (
	"cmp"
	"fmt"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// legacyDrive returns a drive in the form that machines before 10.0 have.
func (b *builder) legacyDrive(d vmconfig.Drive) (machine.Drive, error) {
	var src source
	if !d.IsEmpty() {
		var err error
		if src, err = b.source(d); err != nil {
			return machine.Drive{}, err
		}
		if src.format == "qcow2" && src.isVolume() && src.storage.Chain() {
			return machine.Drive{}, fmt.Errorf("storage for '%s' is configured for snapshots as a volume chain - this requires QEMU machine version >= 10.0. See https://pve.proxmox.com/wiki/QEMU_Machine_Version_Upgrade", d.File)
		}
	}
	var drive machine.Drive
	add := func(name, v string) {
		if v != "" {
			drive.Props = append(drive.Props, machine.Property{Name: name, Value: v})
		}
	}
	onOff := func(o vmconfig.Opt[bool]) string {
		switch {
		case !o.Set:
			return ""
		case o.Value:
			return machine.On
		}
		return machine.Off
	}
	add("file", src.text)
	add("if", "none")
	add("id", "drive-"+d.Key)
	add("media", d.Media)
	add("cache", d.Cache)
	add("rerror", d.ReadError)
	add("werror", d.WriteError)
	add("discard", d.Discard)
	add("snapshot", onOff(d.Snapshot))
	add("readonly", onOff(d.ReadOnly))
	for _, l := range limits(d, b.conf.Text(d.Key, "")) {
		add("throttling."+l.key, fmt.Sprint(l.value))
	}
	format := src.format
	if format == "" && !d.IsEmpty() {
		format = cmp.Or(d.Format, "raw")
	}
	add("format", format)
	direct := direct(d, src)
	if d.Cache == "" && direct {
		add("cache", "none")
	}
	add("aio", b.aio(d, src, direct))
	if !d.IsCDROM() {
		_, zeroes := discardOf(d)
		add("detect-zeroes", zeroes)
	}
	if bus := d.Bus(); b.template && bus != "ide" && bus != "sata" {
		add("readonly", machine.On)
	}
	return drive, nil
}
