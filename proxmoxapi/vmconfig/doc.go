// Package vmconfig is the configuration of one Proxmox VE virtual machine as a value: the text of
// /etc/pve/qemu-server/N.conf read and written in its canonical form, the options that are property strings as typed
// structs, the bookkeeping of pending changes, and what a change of an option means (who may do it, whether it can be
// applied to a running machine).
//
// Everything here is pure: no files, no clock, no global randomness; where random bytes or the time are needed they
// are arguments. The package knows no storage, no QEMU and no HTTP.
//
//	cfg, warnings, err := vmconfig.Parse(text, vmconfig.ParseOptions{VMID: 100})
//	disk, ok, err := cfg.Main.Drive("scsi0")
//	cfg.SetPending("memory", "4096")
//	text, err = cfg.Encode()
//
// A Config and its Sections are plain data without locks: one goroutine at a time, or a Clone for each.
package vmconfig
