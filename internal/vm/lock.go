package vm

import (
	"slices"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Values of the option lock: what is going on with a VM, or was left over by something that failed.
const (
	lockBackup     = "backup"
	lockClone      = "clone"
	lockCreate     = "create"
	lockDestroyed  = "destroyed"
	lockSuspended  = "suspended"
	lockSuspending = "suspending"
)

// checkLock refuses a VM that is locked, unless its lock is one of those that do not hinder.
func (v *VM) checkLock(harmless ...string) error {
	lock := v.Config.Main["lock"]
	if lock == "" || slices.Contains(harmless, lock) {
		return nil
	}
	return call.Errorf("VM is locked (%s)", lock)
}
