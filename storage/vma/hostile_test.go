package vma_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/vma"
)

// readAll reads an archive to its end.
func readAll(b []byte, l *vma.Limits) error {
	r, err := vma.NewReader(bytes.NewReader(b), l)
	if err != nil {
		return err
	}
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestThreat14_Header(t *testing.T) {
	require.NoError(t, readAll(whole().bytes(), nil))
	for _, c := range []struct {
		name string
		off  int
		v    uint32
		want error
	}{
		{"magic", 0, 0x514649fb, vma.ErrFormat},
		{"version", 4, 2, vma.ErrFormat},
		{"blobs within the tables", 48, 4096, vma.ErrCorrupt},
		{"blobs not aligned", 48, 12289, vma.ErrCorrupt},
		{"blobs behind the header", 48, 0xfffffe00, vma.ErrCorrupt},
		{"size of blobs", 52, 0xfffffe00, vma.ErrCorrupt},
		{"size of blobs not aligned", 52, 511, vma.ErrCorrupt},
		{"size of header: nothing", 56, 0, vma.ErrCorrupt},
		{"size of header: within the tables", 56, 512, vma.ErrCorrupt},
		{"size of header: not aligned", 56, 12801, vma.ErrCorrupt},
		{"size of header: longer than the file", 56, 1 << 20, vma.ErrTruncated},
		{"size of header: 4 GiB", 56, 0xfffffe00, vma.ErrTooLarge},
		{"name without data", 3068, 0, vma.ErrCorrupt},
		{"data without name", 2044, 0, vma.ErrCorrupt},
		{"name behind the blobs", 2044, 511, vma.ErrCorrupt},
		{"name far behind the blobs", 2044, 0xffffffff, vma.ErrCorrupt},
		{"data behind the blobs", 3068, 0xfffffffe, vma.ErrCorrupt},
		{"name without NUL", 2044, 10, vma.ErrName},
		{"name twice", 2048, 1, vma.ErrCorrupt}, // its data is none
		{"device without name", 4096 + 64, 0, vma.ErrCorrupt},
		{"device name without NUL", 4096 + 64, 10, vma.ErrName},
		{"device of 2^62 bytes", 4096 + 64 + 8, 1 << 30, vma.ErrTooLarge},
		{"device of negative size", 4096 + 64 + 8, 1 << 31, vma.ErrTooLarge},
	} {
		a := whole()
		binary.BigEndian.PutUint32(a.header[c.off:], c.v)
		require.ErrorIs(t, readAll(a.seal().bytes(), nil), c.want, c.name)
	}
	a := whole()
	a.header[100] ^= 1 // not sealed again
	require.ErrorIs(t, readAll(a.bytes(), nil), vma.ErrCorrupt)
	// A blob that is longer than what is left.
	a = whole()
	copy(a.header[12288+10:], "\xff\xff")
	require.ErrorIs(t, readAll(a.seal().bytes(), nil), vma.ErrCorrupt)
	require.ErrorIs(t, readAll(whole().bytes(), &vma.Limits{DeviceBytes: 70000}), vma.ErrTooLarge)
	require.ErrorIs(t, readAll(whole().bytes(), &vma.Limits{HeaderBytes: 12288}), vma.ErrTooLarge)
}

func TestThreat14_Names(t *testing.T) {
	for _, name := range []string{"../x", "/x", "..", ".x", "-x", "a/b", "a\nb", "a\x00b", "a b", "é"} {
		for _, of := range []int{2044, 4096 + 64} {
			a := whole()
			blob := append([]byte{byte(len(name) + 1), 0}, name+"\x00"...)
			copy(a.header[12288+100:], blob)
			binary.BigEndian.PutUint32(a.header[of:], 100)
			err := readAll(a.seal().bytes(), nil)
			require.ErrorIs(t, err, vma.ErrName, name)
			require.ErrorIs(t, err, storage.ErrUnsafe)
		}
	}
	// Two configurations, or two devices, of the same name.
	a := whole()
	binary.BigEndian.PutUint32(a.header[2048:], 1)
	binary.BigEndian.PutUint32(a.header[3072:], 10)
	require.ErrorIs(t, readAll(a.seal().bytes(), nil), vma.ErrName)
	a = whole()
	binary.BigEndian.PutUint32(a.header[4096+96:], 17)
	require.ErrorIs(t, readAll(a.seal().bytes(), nil), vma.ErrName)
}

// All slots used, each with the same large blob: what is taken stays bounded.
func TestThreat14_AllSlots(t *testing.T) {
	a := newCraft()
	blobs := make([]byte, 128<<10)
	copy(blobs, a.header[12288:])
	binary.LittleEndian.PutUint16(blobs[1024:], 0xffff)
	for i := range 256 { // names a to zz
		copy(blobs[70000+8*i:], []byte{3, 0, 'a' + byte(i/16), 'a' + byte(i%16), 0})
	}
	a.header = append(a.header[:12288], blobs...)
	binary.BigEndian.PutUint32(a.header[52:], uint32(len(blobs)))
	binary.BigEndian.PutUint32(a.header[56:], uint32(len(a.header)))
	for i := range 256 {
		binary.BigEndian.PutUint32(a.header[2044+4*i:], uint32(70000+8*i))
		binary.BigEndian.PutUint32(a.header[3068+4*i:], 1024)
		if i > 0 {
			binary.BigEndian.PutUint32(a.header[4096+32*i:], uint32(70000+8*i))
			binary.BigEndian.PutUint64(a.header[4096+32*i+8:], 64<<10)
		}
	}
	r, err := vma.NewReader(bytes.NewReader(a.seal().bytes()), nil)
	require.NoError(t, err)
	require.Len(t, r.Header().Configs, 256)
	require.Len(t, r.Header().Devices, 255)
	_, err = r.Next()
	require.ErrorIs(t, err, vma.ErrTruncated) // no data at all
}

func TestThreat15_DataAgainstHeader(t *testing.T) {
	first, second := info{5, 2, 0}, info{3, 2, 1}
	for name, c := range map[string]*craft{
		"cluster twice":               newCraft().extent(2, blocks('A', 'B'), first).extent(2, blocks('A', 'B'), first),
		"cluster twice in an extent":  newCraft().extent(4, blocks('A', 'B', 'A', 'B'), first, first),
		"zeros over data":             whole().extent(0, nil, info{0, 2, 0}),
		"beyond the end":              whole().extent(0, nil, info{0, 2, 2}),
		"far beyond the end":          whole().extent(0, nil, info{0, 2, 0xffffffff}),
		"block beyond the end":        newCraft().extent(2, blocks('A', 'B'), first).extent(3, blocks('C', 'D', 'E'), info{7, 2, 1}),
		"unknown device":              whole().extent(0, nil, info{0, 7, 0}),
		"blocks of device 0":          whole().extent(1, blocks('A'), info{1, 0, 0}),
		"fewer blocks than it says":   newCraft().extent(3, blocks('A', 'B', 'C'), first),
		"more blocks than it says":    newCraft().extent(1, blocks('A'), first),
		"nothing":                     newCraft(),
		"one cluster is missing":      newCraft().extent(2, blocks('A', 'B'), first),
		"an extent without clusters":  newCraft().extent(0, nil),
		"data ends early":             newCraft().extent(2, blocks('A', 'B'), first).extent(2, blocks('C'), second),
		"something behind the end":    {header: whole().header, extents: append(whole().extents, make([]byte, 512)...)},
		"less than an extent's start": {header: whole().header, extents: append(whole().extents, 'V')},
	} {
		require.ErrorIs(t, readAll(c.bytes(), nil), vma.ErrCorrupt, name)
	}
	other := whole()
	other.extents[8] ^= 1
	require.ErrorIs(t, readAll(other.bytes(), nil), vma.ErrCorrupt) // another UUID
	require.NoError(t, readAll(newCraft().extent(0, nil).extent(4, blocks('A', 'B', 'C', 'D'), first, info{}, second).bytes(), nil))
}

// An archive that ends anywhere but at its end is not taken for whole.
func TestThreat15_Truncated(t *testing.T) {
	b := whole().bytes()
	for n := 0; n < len(b); n += 509 {
		require.Error(t, readAll(b[:n], nil), n)
	}
	require.Error(t, readAll(b[:len(b)-1], nil))
	broken := errors.New("cable out")
	r, err := vma.NewReader(io.MultiReader(bytes.NewReader(b[:20000]), errReader{broken}), nil)
	require.NoError(t, err)
	for err == nil {
		_, err = r.Next()
	}
	require.ErrorIs(t, err, broken) // not the archive's fault
	require.NotErrorIs(t, err, vma.ErrCorrupt)
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// A disk of 64 TiB with clusters all over it takes a bounded amount of memory.
func TestThreat13_Memory(t *testing.T) {
	a := newCraft()
	binary.BigEndian.PutUint64(a.header[4096+64+8:], 64<<40)
	a.seal()
	for i := range 100 {
		var infos []info
		for j := range 59 {
			infos = append(infos, info{0, 2, uint32(i*59+j) * 180000})
		}
		a.extent(0, nil, infos...)
	}
	b := a.bytes()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.ErrorIs(t, readAll(b, nil), vma.ErrTruncated)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<20))
}

func FuzzReader(f *testing.F) {
	f.Add(whole().bytes(), true)
	f.Add(newCraft().extent(0, nil, info{0, 2, 0}, info{0, 2, 1}).bytes(), false)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal && len(b) >= 12288+512 { // get past the checksums
			c := &craft{header: bytes.Clone(b[:12288+512])}
			b = append(c.seal().header, b[12288+512:]...)
			if e := b[12288+512:]; len(e) >= 512 {
				sealed := (&craft{}).extent(binary.BigEndian.Uint16(e[6:]), nil).extents
				copy(sealed[40:], e[40:512])
				copy(e, resum(sealed))
			}
		}
		r, err := vma.NewReader(bytes.NewReader(b), &vma.Limits{DeviceBytes: 1 << 30})
		if err != nil {
			return
		}
		for _, d := range r.Header().Devices {
			require.NotZero(t, d.ID)
			require.NotContains(t, d.Name, "/")
		}
		for {
			c, err := r.Next()
			if err != nil {
				return
			}
			require.Positive(t, c.Length)
			if c.Device.Name != vma.VMState {
				require.LessOrEqual(t, c.Offset+int64(c.Length), c.Device.SizeBytes)
			}
		}
	})
}
