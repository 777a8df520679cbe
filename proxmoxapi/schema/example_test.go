package schema_test

import (
	"fmt"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func ExampleLookup() {
	e, uri, _ := schema.Lookup("POST", "/nodes/pve1/qemu/100/status/stop")
	params, errs := e.Validate(map[string]any{"node": uri["node"], "vmid": uri["vmid"], "timeout": "30"})
	fmt.Println(e.Path, params, errs)
	var req schema.PostNodesQemuStatusStop
	if err := schema.Decode(params, &req); err != nil {
		fmt.Println(err)
	}
	fmt.Println(req.Vmid, *req.Timeout, e.TaskReturns)
	// Output:
	// /nodes/{node}/qemu/{vmid}/status/stop map[node:pve1 timeout:30 vmid:100] map[]
	// 100 30 upid
}
