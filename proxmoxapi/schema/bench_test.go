package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		schema.Lookup("GET", "/nodes/pve1/qemu/100/status/current")
	}
}

// BenchmarkCall is what a request costs here: lookup, validation and decoding.
func BenchmarkCall(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		e, uri, _ := schema.Lookup("GET", "/nodes/pve1/qemu/100/status/current")
		raw := make(map[string]any, len(uri))
		for k, v := range uri {
			raw[k] = v
		}
		p, errs := e.Validate(raw)
		var req schema.GetNodesQemuStatusCurrent
		if err := schema.Decode(p, &req); err != nil || errs != nil {
			b.Fatal(err, errs)
		}
	}
}

func BenchmarkValidateCreateVM(b *testing.B) {
	e := schema.Find("POST", "/nodes/{node}/qemu")
	raw := map[string]any{
		"node": "pve1", "vmid": "9001", "name": "web", "memory": "4096", "cores": "4", "sockets": "1", "ostype": "l26",
		"scsihw": "virtio-scsi-single", "scsi0": "local:32,discard=on,iothread=1", "net0": "virtio,bridge=vmbr0,firewall=1",
		"ide2": "none,media=cdrom", "boot": "order=scsi0;net0", "agent": "1", "tags": "a;b", "onboot": "1",
	}
	_, errs := e.Validate(raw)
	require.Empty(b, errs)
	b.ReportAllocs()
	for b.Loop() {
		e.Validate(raw)
	}
}
