package machineconf

import (
	"errors"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

// confidential adds the encryption of the guest's memory.
func (b *builder) confidential() error {
	if sev, err := vmconfig.ParseSEV(b.conf.Text("amd-sev", "")); b.conf.Has("amd-sev") && err == nil {
		return b.sev(sev)
	}
	if tdx, err := vmconfig.ParseTDX(b.conf.Text("intel-tdx", "")); b.conf.Has("intel-tdx") && err == nil {
		return b.tdx(tdx)
	}
	return nil
}

var errNoCapabilities = errors.New("/run/qemu-server/host-hw-capabilities.json does not exist. Please check the status of query-machine-capabilities: systemctl status query-machine-capabilities")

// Bits of the guest's policy. See the SEV and SEV-SNP firmware ABI specifications.
const (
	sevNoDebug, sevNoKeySharing, sevES, sevNoSend = 0x1, 0x2, 0x4, 0x8
	snpSMT, snpReserved, snpDebug                 = 0x10000, 0x20000, 0x80000
)

func (b *builder) sev(o vmconfig.SEV) error {
	host := b.host.Confidential
	if host == nil {
		return errNoCapabilities
	}
	switch {
	case !host.SEV:
		return errors.New("Your CPU does not support AMD SEV.") //nolint:staticcheck // public text
	case o.Type == "es" && !host.SEVES:
		return errors.New("Your CPU does not support AMD SEV-ES.") //nolint:staticcheck // public text
	case o.Type == "snp" && !host.SEVSNP:
		return errors.New("Your CPU does not support AMD SEV-SNP.") //nolint:staticcheck // public text
	case !b.efi:
		return errors.New("To use AMD SEV, you need to change the BIOS to OVMF.") //nolint:staticcheck // public text
	}
	object, policy := "sev-guest", uint64(sevNoSend)
	flag := func(set bool, bit uint64) {
		if set {
			policy |= bit
		}
	}
	if o.Type == "snp" {
		object, policy = "sev-snp-guest", snpReserved
		flag(o.AllowSMT.Or(true), snpSMT)
		flag(!o.NoDebug.Or(false), snpDebug)
	} else {
		flag(o.NoDebug.Or(false), sevNoDebug)
		flag(o.NoKeySharing.Or(false), sevNoKeySharing)
		flag(o.Type == "es", sevES)
	}
	guest := machine.Object{Type: object, ID: "sev0", Props: []machine.Property{{Name: "cbitpos", Value: host.CBitPos},
		{Name: "reduced-phys-bits", Value: host.ReducedPhysBits}, {Name: "policy", Value: machine.Hex(policy)}}}
	if o.KernelHashes.Or(false) {
		guest.Props = append(guest.Props, machine.Property{Name: "kernel-hashes", Value: true})
	}
	b.seal(guest)
	return nil
}

func (b *builder) tdx(o vmconfig.TDX) error {
	host := b.host.Confidential
	switch {
	case host == nil:
		return errNoCapabilities
	case !host.TDX:
		return errors.New("Your CPU does not support Intel TDX.") //nolint:staticcheck // public text
	case !b.efi:
		return errors.New("To use Intel TDX, you need to change the BIOS to OVMF.") //nolint:staticcheck // public text
	}
	guest := machine.Object{Type: "tdx-guest", ID: "tdx0"}
	if o.Attestation.Or(false) {
		switch {
		case !o.VsockCID.Set:
			return errors.New("Missing cid for vsock.") //nolint:staticcheck // public text
		case !o.VsockPort.Set:
			return errors.New("Missing port for vsock.") //nolint:staticcheck // public text
		}
		guest.Props = []machine.Property{{Name: "quote-generation-socket", Value: map[string]any{
			"type": "vsock", "cid": strconv.Itoa(o.VsockCID.Value), "port": strconv.Itoa(o.VsockPort.Value)}}}
	}
	b.m.Board.KernelIRQChip = "split"
	b.seal(guest)
	return nil
}

func (b *builder) seal(guest machine.Object) {
	b.m.Board.ConfidentialGuest = guest.ID
	b.parts.confidential = append(b.parts.confidential, machine.Unit{Name: guest.ID, Objects: []machine.Object{guest}})
}
