package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// checkNothingLeft looks at the API and then past it, at the machine itself.
func (d *demo) checkNothingLeft(ctx context.Context) error {
	var vms, volumes []map[string]any
	if err := d.api.Get(ctx, "/nodes/"+node+"/qemu", nil, &vms); err != nil {
		return err
	}
	if err := d.api.Get(ctx, "/nodes/"+node+"/storage/local/content", client.Params{"vmid": vmid, "content": "images"}, &volumes); err != nil {
		return err
	}
	if len(vms)+len(volumes) > 0 {
		return fmt.Errorf("the API still shows %v %v", vms, volumes)
	}
	if taps, _ := filepath.Glob("/sys/class/net/tap" + vmid + "i*"); len(taps) > 0 {
		return fmt.Errorf("left: %v", taps)
	}
	if pids := processesNaming(d.dir, "qemu-system"); len(pids) > 0 {
		return fmt.Errorf("left: processes %v", pids)
	}
	return filepath.WalkDir(d.data(), func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case e.Type() == fs.ModeSocket, strings.Contains(e.Name(), "vm-"+vmid+"-"):
			return fmt.Errorf("left: %s", path)
		}
		return nil
	})
}

// processesNaming finds processes of a program whose command line names a folder.
func processesNaming(dir, program string) (pids []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && bytes.Contains(line, []byte(dir)) && bytes.Contains(line, []byte(program)) {
			pids = append(pids, filepath.Base(filepath.Dir(f)))
		}
	}
	return pids
}

// cleanUp ends what the demonstration started, whatever failed, and on failure shows the end of the daemon's log.
func (d *demo) cleanUp(failed error) error {
	if d.console != nil {
		d.console.close()
	}
	if d.keep && failed == nil {
		return nil
	}
	if d.daemon != nil && d.daemon.Process != nil {
		d.daemon.Process.Signal(syscall.SIGTERM)
		d.daemon.Wait()
	}
	if failed != nil {
		log := strings.Split(strings.TrimSpace(d.log.String()), "\n")
		fmt.Fprintf(d.out, "gpved's last lines:\n  %s\n", strings.Join(log[max(0, len(log)-15):], "\n  "))
	}
	for _, pid := range processesNaming(d.dir, "qemu-system") {
		exec.Command("kill", "-9", pid).Run()
	}
	if _, err := os.Stat("/sys/class/net/" + bridge); err == nil {
		if err := output(exec.Command("ip", "link", "delete", bridge)); err != nil {
			return err
		}
	}
	exec.Command("nft", "delete", "table", "ip", "gpve-nat-"+bridge).Run() // absent when the start failed before it
	if d.dir == "" {
		return nil
	}
	return os.RemoveAll(d.dir)
}

func caPool(path string) (*x509.CertPool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}

func (d *demo) fingerprint() string {
	data, err := os.ReadFile(filepath.Join(d.data(), "pki", "server.crt"))
	if err != nil {
		return err.Error()
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err.Error()
	}
	return client.Fingerprint(cert)
}
