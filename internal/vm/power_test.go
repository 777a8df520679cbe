package vm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

func TestStartAndStop(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "name", "one", "memory", 16, "net0", "virtio,bridge=vmbr0", "scsi0", "local:1")
	require.Equal(t, "Configuration file 'nodes/alpha/qemu-server/999.conf' does not exist", s.fails(s.start(999)))
	require.Equal(t, "unable to find configuration file for VM 999 on node 'alpha'", s.fails(s.stopTask(999)))
	require.Equal(t, "unable to find configuration file for VM 999 on node 'alpha'", s.fails(s.shutdown(999)))
	for _, refused := range []func(int) (string, error){s.reset, s.resume, func(id int) (string, error) { return s.reboot(id) }, func(id int) (string, error) { return s.suspend(id) }} {
		_, err := refused(100)
		require.EqualError(t, err, "VM 100 not running")
		_, err = refused(999)
		require.EqualError(t, err, "unable to find configuration file for VM 999 on node 'alpha'")
	}
	s.ok(s.stopTask(100))
	s.ok(s.shutdown(100))

	s.startVM(100)
	require.Equal(t, "VM 100 already running", s.fails(s.start(100)))
	c := s.current(100)
	require.Equal(t, "running", c.Status)
	require.Equal(t, "running", c.QMPStatus)
	require.Equal(t, s.pid(100), c.PID)
	require.Regexp(t, `^pc-i440fx-\d+\.\d+$`, c.RunningMachine)
	require.Equal(t, s.guest(100).proc.QMP().Greeting().Version.String(), c.RunningQEMU)
	require.Less(t, c.Uptime, int64(60))
	require.NotEmpty(t, c.BlockStat["scsi0"])
	require.Contains(t, c.NICs, "tap100i0")
	require.Equal(t, int64(16<<20), c.Balloon)

	s.ok(s.stopTask(100))
	c = s.current(100)
	require.Equal(t, "stopped", c.Status)
	require.Equal(t, "stopped", c.QMPStatus)
	require.Zero(t, c.PID)
	require.Empty(t, s.processes())
	require.Empty(t, s.taps())
	require.Empty(t, s.keys("/obs/"))

	require.NoError(t, s.setVM(100, "lock", "backup"))
	require.Equal(t, "VM is locked (backup)", s.fails(s.start(100)))
	s.ok(s.stopTask(100)) // does not run: nothing to do
	s.ok(s.start(100, "skiplock", 1))
	require.Equal(t, "VM is locked (backup)", s.fails(s.stopTask(100)))
	require.Equal(t, "VM is locked (backup)", s.fails(s.shutdown(100)))
	require.Equal(t, "VM is locked (backup)", s.fails(s.reboot(100)))
	require.Equal(t, "VM is locked (backup)", s.fails(s.reset(100)))
	s.ok(s.suspend(100))
	require.Equal(t, "paused", s.current(100).QMPStatus)
	s.ok(s.start(100)) // as after a backup
	require.Equal(t, "running", s.current(100).QMPStatus)
	_, err := ask(s, s.as("other@pve"), s.PostNodesQemuStatusStop, kv{"vmid", 100})
	require.Error(t, err)
}

func TestPauseResetResume(t *testing.T) {
	s := newGuestSite(t)
	s.makeACPI(100)
	s.startACPI(100)
	pid := s.pid(100)
	s.ok(s.suspend(100))
	require.Equal(t, "paused", s.current(100).QMPStatus)
	s.eventually("the list shows it, too", func() bool { return s.inv.Guest(100).Live.Status == "paused" })
	_, err := s.shutdown(100)
	require.EqualError(t, err, "VM is paused - cannot shutdown")
	_, err = s.reboot(100)
	require.EqualError(t, err, "VM is paused - cannot shutdown")
	s.ok(s.resume(100))
	s.ok(s.resume(100)) // runs already
	require.Equal(t, "running", s.current(100).QMPStatus)

	before := s.ticks(100)
	s.eventually("it ticks on", func() bool { return s.ticks(100) > before })
	s.ok(s.reset(100))
	require.Equal(t, pid, s.pid(100))
	s.awaitACPI(100)

	s.ok(s.suspend(100))
	s.ok(s.shutdown(100, "forceStop", 1)) // pulls the plug at once
	require.Zero(t, s.pid(100))
}

func TestShutdown(t *testing.T) {
	s := newGuestSite(t)
	s.makeACPI(100)
	s.makeVM(101, "memory", 16, "scsi0", "local:0,import-from="+s.bootImage()) // knows no button
	s.startVM(101)
	s.startACPI(100)
	s.ok(s.shutdown(100))
	require.Zero(t, s.pid(100))

	require.Equal(t, "VM quit/powerdown failed - got timeout", s.fails(s.shutdown(101, "timeout", 1)))
	require.NotZero(t, s.pid(101))
	require.Equal(t, "VM quit/powerdown failed - got timeout", s.fails(s.reboot(101, "timeout", 1)))
	require.False(t, s.guest(101).holds().Reboot, "no longer noted")

	// One that waits is overruled.
	id, err := s.shutdown(101, "timeout", 300)
	require.NoError(t, err)
	s.eventually("it runs", func() bool {
		u, err := upid.Parse(id)
		require.NoError(t, err)
		st, err := s.tasks.Status(u)
		return err == nil && st.Running && st.Position == 0
	})
	log := s.ok(s.stopTask(101, "overrule-shutdown", 1))
	require.Contains(t, log, "overruled qmshutdown tasks: "+id)
	exit, _ := s.wait(id)
	require.Equal(t, "received interrupt", exit)
	require.Empty(t, s.keys("/obs/"))

	s.startVM(101)
	log = s.ok(s.shutdown(101, "timeout", 1, "forceStop", 1))
	require.Contains(t, log, "WARN: VM still running - terminating now with SIGTERM")
	require.Zero(t, s.pid(101))
}

func TestReboot(t *testing.T) {
	s := newGuestSite(t)
	s.makeACPI(100, "net0", "virtio,bridge=vmbr0")
	s.startACPI(100)
	pid := s.pid(100)
	require.NoError(t, s.setVM(100, "cores", 2))
	require.Equal(t, "2", s.conf(100).Pending["cores"])
	s.ok(s.reboot(100))
	s.idle()
	require.NotZero(t, s.pid(100))
	require.NotEqual(t, pid, s.pid(100))
	require.Equal(t, "2", s.conf(100).Main["cores"])
	rows, _ := s.tasks.List(task.Filter{Finished: true, Type: opStart, ID: "100", Limit: 1})
	require.Equal(t, "root@pam", rows[0].UPID.User)

	// A guest that powers off by itself is cleaned up behind; what is pending waits for the next start.
	s.awaitACPI(100)
	require.NoError(t, s.setVM(100, "cores", 1))
	require.NoError(t, s.guest(100).do(s.root(), "system_powerdown", nil, nil))
	s.eventually("it ends", func() bool { return len(s.keys("/obs/")) == 0 })
	s.idle()
	require.Equal(t, "1", s.conf(100).Pending["cores"])
	require.Empty(t, s.taps())
	s.startVM(100)
	require.Equal(t, "1", s.conf(100).Main["cores"])
	require.NoError(t, syscall.Kill(s.pid(100), syscall.SIGKILL))
	s.eventually("it is cleaned up behind", func() bool { return len(s.keys("/obs/")) == 0 })
	require.Equal(t, "stopped", s.current(100).Status)
}

// What fails while a VM starts leaves nothing behind and says why.
func TestStartFails(t *testing.T) {
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "scsi0", "local:1", "net0", "virtio,bridge=vmbr0", "net1", "virtio,bridge=vmbr9")
	require.Equal(t, "bridge 'vmbr9' does not exist", s.fails(s.start(100)))
	s.nothingHeld(100)
	require.NoError(t, s.setVM(100, "delete", "net1", "args", "-no-such-option"))
	id, err := s.start(100)
	require.NoError(t, err)
	exit, log := s.wait(id)
	require.Equal(t, "start failed: QEMU exited with code 1", exit)
	require.Contains(t, strings.Join(log, "\n"), "no-such-option")
	s.nothingHeld(100)
	open := t.TempDir() // for a socket that QEMU makes itself
	require.NoError(t, os.Chmod(filepath.Dir(open), 0o711))
	require.NoError(t, os.Chmod(open, 0o777))
	require.NoError(t, s.setVM(100, "args", "-S -incoming defer -chardev socket,id=w,path="+open+"/w,server=on,wait=on"))
	require.Equal(t, "start failed: QEMU did not answer within 1s: got timeout", s.fails(s.start(100, "timeout", 1))) // it waits for a client
	s.nothingHeld(100)

	// The same, cancelled.
	id, err = s.start(100, "timeout", 60)
	require.NoError(t, err)
	u, err := upid.Parse(id)
	require.NoError(t, err)
	s.eventually("QEMU is there", func() bool { return len(s.processes()) == 1 })
	require.NoError(t, s.tasks.Cancel(context.Background(), u))
	exit, _ = s.wait(id)
	require.Equal(t, "received interrupt", exit)
	s.nothingHeld(100)
}

// nothingHeld requires that a VM that does not run holds nothing.
func (s *site) nothingHeld(id int) {
	s.t.Helper()
	require.Zero(s.t, s.pid(id))
	require.Empty(s.t, s.processes())
	require.Empty(s.t, s.taps())
	require.Empty(s.t, s.keys("/obs/"))
	require.NoDirExists(s.t, s.runDir(id))
	for _, file := range s.files() {
		var st syscall.Stat_t
		require.NoError(s.t, syscall.Stat(s.dir+"/"+file, &st))
		require.Zero(s.t, st.Uid, file)
	}
}

func filterOf(typ string) task.Filter { return task.Filter{Finished: true, Type: typ, Limit: 1} }

// cpuunits and cpulimit are limits of the control group, from the start on and while the guest runs.
func TestProcessorLimits(t *testing.T) {
	need.Root(t)
	groups, err := proc.FindCgroups()
	need.That(t, "cgroup", err == nil, "a mounted hierarchy")
	s := newGuestSite(t)
	s.makeVM(100, "memory", 16, "cpulimit", "0.5", "cpuunits", 200)
	log := s.startVM(100)
	if _, err := groups.Open(cgroup(100)); err != nil || strings.Contains(strings.Join(log, "\n"), "have no effect") {
		need.That(t, "cgroup-cpu", false, "a controller of processor time")
	}
	require.Equal(t, "50000", cpuQuota(t, s.pid(100)))
	require.NoError(t, s.setVM(100, "cpulimit", 2))
	require.Equal(t, "200000", cpuQuota(t, s.pid(100)))
	require.NoError(t, s.setVM(100, "delete", "cpulimit"))
	require.Contains(t, []string{"max", "-1"}, cpuQuota(t, s.pid(100)))
}

// cpuQuota reads the quota of a process's control group in either generation: microseconds in a tenth of a second.
func cpuQuota(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		for _, file := range []string{"/sys/fs/cgroup/cpu" + f[2] + "/cpu.cfs_quota_us", "/sys/fs/cgroup" + f[2] + "/cpu.max"} {
			if f[1] != "cpu" && f[1] != "" && f[1] != "cpu,cpuacct" {
				continue
			}
			if value, err := os.ReadFile(file); err == nil {
				return strings.Fields(string(value))[0]
			}
		}
	}
	require.Fail(t, "no quota", string(text))
	return ""
}
