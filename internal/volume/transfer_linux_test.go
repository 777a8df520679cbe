package volume_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

const allContents = "dir: local\n\tcontent backup,images,import,iso,snippets,vztmpl\n\n"

func (w *world) upload(t testing.TB, req schema.PostNodesStorageUpload, data []byte) (string, error) {
	t.Helper()
	req.Storage, req.Node = "local", "pve1"
	ctx := call.WithUpload(w.ctx, &call.Upload{Filename: req.Filename, Size: int64(len(data)), Body: bytes.NewReader(data)})
	return w.PostNodesStorageUpload(ctx, &req)
}

func TestUpload(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, allContents)
	data := []byte("an ISO image, for all that anybody looks at it")
	sum := sha256.Sum256(data)
	req := schema.PostNodesStorageUpload{Content: "iso", Filename: `C:\fakepath\my file;rm.iso`, ChecksumAlgorithm: ptr("sha256"), Checksum: ptr(hex.EncodeToString(sum[:]))}
	id, err := w.upload(t, req, data)
	require.NoError(t, err)
	require.Contains(t, id, ":imgcopy::root@pam:")
	require.Equal(t, "OK", w.wait(t, id))
	got, err := os.ReadFile(filepath.Join(w.local, "template/iso/my_file_rm.iso"))
	require.NoError(t, err)
	require.Equal(t, data, got)

	req.Checksum = ptr("00")
	id, err = w.upload(t, req, []byte("something else"))
	require.NoError(t, err)
	require.Contains(t, w.wait(t, id), "checksum mismatch: got '")
	got, err = os.ReadFile(filepath.Join(w.local, "template/iso/my_file_rm.iso"))
	require.NoError(t, err)
	require.Equal(t, data, got, "the old file stays")
	entries, err := os.ReadDir(filepath.Join(w.local, "template/iso"))
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing temporary is left")

	short := call.WithUpload(w.ctx, &call.Upload{Filename: "x.iso", Size: 100, Body: strings.NewReader("cut")})
	_, err = w.PostNodesStorageUpload(short, &schema.PostNodesStorageUpload{Storage: "local", Content: "iso", Filename: "x.iso"})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	huge := call.WithUpload(w.ctx, &call.Upload{Filename: "x.iso", Size: 1 << 60, Body: strings.NewReader("")})
	_, err = w.PostNodesStorageUpload(huge, &schema.PostNodesStorageUpload{Storage: "local", Content: "iso", Filename: "x.iso"})
	require.ErrorIs(t, err, storage.ErrNoSpace)
	_, err = w.PostNodesStorageUpload(w.ctx, &schema.PostNodesStorageUpload{Storage: "local", Content: "iso", Filename: "x.iso"})
	require.EqualError(t, err, "missing temporary file name")
}

func TestThreat8_UploadNames(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, allContents)
	for _, c := range []struct{ content, name, want string }{
		{"iso", "../../../etc/cron.d/x.iso", "template/iso/x.iso"},
		{"iso", "a\nb.iso", "template/iso/a_b.iso"},
		{"iso", "$(id).ISO", "template/iso/__id_.ISO"},
		{"iso", "ü.img", "template/iso/_.img"},
		{"vztmpl", "debian.tar.zst", "template/cache/debian.tar.zst"},
		{"import", "disk.raw", "import/disk.raw"},
	} {
		id, err := w.upload(t, schema.PostNodesStorageUpload{Content: c.content, Filename: c.name}, []byte("data"))
		require.NoError(t, err, c.name)
		require.Equal(t, "OK", w.wait(t, id), c.name)
		require.FileExists(t, filepath.Join(w.local, c.want))
	}
	for _, c := range [][2]string{
		{"iso", "x.conf"}, {"iso", ".iso"}, {"iso", "x.iso/"}, {"iso", "x.iso\n"}, {"iso", "x.iso\x00.conf"}, {"iso", ""}, {"vztmpl", "x.tgz"}, {"import", "x.ovf"}, {"import", "x.iso"},
	} {
		_, err := w.upload(t, schema.PostNodesStorageUpload{Content: c[0], Filename: c[1]}, []byte("data"))
		require.IsType(t, call.ParamErrors{}, err, "%q", c)
	}
	_, err := w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "local", Params: schema.Params{"content": "images"}})
	require.NoError(t, err)
	_, err = w.upload(t, schema.PostNodesStorageUpload{Content: "iso", Filename: "x.iso"}, nil)
	require.EqualError(t, err, "storage 'local' does not support 'iso' content")
}

func TestThreat4_HostileUploadsAndImports(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, allContents)
	secret := filepath.Join(t.TempDir(), "secret")
	const canary = "canary of the host"
	require.NoError(t, os.WriteFile(secret, bytes.Repeat([]byte(canary), 1000), 0o644))
	for _, img := range storagetest.Hostile(secret) {
		t.Run(img.Name, func(t *testing.T) {
			id, err := w.upload(t, schema.PostNodesStorageUpload{Content: "import", Filename: "evil." + string(img.Format)}, img.Data)
			require.NoError(t, err)
			require.NotEqual(t, "OK", w.wait(t, id))

			// The same, had it come there by another way.
			file := filepath.Join(w.local, "import", "evil."+string(img.Format))
			require.NoError(t, os.WriteFile(file, img.Data, 0o644))
			defer os.Remove(file)
			for _, src := range []string{"local:import/evil." + string(img.Format), file} {
				for _, dst := range []string{"local:100/vm-100-disk-0.raw", "local:100/vm-100-disk-0.qcow2"} {
					err = w.Import(w.ctx, src, dst, volume.CopyOptions{})
					require.ErrorContains(t, err, "cannot import from '"+src+"' - ")
					_, err = w.Stat(w.ctx, dst)
					require.ErrorIs(t, err, storage.ErrNotFound)
				}
			}
		})
	}
	// As an ISO image nothing but raw bytes is ever seen, yet what names other files is refused.
	q := (&storagetest.QCOW2{VirtualBytes: 1 << 20, Backing: secret}).Bytes()
	id, err := w.upload(t, schema.PostNodesStorageUpload{Content: "iso", Filename: "evil.iso"}, q)
	require.NoError(t, err)
	require.Equal(t, "backing file not allowed for untrusted image 'evil.iso'!", w.wait(t, id))
	// A raw image with a foreign header is the guest's own business, byte for byte.
	require.NoError(t, os.WriteFile(filepath.Join(w.local, "import/guest.raw"), q, 0o644))
	require.NoError(t, w.Import(w.ctx, "local:import/guest.raw", "local:100/vm-100-disk-0.raw", volume.CopyOptions{}))
	got, err := os.ReadFile(filepath.Join(w.local, "images/100/vm-100-disk-0.raw"))
	require.NoError(t, err)
	require.True(t, bytes.Equal(q, got))
	require.NotContains(t, string(got), canary)
}

func TestOVAIsLookedInto(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, allContents)
	archive := func(names ...string) []byte {
		var b bytes.Buffer
		tw := tar.NewWriter(&b)
		for _, n := range names {
			require.NoError(t, tw.WriteHeader(&tar.Header{Name: n, Mode: 0o644, Size: 3}))
			_, err := tw.Write([]byte("abc"))
			require.NoError(t, err)
		}
		require.NoError(t, tw.Close())
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"good":       {archive("disk.vmdk", "machine.ovf"), "OK"},
		"no ovf":     {archive("disk.vmdk"), "ova archive has no .ovf file inside"},
		"no archive": {bytes.Repeat([]byte("x"), 2000), "ova archive cannot be read"},
	} {
		id, err := w.upload(t, schema.PostNodesStorageUpload{Content: "import", Filename: "a.ova"}, c.data)
		require.NoError(t, err)
		require.Equal(t, c.want, w.wait(t, id), name)
	}
	err := w.Import(w.ctx, "local:import/a.ova", "local:100/vm-100-disk-0.raw", volume.CopyOptions{})
	require.EqualError(t, err, "cannot import from 'local:import/a.ova' - format 'ova' is not supported")
}

func TestImportOfPaths(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, allContents)
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain")
	require.NoError(t, os.WriteFile(plain, bytes.Repeat([]byte("data"), 1000), 0o644))
	require.NoError(t, w.Import(w.ctx, plain, "local:100/vm-100-disk-0.qcow2", volume.CopyOptions{SizeBytes: 8 << 20}))
	v, err := w.Stat(w.ctx, "local:100/vm-100-disk-0.qcow2")
	require.NoError(t, err)
	require.Equal(t, int64(8<<20), v.SizeBytes)
	fifo := filepath.Join(folder, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	for _, bad := range []string{fifo, folder, "/dev/null", "/dev/zero", "/nowhere"} {
		err := w.Import(w.ctx, bad, "local:100/vm-100-disk-1.raw", volume.CopyOptions{})
		require.ErrorContains(t, err, "cannot import from '"+bad+"'")
	}
	// Another guest's disk is no foreign image: it is copied as it is.
	require.NoError(t, w.Import(w.ctx, "local:100/vm-100-disk-0.qcow2", "local:101/vm-101-disk-0.raw", volume.CopyOptions{}))
	err = w.Import(w.ctx, "local:iso/x.iso", "local:101/vm-101-disk-1.raw", volume.CopyOptions{})
	require.Equal(t, call.ParamErrors{"import-from": "local:iso/x.iso has wrong type 'iso' - needs to be 'images' or 'import'"}, err)
}

func TestNamesAreHandedOutOnce(t *testing.T) {
	w := newWorld(t, "")
	require.NoError(t, w.Create(w.ctx, "local:100/vm-100-disk-1.raw", 1<<20))
	var mu sync.Mutex
	got := map[string]bool{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			id, err := w.NextName(w.ctx, "local", 100, "raw", volume.KindDisk)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got[id] = true
			}
		})
	}
	wg.Wait()
	require.Len(t, got, 16)
	require.False(t, got["local:100/vm-100-disk-1.raw"])
	require.True(t, got["local:100/vm-100-disk-0.raw"])
	require.NoError(t, w.Create(w.ctx, "local:100/vm-100-disk-0.raw", 1<<20))
	require.NoError(t, w.Free(w.ctx, "local:100/vm-100-disk-0.raw"))
	id, err := w.NextName(w.ctx, "local", 100, "", volume.KindDisk)
	require.NoError(t, err)
	require.Equal(t, "local:100/vm-100-disk-0.raw", id, "a freed number is free")

	id, err = w.NextName(w.ctx, "local", 100, "qcow2", volume.KindCloudInit)
	require.NoError(t, err)
	require.Equal(t, "local:100/vm-100-cloudinit.qcow2", id)
	id, err = w.NextName(w.ctx, "local", 100, "", volume.KindState+"before")
	require.NoError(t, err)
	require.Equal(t, "local:100/vm-100-state-before.raw", id)
	_, err = w.NextName(w.ctx, "local", 100, "vdi", volume.KindDisk)
	require.Error(t, err)
	_, err = w.NextName(w.ctx, "none", 100, "", volume.KindDisk)
	require.EqualError(t, err, "storage 'none' does not exist")
}

func TestLifeOfVolumes(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, "")
	const disk = "local:100/vm-100-disk-0.qcow2"
	require.NoError(t, w.Create(w.ctx, disk, 4<<20))
	require.ErrorIs(t, w.Create(w.ctx, disk, 4<<20), storage.ErrExists)
	require.NoError(t, w.Resize(w.ctx, disk, 8<<20))
	require.ErrorIs(t, w.Resize(w.ctx, disk, 4<<20), errors.ErrUnsupported)
	require.NoError(t, w.Snapshot(w.ctx, disk, "one"))
	require.NoError(t, w.Rollback(w.ctx, disk, "one"))
	require.ErrorIs(t, w.Rollback(w.ctx, disk, "two"), storage.ErrNotFound)
	require.NoError(t, w.Copy(w.ctx, disk, "local:101/vm-101-disk-0.raw", volume.CopyOptions{SourceSnapshot: "one"}))
	require.NoError(t, w.DeleteSnapshot(w.ctx, disk, "one"))
	require.EqualError(t, w.Snapshot(w.ctx, "local:101/vm-101-disk-0.raw", "one"), "can't snapshot this image format")

	want, err := w.BaseName(w.ctx, disk)
	require.NoError(t, err)
	base, err := w.MakeBase(w.ctx, disk)
	require.NoError(t, err)
	require.Equal(t, want, base)
	t.Cleanup(func() { w.Free(as(call.Root), base) })
	clone, err := w.NextCloneName(w.ctx, base, 102)
	require.NoError(t, err)
	require.Equal(t, "local:100/base-100-disk-0.qcow2/102/vm-102-disk-0.qcow2", clone)
	require.NoError(t, w.LinkedClone(w.ctx, base, clone))
	v, err := w.Stat(w.ctx, clone)
	require.NoError(t, err)
	require.Equal(t, clone, v.VolID)
	require.Equal(t, storage.VolumeID("100/base-100-disk-0.qcow2"), v.Parent)
	require.Equal(t, int64(8<<20), v.SizeBytes)
	require.EqualError(t, w.Free(w.ctx, base), "base volume '100/base-100-disk-0.qcow2' is still in use by linked clones")

	has, err := w.HasClones(w.ctx, base)
	require.NoError(t, err)
	require.True(t, has)
	has, err = w.HasClones(w.ctx, clone)
	require.NoError(t, err)
	require.False(t, has)

	images, err := w.Images(w.ctx, 102)
	require.NoError(t, err)
	require.Equal(t, []string{clone}, images)
	require.NoError(t, w.Rename(w.ctx, clone, "local:100/base-100-disk-0.qcow2/103/vm-103-disk-0.qcow2"))
	require.NoError(t, w.Free(w.ctx, "local:100/base-100-disk-0.qcow2/103/vm-103-disk-0.qcow2"))

	at, err := w.Attach(w.ctx, "local:101/vm-101-disk-0.raw", 0, false)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(w.local, "images/101/vm-101-disk-0.raw"), at.(storage.File).Path)
	require.NoError(t, w.Detach(w.ctx, "local:101/vm-101-disk-0.raw"))
	require.NoError(t, w.Detach(w.ctx, "local:101/vm-101-disk-9.raw"))
	require.NoError(t, w.Detach(w.ctx, "removed:101/vm-101-disk-9.raw"))

	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	require.Error(t, w.Copy(ctx, "local:101/vm-101-disk-0.raw", "local:104/vm-104-disk-0.raw", volume.CopyOptions{}))
	_, err = w.Stat(w.ctx, "local:104/vm-104-disk-0.raw")
	require.ErrorIs(t, err, storage.ErrNotFound)
}

func TestUploadThatItsProcessDidNotOutlive(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, allContents)
	require.NoError(t, os.MkdirAll(filepath.Join(w.local, "template/iso"), 0o755))
	temp := filepath.Join(w.local, "template/iso/.gpve-LEFTOVER.tmp")
	require.NoError(t, os.WriteFile(temp, []byte("half an image"), 0o600))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	require.Eventually(t, func() bool { _, err := os.Stat(temp); return os.IsNotExist(err) }, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-done)

	// Its task finds nothing.
	id, err := w.tasks.Submit(w.ctx, task.Spec{Type: "imgcopy", User: call.Root, Params: map[string]any{"Volume": "local:iso/x.iso", "Token": "lost"}})
	require.NoError(t, err)
	require.Equal(t, "temporary file 'x.iso' does not exist", w.wait(t, id.String()))
}

func TestSnippetsAreBounded(t *testing.T) {
	w := newWorld(t, allContents)
	require.NoError(t, os.MkdirAll(filepath.Join(w.local, "snippets"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(w.local, "snippets/user.yaml"), []byte("#cloud-config"), 0o644))
	data, err := w.ReadSnippet(w.ctx, "local:snippets/user.yaml", 100)
	require.NoError(t, err)
	require.Equal(t, "#cloud-config", string(data))
	_, err = w.ReadSnippet(w.ctx, "local:snippets/user.yaml", 5)
	require.ErrorContains(t, err, "too big")
	_, err = w.ReadSnippet(w.ctx, "local:iso/user.iso", 5)
	require.ErrorContains(t, err, "is not in the snippets directory")
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(w.local, "snippets/link")))
	_, err = w.ReadSnippet(w.ctx, "local:snippets/link", 1<<20)
	require.ErrorIs(t, err, storage.ErrUnsafe)
}
