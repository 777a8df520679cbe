package apitest

import (
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// SampleURI is a path of format json that leads to e, with plausible values for what the path binds; the node is
// "localhost".
func SampleURI(e *schema.Endpoint) string {
	uri := "/api2/json" + e.Path
	for name, value := range sampleParams(e) {
		uri = strings.ReplaceAll(uri, "{"+name+"}", value)
	}
	return uri
}

func sampleParams(e *schema.Endpoint) map[string]string {
	params := map[string]string{}
	for segment := range strings.SplitSeq(e.Path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			name = strings.TrimSuffix(name, "}")
			params[name] = sampleValue(name)
		}
	}
	return params
}

func sampleValue(name string) string {
	switch name {
	case "node":
		return "localhost"
	case "vmid":
		return "100"
	case "userid":
		return "someone@pve"
	case "storage":
		return "local"
	case "volume":
		return "local:iso/some.iso"
	case "upid":
		return "UPID:localhost:00000001:00000002:60000000:qmstart:100:root@pam:"
	case "sid":
		return "vm:100"
	case "pos", "osdid", "seq", "url_seq", "order", "monid":
		return "1"
	case "cidr":
		return "10.0.0.0/8"
	}
	return "some1"
}
