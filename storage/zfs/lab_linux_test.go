package zfs_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gozfs "github.com/mistifyio/go-zfs/v4"
	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
	"github.com/turtacn/go-proxmox/storage/zfs"
)

// testPool is made by the first test that needs it, on the lab's first disk; each driver gets a dataset of its own in it.
const testPool = "gpvetest"

var (
	making   sync.Mutex // serialises the making of testPool
	datasets atomic.Int64
)

// backend is how another process finds the driver of a test.
type backend struct {
	Dataset string
	Options zfs.Options
}

type suite struct{ *testing.M }

// Run runs the tests and leaves the lab's disks as they were.
func (s suite) Run() int {
	status := s.M.Run()
	for _, name := range []string{testPool, smallPool, deadPool} {
		if exists(name) {
			if out, err := exec.Command("zpool", "destroy", "-f", name).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "zpool destroy: %v: %s\n", err, out)
				status = cmp.Or(status, 1)
			}
		}
	}
	return status
}

func TestMain(m *testing.M) {
	storagetest.Main(suite{m}, func(text string, step func()) (storage.Driver, error) {
		var b backend
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			return nil, err
		}
		d, err := zfs.New(b.Dataset, &b.Options)
		if err == nil {
			zfs.SetStep(d, step)
		}
		return d, err
	})
}

func exists(pool string) bool {
	_, err := gozfs.GetZpool(pool)
	return err == nil
}

func zpool(t testing.TB) {
	t.Helper()
	need.Root(t)
	need.Tool(t, "zfs", "zpool")
	need.Module(t, "zfs")
	disk := need.LabDisk(t, 0)
	making.Lock()
	defer making.Unlock()
	if !exists(testPool) {
		_, err := gozfs.CreateZpool(testPool, nil, "-f", "-O", "compression=lz4", "-m", filepath.Join("/tmp", testPool), disk)
		require.NoError(t, err)
	}
}

// open returns the driver of a new dataset.
func open(t testing.TB, o *zfs.Options) (*zfs.Driver, string) {
	t.Helper()
	zpool(t)
	dataset := fmt.Sprintf("%s/d%d", testPool, datasets.Add(1))
	_, err := gozfs.CreateFilesystem(dataset, nil)
	require.NoError(t, err)
	t.Cleanup(func() {
		var out []byte
		require.Eventually(t, func() (done bool) { // udev may still look at what was just made
			var err error
			out, err = exec.Command("zfs", "destroy", "-R", dataset).CombinedOutput()
			return err == nil
		}, 3*time.Minute, 100*time.Millisecond)
		require.Empty(t, out)
	})
	d, err := zfs.New(dataset, o)
	require.NoError(t, err)
	return d, dataset
}

// residue is what is in a dataset and is neither a volume nor a snapshot of one.
func residue(t *testing.T, dataset string) []string {
	out, err := exec.Command("zfs", "list", "-H", "-r", "-t", "all", "-o", "name", dataset).CombinedOutput()
	require.NoError(t, err, "%s", out)
	var left []string
	for name := range strings.Lines(string(out)) {
		name = strings.TrimSpace(name)
		if rest, ok := strings.CutPrefix(name, dataset+"/"); ok && (strings.Contains(rest, zfs.TempPrefix) || !strings.HasPrefix(rest, "vm-") &&
			!strings.HasPrefix(rest, "base") && !strings.HasPrefix(rest, "subvol-")) {
			left = append(left, name)
		}
	}
	return left
}

// folderContent is storagetest.Content for zvols, and for subvols, which keep what is written in one file.
type folderContent struct{}

func (folderContent) Write(_ context.Context, img *storage.Image, data []byte) error {
	f := img.File
	if img.Format == storage.Subvol {
		var err error
		if f, err = os.OpenFile(filepath.Join(img.File.Name(), "data"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || info.Size() < int64(len(data)) { // a hole takes nothing of the quota
			if err := errors.Join(err, f.Truncate(int64(len(data)))); err != nil {
				return err
			}
		}
	}
	// Only what differs: every block that is written is a changed one to ZFS, also if it is as before.
	const block = 64 << 10
	old := make([]byte, block)
	for off := 0; off < len(data); off += block {
		part := data[off:min(off+block, len(data))]
		clear(old)
		if n, err := f.ReadAt(old[:len(part)], int64(off)); (err == nil || errors.Is(err, io.EOF)) && n == len(part) && bytes.Equal(old[:n], part) {
			continue
		}
		if _, err := f.WriteAt(part, int64(off)); err != nil {
			return err
		}
	}
	return f.Sync()
}

func (folderContent) Read(_ context.Context, img *storage.Image, n int64) ([]byte, error) {
	data := make([]byte, n)
	f := img.File
	if img.Format == storage.Subvol {
		var err error
		f, err = os.Open(filepath.Join(img.File.Name(), "data"))
		if errors.Is(err, fs.ErrNotExist) {
			return data, nil
		} else if err != nil {
			return nil, err
		}
		defer f.Close()
	}
	if _, err := f.ReadAt(data, 0); err != nil && (img.Format != storage.Subvol || !errors.Is(err, io.EOF)) {
		return nil, err
	}
	return data, nil
}
