package pveconf_test

import (
	"testing"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

func BenchmarkValidate(b *testing.B) {
	p, f := guest()
	in := obj{"vmid": "100", "cores": "4", "name": "abc", "nodes": "n1,n2", "onboot": "1"}
	b.ReportAllocs()
	for b.Loop() {
		pveconf.Validate(in, p, f)
	}
}

func BenchmarkParsePropertyString(b *testing.B) {
	p := nic()
	f := pveconf.NewRegistry()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pveconf.ParsePropertyString("virtio=02:00:00:00:00:01,bridge=vmbr0,firewall=1", p, f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseSections(b *testing.B) {
	r := rules()
	b.ReportAllocs()
	for b.Loop() {
		pveconf.ParseSections(storages, r)
	}
}
