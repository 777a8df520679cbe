package jobs_test

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/tinyguest"
	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/qapi"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

func TestDumpMemory(t *testing.T) {
	ctx, c := limited(t), start(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "core"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, jobs.DumpMemory(ctx, c, f, ""))
	core, err := elf.NewFile(f)
	require.NoError(t, err)
	require.Equal(t, elf.ET_CORE, core.Type)
	st, err := f.Stat()
	require.NoError(t, err)
	require.Greater(t, st.Size(), int64(32<<20))
	requireStatus(t, c, qapi.RunStateRunning)

	require.Error(t, jobs.DumpMemory(ctx, c, f, "no-such-format"))
	require.Eventually(t, func() bool { return jobs.DumpMemory(ctx, c, f, qapi.DumpGuestMemoryFormatElf) == nil },
		10*time.Second, 5*time.Millisecond, "the descriptor's name is free again")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	var failed *jobs.Error
	require.Eventually(t, func() bool { return errors.As(jobs.DumpMemory(ctx, c, full, ""), &failed) }, 10*time.Second, 5*time.Millisecond)
}

func TestScreenshot(t *testing.T) {
	ctx, c := limited(t), start(t, "-device", "VGA,id=vga0")
	var picture bytes.Buffer
	require.NoError(t, jobs.Screenshot(ctx, c, &picture, t.TempDir(), nil))
	require.Equal(t, "P6\n", picture.String()[:3])
	require.Error(t, jobs.Screenshot(ctx, c, &picture, t.TempDir(), &jobs.ScreenOptions{Device: "vga1"}))
	require.Error(t, jobs.Screenshot(ctx, c, &picture, "/nowhere", nil))
	sets, err := qapi.QueryFDSets(ctx, c)
	require.NoError(t, err)
	require.Empty(t, sets)
	schema, err := qapi.Probe(ctx, c)
	require.NoError(t, err)
	if schema.HasArgumentValue("screendump", "png", "format") {
		picture.Reset()
		require.NoError(t, jobs.Screenshot(ctx, c, &picture, t.TempDir(), &jobs.ScreenOptions{Device: "vga0", Format: qapi.ImageFormatPng}))
		require.Equal(t, "\x89PNG", picture.String()[:4])
	}
}

func TestDirtyRate(t *testing.T) {
	c := start(t, "-drive", "if=none,id=b,format=raw,file="+bootDisk(t, writer), "-device", "ide-hd,drive=b")
	rate, err := jobs.DirtyRate(limited(t), c, 1)
	require.NoError(t, err)
	require.GreaterOrEqual(t, rate, int64(0))
	_, err = jobs.DirtyRate(limited(t), c, 0)
	require.Error(t, err)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = jobs.DirtyRate(short, c, 60)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestSetBalloon plays a guest that gives memory back in steps.
func TestSetBalloon(t *testing.T) {
	peer := qmptest.New(t, nil)
	peer.Handle("balloon", func(*qmptest.Request) (any, error) { return nil, nil })
	peer.Handle("query-balloon", func(*qmptest.Request) (any, error) {
		for _, actual := range []int64{3 << 20, 2 << 20} {
			peer.Emit("BALLOON_CHANGE", map[string]int64{"actual": actual})
		}
		return map[string]int64{"actual": 4 << 20}, nil
	})
	c, err := qmp.NewClient(limited(t), peer.Conn(), nil)
	require.NoError(t, err)
	defer c.Close()
	actual, err := jobs.SetBalloon(limited(t), c, 2<<20+100)
	require.NoError(t, err)
	require.EqualValues(t, 2<<20, actual)
	actual, err = jobs.SetBalloon(limited(t), c, 4<<20)
	require.NoError(t, err)
	require.EqualValues(t, 4<<20, actual, "nothing has to change")
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	actual, err = jobs.SetBalloon(short, c, 1<<20)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualValues(t, 2<<20, actual)
}

// TestBalloonOnQEMU has no guest with a driver: the wish is taken, and waited for in vain.
func TestBalloonOnQEMU(t *testing.T) {
	c := start(t)
	_, err := jobs.SetBalloon(limited(t), c, 16<<20)
	require.ErrorContains(t, err, "balloon", "without a device")
	c = start(t, "-device", "virtio-balloon-pci")
	actual, err := jobs.SetBalloon(limited(t), c, 32<<20)
	require.NoError(t, err)
	require.EqualValues(t, 32<<20, actual)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = jobs.SetBalloon(short, c, 16<<20)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// TestBalloonGuest takes memory from a guest that has the driver, and gives it back.
func TestBalloonGuest(t *testing.T) {
	disk := tinyguest.Disk(t)
	c := start(t, "-m", "256", "-snapshot", "-drive", "if=none,id=d,format=qcow2,file="+disk, "-device", "virtio-blk-pci,drive=d,bootindex=1",
		"-device", "virtio-balloon-pci")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for _, size := range []int64{192 << 20, 256 << 20} { // asked while it boots: it obeys as soon as it has the driver
		actual, err := jobs.SetBalloon(ctx, c, size)
		require.NoError(t, err)
		require.Equal(t, size, actual)
	}
}
