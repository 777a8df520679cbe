package disks

import (
	"context"
	"errors"

	"github.com/turtacn/go-proxmox/internal/hostdisk"
	"github.com/turtacn/go-proxmox/internal/hosttool"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// GetNodesDisksList answers the local disks.
func (s *Service) GetNodesDisksList(ctx context.Context, req *schema.GetNodesDisksList) (any, error) {
	all, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	disks := []hostdisk.Disk{}
	for i := range all {
		if d := &all[i]; req.Type == nil || *req.Type == "unused" && d.Unused() || *req.Type == "journal_disks" && d.TakesJournals() {
			disks = append(disks, *d)
		}
	}
	if req.Skipsmart == nil || !*req.Skipsmart {
		for i := range disks {
			if report, err := s.smart(ctx, disks[i].Path, !disks[i].Wears()); err == nil {
				disks[i].AddSMART(report)
			}
		}
	}
	return hostdisk.Rows(disks, req.IncludePartitions != nil && *req.IncludePartitions), nil
}

// smart asks a disk about itself. The lowest two bits of smartctl's exit code are failures; the others are about the disk.
func (s *Service) smart(ctx context.Context, path string, healthOnly bool) (hostdisk.SMART, error) {
	args := []string{"-H"}
	if !healthOnly {
		args = append(args, "-A", "-f", "brief")
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	out, err := s.o.Tools.Run(ctx, hosttool.Command{Name: "smartctl", Args: append(args, path)})
	if e, ok := errors.AsType[*hosttool.Error](err); ok {
		if e.Exit < 0 || e.Exit&3 != 0 {
			return hostdisk.SMART{}, &call.Error{Status: 500, Text: "Error getting S.M.A.R.T. data: Exit code: " + exitText(e.Exit), Err: err}
		}
		err = nil
	}
	return hostdisk.ParseSMART(string(out)), explain("smartctl", err)
}

// GetNodesDisksSmart answers a disk's report on itself.
func (s *Service) GetNodesDisksSmart(ctx context.Context, req *schema.GetNodesDisksSmart) (any, error) {
	path, err := s.resolve(req.Disk)
	if err != nil {
		return nil, err
	}
	report, err := s.smart(ctx, path, req.Healthonly != nil && *req.Healthonly)
	if err != nil {
		return nil, err
	}
	return report.Row(), nil
}
