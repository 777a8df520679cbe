package lvmgroup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/lvmcmd"
	"github.com/turtacn/go-proxmox/storage/internal/maker"
)

func newGroup(t *testing.T) *Group {
	tool, err := lvmcmd.New(nil)
	require.NoError(t, err)
	g, err := New("a-b", tool, Options{RunDir: t.TempDir()})
	require.NoError(t, err)
	return g
}

func TestLocksExclude(t *testing.T) {
	g := newGroup(t)
	first, err := g.Lock(t.Context(), "x")
	require.NoError(t, err)
	_, ok := g.TryLock("x")
	require.False(t, ok)
	other, ok := g.TryLock("y")
	require.True(t, ok)
	other.Unlock()

	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("caller left")
	cancel(reason)
	_, err = g.Lock(ctx, "x")
	require.ErrorIs(t, err, reason)
	first.Unlock()
	files, err := os.ReadDir(filepath.Join(g.opt.RunDir))
	require.NoError(t, err)
	require.Empty(t, files, "locks leave nothing")

	// Many at once: the file is removed and made again all the time, and still only one has it.
	var wg sync.WaitGroup
	holders := make(chan struct{}, 1)
	for range 20 {
		wg.Go(func() {
			for range 5 {
				l, err := g.Lock(t.Context(), "x")
				if err != nil {
					t.Error(err)
					return
				}
				select {
				case holders <- struct{}{}:
				default:
					t.Error("two have the lock")
				}
				<-holders
				l.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestTemporaryNames(t *testing.T) {
	g := newGroup(t)
	name := g.TempName()
	require.True(t, Temporary(name))
	require.True(t, lvmcmd.ValidName(name))
	require.ErrorIs(t, g.Check(name), storage.ErrBadID, "no volume is called so")
	l, ok := g.Abandoned(name)
	require.True(t, ok, "nobody makes it")
	_, ok = g.Abandoned(name)
	require.False(t, ok, "now somebody does")
	l.Unlock()
	_, ok = g.Abandoned(maker.Prefix + "0123456789.AAAAAAAAAA")
	require.False(t, ok, "another machine's")
	_, ok = g.Abandoned("vm-100-disk-0")
	require.False(t, ok)
}

func TestNamesThatNoDeviceCanHave(t *testing.T) {
	g := newGroup(t)
	require.NoError(t, g.Check("vm-100-disk-0"))
	for _, bad := range []string{"", "-x", "a/b", "vm-1-a_tdata", "pvmove0", "vm-1-" + strings.Repeat("a", 127), "vm-1" + strings.Repeat("-", 62)} {
		require.ErrorIs(t, g.Check(bad), storage.ErrBadID, bad)
	}
	tool, err := lvmcmd.New(nil)
	require.NoError(t, err)
	for _, bad := range []string{"", "-vg", "--force", "a/b", "..", "vg\n"} {
		_, err := New(bad, tool, Options{})
		require.ErrorIs(t, err, os.ErrInvalid, bad)
	}
	_, err = New("vg", tool, Options{RunDir: "run"})
	require.ErrorIs(t, err, os.ErrInvalid)
}

func TestMarks(t *testing.T) {
	g := newGroup(t)
	l, err := g.Lock(t.Context(), "x")
	require.NoError(t, err)
	defer l.Unlock()
	_, ok := g.marked("x")
	require.False(t, ok)
	require.NoError(t, g.mark("x", holder{uid: 200100, readOnly: true}))
	h, ok := g.marked("x")
	require.True(t, ok)
	require.Equal(t, holder{uid: 200100, readOnly: true}, h)
	require.NoError(t, g.Forget("x"))
	require.NoError(t, g.Forget("x"))
	require.NoError(t, os.WriteFile(g.runFile("x", attachedSuffix), nil, 0o600))
	_, ok = g.marked("x")
	require.True(t, ok, "half a mark is one")
}

func TestRoundUp(t *testing.T) {
	for size, want := range map[int64]int64{0: 4 << 20, 1: 4 << 20, 4 << 20: 4 << 20, 4<<20 + 1: 8 << 20} {
		got, err := RoundUp(size, 4<<20)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []int64{-1, 1<<63 - 1} {
		_, err := RoundUp(bad, 4<<20)
		require.ErrorIs(t, err, storage.ErrBadID)
	}
}

func TestStreams(t *testing.T) {
	dir := t.TempDir()
	data := make([]byte, 9<<20)
	copy(data, "beginning")
	copy(data[5<<20:], "middle")
	copy(data[len(data)-3:], "end")
	file := func(name string, content []byte) *os.File {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, content, 0o600))
		f, err := os.OpenFile(p, os.O_RDWR, 0)
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return f
	}
	var out bytes.Buffer
	require.NoError(t, Export(t.Context(), &out, file("from", data), int64(len(data))))
	require.Equal(t, uint64(len(data)), binary.LittleEndian.Uint64(out.Bytes()))
	size, err := StreamSize(&out)
	require.NoError(t, err)
	to := file("to", make([]byte, len(data)))
	require.NoError(t, Import(t.Context(), to, &out, size))
	got, err := os.ReadFile(to.Name())
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))

	require.ErrorIs(t, Import(t.Context(), to, bytes.NewReader(data[:100]), size), io.ErrUnexpectedEOF)
	require.ErrorIs(t, Import(t.Context(), to, bytes.NewReader(nil), size), io.ErrUnexpectedEOF)
	require.ErrorIs(t, Import(t.Context(), to, bytes.NewReader(append(data, 0)), size), storage.ErrUnsafe)
	for _, lie := range []uint64{0, 1<<64 - 1, 1 << 62} {
		_, err := StreamSize(bytes.NewReader(binary.LittleEndian.AppendUint64(nil, lie)))
		require.ErrorIs(t, err, storage.ErrUnsafe)
	}
}

// TestForeignDevice: what lies at a volume's path is not believed.
func TestForeignDevice(t *testing.T) {
	_, err := mapped(os.DevNull, "LVM-x")
	require.ErrorIs(t, err, storage.ErrUnsafe)
	_, err = mapped(filepath.Join(t.TempDir(), "absent"), "LVM-x")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestZeroIsPaced(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, storage.ErrUnavailable)
	defer cancel()
	require.ErrorIs(t, until(ctx, time.Now().Add(time.Hour)), storage.ErrUnavailable)
	require.NoError(t, until(t.Context(), time.Now().Add(-time.Hour)))
}

// TestNoDevice: a volume without a device is idle, detached and never fresh.
func TestNoDevice(t *testing.T) {
	need.Root(t) // only root asks device-mapper
	g := newGroup(t)
	require.NoError(t, os.MkdirAll(g.opt.RunDir, 0o700))
	require.NoError(t, g.mark("vm-1-disk-0", holder{uid: 7}))
	active, err := g.Active("vm-1-disk-0")
	require.NoError(t, err)
	require.False(t, active)
	require.NoError(t, g.Idle(t.Context(), "vm-1-disk-0"))
	require.NoError(t, g.Detach(t.Context(), "vm-1-disk-0"))
	_, attached := g.marked("vm-1-disk-0")
	require.False(t, attached)
	_, err = g.Fresh("vm-1-disk-0")
	require.ErrorIs(t, err, storage.ErrUnavailable)
}
