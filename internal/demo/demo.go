package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/tinyguest"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// What the demonstration calls its things; the network is one of those for documentation's private use.
const (
	node    = "demo"
	vmid    = "100"
	bridge  = "vmbrdemo"
	hostIP  = "10.213.77.1"
	guestIP = "10.213.77.2"
	user    = "root@pam"
)

type demo struct {
	gpved, guest string
	keep         bool
	out          io.Writer

	dir      string
	listen   string
	password string
	daemon   *exec.Cmd
	log      bytes.Buffer // of the daemon
	api      *client.Client
	console  *console
}

type step struct {
	name string
	do   func(context.Context) error
}

func (d *demo) run(ctx context.Context) (err error) {
	began := time.Now()
	defer func() { err = errors.Join(err, d.cleanUp(err)) }()
	steps := []step{
		{"init: certificates, password, storage, bridge", d.init},
		{"run: gpved answers on its API", d.start},
		{"log in, ask for the version", d.login},
		{"upload the guest's disk", d.upload},
		{"create a VM with a disk, cloud-init and a NIC", d.create},
		{"start it", d.startVM},
		{"the guest says on its serial console that it is up", d.awaitUp},
		{"ping it over the bridge", d.ping},
	}
	if !d.keep {
		steps = append(steps,
			step{"shut it down by ACPI", d.shutdown},
			step{"delete it", d.deleteVM},
			step{"nothing is left: volume, tap, process, socket", d.checkNothingLeft},
			step{"stop gpved", d.stop})
	}
	for _, s := range steps {
		at := time.Now()
		if err := s.do(ctx); err != nil {
			fmt.Fprintf(d.out, "FAIL %-58s %6.2fs\n", s.name, time.Since(at).Seconds())
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(d.out, "ok   %-58s %6.2fs\n", s.name, time.Since(at).Seconds())
	}
	if d.keep {
		d.sayHow()
	} else {
		fmt.Fprintf(d.out, "demo: a VM's whole life through the Proxmox API in %.1f s\n", time.Since(began).Seconds())
	}
	return nil
}

func (d *demo) init(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "gpve-demo-")
	if err != nil {
		return err
	}
	d.dir = dir
	if err := os.Chmod(dir, 0o711); err != nil { // guests run as users of their own and must reach their disks
		return err
	}
	d.password = "demo-" + strings.TrimPrefix(filepath.Base(dir), "gpve-demo-")
	cmd := exec.CommandContext(ctx, d.gpved, "init", "--data-dir", d.data(), "--node", node, "--password-file", "-",
		"--nat-bridge", bridge+"="+hostIP+"/24")
	cmd.Stdin = strings.NewReader(d.password + "\n")
	return output(cmd)
}

func (d *demo) data() string { return filepath.Join(d.dir, "data") }

// output runs a command and makes what it said part of the error.
func output(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, bytes.TrimSpace(out))
	}
	return nil
}

func (d *demo) start(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	d.listen = net.JoinHostPort("127.0.0.1", port)
	d.daemon = exec.Command(d.gpved, "run", "--data-dir", d.data(), "--listen", d.listen)
	d.daemon.Stdout, d.daemon.Stderr = &d.log, &d.log
	if err := d.daemon.Start(); err != nil {
		return err
	}
	return poll(ctx, 20*time.Second, func() (bool, error) {
		conn, err := net.DialTimeout("tcp", d.listen, time.Second)
		if err != nil {
			return false, nil
		}
		return true, conn.Close()
	})
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// poll asks until the answer is yes, an error, or the time is over.
func poll(ctx context.Context, limit time.Duration, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if ok, err := ask(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %v", limit)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *demo) login(ctx context.Context) error {
	roots, err := caPool(filepath.Join(d.data(), "pki", "ca.crt"))
	if err != nil {
		return err
	}
	if d.api, err = client.New("https://"+d.listen, &client.Options{RootCAs: roots}); err != nil {
		return err
	}
	if err := d.api.Login(ctx, user, d.password); err != nil {
		return err
	}
	var v struct{ Version string }
	if err := d.api.Get(ctx, "/version", nil, &v); err != nil {
		return err
	}
	if v.Version == "" {
		return errors.New("no version")
	}
	return nil
}

func (d *demo) upload(ctx context.Context) error {
	f, err := os.Open(d.guest)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	upid, err := d.api.Upload(ctx, node, "local", "import", "tinyguest.qcow2", st.Size(), f)
	if err != nil {
		return err
	}
	return d.wait(ctx, upid)
}

// wait follows a task; a failed one shows the end of its log.
func (d *demo) wait(ctx context.Context, upid string) error {
	var lines []string
	_, err := d.api.WaitTask(ctx, upid, func(l client.TaskLine) { lines = append(lines, l.T) })
	if err != nil {
		return fmt.Errorf("%w\n  %s", err, strings.Join(lines[max(0, len(lines)-15):], "\n  "))
	}
	return nil
}

func (d *demo) task(ctx context.Context, method, path string, p client.Params) error {
	var upid string
	if err := d.api.Do(ctx, method, path, p, &upid); err != nil {
		return err
	}
	return d.wait(ctx, upid)
}

const vmPath = "/nodes/" + node + "/qemu/" + vmid

func (d *demo) create(ctx context.Context) error {
	return d.task(ctx, "POST", "/nodes/"+node+"/qemu", client.Params{
		"vmid": vmid, "name": "tinyguest", "memory": 256, "cores": 1, "ostype": "l26", "scsihw": "virtio-scsi-pci",
		"scsi0": "local:0,import-from=local:import/tinyguest.qcow2", "ide2": "local:cloudinit", "boot": "order=scsi0",
		"net0": "virtio,bridge=" + bridge, "ipconfig0": "ip=" + guestIP + "/24,gw=" + hostIP, "serial0": "socket",
	})
}

func (d *demo) startVM(ctx context.Context) error {
	if err := d.task(ctx, "POST", vmPath+"/status/start", nil); err != nil {
		return err
	}
	conn, err := d.api.Console(ctx, vmPath) // at once, to miss nothing of the boot
	if err != nil {
		return err
	}
	d.console = newConsole(conn)
	var st struct{ Status string }
	if err := d.api.Get(ctx, vmPath+"/status/current", nil, &st); err != nil {
		return err
	}
	if st.Status != "running" {
		return fmt.Errorf("status is %q", st.Status)
	}
	return nil
}

func (d *demo) awaitUp(ctx context.Context) error {
	line, err := d.console.await(ctx, 2*time.Minute, tinyguest.Up)
	if err != nil {
		return err
	}
	for _, l := range d.console.lines("gpve-guest:") {
		fmt.Fprintf(d.out, "       | %s\n", l)
	}
	if !strings.Contains(line, "tinyguest "+guestIP) {
		return fmt.Errorf("the guest did not get its name and address by cloud-init: %q", line)
	}
	return nil
}

func (d *demo) ping(ctx context.Context) error {
	return poll(ctx, 20*time.Second, func() (bool, error) {
		return exec.CommandContext(ctx, "ping", "-c", "1", "-W", "1", guestIP).Run() == nil, nil
	})
}

func (d *demo) shutdown(ctx context.Context) error {
	if err := d.task(ctx, "POST", vmPath+"/status/shutdown", client.Params{"timeout": 60}); err != nil {
		return err
	}
	_, err := d.console.await(ctx, 5*time.Second, tinyguest.PowerButton)
	return err
}

func (d *demo) deleteVM(ctx context.Context) error {
	return d.task(ctx, "DELETE", vmPath, client.Params{"purge": true})
}

func (d *demo) stop(ctx context.Context) error {
	if err := d.daemon.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- d.daemon.Wait() }() // ends with the process, which cleanUp kills if it must
	select {
	case err := <-done:
		d.daemon = nil
		return err
	case <-time.After(15 * time.Second):
		return errors.New("gpved did not stop within 15 s")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *demo) sayHow() {
	fmt.Fprintf(d.out, `
gpved goes on in %[1]s (process %[2]d). Log in with
  bin/gpvectl login https://%[3]s --fingerprint %[4]s     # password: %[5]s
  bin/gpvectl vm list
  bin/gpvectl vm console %[6]s
Stop it with
  bin/gpvectl vm stop %[6]s; kill %[2]d; ip link delete %[7]s; rm -r %[1]s
`, d.dir, d.daemon.Process.Pid, d.listen, d.fingerprint(), d.password, vmid, bridge)
}
