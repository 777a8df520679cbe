package qimg_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

func TestThreat4_HostileImagesAreRefused(t *testing.T) {
	for _, img := range storagetest.Hostile("/etc/hostname") {
		t.Run(img.Name, func(t *testing.T) {
			for _, format := range []storage.Format{img.Format, ""} {
				h, err := qimg.CheckUntrusted(bytes.NewReader(img.Data), int64(len(img.Data)), format)
				if format == "" && h.Format == storage.Raw {
					continue // text is a raw image like any other
				}
				require.Error(t, err, "as %q: %+v", format, h)
				require.True(t, errors.Is(err, storage.ErrUnsafe) || errors.Is(err, qimg.ErrCorrupt), "%v", err)
			}
		})
	}
}

func TestProbe(t *testing.T) {
	q := &storagetest.QCOW2{VirtualBytes: 5 << 30, Backing: "../9000/base-9000-disk-0.raw", BackingFormat: "raw"}
	linked := q.Bytes()
	for _, c := range []struct {
		name string
		data []byte
		want qimg.Header
	}{
		{"empty", nil, qimg.Header{Format: storage.Raw}},
		{"raw", make([]byte, 4096), qimg.Header{Format: storage.Raw, VirtualBytes: 4096}},
		{"qcow2", (&storagetest.QCOW2{VirtualBytes: 1 << 40}).Bytes(), qimg.Header{Format: storage.QCOW2, VirtualBytes: 1 << 40}},
		{"qcow2 version 2", (&storagetest.QCOW2{Version: 2, VirtualBytes: 512}).Bytes(), qimg.Header{Format: storage.QCOW2, VirtualBytes: 512}},
		{"linked clone", linked, qimg.Header{
			Format: storage.QCOW2, VirtualBytes: 5 << 30, BackingFile: "../9000/base-9000-disk-0.raw", BackingFormat: "raw"}},
		{"vmdk", storagetest.SparseVMDK(2048, "# Disk DescriptorFile\nversion=1\n"), qimg.Header{Format: storage.VMDK, VirtualBytes: 1 << 20}},
		{"descriptor", []byte("# Disk DescriptorFile\nversion=1\nRW 10 FLAT \"a\" 0\nRW 6 SPARSE \"b\"\n"),
			qimg.Header{Format: storage.VMDK, VirtualBytes: 16 * 512, Extents: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := qimg.Probe(bytes.NewReader(c.data), int64(len(c.data)))
			require.NoError(t, err)
			require.Equal(t, c.want, h)
		})
	}
}

func TestThreat3_RawIsNeverLookedInto(t *testing.T) {
	data := (&storagetest.QCOW2{VirtualBytes: 1 << 40, Backing: "/etc/passwd"}).Bytes()
	h, err := qimg.ProbeAs(bytes.NewReader(data), int64(len(data)), storage.Raw)
	require.NoError(t, err)
	require.Equal(t, qimg.Header{Format: storage.Raw, VirtualBytes: int64(len(data))}, h)
}

func FuzzCheckUntrusted(f *testing.F) {
	for _, img := range storagetest.Hostile("/etc/hostname") {
		f.Add(img.Data[:min(len(img.Data), 4096)])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := qimg.CheckUntrusted(bytes.NewReader(data), int64(len(data)), "")
		if err == nil {
			require.Empty(t, h.BackingFile)
			require.False(t, h.DataFile)
			require.Zero(t, h.Extents)
			require.LessOrEqual(t, h.VirtualBytes, qimg.MaxVirtualBytes)
			require.GreaterOrEqual(t, h.VirtualBytes, int64(0))
		}
	})
}
