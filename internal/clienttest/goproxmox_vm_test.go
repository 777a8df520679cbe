package clienttest

import (
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	proxmox "github.com/luthermonson/go-proxmox"
	"github.com/stretchr/testify/require"
)

// vmTest follows one VM from its creation to its end as a template.
type vmTest struct {
	*goProxmox
	id      int
	vm      *proxmox.VirtualMachine
	cluster *proxmox.Cluster
}

func (g *goProxmox) vm(t *testing.T) {
	v := &vmTest{goProxmox: g}
	if !t.Run("create", v.create) {
		return
	}
	t.Run("change the configuration", v.change)
	t.Run("resize a disk", v.resize)
	if t.Run("start", v.start) {
		t.Run("terminal", v.terminal)
		t.Run("agent", v.agent)
		t.Run("screen", v.screen)
		t.Run("shut down", v.shutDown)
	}
	if t.Run("template", v.template) {
		t.Run("linked clone", v.linkedClone)
		t.Run("full clone", v.fullClone)
	}
	t.Run("delete", v.delete)
}

func (v *vmTest) create(t *testing.T) {
	ctx := t.Context()
	var err error
	v.cluster, err = v.client.Cluster(ctx)
	require.NoError(t, err)
	v.id = firstID
	task, err := v.node.NewVirtualMachine(ctx, v.id, []proxmox.VirtualMachineOption{
		{Name: "name", Value: "harbour"},
		{Name: "memory", Value: 256}, {Name: "cores", Value: 1}, {Name: "ostype", Value: "l26"},
		{Name: "agent", Value: 1}, {Name: "onboot", Value: false}, {Name: "kvm", Value: 0},
		{Name: "scsihw", Value: "virtio-scsi-pci"},
		{Name: "scsi0", Value: storage + ":0,import-from=" + diskVol},
		{Name: "ide2", Value: storage + ":cloudinit"},
		{Name: "net0", Value: "virtio,bridge=" + bridge},
		{Name: "ipconfig0", Value: "ip=" + network + "10/24,gw=" + hostIP},
		{Name: "sshkeys", Value: proxmox.EncodeSSHKeys("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOe+Dk/h1XlfbI3bLz4kLpPqZfWzHkWn1hHfvJ0n3b1k mira@example.org")},
		{Name: "ciuser", Value: "mira"}, {Name: "tags", Value: "ships;Blue"},
		{Name: "serial0", Value: "socket"}, {Name: "boot", Value: "order=scsi0"},
	}...)
	require.NoError(t, err)
	wait(t, task, "OK")
	require.Equal(t, "qmcreate", task.Type)
	require.Equal(t, strconv.Itoa(v.id), task.ID)
	require.Equal(t, rootUser, task.User)
	log, err := task.Log(ctx, 0, 50)
	require.NoError(t, err)
	require.Equal(t, "TASK OK", log[len(log)-1])

	v.vm, err = v.node.VirtualMachine(ctx, v.id)
	require.NoError(t, err)
	require.True(t, v.vm.IsStopped())
	require.Equal(t, "harbour", v.vm.Name)
	c := v.vm.VirtualMachineConfig
	require.Regexp(t, `^[0-9a-f]{40}$`, c.Digest)
	require.Equal(t, 256, int(c.Memory))
	require.Equal(t, 1, *c.Cores)
	require.False(t, bool(*c.KVM))
	require.Regexp(t, `^local:`+strconv.Itoa(v.id)+`/vm-\d+-disk-0\.(raw|qcow2),.*size=\d+M$`, c.SCSIs["scsi0"])
	require.Contains(t, c.IDEs["ide2"], "media=cdrom")
	require.Regexp(t, `^virtio=([0-9A-F]{2}:){5}[0-9A-F]{2},bridge=`+bridge+`$`, c.Nets["net0"])
	require.Equal(t, "ip="+network+"10/24,gw="+hostIP, c.IPConfigs["ipconfig0"])
	require.Equal(t, "blue;ships", c.Tags)
	require.True(t, strings.HasPrefix(c.SSHKeys, "ssh-ed25519%20AAAA"), c.SSHKeys)
	require.Equal(t, "socket", c.Serials["serial0"])

	free, err := v.cluster.CheckID(ctx, v.id)
	require.NoError(t, err)
	require.False(t, free)
	_, err = v.node.NewVirtualMachine(ctx, v.id)
	require.ErrorContains(t, err, "already exists")
	_, err = v.node.VirtualMachine(ctx, 99999)
	require.ErrorContains(t, err, "500 Configuration file 'nodes/"+node+"/qemu-server/99999.conf' does not exist")
}

// config asks for the configuration anew.
func (v *vmTest) config(t *testing.T) *proxmox.VirtualMachineConfig {
	t.Helper()
	require.NoError(t, v.vm.Ping(t.Context()))
	return v.vm.VirtualMachineConfig
}

func (v *vmTest) change(t *testing.T) {
	ctx := t.Context()
	waitOK(t)(v.vm.Config(ctx, proxmox.VirtualMachineOption{Name: "cores", Value: 2},
		proxmox.VirtualMachineOption{Name: "description", Value: "quay 3\nmoored – still"}))
	require.NoError(t, v.vm.ConfigSync(ctx, proxmox.VirtualMachineOption{Name: "scsi1", Value: storage + ":1,format=qcow2"},
		proxmox.VirtualMachineOption{Name: "delete", Value: "tags"}))
	c := v.config(t)
	require.Equal(t, 2, *c.Cores)
	require.Equal(t, "quay 3\nmoored – still", strings.TrimSuffix(c.Description, "\n"))
	require.Contains(t, c.SCSIs["scsi1"], "size=1G")
	require.Empty(t, c.Tags)

	waitOK(t)(v.vm.AddTag(ctx, "moored"))
	require.Equal(t, "moored", strings.Trim(v.config(t).Tags, ";"))

	err := v.vm.ConfigSync(ctx, proxmox.VirtualMachineOption{Name: "cores", Value: "many"})
	require.ErrorContains(t, err, "bad request: 400 Parameter verification failed.")
	require.ErrorContains(t, err, "type check ('integer') failed - got 'many'")
	err = v.vm.ConfigSync(ctx, proxmox.VirtualMachineOption{Name: "cores", Value: 1},
		proxmox.VirtualMachineOption{Name: "digest", Value: strings.Repeat("0", 40)})
	require.ErrorContains(t, err, "500 checksum mismatch (file change by other user?)")

	_, err = v.vm.UnlinkDisk(ctx, "scsi1", true) // answers no task
	require.NoError(t, err)
	require.NotContains(t, v.config(t).SCSIs, "scsi1")
	waitOK(t)(v.vm.Config(ctx, proxmox.VirtualMachineOption{Name: "cores", Value: 1}))

	// A cloud-init image of the client's own making, as cluster-api-provider-proxmox attaches it.
	require.NoError(t, v.vm.CloudInit(ctx, "ide0", "#cloud-config\nhostname: quay\n", "instance-id: one\n", "", ""))
	require.Contains(t, v.config(t).IDEs["ide0"], "local:iso/user-data-"+strconv.Itoa(v.id)+".iso")
	require.True(t, v.vm.HasTag(proxmox.MakeTag(proxmox.TagCloudInit)))
	require.NoError(t, v.vm.UnmountCloudInitISO(ctx, "ide0"))
	waitOK(t)(v.vm.Config(ctx, proxmox.VirtualMachineOption{Name: "delete", Value: "ide0,tags"},
		proxmox.VirtualMachineOption{Name: "boot", Value: "order=scsi0"}))
}

func (v *vmTest) resize(t *testing.T) {
	ctx := t.Context()
	waitOK(t)(v.vm.ResizeDisk(ctx, "scsi0", "+32M"))
	require.Contains(t, v.config(t).SCSIs["scsi0"], "size=64M")
	waitOK(t)(v.vm.ResizeDisk(ctx, "scsi0", "100663296"))
	require.Contains(t, v.config(t).SCSIs["scsi0"], "size=96M")
	task, err := v.vm.ResizeDisk(ctx, "scsi0", "64M")
	require.NoError(t, err)
	wait(t, task, "shrinking disks is not supported")
}

func (v *vmTest) start(t *testing.T) {
	ctx := t.Context()
	waitOK(t)(v.vm.Start(ctx))
	require.NoError(t, v.vm.Ping(ctx))
	require.True(t, v.vm.IsRunning())
	require.Positive(t, uint64(v.vm.PID))
	vms, err := v.node.VirtualMachines(ctx)
	require.NoError(t, err)
	require.Len(t, vms, 1)
	require.Equal(t, uint64(v.id), uint64(vms[0].VMID))
	require.True(t, vms[0].IsRunning())
	rows, err := v.cluster.Resources(ctx, "vm")
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, uint64(v.id), rows[0].VMID)
	require.Equal(t, uint64(0), rows[0].Template)
}

func (v *vmTest) agent(t *testing.T) {
	ctx := t.Context()
	require.NoError(t, v.vm.WaitForAgent(ctx, 90))
	faces, err := v.vm.AgentGetNetworkIFaces(ctx)
	require.NoError(t, err)
	require.Len(t, faces, 1, "lo is left out by the client")
	require.Contains(t, v.config(t).Nets["net0"], strings.ToUpper(faces[0].HardwareAddress))
	address := named(t, faces[0].IPAddresses, func(a *proxmox.AgentNetworkIPAddress) bool { return a.IPAddressType == "ipv4" })
	require.Equal(t, network+"10", address.IPAddress)
	require.Equal(t, 24, address.Prefix)

	name, err := v.vm.AgentGetHostName(ctx)
	require.NoError(t, err)
	require.Equal(t, "harbour", name)
	info, err := v.vm.AgentGetInfo(ctx)
	require.NoError(t, err)
	require.NotEmpty(t, info.Version)
	require.NoError(t, v.vm.AgentPing(ctx))

	pid, err := v.vm.AgentExec(ctx, []string{"/bin/busybox", "tr", "a-z", "A-Z"}, "ahoy")
	require.NoError(t, err)
	status, err := v.vm.WaitForAgentExecExit(ctx, pid, 20)
	require.NoError(t, err)
	require.Equal(t, 0, status.ExitCode)
	require.Equal(t, "AHOY", status.OutData)

	out, err := exec.CommandContext(ctx, "ping", "-c", "1", "-W", "2", network+"10").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func (v *vmTest) shutDown(t *testing.T) {
	ctx := t.Context()
	waitOK(t)(v.vm.Shutdown(ctx))
	require.NoError(t, v.vm.Ping(ctx))
	require.True(t, v.vm.IsStopped())
	err := v.vm.WaitForAgent(ctx, 1)
	require.ErrorContains(t, err, "500 VM "+strconv.Itoa(v.id)+" is not running")
	_, err = v.vm.Reset(ctx)
	require.ErrorContains(t, err, "500 VM "+strconv.Itoa(v.id)+" not running")
	waitOK(t)(v.vm.Stop(ctx)) // of a stopped VM
}

func (v *vmTest) template(t *testing.T) {
	waitOK(t)(v.vm.ConvertToTemplate(t.Context()))
	c := v.config(t)
	require.True(t, bool(c.Template))
	require.True(t, bool(v.vm.Template))
	require.Contains(t, c.SCSIs["scsi0"], "/base-")
	task, err := v.vm.Start(t.Context())
	require.NoError(t, err)
	wait(t, task, "you can't start a vm if it's a template")
}

func (v *vmTest) linkedClone(t *testing.T) {
	ctx := t.Context()
	id, task, err := v.vm.Clone(ctx, &proxmox.VirtualMachineCloneOptions{NewID: firstID + 1, Name: "skiff"})
	waitOK(t)(task, err)
	clone, err := v.node.VirtualMachine(ctx, id)
	require.NoError(t, err)
	require.False(t, bool(clone.Template))
	require.Regexp(t, `^local:\d+/base-\d+-disk-0\.(raw|qcow2)/\d+/vm-\d+-disk-0\.qcow2,`, clone.VirtualMachineConfig.SCSIs["scsi0"])
	require.Equal(t, "skiff", clone.VirtualMachineConfig.Name)
	require.NotEqual(t, v.config(t).Nets["net0"], clone.VirtualMachineConfig.Nets["net0"], "a clone has a MAC of its own")

	task, err = v.vm.Delete(ctx, nil)
	require.NoError(t, err)
	require.NoError(t, task.Wait(ctx, 200*time.Millisecond, time.Minute))
	require.Contains(t, task.ExitStatus, "is still in use by linked clone")

	waitOK(t)(clone.Start(ctx))
	_, err = clone.Delete(ctx, nil)
	require.ErrorContains(t, err, "500 VM "+strconv.Itoa(id)+" is running - destroy failed")
	waitOK(t)(clone.Reset(ctx))
	waitOK(t)(clone.Pause(ctx))
	require.NoError(t, clone.Ping(ctx))
	require.True(t, clone.IsPaused())
	waitOK(t)(clone.Resume(ctx))
	waitOK(t)(clone.Stop(ctx))
	waitOK(t)(clone.Delete(ctx, &proxmox.VirtualMachineDeleteOptions{Purge: true, DestroyUnreferencedDisks: true}))
}

func (v *vmTest) fullClone(t *testing.T) {
	ctx := t.Context()
	id, task, err := v.vm.Clone(ctx, &proxmox.VirtualMachineCloneOptions{NewID: firstID + 2, Full: true, Name: "barge", Format: "qcow2"})
	waitOK(t)(task, err)
	require.Equal(t, firstID+2, id)
	clone, err := v.node.VirtualMachine(ctx, id)
	require.NoError(t, err)
	require.Regexp(t, `^local:\d+/vm-\d+-disk-\d+\.qcow2,`, clone.VirtualMachineConfig.SCSIs["scsi0"])
	_, _, err = v.vm.Clone(ctx, &proxmox.VirtualMachineCloneOptions{NewID: id})
	require.ErrorContains(t, err, "unable to create VM "+strconv.Itoa(id)+": config file already exists")
	waitOK(t)(clone.Delete(ctx, nil))
}

func (v *vmTest) delete(t *testing.T) {
	ctx := t.Context()
	vms, err := v.node.VirtualMachines(ctx)
	require.NoError(t, err)
	slices.SortFunc(vms, func(a, b *proxmox.VirtualMachine) int { return int(b.VMID) - int(a.VMID) })
	for _, vm := range vms { // one, and stopped, unless something failed before: clones first
		waitOK(t)(vm.Stop(ctx))
		waitOK(t)(vm.Delete(ctx, &proxmox.VirtualMachineDeleteOptions{Purge: true, DestroyUnreferencedDisks: true}))
	}
	_, err = v.node.VirtualMachine(ctx, v.id)
	require.ErrorContains(t, err, "does not exist")
	content, err := v.store.GetContent(ctx)
	require.NoError(t, err)
	require.Len(t, content, 1, "the disk to import from alone")
	vms, err = v.node.VirtualMachines(ctx)
	require.NoError(t, err)
	require.Empty(t, vms)
}
