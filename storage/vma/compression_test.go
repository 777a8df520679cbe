package vma_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/vma"
)

// resum gives an extent's header its checksum.
func resum(e []byte) []byte {
	e = bytes.Clone(e)
	copy(e[24:40], make([]byte, 16))
	sum := md5.Sum(e)
	copy(e[24:], sum[:])
	return e
}

func pressed(t testing.TB, c vma.Compression, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := vma.Compress(&b, c, 0)
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func inflate(b []byte, c vma.Compression, bounds *vma.Inflation) ([]byte, error) {
	r, err := vma.Decompress(bytes.NewReader(b), c, bounds)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestCompression(t *testing.T) {
	data := whole().bytes()
	for _, c := range []vma.Compression{vma.Plain, vma.Gzip, vma.Zstd, vma.LZO} {
		b := pressed(t, c, data)
		got, err := inflate(b, c, nil)
		require.NoError(t, err, c)
		require.Equal(t, data, got)
		if c == vma.Plain {
			continue
		}
		_, err = inflate(b[:len(b)-5], c, nil)
		require.ErrorIs(t, err, vma.ErrCorrupt, c)
		_, err = inflate([]byte("neither of them, by any means"), c, nil)
		require.ErrorIs(t, err, vma.ErrCorrupt, c)
		broken := errors.New("cable out")
		r, err := vma.Decompress(io.MultiReader(bytes.NewReader(b[:len(b)/2]), errReader{broken}), c, nil)
		require.NoError(t, err)
		_, err = io.ReadAll(r)
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, vma.ErrCorrupt)
	}
	_, err := inflate(nil, "xz", nil)
	require.ErrorIs(t, err, vma.ErrCompression)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = vma.Compress(io.Discard, "xz", 1)
	require.ErrorIs(t, err, vma.ErrCompression)
	_, err = vma.Compress(io.Discard, vma.Bzip2, 1)
	require.ErrorIs(t, err, vma.ErrCompression)
}

// The tools that make Proxmox VE's archives understand ours, and the other way round.
func TestCompressionTools(t *testing.T) {
	for c, tool := range map[vma.Compression]string{vma.Zstd: "zstd", vma.Gzip: "gzip", vma.LZO: "lzop"} {
		t.Run(tool, func(t *testing.T) {
			need.Tool(t, tool)
			data := whole().bytes()
			unpack := exec.Command(tool, "-d", "-c")
			unpack.Stdin = bytes.NewReader(pressed(t, c, data))
			out, err := unpack.Output()
			require.NoError(t, err)
			require.Equal(t, data, out)
			pack := exec.Command(tool, "-c")
			pack.Stdin = bytes.NewReader(data)
			out, err = pack.Output()
			require.NoError(t, err)
			got, err := inflate(out, c, nil)
			require.NoError(t, err)
			require.Equal(t, data, got)
		})
	}
}

func TestThreat13_Bombs(t *testing.T) {
	for _, c := range []vma.Compression{vma.Gzip, vma.Zstd, vma.LZO} {
		bomb := pressed(t, c, make([]byte, 24<<20))
		require.Less(t, len(bomb), 1<<20)
		got, err := inflate(bomb, c, &vma.Inflation{MaxBytes: 1 << 20})
		require.ErrorIs(t, err, vma.ErrTooLarge)
		require.ErrorIs(t, err, storage.ErrUnsafe)
		require.LessOrEqual(t, len(got), 1<<20)
		got, err = inflate(bomb, c, &vma.Inflation{MaxRatio: 100})
		require.ErrorIs(t, err, vma.ErrTooLarge)
		require.Less(t, len(got), 20<<20)
		got, err = inflate(bomb, c, &vma.Inflation{MaxBytes: 24 << 20, MaxRatio: 100000})
		require.NoError(t, err)
		require.Len(t, got, 24<<20)
		// Many small ones in a row.
		_, err = inflate(bytes.Repeat(pressed(t, c, make([]byte, 1<<20)), 40), c, &vma.Inflation{MaxBytes: 8 << 20})
		require.ErrorIs(t, err, vma.ErrTooLarge)
	}
}

// A frame that asks for more memory than allowed is refused before it gets any.
func TestThreat13_Window(t *testing.T) {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(256<<20), zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(false))
	require.NoError(t, err)
	for range 3 { // more than one block, so that the window is stated
		_, err = fmt.Fprintf(w, "%0200000d", 1)
		require.NoError(t, err)
		require.NoError(t, w.Flush())
	}
	require.NoError(t, w.Close())
	_, err = inflate(b.Bytes(), vma.Zstd, nil)
	require.ErrorIs(t, err, vma.ErrCorrupt)
	_, err = inflate(b.Bytes(), vma.Zstd, &vma.Inflation{WindowBytes: 256 << 20})
	require.NoError(t, err)
}

func FuzzDecompress(f *testing.F) {
	f.Add(pressed(f, vma.Zstd, []byte("VMA")), "zst")
	f.Add(pressed(f, vma.Gzip, []byte("VMA")), "gz")
	f.Add([]byte("BZh91AY&SY"), "bz2")
	f.Add(pressed(f, vma.LZO, bytes.Repeat([]byte("VMA and VMA, "), 100)), "lzo")
	f.Fuzz(func(t *testing.T, b []byte, c string) {
		got, err := inflate(b, vma.Compression(c), &vma.Inflation{MaxBytes: 1 << 20, MaxRatio: 1000, WindowBytes: 8 << 20})
		require.LessOrEqual(t, len(got), 1<<20)
		if err == nil && c == "" {
			require.Equal(t, b, got)
		}
	})
}
