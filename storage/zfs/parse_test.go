package zfs

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/internal/maker"
)

func TestDatasetsAreRead(t *testing.T) {
	s, err := parseDataset("tank/vm-7-disk-0\tvolume\t1073741824\t-\t12288\ttank/base-6-disk-0@__base__\t1700000000")
	require.NoError(t, err)
	require.Equal(t, dataset{
		name: "tank/vm-7-disk-0", zvol: true, size: 1 << 30, used: 12288, origin: "tank/base-6-disk-0@__base__", created: time.Unix(1700000000, 0),
	}, s)
	s, err = parseDataset("tank/subvol-7-disk-1\tfilesystem\t-\t0\t98304\t-\t1700000000")
	require.NoError(t, err)
	require.Equal(t, dataset{name: "tank/subvol-7-disk-1", used: 98304, created: time.Unix(1700000000, 0)}, s, "no quota")
	for _, line := range []string{
		"", "\t\t\t\t\t\t", "a\tvolume\t1\t-\t1\t-", "a\tvolume\t1\t-\t1\t-\t1\t1", "a\tsnapshot\t1\t-\t1\t-\t1",
		"a\tvolume\tx\t-\t1\t-\t1", "a\tvolume\t-1\t-\t1\t-\t1", "a\tvolume\t1G\t-\t1\t-\t1", "a\tfilesystem\t-\t9999999999999999999999\t1\t-\t1",
	} {
		_, err := parseDataset(line)
		require.Error(t, err, "%q", line)
	}
}

func FuzzDataset(f *testing.F) {
	f.Add("tank/vm-7-disk-0\tvolume\t1073741824\t-\t12288\t-\t1700000000")
	f.Add("tank/subvol-7-disk-1\tfilesystem\t-\tnone\t98304\t-\t1")
	d, err := New("tank", nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, line string) {
		s, err := parseDataset(line)
		if err != nil {
			return
		}
		if s.size < 0 || s.used < 0 {
			t.Fatalf("negative: %+v", s)
		}
		if v, ok := d.describe(s); ok {
			if p, err := d.parse(v.ID); err != nil || p.dataset != s.name {
				t.Fatalf("%q is listed as %q, which means %q (%v)", s.name, v.ID, p.dataset, err)
			}
		}
	})
}

// FuzzID: whatever is taken for an id is one word for zfs, below the storage's dataset, and no snapshot.
func FuzzID(f *testing.F) {
	for _, id := range []string{"vm-7-disk-0", "base-6-disk-0/vm-7-disk-0", "subvol-7-x", "vm-7-a@b", "vm-7-../x", "vm-7-a b", "-vm-7-x", "vm-7-a%b"} {
		f.Add(id)
	}
	d, err := New("tank/guests", nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, id string) {
		v, err := d.parse(storage.VolumeID(id))
		if err != nil {
			if !errors.Is(err, storage.ErrBadID) {
				t.Fatalf("%q: %v", id, err)
			}
			return
		}
		rest, ok := strings.CutPrefix(v.dataset, "tank/guests/")
		if !ok || !component.MatchString(rest) || len(v.dataset) > maxDataset || maker.Is(rest) {
			t.Fatalf("%q means %q", id, v.dataset)
		}
	})
}

func TestErrorsHaveAClass(t *testing.T) {
	failed := errors.New("exit status 1")
	for stderr, class := range map[string]error{
		"cannot open 'tank/x': dataset does not exist":                                                       storage.ErrNotFound,
		"cannot create 'tank/x': dataset already exists":                                                     storage.ErrExists,
		"cannot create snapshot 'tank/x@a': dataset already exists\nno snapshots were created":               storage.ErrExists,
		"cannot receive new filesystem stream: destination 'tank/x' exists\nmust specify -F to overwrite it": storage.ErrExists,
		"cannot destroy 'tank/x': dataset is busy":                                                           storage.ErrInUse,
		"cannot destroy 'tank/x': volume has dependent clones\nuse '-R' to destroy":                          storage.ErrInUse,
		"cannot rollback to 'tank/x@a': more recent snapshots or bookmarks exist":                            storage.ErrInUse,
		"could not find any snapshots to destroy; check snapshot names.":                                     storage.ErrNotFound,
		"cannot create 'tank/x': out of space":                                                               storage.ErrNoSpace,
		"cannot set property for 'tank/x': size is greater than available space":                             storage.ErrNoSpace,
		"cannot receive new filesystem stream: out of space":                                                 storage.ErrNoSpace,
		"cannot open 'tank': no such pool":                                                                   storage.ErrUnavailable,
		"The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs' as root to load them.":            storage.ErrUnavailable,
		"cannot open 'tank': pool I/O is currently suspended":                                                storage.ErrUnavailable,
		"cannot create 'tank/x': permission denied":                                                          fs.ErrPermission,
		"something new": failed,
	} {
		err := classify(t.Context(), &Error{Argv: []string{"zfs"}, Stderr: stderr, Err: failed})
		require.ErrorIs(t, err, class, stderr)
	}
	require.ErrorIs(t, classify(t.Context(), &Error{Argv: []string{"zfs"}, Err: exec.ErrNotFound}), storage.ErrUnavailable)
	reason := errors.New("caller left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	require.ErrorIs(t, classify(ctx, &Error{Stderr: "dataset does not exist", Err: failed}), reason, "killed, so what it says is not why")
}

func TestLinesOfStderr(t *testing.T) {
	var got []string
	l := &lines{each: func(s string) { got = append(got, s) }}
	for _, piece := range []string{"full\ttank/a@s\t123\nsi", "ze\t123\n", "\n12:00:01\t", "50\ttank/a@s\nlast"} {
		n, err := l.Write([]byte(piece))
		require.NoError(t, err)
		require.Equal(t, len(piece), n)
	}
	require.Equal(t, []string{"full\ttank/a@s\t123", "size\t123", "", "12:00:01\t50\ttank/a@s"}, got)
	require.True(t, strings.HasSuffix(l.String(), "last"))
	_, _ = l.Write([]byte(strings.Repeat("x", 3*proc.StderrKeep) + "\n"))
	require.LessOrEqual(t, len(l.String()), proc.StderrKeep)
}

func TestProgressAndEstimate(t *testing.T) {
	n, ok := progressOf("15:04:05\t1048576\ttank/vm-7-disk-0@gpve")
	require.True(t, ok)
	require.Equal(t, int64(1048576), n)
	for _, line := range []string{"", "full\ttank/a@s\t123", "size\t123", "15:04:05\tx\ta@b", "15:04:05\t-1\ta@b", "cannot send: broken"} {
		_, ok := progressOf(line)
		require.False(t, ok, line)
	}
	require.Equal(t, int64(4096), estimate([]byte("full\ttank/a@s\t4096\nsize\t4096\n")))
	require.Zero(t, estimate([]byte("nothing\n")))
	require.Zero(t, estimate([]byte("size\t-5\n")))
}

func TestSizesAreRounded(t *testing.T) {
	for _, c := range []struct {
		size   int64
		subvol bool
		want   int64
	}{{0, false, 1 << 20}, {1, false, 1 << 20}, {1 << 20, false, 1 << 20}, {1<<20 + 1, false, 2 << 20}, {0, true, 0}, {1, true, 1 << 10}, {5 << 10, true, 5 << 10}} {
		got, err := roundUp(c.size, c.subvol)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	for _, size := range []int64{-1, maxBytes + 1} {
		_, err := roundUp(size, false)
		require.ErrorIs(t, err, errInvalid)
	}
}

func TestBlockSizes(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "8192": 8192, "16k": 16 << 10, "16K": 16 << 10, "1M": 1 << 20} {
		got, err := blockSize(text)
		require.NoError(t, err)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"k", "-8k", "0", "8 k", "8kb", "99999999999999999999"} {
		_, err := blockSize(text)
		require.ErrorIs(t, err, fs.ErrInvalid, text)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, dataset := range []string{
		"", "/tank", "tank/", "tank//x", "-tank", "tank/-x", "tank/..", "tank/../x", "1tank", "tank@x", "tank x", "tank%", "tank\n", strings.Repeat("a", 200),
	} {
		_, err := New(dataset, nil)
		require.ErrorIs(t, err, fs.ErrInvalid, "%q", dataset)
	}
	for _, o := range []Options{{BlockSizeBytes: 3000}, {BlockSizeBytes: 256}, {BlockSizeBytes: 2 << 20}, {MountPoint: "tank"}, {ImportDir: "a\nb"}} {
		_, err := New("tank", &o)
		require.ErrorIs(t, err, fs.ErrInvalid, "%+v", o)
	}
}

func TestSectionsOfStorageCfg(t *testing.T) {
	b := Backend(&Options{Logger: slog.New(slog.DiscardHandler), DeviceTimeout: time.Minute})
	require.Equal(t, "zfspool", b.Type)
	got, err := b.Open(storage.Config{ID: "local-zfs", Type: "zfspool", Options: map[string]string{
		"pool": "rpool/data", "sparse": "1", "blocksize": "16k", "mountpoint": "/srv/data",
	}})
	require.NoError(t, err)
	d := got.(*Driver)
	require.Equal(t, "rpool/data", d.dataset)
	require.Equal(t, "rpool", d.tool.pool)
	require.True(t, d.opt.Sparse)
	require.Equal(t, int64(16<<10), d.opt.BlockSizeBytes)
	require.Equal(t, time.Minute, d.opt.DeviceTimeout)
	path, err := d.Path("subvol-7-disk-0")
	require.NoError(t, err)
	require.Equal(t, "/srv/data/subvol-7-disk-0", path)
	path, err = d.Path("base-6-disk-0/vm-7-disk-0")
	require.NoError(t, err)
	require.Equal(t, "/dev/zvol/rpool/data/vm-7-disk-0", path)
	for _, options := range []map[string]string{{}, {"pool": "a b"}, {"pool": "tank", "blocksize": "x"}} {
		_, err := b.Open(storage.Config{Type: "zfspool", Options: options})
		require.Error(t, err)
	}
}

func TestTemporaryNames(t *testing.T) {
	name := maker.New("").Name()
	require.Less(t, len(name), maxSnapshot)
	require.Regexp(t, component, name)
	d, err := New("tank", nil)
	require.NoError(t, err)
	_, err = d.parse(storage.VolumeID(name))
	require.ErrorIs(t, err, storage.ErrBadID)
	require.ErrorIs(t, checkSnapshot(name), storage.ErrBadID)
}
