package pveconf_test

import (
	"fmt"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

func ExampleParsePropertyString() {
	drive := &pveconf.Property{Properties: []pveconf.NamedProperty{
		{Name: "file", Property: &pveconf.Property{Type: "string", Format: "pve-volume-id", DefaultKey: true}},
		{Name: "ssd", Property: &pveconf.Property{Type: "boolean", Optional: true}},
	}}
	values, err := pveconf.ParsePropertyString("local:100/disk.raw,ssd=on", drive, nil)
	fmt.Println(values, err)
	_, err = pveconf.ParsePropertyString("ssd=maybe", drive, nil)
	fmt.Println(err)
	// Output:
	// map[file:local:100/disk.raw ssd:1] <nil>
	// format error
	// file: property is missing and it is not optional
	// ssd: type check ('boolean') failed - got 'maybe'
}
