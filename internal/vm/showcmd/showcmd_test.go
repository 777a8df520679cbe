package showcmd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/vm/showcmd"
)

func options() showcmd.Options {
	return showcmd.Options{ConfigPath: "testdata/205.conf", VMID: 205, Root: "testdata/root", HostFile: "testdata/host.json", JSON: true}
}

// run returns the arguments and what was written to stderr.
func run(t *testing.T, o showcmd.Options) ([]string, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.NoError(t, showcmd.Run(t.Context(), o, &stdout, &stderr))
	var argv []string
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &argv))
	return argv, stderr.String()
}

func value(argv []string, option, part string) string {
	for i, a := range argv[:len(argv)-1] {
		if a == option && bytes.Contains([]byte(argv[i+1]), []byte(part)) {
			return argv[i+1]
		}
	}
	return ""
}

func TestRunReadsTheCluster(t *testing.T) {
	argv, warnings := run(t, options())
	require.Equal(t, "/usr/bin/kvm", argv[0])
	require.Equal(t, "EPYC-Rome,level=13,enforce,kvm=off,+kvm_pv_eoi,+kvm_pv_unhalt,+topoext,vendor=AuthenticAMD,-x2apic", value(argv, "-cpu", ""))
	require.Equal(t, "vfio-pci,id=hostpci0,bus=pci.0,addr=0x10,host=0000:04:00.0,enable-migration=on", value(argv, "-device", "vfio-pci"))
	require.Contains(t, value(argv, "-device", "usb-host"), "hostbus=2,hostport=1")
	require.Contains(t, value(argv, "-device", "vhost-user-fs"), "tag=share")
	require.Contains(t, value(argv, "-blockdev", "drive-scsi0"), `"filename":"/srv/guests/images/205/vm-205-disk-0.qcow2"`)
	require.Contains(t, value(argv, "-blockdev", "drive-scsi0"), `"discard-no-unref":true`)
	require.Contains(t, value(argv, "-blockdev", "drive-scsi1"), `"filename":"/dev/rbd-pve/11-22-33/vms/vm-205-disk-1"`)
	require.Contains(t, value(argv, "-blockdev", "drive-ide2"), `"filename":"/var/lib/vz/template/iso/rescue.iso"`)
	for _, w := range []string{
		"storage.cfg: storage 'thing': unsupported type 'weird'", "cpu-models.conf: broken: 'aes' is not a CPU flag", "unknown section type 'other'",
		"vm 205 - unable to parse value of 'snaptest'",
	} {
		require.Contains(t, warnings, w)
	}
}

func TestRunShellLine(t *testing.T) {
	o := options()
	o.JSON = false
	var stdout, stderr bytes.Buffer
	require.NoError(t, showcmd.Run(t.Context(), o, &stdout, &stderr))
	require.Regexp(t, `^/usr/bin/kvm -id 205 -name lab,debug-threads=on .*-object '\{"id".* -machine [^ ]+\n$`, stdout.String())
}

func TestRunLaunch(t *testing.T) {
	o := options()
	o.Launch = true
	argv, _ := run(t, o)
	require.Equal(t, "/usr/bin/qemu-system-x86_64", argv[0])
	require.Equal(t, "none,password=on", value(argv, "-vnc", ""))
	require.Contains(t, strings.Join(argv, " "), "path=/run/go-proxmox/vm/205/")
	o.RunDir = "/elsewhere"
	argv, _ = run(t, o)
	require.Contains(t, strings.Join(argv, " "), "path=/elsewhere/")
}

func TestRunSnapshot(t *testing.T) {
	o := options()
	o.Snapshot = "before"
	argv, _ := run(t, o)
	require.Equal(t, "host", value(argv, "-cpu", ""))
	require.Equal(t, "type=pc-i440fx-9.2+pve1", value(argv, "-machine", ""))
	o.Snapshot = "never"
	require.EqualError(t, showcmd.Run(t.Context(), o, &bytes.Buffer{}, &bytes.Buffer{}), "snapshot 'never' does not exist")
}

// TestRunEmptyRoot: without files, storages come from the host's facts, and local is
// always there.
func TestRunEmptyRoot(t *testing.T) {
	dir := t.TempDir()
	o := options()
	o.Root, o.ConfigPath, o.LocalPath = dir, filepath.Join(dir, "7.conf"), "/own/local"
	require.NoError(t, os.WriteFile(o.ConfigPath, []byte("scsi0: described:205/a.qcow2\nscsi1: local:205/b.raw\n"), 0o600))
	argv, _ := run(t, o)
	require.Contains(t, value(argv, "-blockdev", "drive-scsi0"), `"filename":"/described/images/205/a.qcow2"`)
	require.Contains(t, value(argv, "-blockdev", "drive-scsi1"), `"filename":"/own/local/images/205/b.raw"`)
}

func TestRunErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.conf")
	require.NoError(t, os.WriteFile(bad, []byte("memory: banana\nmachine: pc,viommu=intel\n"), 0o600))
	notJSON := filepath.Join(dir, "host.json")
	require.NoError(t, os.WriteFile(notJSON, []byte("{"), 0o600))
	for want, change := range map[string]func(*showcmd.Options){
		"to use Intel vIOMMU please set the machine type to q35": func(o *showcmd.Options) { o.ConfigPath = bad },
		"no such file": func(o *showcmd.Options) { o.ConfigPath = filepath.Join(dir, "none") },
		"host facts":   func(o *showcmd.Options) { o.HostFile = notJSON },
		"none.json":    func(o *showcmd.Options) { o.HostFile = filepath.Join(dir, "none.json") },
	} {
		o := options()
		change(&o)
		var stdout, stderr bytes.Buffer
		require.ErrorContains(t, showcmd.Run(t.Context(), o, &stdout, &stderr), want)
		require.Empty(t, stdout.String())
		require.Equal(t, o.ConfigPath == bad, strings.Contains(stderr.String(), "unable to parse value of 'memory'"), "what was wrong besides")
	}
}

func TestRunOnThisHost(t *testing.T) {
	need.Tool(t, "qemu-system-x86_64")
	dir := t.TempDir()
	o := showcmd.Options{ConfigPath: filepath.Join(dir, "1.conf"), VMID: 1, Root: dir, JSON: true, Launch: true}
	require.NoError(t, os.WriteFile(o.ConfigPath, []byte("name: here\n"), 0o600))
	argv, _ := run(t, o)
	require.Contains(t, argv[0], "qemu-system-x86_64")
}
