package machineconf

import (
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// limit is one limit of a drive: a key of QEMU with its value.
type limit struct {
	key   string
	value int64
}

// directions are the parts of option names for reading, writing and both.
func directions() []struct{ option, qemu string } {
	return []struct{ option, qemu string }{{"", "total"}, {"_rd", "read"}, {"_wr", "write"}}
}

// limits returns the limits of a drive in a fixed order. raw is the drive's text: the
// options of old versions in bytes per second lose their value there, but not their
// key.
func limits(d vmconfig.Drive, raw string) []limit {
	var list []limit
	number := func(key string) float64 { return vmconfig.Number(d.Throttle[key]).Float() }
	add := func(key string, v float64) {
		if v != 0 {
			list = append(list, limit{key, int64(v)})
		}
	}
	for _, dir := range directions() {
		if strings.Contains(","+raw, ",bps"+dir.option+"=") {
			list = append(list, limit{"bps-" + dir.qemu, 0})
		}
		add("bps-"+dir.qemu, number("mbps"+dir.option)*mebibyte)
		add("iops-"+dir.qemu, number("iops"+dir.option))
	}
	for _, dir := range directions() {
		add("bps-"+dir.qemu+"-max", number("mbps"+dir.option+"_max")*mebibyte)
		add("iops-"+dir.qemu+"-max", number("iops"+dir.option+"_max"))
		add("bps-"+dir.qemu+"-max-length", number("bps"+dir.option+"_max_length"))
		add("iops-"+dir.qemu+"-max-length", number("iops"+dir.option+"_max_length"))
	}
	return list
}

// throttleObjects returns the group that bounds a drive's I/O. It exists without limits,
// too: they can be set while the guest runs.
func (b *builder) throttleObjects(d vmconfig.Drive) []machine.Object {
	m := map[string]int64{}
	for _, l := range limits(d, b.conf.Text(d.Key, "")) {
		m[l.key] = l.value
	}
	return []machine.Object{machine.ThrottleGroup("throttle-drive-"+d.Key, m)}
}
