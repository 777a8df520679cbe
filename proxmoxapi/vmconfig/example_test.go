package vmconfig_test

import (
	"fmt"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

func Example() {
	cfg, _, err := vmconfig.Parse("name: web\nscsi0: tank:vm-100-disk-0,size=8G\n", vmconfig.ParseOptions{VMID: 100})
	if err != nil {
		panic(err)
	}
	disk, _, _ := cfg.Main.Drive("scsi0")
	fmt.Println(disk.File, int64(disk.Size.Value))
	cfg.SetPending("memory", "4096")
	text, _ := cfg.Encode()
	fmt.Print(text)
	// Output:
	// tank:vm-100-disk-0 8589934592
	// name: web
	// scsi0: tank:vm-100-disk-0,size=8G
	//
	// [PENDING]
	// memory: 4096
}
