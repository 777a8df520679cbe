package jobs_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

func limited(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// start starts a small QEMU that ends with the test.
func start(t *testing.T, args ...string) *qmp.Client {
	t.Helper()
	return startBinary(t, need.QEMU(t), args...)
}

func startBinary(t *testing.T, binary string, args ...string) *qmp.Client {
	t.Helper()
	need.That(t, "linux", runtime.GOOS == "linux", "processes by pidfd")
	base := []string{"-M", "pc", "-m", "32", "-accel", "tcg,tb-size=16", "-nodefaults", "-display", "none"}
	p, err := machine.Start(limited(t), &machine.StartOptions{Binary: binary, Args: append(base, args...), RunDir: filepath.Join(t.TempDir(), "vm")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Kill(context.Background())) })
	return p.QMP()
}

// writer is a boot sector whose guest writes over and over to the 64 KiB from address 0x20000 on.
var writer = []byte{
	0xb8, 0x00, 0x20, // mov ax, 0x2000
	0x8e, 0xd8, // mov ds, ax
	0x31, 0xdb, // xor bx, bx
	0xfe, 0x07, // again: inc byte [bx]
	0x43,       // inc bx
	0xeb, 0xfb, // jmp again
}

// bootDisk writes a raw disk of 1 MiB with the boot sector and returns its path.
func bootDisk(t *testing.T, code []byte) string {
	t.Helper()
	disk := make([]byte, 1<<20)
	copy(disk, code)
	disk[510], disk[511] = 0x55, 0xaa
	path := filepath.Join(t.TempDir(), "boot.raw")
	require.NoError(t, os.WriteFile(path, disk, 0o600))
	return path
}

// image writes a raw image of the size with changing content.
func image(t *testing.T, name string, size int) string {
	t.Helper()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i>>9 + i)
	}
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// addRaw adds a raw node over a file, both named.
func addRaw(t *testing.T, c *qmp.Client, node, path string) {
	t.Helper()
	require.NoError(t, qapi.BlockdevAdd(limited(t), c, &qapi.BlockdevOptions{NodeName: &node, Raw: &qapi.BlockdevOptionsRaw{
		File: qapi.BlockdevRef{Definition: &qapi.BlockdevOptions{NodeName: new(node + "-file"), File: &qapi.BlockdevOptionsFile{Filename: path}}},
	}}))
}

// addQcow2 makes a qcow2 image of the size and adds it as a node, over the backing node if one is named.
func addQcow2(t *testing.T, c *qmp.Client, node string, size uint64, backing *string) string {
	t.Helper()
	ctx := limited(t)
	path := filepath.Join(t.TempDir(), node+".qcow2")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	file := node + "-file"
	require.NoError(t, qapi.BlockdevAdd(ctx, c, &qapi.BlockdevOptions{NodeName: &file, File: &qapi.BlockdevOptionsFile{Filename: path}}))
	job, err := jobs.Create(ctx, c, "create-"+node, &qapi.BlockdevCreateOptions{
		Qcow2: &qapi.BlockdevCreateOptionsQcow2{File: qapi.BlockdevRef{Reference: &file}, Size: size}})
	require.NoError(t, err)
	require.NoError(t, job.Wait(ctx))
	o := &qapi.BlockdevOptionsQcow2{File: qapi.BlockdevRef{Reference: &file}}
	if backing != nil {
		o.Backing = qapi.BlockdevRefOrNull{Reference: backing}
	}
	require.NoError(t, qapi.BlockdevAdd(ctx, c, &qapi.BlockdevOptions{NodeName: &node, Qcow2: o}))
	return path
}

func requireSame(t *testing.T, want, got string) {
	t.Helper()
	a, err := os.ReadFile(want)
	require.NoError(t, err)
	b, err := os.ReadFile(got)
	require.NoError(t, err)
	require.True(t, string(a) == string(b), "%s and %s differ", want, got)
}

func noJobs(t *testing.T, c *qmp.Client) {
	t.Helper()
	list, err := qapi.QueryJobs(limited(t), c)
	require.NoError(t, err)
	require.Empty(t, list, "all jobs are dismissed")
}
