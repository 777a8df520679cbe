package vmconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// Hotplug is the set of features of the option hotplug.
type Hotplug struct {
	Network, Disk, CPU, Memory, USB, CloudInit bool
}

// ParseHotplug reads the option hotplug: unset ("") and 1 are network,disk,usb; 0 is none.
func ParseHotplug(value string) (Hotplug, error) {
	switch value {
	case "", "1":
		return Hotplug{Network: true, Disk: true, USB: true}, nil
	case "0":
		return Hotplug{}, nil
	}
	var h Hotplug
	flags := map[string]*bool{
		"network": &h.Network, "disk": &h.Disk, "cpu": &h.CPU, "memory": &h.Memory, "usb": &h.USB, "cloudinit": &h.CloudInit,
	}
	for _, feature := range SplitList(value) {
		flag, ok := flags[feature]
		if !ok {
			return Hotplug{}, fmt.Errorf("invalid hotplug feature '%s'", feature)
		}
		*flag = true
	}
	return h, nil
}

// Action is what has to be done to a running machine so that a change takes effect.
type Action int

// Actions. Each but Wait is followed by moving the change into the main section.
const (
	ActionWait        Action = iota // nothing: the change stays pending until the next start
	ActionRecord                    // nothing: the option lives in the configuration alone
	ActionCgroup                    // cpuunits, cpulimit: the VM's cgroup
	ActionTablet                    // tablet device
	ActionUSB                       // plug, unplug or replace usbN
	ActionVCPUs                     // plug or unplug CPUs up to the count
	ActionBalloon                   // balloon target
	ActionMemory                    // plug or unplug DIMMs up to the size
	ActionNetUpdate                 // same card: bridge, tag, trunks, firewall, rate, link state
	ActionNetPlug                   // new card
	ActionNetUnplug                 // remove the card
	ActionNetReplace                // unplug, then plug
	ActionDiskPlug                  // new drive
	ActionDiskUnplug                // remove the drive
	ActionDiskReplace               // unplug the old drive, then plug the new one
	ActionDiskUpdate                // same volume: throttle limits, and keys that live in the configuration alone
	ActionMedium                    // eject and insert on an existing CD-ROM drive
)

// Running are the facts of a running machine that decide about hotplug.
type Running struct {
	Arch         string // x86_64 or aarch64
	MachineMajor int    // version of the running machine type, such as 10 and 1
	MachineMinor int
}

// Effect is how one change takes effect on a running machine.
type Effect struct {
	Change
	Action Action
	Err    error // the change cannot be made while running; it stays pending. Its text goes behind "hotplug problem - "
}

// HotplugProblem wraps a failure to apply a change to a running machine for the reply.
func HotplugProblem(key string, err error) error { return call.Param(key, "hotplug problem - %v", err) }

// recordOnly are the options that take effect by being written, also when they were left pending by an earlier call.
var recordOnly = []string{
	"description", "hookscript", "lock", "migrate_downtime", "migrate_speed", "name", "onboot", "protection", "shares",
	"startup", "tags", "vmstatestorage",
}

// restartKeys are the drive keys whose change needs a new start.
var restartKeys = []string{"aio", "discard", "iothread", "queues", "product", "cache", "ssd", "vendor", "ro"}

// PlanRunning returns the effect of each pending change on a running machine: deletes first, then sets, each sorted.
// Only options for which named returns true are tried, and those that live in the configuration alone; the others
// wait.
func (c *Config) PlanRunning(r Running, named func(key string) bool) []Effect {
	hotplug, err := ParseHotplug(c.Main["hotplug"])
	if err != nil {
		hotplug = Hotplug{}
	}
	p := &hotplugPlan{cfg: c, running: r, flags: hotplug}
	var out []Effect
	for _, ch := range c.PlanStopped() {
		e := Effect{Change: ch}
		e.Action, e.Err = p.effect(ch)
		if e.Action != ActionRecord && !named(ch.Key) {
			e.Action, e.Err = ActionWait, nil
		}
		out = append(out, e)
	}
	return out
}

type hotplugPlan struct {
	cfg     *Config
	running Running
	flags   Hotplug
}

func (p *hotplugPlan) effect(ch Change) (Action, error) {
	if slices.Contains(recordOnly, ch.Key) || IsCloudInitOption(ch.Key) && !IsNet(ch.Key) {
		return ActionRecord, nil
	}
	name, index := SplitKey(ch.Key)
	switch {
	case IsNet(ch.Key):
		return p.net(ch), nil
	case IsDrive(ch.Key):
		return p.drive(ch)
	case IsUnused(ch.Key):
		return ActionRecord, nil
	case name == "usb" && index >= 0:
		return when(p.flags.USB && p.canPlugUSB(), ActionUSB), nil
	}
	switch ch.Key {
	case "hotplug":
		needsStart := strings.Contains(ch.Old, "cpu") || strings.Contains(ch.Old, "memory")
		if !ch.Delete {
			needsStart = needsStart || strings.Contains(ch.New, "cpu") || strings.Contains(ch.New, "memory")
		}
		return when(!needsStart, ActionRecord), nil
	case "tablet":
		return when(p.flags.USB, ActionTablet), nil
	case "vcpus":
		return when(p.flags.CPU && p.running.Arch == "x86_64", ActionVCPUs), nil
	case "balloon":
		on := ch.Delete || ch.New != "0"
		return when((ch.Old != "0") == on, ActionBalloon), nil
	case "memory":
		return p.memory(ch)
	case "cpuunits", "cpulimit":
		return ActionCgroup, nil
	case "agent":
		return when(!ch.Delete && onlyTrimDiffers(ch.Old, ch.New), ActionRecord), nil
	}
	return ActionWait, nil
}

func when(possible bool, a Action) Action {
	if possible {
		return a
	}
	return ActionWait
}

func (p *hotplugPlan) canPlugUSB() bool {
	ostype := p.cfg.Main["ostype"]
	modern := ostype == "l26" || WindowsVersion(ostype) > 7
	return modern && (p.running.MachineMajor > 7 || p.running.MachineMajor == 7 && p.running.MachineMinor >= 1)
}

// minHotplugMemoryMiB is the memory a VM with memory hotplug starts with at least; it cannot be unplugged.
const minHotplugMemoryMiB = 1024

func (p *hotplugPlan) memory(ch Change) (Action, error) {
	if !p.flags.Memory {
		return ActionWait, nil
	}
	target := DefaultMemoryMiB
	if !ch.Delete {
		m, err := ParseMemory(ch.New)
		if err != nil {
			return ActionWait, err
		}
		target = m.CurrentMiB
	}
	if target < minHotplugMemoryMiB {
		return ActionWait, fmt.Errorf("memory can't be lower than %d MB", minHotplugMemoryMiB)
	}
	return ActionMemory, nil
}

func onlyTrimDiffers(before, after string) bool {
	if before == "" {
		return false
	}
	a, errA := ParseAgent(before)
	b, errB := ParseAgent(after)
	a.FstrimClonedDisks, b.FstrimClonedDisks = Opt[bool]{}, Opt[bool]{}
	return errA == nil && errB == nil && a == b
}

func (p *hotplugPlan) net(ch Change) Action {
	if ch.Delete {
		return when(p.flags.Network, ActionNetUnplug)
	}
	if ch.Old == "" {
		return when(p.flags.Network, ActionNetPlug)
	}
	before, errA := ParseNet(ch.Old)
	after, errB := ParseNet(ch.New)
	sameCard := errA == nil && errB == nil && before.Model == after.Model && strings.EqualFold(before.MAC, after.MAC) &&
		before.Queues == after.Queues && before.MTU == after.MTU && before.HostTunnel == after.HostTunnel
	if sameCard && before.Bridge != "" && after.Bridge != "" {
		return ActionNetUpdate
	}
	return when(p.flags.Network, ActionNetReplace)
}

func (p *hotplugPlan) drive(ch Change) (Action, error) {
	bus, _ := SplitKey(ch.Key)
	if bus == "efidisk" || bus == "tpmstate" {
		return ActionWait, nil
	}
	pluggable := bus == "scsi" || bus == "virtio"
	before, errA := ParseDrive(ch.Key, ch.Old)
	if ch.Delete {
		if !pluggable || !p.flags.Disk || errA == nil && before.IsCDROM() {
			return ActionWait, nil
		}
		return ActionDiskUnplug, p.bootDiskError(ch.Key)
	}
	after, err := ParseDrive(ch.Key, ch.New)
	if err != nil {
		return ActionWait, err
	}
	if ch.Old == "" || errA != nil {
		return when(pluggable && p.flags.Disk, ActionDiskPlug), nil
	}
	switch {
	case before.IsCDROM() != after.IsCDROM():
		return ActionWait, errors.New("unable to change media type")
	case after.IsCDROM():
		return ActionMedium, nil
	case before.File == after.File:
		return when(!slices.ContainsFunc(restartKeys, differs(before, after)), ActionDiskUpdate), nil
	case !p.flags.Disk:
		return ActionWait, nil
	case !pluggable:
		return ActionWait, fmt.Errorf("can't unplug device '%s'", ch.Key)
	}
	return ActionDiskReplace, p.bootDiskError(ch.Key)
}

func differs(a, b Drive) func(key string) bool {
	before, after := a.Props(), b.Props()
	return func(key string) bool { return before[key] != after[key] }
}

// bootDiskError refuses to take away a drive from which the running VM may have booted.
func (p *hotplugPlan) bootDiskError(key string) error {
	boot, err := ParseBoot(p.cfg.Main["boot"])
	if err == nil && slices.Contains(boot.Order, key) || p.cfg.Main["bootdisk"] == key {
		return fmt.Errorf("can't unplug bootdisk '%s'", key)
	}
	return nil
}
