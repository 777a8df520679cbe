package machine

import (
	"fmt"
	"maps"
)

// Device is one emulated device (-device, device_add).
type Device struct {
	// Driver is a name of `-device help`.
	Driver string
	// ID names the device in commands and events. Devices without one cannot be
	// unplugged.
	ID string
	// Bus is the id of the bus that the device sits on, Addr its place on a PCI bus.
	Bus  string
	Addr Addr
	// Props are the driver's own properties, in the order in which they are written.
	Props []Property
}

// Addr is a place on a PCI bus. The zero Addr is "wherever there is room".
type Addr struct {
	slot, function int // slot is one higher, so that the zero Addr is unset
	withFunction   bool
}

// Slot returns the address of a slot's only function.
func Slot(slot int) Addr { return Addr{slot: slot + 1} }

// SlotFunction returns the address of one function of a slot.
func SlotFunction(slot, function int) Addr {
	return Addr{slot: slot + 1, function: function, withFunction: true}
}

// IsSet tells whether a is an address at all.
func (a Addr) IsSet() bool { return a.slot > 0 }

// Function returns the address of a function of the same slot.
func (a Addr) Function(n int) Addr { return SlotFunction(a.slot-1, n) }

// String returns the address as QEMU's property "addr" takes it: 0x10, 0x10.1.
func (a Addr) String() string {
	switch {
	case !a.IsSet():
		return ""
	case a.withFunction:
		return fmt.Sprintf("0x%x.%x", a.slot-1, a.function)
	}
	return fmt.Sprintf("0x%x", a.slot-1)
}

// With returns a copy with further properties.
func (d Device) With(props ...Property) Device {
	d.Props = append(append([]Property{}, d.Props...), props...)
	return d
}

// Properties returns the arguments of QMP device_add. See qapi/qdev.json: device_add.
func (d Device) Properties() map[string]any {
	m := asMap(d.Props)
	maps.Copy(m, map[string]any{"driver": d.Driver})
	for name, v := range map[string]string{"id": d.ID, "bus": d.Bus, "addr": d.Addr.String()} {
		if v != "" {
			m[name] = v
		}
	}
	return m
}

// String returns the value of -device.
func (d Device) String() string {
	return newOption(d.Driver).addSet("id", d.ID).addSet("bus", d.Bus).addSet("addr", d.Addr.String()).props(d.Props).String()
}
