// Package cephlab runs a Ceph cluster of one monitor, one manager and one OSD on loopback, in a scratch folder, for tests. It
// takes some ten seconds and 400 MiB of memory; Debian's packages ceph-mon, ceph-mgr, ceph-osd and ceph-common are enough.
// Data is kept in memory.
package cephlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
)

// Cluster is a running cluster. Stop ends it.
type Cluster struct {
	Dir      string // everything that belongs to it
	ConfFile string
	Keyring  string // of client.admin
	Monitor  string // HOST:PORT
}

// An image that a killed client had open counts as open until its watch times out: 30 seconds by default, since clients give a
// sign of life every five. Here both are short. Clients learn theirs from the monitor, whatever configuration they have.
const watchTimeout, clientTick = "6", "1" // seconds

// Tools are the programs that a cluster needs.
var Tools = []string{"ceph-mon", "ceph-mgr", "ceph-osd", "ceph-authtool", "monmaptool", "ceph", "rbd"}

// Start makes a cluster with a pool named rbd that takes images. dir must be empty, and short: sockets lie in it. When ctx ends
// before the cluster is ready, nothing of it runs.
func Start(ctx context.Context, dir string) (*Cluster, error) {
	c := &Cluster{Dir: dir, ConfFile: filepath.Join(dir, "ceph.conf"), Keyring: filepath.Join(dir, "client.admin.keyring")}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	c.Monitor = "127.0.0.1:" + strconv.Itoa(port)
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop(), c.logs())
	}
	return c, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *Cluster) start(ctx context.Context) error {
	for _, sub := range []string{"mon", "mgr", "osd", "run", "log"} {
		if err := os.Mkdir(filepath.Join(c.Dir, sub), 0o755); err != nil {
			return err
		}
	}
	fsid, osd := uuid.NewString(), uuid.NewString()
	if err := os.WriteFile(c.ConfFile, []byte(c.conf(fsid)), 0o644); err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(c.Dir, name) }
	s := &script{ctx: ctx, conf: c.ConfFile}
	s.run("ceph-authtool", "-C", in("mon.keyring"), "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
	s.run("ceph-authtool", "-C", c.Keyring, "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
	s.run("ceph-authtool", in("mon.keyring"), "--import-keyring", c.Keyring)
	s.run("monmaptool", "--create", "--clobber", "--addv", "a", "[v1:"+c.Monitor+"]", "--fsid", fsid, in("monmap"))
	s.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", in("monmap"), "--keyring", in("mon.keyring"))
	s.copy(in("mon.keyring"), in("mon/keyring"))
	s.run("ceph-mon", "-i", "a")
	s.run("ceph", "config", "set", "client", "objecter_tick_interval", clientTick)
	s.run("ceph", "auth", "get-or-create", "mgr.x", "mon", "allow profile mgr", "osd", "allow *", "mds", "allow *", "-o", in("mgr.x.keyring"))
	s.run("ceph-mgr", "-i", "x")
	s.run("ceph", "osd", "new", osd)
	s.run("ceph", "auth", "get-or-create", "osd.0", "mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd", "-o", in("osd.0.keyring"))
	s.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
	s.run("ceph-osd", "-i", "0")
	s.until("1 up", "ceph", "osd", "stat")
	s.run("ceph", "osd", "pool", "create", "rbd", "8")
	s.run("rbd", "pool", "init", "rbd")
	return s.err
}

func (c *Cluster) conf(fsid string) string {
	return strings.NewReplacer("DIR", c.Dir, "FSID", fsid, "MONITOR", c.Monitor, "WATCH", watchTimeout).Replace(`[global]
fsid = FSID
mon_host = v1:MONITOR
mon_initial_members = a
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = DIR/$name.keyring
run_dir = DIR/run
admin_socket = DIR/run/$name.asok
pid_file = DIR/run/$name.pid
log_file = DIR/log/$name.log
crash_dir = DIR/log
public_network = 127.0.0.0/8
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_data_avail_crit = 1
mon_data_avail_warn = 1
mon_max_pg_per_osd = 1000
mgr_initial_modules =
mgr_standby_modules = false
[mon.a]
mon_data = DIR/mon
paxos_propose_interval = 0.02
[mgr.x]
mgr_data = DIR/mgr
[osd.0]
osd_data = DIR/osd
osd_objectstore = memstore
osd_client_watch_timeout = WATCH
memstore_device_bytes = 2147483648
[client]
admin_socket =
log_file =
`)
}

// Stop ends the cluster's processes. Its folder stays.
func (c *Cluster) Stop() error {
	files, err := filepath.Glob(filepath.Join(c.Dir, "run", "*.pid"))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it removed the file as it ended
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			errs = append(errs, fmt.Errorf("cephlab: %s: %w", name, err))
			continue
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) { // nothing it holds is worth keeping
			errs = append(errs, err)
		}
		errs = append(errs, gone(pid))
	}
	return errors.Join(errs...)
}

// gone waits until a killed process is gone, which is no child of this one.
func gone(pid int) error {
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return nil
		}
	}
	return fmt.Errorf("cephlab: process %d does not end", pid)
}

// logs are the last words of each daemon.
func (c *Cluster) logs() error {
	files, _ := filepath.Glob(filepath.Join(c.Dir, "log", "*.log"))
	var errs []error
	for _, name := range files {
		if text, err := os.ReadFile(name); err == nil {
			errs = append(errs, fmt.Errorf("%s: …%s", filepath.Base(name), text[max(0, len(text)-2000):]))
		}
	}
	return errors.Join(errs...)
}

// script runs commands until one fails.
type script struct {
	ctx  context.Context
	conf string
	err  error
}

func (s *script) run(name string, args ...string) string {
	if s.err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(s.ctx, 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "CEPH_CONF="+s.conf, "CEPH_ARGS=")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // daemons keep the pipe
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		s.err = fmt.Errorf("cephlab: %s %s: %w: %s", name, strings.Join(args, " "), err, out.Bytes())
	}
	return out.String()
}

func (s *script) copy(from, to string) {
	if s.err != nil {
		return
	}
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	s.err = err
}

// until runs a command again and again until it says something.
func (s *script) until(says, name string, args ...string) {
	for s.err == nil && !strings.Contains(s.run(name, args...), says) {
		select {
		case <-s.ctx.Done():
			s.err = fmt.Errorf("cephlab: %s never says %q: %w", name, says, s.ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
