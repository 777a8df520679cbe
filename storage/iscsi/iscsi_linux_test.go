package iscsi

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

const unitBytes = 16 << 20

// targetd is a target in user space, with two units.
type targetd struct {
	portal  string
	control string
	stop    func()
}

func startTarget(t *testing.T) *targetd {
	need.Root(t)
	for _, tool := range []string{"tgtd", "tgtadm", "iscsi-ls", "qemu-img"} {
		need.Tool(t, tool)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	d := &targetd{portal: "127.0.0.1:" + strconv.Itoa(port), control: strconv.Itoa(1 + port%32000)} // one daemon for each control number
	cmd := exec.Command("tgtd", "--foreground", "--control-port", d.control, "--iscsi", "portal="+d.portal)
	require.NoError(t, os.MkdirAll("/var/run/tgtd", 0o755))
	require.NoError(t, cmd.Start())
	d.stop = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
		sockets, _ := filepath.Glob("/var/run/tgtd/socket." + d.control + "*")
		for _, s := range sockets {
			os.Remove(s)
		}
	})
	t.Cleanup(d.stop)
	require.Eventually(t, func() bool { return d.try("--op", "show", "--mode", "target") == nil }, 20*time.Second, 50*time.Millisecond)
	for i, target := range []string{name, name + "2"} { // the second is somebody else's
		tid := strconv.Itoa(i + 1)
		d.admin(t, "--op", "new", "--mode", "target", "--tid", tid, "-T", target)
		for lun := 1; lun <= 2-i; lun++ {
			backing := filepath.Join(t.TempDir(), "unit")
			require.NoError(t, os.WriteFile(backing, nil, 0o600))
			require.NoError(t, os.Truncate(backing, unitBytes))
			d.admin(t, "--op", "new", "--mode", "logicalunit", "--tid", tid, "--lun", strconv.Itoa(lun), "-b", backing)
		}
		d.admin(t, "--op", "bind", "--mode", "target", "--tid", tid, "-I", "ALL")
	}
	return d
}

func (d *targetd) try(args ...string) error {
	out, err := exec.Command("tgtadm", append([]string{"--control-port", d.control, "--lld", "iscsi"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (d *targetd) admin(t *testing.T, args ...string) { require.NoError(t, d.try(args...)) }

func TestDirect(t *testing.T) {
	storagetest.RunFixed(t, storagetest.Fixed{
		New: func(t *testing.T) (storage.Driver, []storage.VolumeID) {
			d, err := NewDirect(startTarget(t).portal, name, &Options{Initiator: "iqn.2024-01.com.example:me"})
			require.NoError(t, err)
			require.NoError(t, d.Activate(t.Context()))
			return d, []storage.VolumeID{"lun1", "lun2"}
		},
		Absent: "lun9", SizeBytes: unitBytes, Open: true,
		Bad: []storage.VolumeID{"lun", "lun01", "lun-1", "1", "lun1/../2", "vm-100-disk-0"},
	})
}

func TestTargetThatIsAway(t *testing.T) {
	d, err := NewDirect("192.0.2.1", name, &Options{DialTimeout: 200 * time.Millisecond}) // TEST-NET-1: nobody is there
	require.NoError(t, err)
	k, err := New("192.0.2.1", name, &Options{DialTimeout: 200 * time.Millisecond})
	require.NoError(t, err)
	start := time.Now()
	require.ErrorIs(t, d.Activate(t.Context()), storage.ErrUnavailable)
	require.ErrorIs(t, k.Activate(t.Context()), storage.ErrUnavailable)
	_, err = d.Stat(t.Context(), "lun1")
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = k.Usage(t.Context())
	require.ErrorIs(t, err, storage.ErrUnavailable)
	require.Less(t, time.Since(start), 5*time.Second)
}

// loggedIn returns a driver whose target the kernel is logged into, and its volumes.
func loggedIn(t *testing.T) (*Driver, []storage.VolumeID) {
	need.Module(t, "iscsi_tcp")
	need.Tool(t, "iscsiadm")
	need.Tool(t, "iscsid")
	target := startTarget(t)
	startInitiator(t)
	d, err := New(target.portal, name, nil)
	require.NoError(t, err)
	require.NoError(t, d.Activate(t.Context()))
	t.Cleanup(func() { require.NoError(t, d.Deactivate(context.WithoutCancel(t.Context()))) })
	var ids []storage.VolumeID
	require.Eventually(t, func() bool { // udev names them
		ids = nil
		for v, err := range d.List(t.Context(), storage.Filter{}) {
			require.NoError(t, err)
			ids = append(ids, v.ID)
		}
		return len(ids) == 2
	}, 30*time.Second, 100*time.Millisecond)
	return d, ids
}

// startInitiator runs the daemon that iscsiadm talks to, unless the machine does.
func startInitiator(t *testing.T) {
	if exec.Command("pidof", "iscsid").Run() == nil {
		return
	}
	cmd := exec.Command("iscsid", "--foreground")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	require.Eventually(t, func() bool {
		out, _ := exec.Command("iscsiadm", "--mode", "session").CombinedOutput()
		return strings.Contains(string(out), "No active sessions")
	}, 20*time.Second, 100*time.Millisecond)
}

func TestKernel(t *testing.T) {
	storagetest.RunFixed(t, storagetest.Fixed{
		New: func(t *testing.T) (storage.Driver, []storage.VolumeID) {
			d, ids := loggedIn(t)
			return d, ids
		},
		Absent: "0.0.9.scsi-gone", SizeBytes: unitBytes, Open: true,
		Bad: []storage.VolumeID{"0.0.1.", "0.0.1.a/b", "0.0.1.../../sda", "x.0.1.sda", "lun1"},
	})
}

func TestKernelSession(t *testing.T) {
	d, ids := loggedIn(t)
	require.NoError(t, d.Activate(t.Context()), "again")
	at, err := d.Attach(t.Context(), ids[0], storage.AttachOptions{UID: 60123})
	require.NoError(t, err)
	block := at.(storage.Block)
	require.True(t, strings.HasPrefix(block.Path, "/dev/disk/by-id/"), block.Path)
	require.Equal(t, uint32(60123), owner(t, block.Path))
	require.NoError(t, d.Detach(t.Context(), ids[0]))
	require.Zero(t, owner(t, block.Path))

	f, err := os.OpenFile(block.Path, os.O_RDWR|unix.O_EXCL, 0)
	require.NoError(t, err)
	require.ErrorIs(t, d.Deactivate(t.Context()), storage.ErrInUse)
	require.NoError(t, f.Close())
	require.NoError(t, d.Deactivate(t.Context()))
	require.NoError(t, d.Deactivate(t.Context()), "again")
	_, err = d.Stat(t.Context(), ids[0])
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func owner(t *testing.T, path string) uint32 {
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	return st.Uid
}
