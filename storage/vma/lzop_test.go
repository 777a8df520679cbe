package vma_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage/vma"
)

// mixture is n bytes in which literals and copies of all lengths and distances come.
func mixture(r *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		switch r.IntN(4) {
		case 0:
			for range r.IntN(1 << r.IntN(12)) {
				b = append(b, byte(r.Uint32()))
			}
		case 1:
			b = append(b, bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(1<<r.IntN(12)))...)
		default:
			if len(b) == 0 {
				continue
			}
			from := len(b) - 1 - r.IntN(min(len(b), 1<<r.IntN(18)))
			b = append(b, b[from:min(len(b), from+r.IntN(1<<r.IntN(12)))]...)
		}
	}
	return b[:n]
}

func TestLZO(t *testing.T) {
	need.Tool(t, "lzop")
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 20, 237, 238, 239, 300, 5000, 256<<10 - 1, 256 << 10, 256<<10 + 1, 3 << 20} {
		for range 1 + min(50, 50000/(n+1)) {
			data := mixture(r, n)
			packed := pressed(t, vma.LZO, data)
			got, err := inflate(packed, vma.LZO, nil)
			require.NoError(t, err, n)
			require.True(t, bytes.Equal(data, got), n)
		}
	}
	data := mixture(r, 4<<20)
	for _, options := range [][]string{{"-1"}, {"-9"}, {"--crc32"}, {"--no-checksum"}, {"-CC"}} {
		pack := exec.Command("lzop", append(options, "-c")...)
		pack.Stdin = bytes.NewReader(data)
		theirs, err := pack.Output()
		require.NoError(t, err)
		got, err := inflate(append(theirs, theirs...), vma.LZO, nil) // as cat(1) joins them
		require.NoError(t, err, options)
		require.True(t, bytes.Equal(append(bytes.Clone(data), data...), got), options)
	}
	unpack := exec.Command("lzop", "-d", "-c")
	ours := pressed(t, vma.LZO, data)
	unpack.Stdin = bytes.NewReader(ours)
	out, err := unpack.Output()
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, out))
	t.Logf("%d bytes packed into %d", len(data), len(ours))
}

func TestHostileLZO(t *testing.T) {
	good := pressed(t, vma.LZO, bytes.Repeat([]byte("as often as not "), 1000))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		_, err := inflate(bad, vma.LZO, &vma.Inflation{WindowBytes: 1 << 20})
		require.ErrorIs(t, err, vma.ErrCorrupt, i)
	}
	for i := range len(good) {
		got, err := inflate(good[:i], vma.LZO, nil)
		require.ErrorIs(t, err, vma.ErrCorrupt, i)
		require.Empty(t, got[min(len(got), 16000):])
	}
	// A block may not ask for more memory than allowed, nor than lzop makes.
	const block = 9 + 25 + 4
	for _, size := range []uint32{2 << 20, 65 << 20, 1<<32 - 1} {
		bad := bytes.Clone(good)
		binary.BigEndian.PutUint32(bad[block:], size)
		_, err := inflate(bad, vma.LZO, &vma.Inflation{WindowBytes: int64(min(size-1, 1<<30))})
		require.ErrorIs(t, err, vma.ErrCorrupt)
		require.ErrorContains(t, err, "a block of")
	}
}

func BenchmarkLZO(b *testing.B) {
	data := mixture(rand.New(rand.NewPCG(3, 4)), 8<<20)
	packed := pressed(b, vma.LZO, data)
	b.Run("pack", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			pressed(b, vma.LZO, data)
		}
	})
	b.Run("unpack", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			_, err := inflate(packed, vma.LZO, nil)
			require.NoError(b, err)
		}
	})
}
