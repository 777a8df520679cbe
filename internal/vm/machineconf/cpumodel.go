package machineconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// CPUModel is a custom processor model of the cluster, by its name without "custom-".
type CPUModel = vmconfig.CPU

// levelFlags are the flags of the models that stand for a level of the x86-64 ABI, on
// top of qemu64.
func levelFlags(model string) ([]string, bool) {
	v2 := []string{"popcnt", "pni", "sse4.1", "sse4.2", "ssse3"}
	aes := append(slices.Clone(v2), "aes")
	v3 := append(slices.Clone(aes), "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave")
	switch model {
	case "x86-64-v2":
		return v2, true
	case "x86-64-v2-AES":
		return aes, true
	case "x86-64-v3":
		return v3, true
	case "x86-64-v4":
		return append(slices.Clone(v3), "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"), true
	}
	return nil, false
}

func armModels() []string {
	return []string{"a64fx", "cortex-a35", "cortex-a53", "cortex-a55", "cortex-a57", "cortex-a710", "cortex-a72", "cortex-a76",
		"neoverse-n1", "neoverse-n2", "neoverse-v1", "max"}
}

// is32Bit tells whether a model knows no 64 bit mode.
func is32Bit(model string) bool {
	return slices.Contains([]string{"486", "pentium", "pentium2", "pentium3", "coreduo", "athlon", "kvm32", "qemu32"}, model)
}

// modelVendor returns the vendor id that guests of an x86 model see; empty for models
// that take the host's or none.
func modelVendor(model string) string {
	switch {
	case model == "athlon" || model == "phenom" || strings.HasPrefix(model, "Opteron") || strings.HasPrefix(model, "EPYC"):
		return "AuthenticAMD"
	case slices.Contains([]string{"kvm32", "kvm64", "qemu32", "qemu64", "max", "host"}, model):
		return ""
	}
	return "GenuineIntel"
}

// processor is the configured processor with what its custom model adds.
type processor struct {
	model       string
	option      vmconfig.CPU // of the guest, completed from the custom model
	builtin     []string     // flags of a level model
	customFlags vmconfig.CPUFlags
}

// processor resolves the option cpu.
func (b *builder) processor() (processor, error) {
	var p processor
	text := b.conf.Text("cpu", "")
	if text == "" {
		p.model = b.defaultModel()
		return p, nil
	}
	c, err := vmconfig.ParseCPU(text)
	if err != nil {
		p.model = b.defaultModel()
		return p, nil
	}
	p.option, p.model = c, c.Type
	if name := c.Custom(); name != "" {
		custom, ok := b.in.CPUModels[name]
		if !ok {
			return p, fmt.Errorf("Custom cputype '%s' not found", name) //nolint:staticcheck // public text
		}
		p.inherit(custom)
	}
	if flags, ok := levelFlags(p.model); ok && !b.arm() {
		p.model, p.builtin = "qemu64", flags
	}
	switch p.model {
	case "Icelake-Client", "Icelake-Client-noTSX":
		p.model = strings.Replace(p.model, "Client", "Server", 1)
	}
	if b.launch() && !b.kvm && p.model == "host" {
		b.warn("CPU model 'host' needs KVM, using 'max'")
		p.model = "max"
		return p, nil
	}
	return p, b.checkModel(p.model)
}

func (b *builder) defaultModel() string {
	switch {
	case b.arm() && b.kvm:
		return "host"
	case b.arm():
		return "max"
	case b.kvm:
		return "kvm64"
	}
	return "qemu64"
}

// inherit completes the guest's option from a custom model. What the model says with 0
// or nothing, it does not say.
func (p *processor) inherit(custom CPUModel) {
	p.model = custom.ReportedModel
	if p.model == "" {
		p.model = "kvm64"
	}
	p.customFlags = custom.Flags
	o := &p.option
	if !o.Hidden.Set && custom.Hidden.Or(false) {
		o.Hidden = custom.Hidden
	}
	if o.HVVendorID == "" {
		o.HVVendorID = custom.HVVendorID
	}
	if !o.Level.Set && custom.Level.Or(0) != 0 {
		o.Level = custom.Level
	}
	if o.PhysBits == "" && custom.PhysBits != "0" {
		o.PhysBits = custom.PhysBits
	}
	if !o.GuestPhysBits.Set && custom.GuestPhysBits.Or(0) != 0 {
		o.GuestPhysBits = custom.GuestPhysBits
	}
}

// checkModel refuses models of another architecture.
func (b *builder) checkModel(model string) error {
	arm := slices.Contains(armModels(), model)
	known := arm
	switch {
	case model == "host":
		known = b.arch == b.host.Arch
	case !b.arm():
		known = model == "max" || !arm && vmconfig.CheckCPU(model, nil) == nil
	}
	if known {
		return nil
	}
	return fmt.Errorf("CPU model '%s' does not exist for configured vCPU architecture '%s'", model, b.arch)
}
