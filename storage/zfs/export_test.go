package zfs

import "github.com/turtacn/go-proxmox/storage/internal/maker"

// SetStep makes a driver call step before and after each command that changes its pool.
func SetStep(d *Driver, step func()) { d.tool.step = step }

// SetKstat tells a driver where the kernel says how pools are.
func SetKstat(d *Driver, folder string) { d.tool.kstat = folder }

// TempPrefix is how names begin that are not volumes.
const TempPrefix = maker.Prefix

// DevicePath and OpenDevice are what Attach uses.
var (
	DevicePath  = devicePath
	OpenDevice  = openDevice
	ErrNoDevice = errNoDevice
)
