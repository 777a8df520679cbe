package vma_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage/vma"
)

// disk is an image in memory. What is never written keeps its filling.
type disk []byte

func (d disk) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(d)) {
		return 0, errors.New("write outside the disk")
	}
	return copy(d[off:], p), nil
}

func Example() {
	image := append(bytes.Repeat([]byte("data"), 5000), make([]byte, 100000)...)
	var archive bytes.Buffer
	w, err := vma.NewWriter(&archive, &vma.Header{UUID: [16]byte{1}, Created: time.Unix(1700000000, 0),
		Configs: []vma.Config{{Name: "qemu-server.conf", Data: []byte("memory: 512\n")}},
		Devices: []vma.Device{{ID: 1, Name: "drive-scsi0", SizeBytes: int64(len(image))}}})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	if err := w.WriteDevice(ctx, 1, bytes.NewReader(image)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}

	r, err := vma.NewReader(&archive, nil)
	if err != nil {
		panic(err)
	}
	restored := make(disk, r.Header().Devices[0].SizeBytes)
	err = r.Extract(ctx, map[uint8]vma.Target{1: {W: restored, Zeroed: true}})
	fmt.Printf("%s%s %v %v\n", r.Header().Configs[0].Data, r.Header().Devices[0].Name, bytes.Equal(restored, image), err)
	// Output:
	// memory: 512
	// drive-scsi0 true <nil>
}

var uuid = [16]byte{0xaa, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xbb}

// craft makes an archive byte by byte, as the format's description has it, with nothing of the package.
type craft struct{ header, extents []byte }

func newCraft() *craft {
	h := make([]byte, 12288+512)
	copy(h, "VMA\x00")
	put := func(off int, v uint32) { binary.BigEndian.PutUint32(h[off:], v) }
	put(4, 1)
	copy(h[8:], uuid[:])
	binary.BigEndian.PutUint64(h[24:], 1600000000)
	put(48, 12288)
	put(52, 512)
	put(56, uint32(len(h)))
	blobs := h[12288:]
	copy(blobs[1:], "\x07\x00a.conf\x00")   // at 1
	copy(blobs[10:], "\x05\x00x: y\n")      // at 10
	copy(blobs[17:], "\x08\x00drive-a\x00") // at 17
	put(2044, 1)
	put(3068, 10)
	put(4096+2*32, 17) // device 2
	binary.BigEndian.PutUint64(h[4096+2*32+8:], 64<<10+5000)
	return (&craft{header: h}).seal()
}

func (c *craft) seal() *craft {
	copy(c.header[32:48], make([]byte, 16))
	sum := md5.Sum(c.header)
	copy(c.header[32:], sum[:])
	return c
}

type info struct {
	mask   uint16
	device uint8
	number uint32
}

func (c *craft) extent(count uint16, data []byte, infos ...info) *craft {
	e := make([]byte, 512)
	copy(e, "VMAE")
	binary.BigEndian.PutUint16(e[6:], count)
	copy(e[8:], uuid[:])
	for i, f := range infos {
		at := e[40+8*i:]
		binary.BigEndian.PutUint16(at, f.mask)
		at[3] = f.device
		binary.BigEndian.PutUint32(at[4:], f.number)
	}
	sum := md5.Sum(e)
	copy(e[24:], sum[:])
	c.extents = append(append(c.extents, e...), data...)
	return c
}

func (c *craft) bytes() []byte { return append(bytes.Clone(c.header), c.extents...) }

func blocks(fill ...byte) []byte {
	var b []byte
	for _, f := range fill {
		b = append(b, bytes.Repeat([]byte{f}, 4096)...)
	}
	return b
}

// whole is an archive of one disk of one cluster and 5000 bytes: blocks 0 and 2 of the first, both of the second.
func whole() *craft {
	return newCraft().extent(2, blocks('A', 'B'), info{5, 2, 0}).extent(2, blocks('C', 'D'), info{3, 2, 1})
}

func TestReadCrafted(t *testing.T) {
	r, err := vma.NewReader(bytes.NewReader(whole().bytes()), nil)
	require.NoError(t, err)
	require.Equal(t, &vma.Header{UUID: uuid, Created: time.Unix(1600000000, 0).UTC(), Configs: []vma.Config{{"a.conf", []byte("x: y\n")}},
		Devices: []vma.Device{{2, "drive-a", 64<<10 + 5000}}}, r.Header())
	conf, ok := r.Header().Config("a.conf")
	require.True(t, ok)
	require.Equal(t, "x: y\n", string(conf))
	_, ok = r.Header().Config("b.conf")
	require.False(t, ok)
	require.Equal(t, int64(64<<10+5000), r.Header().DeviceBytes())
	var got []string
	for {
		c, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		s := fmt.Sprintf("%d+%d", c.Offset, c.Length)
		if c.Data != nil {
			require.Len(t, c.Data, c.Length)
			s += fmt.Sprintf("%c…%c", c.Data[0], c.Data[c.Length-1])
		}
		got = append(got, s)
	}
	require.Equal(t, []string{"0+4096A…A", "4096+4096", "8192+4096B…B", "12288+53248", "65536+5000C…D"}, got)
	_, err = r.Next()
	require.ErrorIs(t, err, io.EOF)
}

func TestExtractTargets(t *testing.T) {
	want := make([]byte, 64<<10+5000)
	copy(want, blocks('A'))
	copy(want[8192:], blocks('B'))
	copy(want[65536:], blocks('C', 'D')[:5000])
	extract := func(target vma.Target) error {
		r, err := vma.NewReader(bytes.NewReader(whole().bytes()), nil)
		require.NoError(t, err)
		return r.Extract(t.Context(), map[uint8]vma.Target{2: target})
	}
	used := disk(bytes.Repeat([]byte{'x'}, len(want))) // zeros are written over what was there
	require.NoError(t, extract(vma.Target{W: used}))
	require.Equal(t, want, []byte(used))
	fresh := make(disk, len(want))
	require.NoError(t, extract(vma.Target{W: fresh, Zeroed: true}))
	require.Equal(t, want, []byte(fresh))
	require.ErrorContains(t, extract(vma.Target{W: make(disk, 100)}), "write outside")

	r, err := vma.NewReader(bytes.NewReader(whole().bytes()), nil)
	require.NoError(t, err)
	require.NoError(t, r.Extract(t.Context(), nil)) // no target: the archive is checked
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err = vma.NewReader(bytes.NewReader(whole().bytes()), nil)
	require.NoError(t, err)
	require.ErrorIs(t, r.Extract(ctx, nil), context.Canceled)
}

// What is written is read, whatever the disks are like and in whatever order they are written.
func TestRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		h := &vma.Header{UUID: uuid, Created: time.Unix(rnd.Int64N(1<<33), 0).UTC()}
		for i := range rnd.IntN(4) {
			h.Configs = append(h.Configs, vma.Config{Name: fmt.Sprintf("c%d.conf", i), Data: bytes.Repeat([]byte("k: v\n"), rnd.IntN(2000))})
		}
		images := map[uint8][]byte{}
		type place struct {
			id uint8
			n  uint32
		}
		var order []place
		for i := range 1 + rnd.IntN(4) {
			id := uint8(3*i + 1 + rnd.IntN(3))
			image := make([]byte, rnd.IntN(40*64<<10))
			for off := 0; off < len(image); off += 4096 {
				if rnd.IntN(3) > 0 {
					image[off+rnd.IntN(min(4096, len(image)-off))] = byte(1 + rnd.IntN(255))
				}
			}
			images[id] = image
			h.Devices = append(h.Devices, vma.Device{ID: id, Name: fmt.Sprintf("drive-scsi%d", i), SizeBytes: int64(len(image))})
			for n := 0; n*vma.ClusterBytes < len(image); n++ {
				order = append(order, place{id, uint32(n)})
			}
		}
		rnd.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		var archive bytes.Buffer
		w, err := vma.NewWriter(&archive, h)
		require.NoError(t, err)
		for _, p := range order {
			image := images[p.id]
			data := image[int(p.n)*vma.ClusterBytes:]
			data = data[:min(len(data), vma.ClusterBytes)]
			if bytes.Count(data, []byte{0}) == len(data) {
				data = nil
			}
			require.NoError(t, w.WriteCluster(p.id, p.n, data))
		}
		require.NoError(t, w.Close())
		require.NoError(t, w.Close())
		require.ErrorIs(t, w.WriteCluster(1, 0, nil), vma.ErrClosed)

		r, err := vma.NewReader(&archive, nil)
		require.NoError(t, err)
		require.Equal(t, h.Devices, r.Header().Devices)
		require.Len(t, r.Header().Configs, len(h.Configs))
		for i, c := range h.Configs {
			require.Equal(t, c.Name, r.Header().Configs[i].Name)
			require.True(t, bytes.Equal(c.Data, r.Header().Configs[i].Data))
		}
		require.Equal(t, h.Created, r.Header().Created)
		targets := map[uint8]vma.Target{}
		restored := map[uint8]disk{}
		for id, image := range images {
			restored[id] = make(disk, len(image))
			targets[id] = vma.Target{W: restored[id], Zeroed: true}
		}
		require.NoError(t, r.Extract(t.Context(), targets))
		for id, image := range images {
			require.True(t, bytes.Equal(image, restored[id]))
		}
	}
}

func TestState(t *testing.T) {
	h := &vma.Header{UUID: uuid, Devices: []vma.Device{{1, vma.VMState, 0}}}
	memory := append(blocks('M', 0, 'N'), bytes.Repeat([]byte("tail"), 30000)...)
	var archive bytes.Buffer
	w, err := vma.NewWriter(&archive, h)
	require.NoError(t, err)
	require.NoError(t, w.WriteDevice(t.Context(), 1, bytes.NewReader(memory)))
	require.NoError(t, w.Close())
	r, err := vma.NewReader(bytes.NewReader(archive.Bytes()), nil)
	require.NoError(t, err)
	restored := make(disk, 1<<20)
	require.NoError(t, r.Extract(t.Context(), map[uint8]vma.Target{1: {W: restored, Zeroed: true}}))
	require.True(t, bytes.HasPrefix(restored, memory))
	r, err = vma.NewReader(bytes.NewReader(archive.Bytes()), &vma.Limits{StateBytes: 64 << 10})
	require.NoError(t, err)
	require.ErrorIs(t, r.Extract(t.Context(), nil), vma.ErrCorrupt)
}

func TestWriterRefuses(t *testing.T) {
	device := vma.Device{ID: 1, Name: "d", SizeBytes: 100 << 10}
	for name, h := range map[string]*vma.Header{
		"no UUID":        {},
		"id 0":           {UUID: uuid, Devices: []vma.Device{{0, "d", 1}}},
		"ids not sorted": {UUID: uuid, Devices: []vma.Device{{2, "d", 1}, {1, "e", 1}}},
		"name twice":     {UUID: uuid, Devices: []vma.Device{{1, "d", 1}, {2, "d", 1}}},
		"negative":       {UUID: uuid, Devices: []vma.Device{{1, "d", -1}}},
		"too large":      {UUID: uuid, Devices: []vma.Device{{1, "d", 1 << 60}}},
		"large config":   {UUID: uuid, Configs: []vma.Config{{"c", make([]byte, vma.MaxConfigBytes+1)}}},
		"many configs":   {UUID: uuid, Configs: make([]vma.Config, 257)},
		"path":           {UUID: uuid, Configs: []vma.Config{{"../c", nil}}},
	} {
		_, err := vma.NewWriter(io.Discard, h)
		require.Error(t, err, name)
	}
	w, err := vma.NewWriter(io.Discard, &vma.Header{UUID: uuid, Devices: []vma.Device{device}})
	require.NoError(t, err)
	require.ErrorIs(t, w.WriteCluster(2, 0, nil), vma.ErrCorrupt)
	require.ErrorIs(t, w.WriteCluster(1, 2, nil), vma.ErrCorrupt)
	require.ErrorIs(t, w.WriteCluster(1, 1, make([]byte, 64<<10)), vma.ErrCorrupt) // the last one is shorter
	require.ErrorIs(t, w.WriteCluster(1, 0, make([]byte, 100)), vma.ErrCorrupt)
	require.NoError(t, w.WriteCluster(1, 0, nil))
	require.ErrorIs(t, w.WriteCluster(1, 0, nil), vma.ErrCorrupt)
	require.ErrorIs(t, w.Close(), vma.ErrTruncated)
	w, err = vma.NewWriter(io.Discard, &vma.Header{UUID: uuid, Devices: []vma.Device{device}})
	require.NoError(t, err)
	require.ErrorIs(t, w.WriteDevice(t.Context(), 1, bytes.NewReader(make([]byte, 99<<10))), io.ErrUnexpectedEOF)
	require.ErrorIs(t, w.WriteDevice(t.Context(), 9, nil), vma.ErrCorrupt)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.WriteDevice(ctx, 1, nil), context.Canceled)
	// A failing writer fails for ever.
	w, err = vma.NewWriter(&failing{left: 20000}, &vma.Header{UUID: uuid, Devices: []vma.Device{device}})
	require.NoError(t, err)
	require.NoError(t, w.WriteDevice(t.Context(), 1, bytes.NewReader(bytes.Repeat([]byte("x"), 100<<10))))
	require.ErrorContains(t, w.Close(), "disk full")
}

type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}
