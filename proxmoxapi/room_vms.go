package proxmoxapi

import (
	"context"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// VMs is the subtree /nodes/{node}/qemu without consoles, and what a node does with all its guests. Methods that return a string start a task and return its UPID.
type VMs interface {
	GetNodesQemu(context.Context, *schema.GetNodesQemu) (any, error)
	PostNodesQemu(context.Context, *schema.PostNodesQemu) (string, error)
	PostNodesStartall(context.Context, *schema.PostNodesStartall) (string, error)
	PostNodesStopall(context.Context, *schema.PostNodesStopall) (string, error)
	PostNodesSuspendall(context.Context, *schema.PostNodesSuspendall) (string, error)
	DeleteNodesQemuVmid(context.Context, *schema.DeleteNodesQemuVmid) (string, error)

	GetNodesQemuConfig(context.Context, *schema.GetNodesQemuConfig) (map[string]any, error)
	PutNodesQemuConfig(context.Context, *schema.PutNodesQemuConfig) (any, error)
	PostNodesQemuConfig(context.Context, *schema.PostNodesQemuConfig) (any, error)
	GetNodesQemuPending(context.Context, *schema.GetNodesQemuPending) ([]vmconfig.Row, error)
	PutNodesQemuUnlink(context.Context, *schema.PutNodesQemuUnlink) (any, error)
	PutNodesQemuResize(context.Context, *schema.PutNodesQemuResize) (string, error)
	PostNodesQemuClone(context.Context, *schema.PostNodesQemuClone) (string, error)
	PostNodesQemuMoveDisk(context.Context, *schema.PostNodesQemuMoveDisk) (string, error)
	PostNodesQemuTemplate(context.Context, *schema.PostNodesQemuTemplate) (string, error)
	GetNodesQemuFeature(context.Context, *schema.GetNodesQemuFeature) (any, error)

	GetNodesQemuStatusCurrent(context.Context, *schema.GetNodesQemuStatusCurrent) (any, error)
	PostNodesQemuStatusStart(context.Context, *schema.PostNodesQemuStatusStart) (string, error)
	PostNodesQemuStatusStop(context.Context, *schema.PostNodesQemuStatusStop) (string, error)
	PostNodesQemuStatusShutdown(context.Context, *schema.PostNodesQemuStatusShutdown) (string, error)
	PostNodesQemuStatusReset(context.Context, *schema.PostNodesQemuStatusReset) (string, error)
	PostNodesQemuStatusReboot(context.Context, *schema.PostNodesQemuStatusReboot) (string, error)
	PostNodesQemuStatusSuspend(context.Context, *schema.PostNodesQemuStatusSuspend) (string, error)
	PostNodesQemuStatusResume(context.Context, *schema.PostNodesQemuStatusResume) (string, error)

	PostNodesQemuMonitor(context.Context, *schema.PostNodesQemuMonitor) (string, error)
	PutNodesQemuSendkey(context.Context, *schema.PutNodesQemuSendkey) (any, error)

	GetNodesQemuCloudinit(context.Context, *schema.GetNodesQemuCloudinit) ([]vmconfig.Row, error)
	PutNodesQemuCloudinit(context.Context, *schema.PutNodesQemuCloudinit) (any, error)
	GetNodesQemuCloudinitDump(context.Context, *schema.GetNodesQemuCloudinitDump) (string, error)

	PostNodesQemuAgentPing(context.Context, *schema.PostNodesQemuAgentPing) (any, error)
	GetNodesQemuAgentNetworkGetInterfaces(context.Context, *schema.GetNodesQemuAgentNetworkGetInterfaces) (any, error)
	GetNodesQemuAgent(context.Context, *schema.GetNodesQemuAgent) (any, error)
	PostNodesQemuAgent(context.Context, *schema.PostNodesQemuAgent) (any, error)
	PostNodesQemuAgentFsfreezeFreeze(context.Context, *schema.PostNodesQemuAgentFsfreezeFreeze) (any, error)
	PostNodesQemuAgentFsfreezeStatus(context.Context, *schema.PostNodesQemuAgentFsfreezeStatus) (any, error)
	PostNodesQemuAgentFsfreezeThaw(context.Context, *schema.PostNodesQemuAgentFsfreezeThaw) (any, error)
	PostNodesQemuAgentFstrim(context.Context, *schema.PostNodesQemuAgentFstrim) (any, error)
	GetNodesQemuAgentGetFsinfo(context.Context, *schema.GetNodesQemuAgentGetFsinfo) (any, error)
	GetNodesQemuAgentGetHostName(context.Context, *schema.GetNodesQemuAgentGetHostName) (any, error)
	GetNodesQemuAgentGetMemoryBlockInfo(context.Context, *schema.GetNodesQemuAgentGetMemoryBlockInfo) (any, error)
	GetNodesQemuAgentGetMemoryBlocks(context.Context, *schema.GetNodesQemuAgentGetMemoryBlocks) (any, error)
	GetNodesQemuAgentGetOsinfo(context.Context, *schema.GetNodesQemuAgentGetOsinfo) (any, error)
	GetNodesQemuAgentGetTime(context.Context, *schema.GetNodesQemuAgentGetTime) (any, error)
	GetNodesQemuAgentGetTimezone(context.Context, *schema.GetNodesQemuAgentGetTimezone) (any, error)
	GetNodesQemuAgentGetUsers(context.Context, *schema.GetNodesQemuAgentGetUsers) (any, error)
	GetNodesQemuAgentGetVcpus(context.Context, *schema.GetNodesQemuAgentGetVcpus) (any, error)
	GetNodesQemuAgentInfo(context.Context, *schema.GetNodesQemuAgentInfo) (any, error)
	PostNodesQemuAgentShutdown(context.Context, *schema.PostNodesQemuAgentShutdown) (any, error)
	PostNodesQemuAgentSuspendDisk(context.Context, *schema.PostNodesQemuAgentSuspendDisk) (any, error)
	PostNodesQemuAgentSuspendHybrid(context.Context, *schema.PostNodesQemuAgentSuspendHybrid) (any, error)
	PostNodesQemuAgentSuspendRam(context.Context, *schema.PostNodesQemuAgentSuspendRam) (any, error)
	PostNodesQemuAgentExec(context.Context, *schema.PostNodesQemuAgentExec) (any, error)
	GetNodesQemuAgentExecStatus(context.Context, *schema.GetNodesQemuAgentExecStatus) (any, error)
	GetNodesQemuAgentFileRead(context.Context, *schema.GetNodesQemuAgentFileRead) (any, error)
	PostNodesQemuAgentFileWrite(context.Context, *schema.PostNodesQemuAgentFileWrite) (any, error)
	PostNodesQemuAgentSetUserPassword(context.Context, *schema.PostNodesQemuAgentSetUserPassword) (any, error)
}

// RegisterVMs registers the methods of v.
func RegisterVMs(r *Registry, v VMs) {
	Handle(r, v.GetNodesQemu)
	Handle(r, v.PostNodesQemu)
	Handle(r, v.PostNodesStartall)
	Handle(r, v.PostNodesStopall)
	Handle(r, v.PostNodesSuspendall)
	Handle(r, v.DeleteNodesQemuVmid)
	Handle(r, v.GetNodesQemuConfig)
	Handle(r, v.PutNodesQemuConfig)
	Handle(r, v.PostNodesQemuConfig)
	Handle(r, v.GetNodesQemuPending)
	Handle(r, v.PutNodesQemuUnlink)
	Handle(r, v.PutNodesQemuResize)
	Handle(r, v.PostNodesQemuClone)
	Handle(r, v.PostNodesQemuMoveDisk)
	Handle(r, v.PostNodesQemuTemplate)
	Handle(r, v.GetNodesQemuFeature)
	Handle(r, v.GetNodesQemuStatusCurrent)
	Handle(r, v.PostNodesQemuStatusStart)
	Handle(r, v.PostNodesQemuStatusStop)
	Handle(r, v.PostNodesQemuStatusShutdown)
	Handle(r, v.PostNodesQemuStatusReset)
	Handle(r, v.PostNodesQemuStatusReboot)
	Handle(r, v.PostNodesQemuStatusSuspend)
	Handle(r, v.PostNodesQemuStatusResume)
	Handle(r, v.PostNodesQemuMonitor)
	Handle(r, v.PutNodesQemuSendkey)
	Handle(r, v.GetNodesQemuCloudinit)
	Handle(r, v.PutNodesQemuCloudinit)
	Handle(r, v.GetNodesQemuCloudinitDump)
	Handle(r, v.PostNodesQemuAgentPing)
	Handle(r, v.GetNodesQemuAgentNetworkGetInterfaces)
	Handle(r, v.GetNodesQemuAgent)
	Handle(r, v.PostNodesQemuAgent)
	Handle(r, v.PostNodesQemuAgentFsfreezeFreeze)
	Handle(r, v.PostNodesQemuAgentFsfreezeStatus)
	Handle(r, v.PostNodesQemuAgentFsfreezeThaw)
	Handle(r, v.PostNodesQemuAgentFstrim)
	Handle(r, v.GetNodesQemuAgentGetFsinfo)
	Handle(r, v.GetNodesQemuAgentGetHostName)
	Handle(r, v.GetNodesQemuAgentGetMemoryBlockInfo)
	Handle(r, v.GetNodesQemuAgentGetMemoryBlocks)
	Handle(r, v.GetNodesQemuAgentGetOsinfo)
	Handle(r, v.GetNodesQemuAgentGetTime)
	Handle(r, v.GetNodesQemuAgentGetTimezone)
	Handle(r, v.GetNodesQemuAgentGetUsers)
	Handle(r, v.GetNodesQemuAgentGetVcpus)
	Handle(r, v.GetNodesQemuAgentInfo)
	Handle(r, v.PostNodesQemuAgentShutdown)
	Handle(r, v.PostNodesQemuAgentSuspendDisk)
	Handle(r, v.PostNodesQemuAgentSuspendHybrid)
	Handle(r, v.PostNodesQemuAgentSuspendRam)
	Handle(r, v.PostNodesQemuAgentExec)
	Handle(r, v.GetNodesQemuAgentExecStatus)
	Handle(r, v.GetNodesQemuAgentFileRead)
	Handle(r, v.PostNodesQemuAgentFileWrite)
	Handle(r, v.PostNodesQemuAgentSetUserPassword)
}

// Consoles are terminals and screens of guests and of the node. A stream answers the WebSocket call that follows the
// proxy call with its ticket.
type Consoles interface {
	PostNodesQemuVncproxy(context.Context, *schema.PostNodesQemuVncproxy) (any, error)
	PostNodesQemuTermproxy(context.Context, *schema.PostNodesQemuTermproxy) (any, error)
	GetNodesQemuVncwebsocket(context.Context, *schema.GetNodesQemuVncwebsocket) (call.Stream, error)
}

// RegisterConsoles registers the methods of c.
func RegisterConsoles(r *Registry, c Consoles) {
	Handle(r, c.PostNodesQemuVncproxy)
	Handle(r, c.PostNodesQemuTermproxy)
	Handle(r, c.GetNodesQemuVncwebsocket)
}
