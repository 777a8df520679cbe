package vm

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm/cloudinit"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// makeMedium writes the cloud-init volume anew from the configuration, and stores that it is up to date.
func (s *Service) makeMedium(ctx context.Context, op *task.Op, v *VM) error {
	if err := s.writeMedium(ctx, v); err != nil {
		return err
	}
	if _, recorded := v.Config.Special[vmconfig.SpecialCloudInit]; !recorded {
		return nil
	}
	v.Config.CloudInitRegenerated()
	return s.commit(ctx, op, v)
}

// writeMedium replaces the volume: freed and made again, so that a crash in between leaves none, which the next start makes.
func (s *Service) writeMedium(ctx context.Context, v *VM) error {
	drive, ok, err := v.Config.Main.Drive(v.Config.Main.CloudInitDrive())
	if !ok || err != nil {
		return err
	}
	o, err := s.mediumOptions(ctx, v)
	if err != nil {
		return err
	}
	medium, err := cloudinit.Generate(v.Config.Main, o)
	if err != nil {
		return publicError(err)
	}
	iso, err := medium.ISO(s.o.Clock())
	if err != nil {
		return err
	}
	f, err := s.unlinkedFile(iso)
	if err != nil {
		return fmt.Errorf("cloud-init medium: %w", err)
	}
	defer f.Close()
	if err := s.freeIfThere(ctx, drive.File); err != nil {
		return err
	}
	return s.o.Volumes.Import(ctx, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), drive.File, volume.CopyOptions{SourceFormat: "raw"})
}

// unlinkedFile returns a file with the medium, which may hold a password, that is gone when it is closed, or after a crash.
func (s *Service) unlinkedFile(iso []byte) (*os.File, error) {
	if err := os.MkdirAll(s.o.RunDir, 0o711); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(s.o.RunDir, "cloudinit-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = f.Write(iso)
	}
	if err = errors.Join(err, f.Truncate(max(vmconfig.CloudInitBytes, int64(len(iso))))); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// mediumOptions gathers what the medium depends on besides the configuration.
func (s *Service) mediumOptions(ctx context.Context, v *VM) (cloudinit.Options, error) {
	o := cloudinit.Options{VMID: v.ID, HostDNS: s.o.Host.DNS()}
	custom, err := vmconfig.ParseCICustom(v.Config.Main["cicustom"])
	if err != nil || !v.Config.Main.Has("cicustom") {
		return o, nil
	}
	for _, part := range []struct {
		volid string
		into  *[]byte
	}{
		{custom.User, &o.Snippets.User}, {custom.Network, &o.Snippets.Network},
		{custom.Meta, &o.Snippets.Meta}, {custom.Vendor, &o.Snippets.Vendor},
	} {
		if part.volid == "" {
			continue
		}
		if *part.into, err = s.o.Volumes.ReadSnippet(ctx, part.volid, cloudinit.MaxSnippetBytes); err != nil {
			return o, err
		}
	}
	return o, nil
}

// mediumParams are the parameters of the hidden operation qmcloudinit.
type mediumParams struct{ ID int }

// runMedium makes the medium anew; a running guest gets it inserted again.
func (s *Service) runMedium(ctx context.Context, op *task.Op) error {
	var p mediumParams
	if err := op.Decode(&p); err != nil {
		return err
	}
	v, err := s.Load(ctx, p.ID)
	if err != nil {
		return err
	}
	if err := v.checkLock(); err != nil {
		return err
	}
	key := v.Config.Main.CloudInitDrive()
	if key == "" {
		return nil
	}
	g := s.guest(p.ID)
	if g == nil {
		return s.makeMedium(ctx, op, v)
	}
	return s.changeMedium(ctx, op, v, v, g, key, func() error { return s.makeMedium(ctx, op, v) })
}

// PutNodesQemuCloudinit answers PUT /nodes/{node}/qemu/{vmid}/cloudinit.
func (s *Service) PutNodesQemuCloudinit(ctx context.Context, req *schema.PutNodesQemuCloudinit) (any, error) {
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return nil, err
	}
	if err := v.checkLock(); err != nil {
		return nil, err
	}
	sp := spec(ctx, opMedium, v.ID, mediumParams{v.ID})
	sp.Hidden, sp.StartWithin = true, lockTimeout
	_, err = s.o.Tasks.SubmitWait(ctx, sp)
	return nil, s.busy(v.ID, err)
}

// GetNodesQemuCloudinit answers GET /nodes/{node}/qemu/{vmid}/cloudinit.
func (s *Service) GetNodesQemuCloudinit(ctx context.Context, req *schema.GetNodesQemuCloudinit) ([]vmconfig.Row, error) {
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return nil, err
	}
	return v.Config.CloudInitRows(), nil
}

// GetNodesQemuCloudinitDump answers GET /nodes/{node}/qemu/{vmid}/cloudinit/dump.
func (s *Service) GetNodesQemuCloudinitDump(ctx context.Context, req *schema.GetNodesQemuCloudinitDump) (string, error) {
	v, err := s.Load(ctx, int(req.Vmid))
	if err != nil {
		return "", err
	}
	mask := s.o.Access.CheckVM(ctx, v.ID, "", "VM.Config.Cloudinit") != nil
	text, err := cloudinit.Dump(v.Config.Main, cloudinit.Options{VMID: v.ID, HostDNS: s.o.Host.DNS()}, req.Type, mask)
	if err != nil {
		return "", call.Errorf("%w", err)
	}
	return text, nil
}
