package jobs_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/qapi"
	"github.com/turtacn/go-proxmox/qmp/qmptest"
)

// diskWriter is a boot sector whose guest counts in the word at 0x8000 and writes it to the disk's fifth sector each time.
var diskWriter = []byte{
	0x31, 0xc0, // xor ax, ax
	0x8e, 0xd8, // mov ds, ax
	0x8e, 0xc0, // mov es, ax
	0xbb, 0x00, 0x80, // mov bx, 0x8000
	0xff, 0x06, 0x00, 0x80, // again: inc word [0x8000]
	0xb8, 0x01, 0x03, // mov ax, 0x0301: write one sector
	0xb9, 0x05, 0x00, // mov cx, 5
	0xb6, 0x00, // mov dh, 0
	0xcd, 0x13, // int 0x13
	0xeb, 0xf0, // jmp again
}

// writing is a running machine whose guest writes to its disk, the node "base" over a raw file.
type writing struct {
	t    *testing.T
	c    *qmp.Client
	path string
	made int
}

func startWriting(t *testing.T) *writing {
	t.Helper()
	w := &writing{t: t, path: bootDisk(t, diskWriter)}
	w.c = start(t, "-blockdev", "raw,node-name=base,file.driver=file,file.filename="+w.path,
		"-device", "virtio-blk-pci,id=disk,drive=base,bootindex=1")
	w.advance()
	return w
}

// counted returns what the guest counts in memory.
func (w *writing) counted() int {
	w.t.Helper()
	text, err := qapi.HumanMonitorCommand(limited(w.t), w.c, &qapi.HumanMonitorCommandArgs{CommandLine: "xp /1hx 0x8000"})
	require.NoError(w.t, err)
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimPrefix(text[strings.Index(text, ":")+1:], " ")), 0, 32)
	require.NoError(w.t, err, text)
	return int(n)
}

// onDisk returns what has arrived in the raw file.
func (w *writing) onDisk() int {
	w.t.Helper()
	data, err := os.ReadFile(w.path)
	require.NoError(w.t, err)
	return int(binary.LittleEndian.Uint16(data[4*512:]))
}

// advance waits until the guest has written once more.
func (w *writing) advance() {
	w.t.Helper()
	was := w.counted()
	require.Eventually(w.t, func() bool { return w.counted() >= was+2 }, 30*time.Second, 5*time.Millisecond)
}

// overlay describes a new image over node.
func (w *writing) overlay(node string) (string, jobs.Overlay) {
	w.made++
	name := fmt.Sprintf("over%d", w.made)
	path := filepath.Join(w.t.TempDir(), name+".qcow2")
	file := qapi.BlockdevRef{Definition: &qapi.BlockdevOptions{File: &qapi.BlockdevOptionsFile{Filename: path}}}
	return name, jobs.Overlay{
		Node:  node,
		Image: &qapi.BlockdevOptions{NodeName: &name, Qcow2: &qapi.BlockdevOptionsQcow2{File: file}},
		Create: []qapi.BlockdevCreateOptions{
			{File: &qapi.BlockdevCreateOptionsFile{Filename: path}},
			{Qcow2: &qapi.BlockdevCreateOptionsQcow2{File: file, Size: 1 << 20}},
		},
	}
}

// nodes returns the chain of the disk from the active node on, the named nodes only.
func (w *writing) requireChain(active string, gone ...string) {
	w.t.Helper()
	blocks, err := qapi.QueryBlock(limited(w.t), w.c)
	require.NoError(w.t, err)
	require.Equal(w.t, active, *blocks[0].Inserted.NodeName)
	nodes, err := qapi.QueryNamedBlockNodes(limited(w.t), w.c, nil)
	require.NoError(w.t, err)
	for _, n := range nodes {
		require.NotContains(w.t, gone, *n.NodeName)
	}
	noJobs(w.t, w.c)
	requireStatus(w.t, w.c, qapi.RunStateRunning)
}

func TestOverlaysMergedDown(t *testing.T) {
	w := startWriting(t)
	require.Positive(t, w.onDisk())
	first, o := w.overlay("base")
	require.NoError(t, jobs.SnapshotOverlays(limited(t), w.c, o))
	frozen := w.onDisk()
	w.advance()
	require.Equal(t, frozen, w.onDisk(), "the guest writes to the overlay")
	second, o := w.overlay(first)
	require.NoError(t, jobs.SnapshotOverlays(limited(t), w.c, o))
	w.advance()
	w.requireChain(second)

	atLeast := w.counted() - 1
	require.NoError(t, jobs.MergeDown(limited(t), w.c, "merge", []string{second, first}, "base", nil))
	w.requireChain("base", first, second)
	require.GreaterOrEqual(t, w.onDisk(), atLeast)
	was := w.onDisk()
	w.advance()
	require.Greater(t, w.onDisk(), was, "and to the base again")
}

func TestOverlaysMergedUp(t *testing.T) {
	w := startWriting(t)
	first, o := w.overlay("base")
	require.NoError(t, jobs.SnapshotOverlays(limited(t), w.c, o))
	second, o := w.overlay(first)
	require.NoError(t, jobs.SnapshotOverlays(limited(t), w.c, o))
	frozen := w.onDisk()
	require.NoError(t, jobs.MergeUp(limited(t), w.c, "merge", second, []string{first}, nil))
	w.requireChain(second, first)
	w.advance()
	require.Equal(t, frozen, w.onDisk())
	require.NoError(t, jobs.MergeDown(limited(t), w.c, "merge", []string{second}, "base", nil))
	w.requireChain("base", first, second)
}

// TestMergeIsCancelled plays a commit that is cancelled before it is ready, and one that is too far for that.
func TestMergeIsCancelled(t *testing.T) {
	for name, tooLate := range map[string]bool{"in time": false, "too late": true} {
		t.Run(name, func(t *testing.T) {
			peer := qmptest.New(t, nil)
			now := concluded("")
			now["status"] = "running"
			peer.Handle("block-commit", func(*qmptest.Request) (any, error) { status(peer, "j", "running"); return nil, nil })
			peer.Handle("query-jobs", func(*qmptest.Request) (any, error) { return []any{now}, nil })
			peer.Handle("job-dismiss", func(*qmptest.Request) (any, error) { return nil, nil })
			peer.Handle("blockdev-del", func(*qmptest.Request) (any, error) { return nil, nil })
			peer.Handle("job-cancel", func(*qmptest.Request) (any, error) {
				if now = concluded("Operation canceled"); tooLate {
					now = concluded("")
				}
				status(peer, "j", "concluded")
				return nil, nil
			})
			c, err := qmp.NewClient(limited(t), peer.Conn(), nil)
			require.NoError(t, err)
			defer c.Close()
			ctx, cancel := context.WithCancel(limited(t))
			defer cancel()
			err = jobs.MergeDown(ctx, c, "j", []string{"over"}, "base", &jobs.RunOptions{
				Every: time.Millisecond, OnProgress: func(jobs.Progress) { cancel() }})
			var sent []string
			for _, r := range peer.Requests() {
				sent = append(sent, r.Command)
			}
			if tooLate { // the guest uses the base: what was over it goes
				require.NoError(t, err)
				require.Contains(t, sent, "blockdev-del")
				return
			}
			require.ErrorIs(t, err, context.Canceled)
			require.NotContains(t, sent, "blockdev-del")
			require.NotContains(t, sent, "job-complete")
		})
	}
}

func TestSnapshotThatFailsLeavesNothing(t *testing.T) {
	w := startWriting(t)
	good, o := w.overlay("base")
	bad, wrong := w.overlay("no-such-node")
	require.Error(t, jobs.SnapshotOverlays(limited(t), w.c, o, wrong))
	w.requireChain("base", good, bad)
	require.Error(t, jobs.SnapshotOverlays(limited(t), w.c))
	require.Error(t, jobs.SnapshotOverlays(limited(t), w.c, jobs.Overlay{Node: "base"}))
	require.Error(t, jobs.MergeDown(limited(t), w.c, "m", nil, "base", nil))
	require.Error(t, jobs.MergeUp(limited(t), w.c, "m", "base", nil, nil))
}
