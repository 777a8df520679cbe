package ovf

import (
	"strconv"
	"strings"
)

// Options are the options of a guest's configuration that the descriptor gives, by name: name, ostype, cores, memory,
// bios and boot. Disks and network devices are not among them; see [Descriptor.NetOptions].
func (d *Descriptor) Options() map[string]string {
	o := map[string]string{"ostype": d.OSType}
	put := func(key, value string) {
		if value != "" {
			o[key] = value
		}
	}
	put("name", d.Name)
	put("cores", d.Cores)
	put("memory", d.MemoryMiB)
	if d.EFI {
		o["bios"] = "ovmf"
	}
	var order []string
	for _, disk := range d.Disks {
		order = append(order, disk.Address)
	}
	if len(order) > 0 {
		o["boot"] = "order=" + strings.Join(order, ";")
	}
	return o
}

// NetOptions are the models of the network devices by the name of their option: net0, net1, …
func (d *Descriptor) NetOptions() map[string]string {
	o := map[string]string{}
	for i, model := range d.NICs {
		o["net"+strconv.Itoa(i)] = model
	}
	return o
}

// osType translates a number of CIM_OperatingSystem.OsType.
func osType(id string) string {
	n, err := strconv.Atoi(strings.TrimSpace(id))
	if err != nil {
		return "other"
	}
	for _, row := range []struct {
		name string
		ids  [][2]int // from, to
	}{
		{"w2k", [][2]int{{58, 58}}},
		{"winxp", [][2]int{{18, 18}}}, // as Proxmox VE has it
		{"wxp", [][2]int{{67, 67}, {71, 72}, {75, 75}}},
		{"w2k3", [][2]int{{69, 70}}},
		{"wvista", [][2]int{{73, 74}}},
		{"w2k8", [][2]int{{76, 77}}},
		{"win7", [][2]int{{103, 103}, {105, 105}}},
		{"win8", [][2]int{{111, 115}, {117, 118}}},
		{"win10", [][2]int{{116, 116}, {119, 121}}},
		{"win11", [][2]int{{122, 123}}},
		{"solaris", [][2]int{{29, 29}, {81, 81}}},
		{"l24", [][2]int{{97, 98}}},
		{"l26", [][2]int{{36, 36}, {79, 80}, {82, 85}, {87, 87}, {89, 96}, {99, 101}, {106, 109}}},
	} {
		for _, r := range row.ids {
			if r[0] <= n && n <= r[1] {
				return row.name
			}
		}
	}
	return "other"
}
