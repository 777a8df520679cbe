package vm

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// PostNodesQemuAgentFsfreezeFreeze answers POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-freeze.
func (s *Service) PostNodesQemuAgentFsfreezeFreeze(ctx context.Context, req *schema.PostNodesQemuAgentFsfreezeFreeze) (any, error) {
	return s.simple(ctx, req.Vmid, "fsfreeze-freeze")
}

// PostNodesQemuAgentFsfreezeStatus answers POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-status.
func (s *Service) PostNodesQemuAgentFsfreezeStatus(ctx context.Context, req *schema.PostNodesQemuAgentFsfreezeStatus) (any, error) {
	return s.simple(ctx, req.Vmid, "fsfreeze-status")
}

// PostNodesQemuAgentFsfreezeThaw answers POST /nodes/{node}/qemu/{vmid}/agent/fsfreeze-thaw.
func (s *Service) PostNodesQemuAgentFsfreezeThaw(ctx context.Context, req *schema.PostNodesQemuAgentFsfreezeThaw) (any, error) {
	return s.simple(ctx, req.Vmid, "fsfreeze-thaw")
}

// PostNodesQemuAgentFstrim answers POST /nodes/{node}/qemu/{vmid}/agent/fstrim.
func (s *Service) PostNodesQemuAgentFstrim(ctx context.Context, req *schema.PostNodesQemuAgentFstrim) (any, error) {
	return s.simple(ctx, req.Vmid, "fstrim")
}

// GetNodesQemuAgentGetFsinfo answers GET /nodes/{node}/qemu/{vmid}/agent/get-fsinfo.
func (s *Service) GetNodesQemuAgentGetFsinfo(ctx context.Context, req *schema.GetNodesQemuAgentGetFsinfo) (any, error) {
	return s.simple(ctx, req.Vmid, "get-fsinfo")
}

// GetNodesQemuAgentGetHostName answers GET /nodes/{node}/qemu/{vmid}/agent/get-host-name.
func (s *Service) GetNodesQemuAgentGetHostName(ctx context.Context, req *schema.GetNodesQemuAgentGetHostName) (any, error) {
	return s.simple(ctx, req.Vmid, "get-host-name")
}

// GetNodesQemuAgentGetMemoryBlockInfo answers GET /nodes/{node}/qemu/{vmid}/agent/get-memory-block-info.
func (s *Service) GetNodesQemuAgentGetMemoryBlockInfo(ctx context.Context, req *schema.GetNodesQemuAgentGetMemoryBlockInfo) (any, error) {
	return s.simple(ctx, req.Vmid, "get-memory-block-info")
}

// GetNodesQemuAgentGetMemoryBlocks answers GET /nodes/{node}/qemu/{vmid}/agent/get-memory-blocks.
func (s *Service) GetNodesQemuAgentGetMemoryBlocks(ctx context.Context, req *schema.GetNodesQemuAgentGetMemoryBlocks) (any, error) {
	return s.simple(ctx, req.Vmid, "get-memory-blocks")
}

// GetNodesQemuAgentGetOsinfo answers GET /nodes/{node}/qemu/{vmid}/agent/get-osinfo.
func (s *Service) GetNodesQemuAgentGetOsinfo(ctx context.Context, req *schema.GetNodesQemuAgentGetOsinfo) (any, error) {
	return s.simple(ctx, req.Vmid, "get-osinfo")
}

// GetNodesQemuAgentGetTime answers GET /nodes/{node}/qemu/{vmid}/agent/get-time.
func (s *Service) GetNodesQemuAgentGetTime(ctx context.Context, req *schema.GetNodesQemuAgentGetTime) (any, error) {
	return s.simple(ctx, req.Vmid, "get-time")
}

// GetNodesQemuAgentGetTimezone answers GET /nodes/{node}/qemu/{vmid}/agent/get-timezone.
func (s *Service) GetNodesQemuAgentGetTimezone(ctx context.Context, req *schema.GetNodesQemuAgentGetTimezone) (any, error) {
	return s.simple(ctx, req.Vmid, "get-timezone")
}

// GetNodesQemuAgentGetUsers answers GET /nodes/{node}/qemu/{vmid}/agent/get-users.
func (s *Service) GetNodesQemuAgentGetUsers(ctx context.Context, req *schema.GetNodesQemuAgentGetUsers) (any, error) {
	return s.simple(ctx, req.Vmid, "get-users")
}

// GetNodesQemuAgentGetVcpus answers GET /nodes/{node}/qemu/{vmid}/agent/get-vcpus.
func (s *Service) GetNodesQemuAgentGetVcpus(ctx context.Context, req *schema.GetNodesQemuAgentGetVcpus) (any, error) {
	return s.simple(ctx, req.Vmid, "get-vcpus")
}

// GetNodesQemuAgentInfo answers GET /nodes/{node}/qemu/{vmid}/agent/info.
func (s *Service) GetNodesQemuAgentInfo(ctx context.Context, req *schema.GetNodesQemuAgentInfo) (any, error) {
	return s.simple(ctx, req.Vmid, "info")
}

// GetNodesQemuAgentNetworkGetInterfaces answers GET /nodes/{node}/qemu/{vmid}/agent/network-get-interfaces.
func (s *Service) GetNodesQemuAgentNetworkGetInterfaces(ctx context.Context, req *schema.GetNodesQemuAgentNetworkGetInterfaces) (any, error) {
	return s.simple(ctx, req.Vmid, "network-get-interfaces")
}

// PostNodesQemuAgentPing answers POST /nodes/{node}/qemu/{vmid}/agent/ping.
func (s *Service) PostNodesQemuAgentPing(ctx context.Context, req *schema.PostNodesQemuAgentPing) (any, error) {
	return s.simple(ctx, req.Vmid, "ping")
}

// PostNodesQemuAgentShutdown answers POST /nodes/{node}/qemu/{vmid}/agent/shutdown.
func (s *Service) PostNodesQemuAgentShutdown(ctx context.Context, req *schema.PostNodesQemuAgentShutdown) (any, error) {
	return s.simple(ctx, req.Vmid, "shutdown")
}

// PostNodesQemuAgentSuspendDisk answers POST /nodes/{node}/qemu/{vmid}/agent/suspend-disk.
func (s *Service) PostNodesQemuAgentSuspendDisk(ctx context.Context, req *schema.PostNodesQemuAgentSuspendDisk) (any, error) {
	return s.simple(ctx, req.Vmid, "suspend-disk")
}

// PostNodesQemuAgentSuspendHybrid answers POST /nodes/{node}/qemu/{vmid}/agent/suspend-hybrid.
func (s *Service) PostNodesQemuAgentSuspendHybrid(ctx context.Context, req *schema.PostNodesQemuAgentSuspendHybrid) (any, error) {
	return s.simple(ctx, req.Vmid, "suspend-hybrid")
}

// PostNodesQemuAgentSuspendRam answers POST /nodes/{node}/qemu/{vmid}/agent/suspend-ram.
func (s *Service) PostNodesQemuAgentSuspendRam(ctx context.Context, req *schema.PostNodesQemuAgentSuspendRam) (any, error) {
	return s.simple(ctx, req.Vmid, "suspend-ram")
}
