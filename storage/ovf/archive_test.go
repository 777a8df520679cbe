package ovf_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/ovf"
)

// pack makes an archive of files, given as name and content in turn.
func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}))
		_, err := io.WriteString(w, files[i+1])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func packHeader(t testing.TB, h *tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	require.NoError(t, w.WriteHeader(h))
	if h.Size > 0 {
		_, err := w.Write(make([]byte, h.Size))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func open(b []byte) (*ovf.Archive, error) {
	return ovf.OpenArchive(bytes.NewReader(b), int64(len(b)), nil)
}

func TestArchive(t *testing.T) {
	a, err := open(pack(t, "./box.ovf", sample, "data.vmdk", "DATA", "root disk.vmdk", "ROOT", "other.ovf", "x"))
	require.NoError(t, err)
	require.Len(t, a.Members(), 4)
	require.Equal(t, "box.ovf", a.Members()[0].Name)
	d, err := a.Descriptor()
	require.NoError(t, err)
	for _, disk := range d.Disks {
		r, err := a.Open(disk.File)
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		require.Contains(t, []string{"DATA", "ROOT"}, string(b))
	}
	_, err = a.Open("nothing")
	require.ErrorIs(t, err, fs.ErrNotExist)
	n, err := a.Verify(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestArchiveErrors(t *testing.T) {
	a, err := open(pack(t, "x.vmdk", "x"))
	require.NoError(t, err)
	_, err = a.Descriptor()
	require.ErrorIs(t, err, ovf.ErrNoDescriptor)
	a, err = open(pack(t, "box.ovf", sample, "data.vmdk", "DATA")) // a disk is missing
	require.NoError(t, err)
	_, err = a.Descriptor()
	require.ErrorIs(t, err, ovf.ErrPath)
	a, err = open(pack(t, "box.ovf", strings.Repeat(" ", ovf.MaxDescriptorBytes+1)))
	require.NoError(t, err)
	_, err = a.Descriptor()
	require.ErrorIs(t, err, ovf.ErrTooLarge)
	for _, junk := range [][]byte{{}, make([]byte, 100), bytes.Repeat([]byte("x"), 4096)} {
		a, err := open(junk)
		if err == nil {
			require.Empty(t, a.Members())
		}
	}
}

func TestManifest(t *testing.T) {
	sums := fmt.Sprintf("SHA256(a.vmdk)= %x\nSHA1 (b.vmdk) = %x\n\n", sha256.Sum256([]byte("A")), sha1.Sum([]byte("B")))
	a, err := open(pack(t, "box.mf", sums, "a.vmdk", "A", "b.vmdk", "B"))
	require.NoError(t, err)
	_, err = a.Verify(t.Context())
	require.ErrorIs(t, err, ovf.ErrSyntax) // a blank before the '='
	sums = strings.Replace(sums, ") =", ")=", 1)
	a, err = open(pack(t, "box.mf", sums, "a.vmdk", "A", "b.vmdk", "B"))
	require.NoError(t, err)
	n, err := a.Verify(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, n)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = a.Verify(ctx)
	require.ErrorIs(t, err, context.Canceled)

	a, err = open(pack(t, "box.mf", sums, "a.vmdk", "A", "b.vmdk", "C"))
	require.NoError(t, err)
	_, err = a.Verify(t.Context())
	require.ErrorIs(t, err, ovf.ErrChecksum)
	a, err = open(pack(t, "box.mf", sums, "a.vmdk", "A"))
	require.NoError(t, err)
	_, err = a.Verify(t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, bad := range []string{"MD5(a)= 00", "SHA1(a)= zz", "SHA1(a)= 00", "SHA1 a 00", "SHA1(a= 00"} {
		a, err := open(pack(t, "box.mf", bad))
		require.NoError(t, err)
		_, err = a.Verify(t.Context())
		require.ErrorIs(t, err, ovf.ErrSyntax, bad)
	}
}

func TestThreat12_Members(t *testing.T) {
	for _, name := range []string{"../x.ovf", "/etc/x.ovf", "a/b.ovf", "..", "./../x", "x\x01.ovf", "x;y.ovf"} {
		_, err := open(pack(t, name, "x"))
		require.ErrorIs(t, err, ovf.ErrPath, name)
		require.ErrorIs(t, err, storage.ErrUnsafe)
	}
	for _, h := range []*tar.Header{
		{Name: "a.vmdk", Typeflag: tar.TypeSymlink, Linkname: "/etc/shadow"}, {Name: "a.vmdk", Typeflag: tar.TypeLink, Linkname: "b"},
		{Name: "a.vmdk", Typeflag: tar.TypeChar, Devmajor: 8}, {Name: "a.vmdk", Typeflag: tar.TypeBlock}, {Name: "a.vmdk", Typeflag: tar.TypeFifo},
		{Name: "sub/", Typeflag: tar.TypeDir},
	} {
		_, err := open(packHeader(t, h))
		require.ErrorIs(t, err, ovf.ErrPath, h.Name)
	}
	_, err := open(pack(t, "a.vmdk", "x", "./a.vmdk", "y"))
	require.ErrorContains(t, err, "comes twice")
}

func TestThreat12_Sizes(t *testing.T) {
	// A member that says it is longer than the archive.
	b := packHeader(t, &tar.Header{Name: "a.vmdk", Mode: 0o644, Size: 1 << 20, Typeflag: tar.TypeReg})
	_, err := open(b[:4096])
	require.ErrorIs(t, err, ovf.ErrSyntax)
	// Too many members, too much of names.
	var files []string
	for i := range 40 {
		files = append(files, fmt.Sprintf("%d.vmdk", i), "")
	}
	many := pack(t, files...)
	_, err = ovf.OpenArchive(bytes.NewReader(many), int64(len(many)), &ovf.Limits{Members: 39})
	require.ErrorIs(t, err, ovf.ErrTooLarge)
	_, err = ovf.OpenArchive(bytes.NewReader(many), int64(len(many)), &ovf.Limits{NameBytes: 100})
	require.ErrorIs(t, err, ovf.ErrTooLarge)
	a, err := open(many)
	require.NoError(t, err)
	require.Len(t, a.Members(), 40)
}

// A sparse member as GNU tar writes it (PAX, version 1.0): the map is in the data.
func TestThreat12_SparseMember(t *testing.T) {
	record := func(k, v string) string {
		n := len(k) + len(v) + 3
		for len(fmt.Sprint(n))+len(k)+len(v)+3 != n {
			n = len(fmt.Sprint(n)) + len(k) + len(v) + 3
		}
		return fmt.Sprintf("%d %s=%s\n", n, k, v)
	}
	pax := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "a.vmdk") + record("GNU.sparse.realsize", "1099511627776")
	data := "1\n0\n1\n"
	data += strings.Repeat("\x00", 512-len(data)) + "x"
	var b bytes.Buffer
	for _, part := range []struct {
		typ  byte
		name string
		body string
	}{{'x', "h", pax}, {'0', "a.vmdk", data}} {
		block := make([]byte, 512)
		copy(block, part.name)
		copy(block[100:], "0000644\x000000000\x000000000\x00")
		copy(block[124:], fmt.Sprintf("%011o\x0000000000000\x00        ", len(part.body)))
		block[156] = part.typ
		copy(block[257:], "ustar\x0000")
		sum := 0
		for _, c := range block {
			sum += int(c)
		}
		copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
		b.Write(block)
		b.WriteString(part.body + strings.Repeat("\x00", (512-len(part.body)%512)%512))
	}
	b.Write(make([]byte, 1024))
	r := tar.NewReader(bytes.NewReader(b.Bytes()))
	h, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, int64(1)<<40, h.Size) // the sample is what it should be
	_, err = open(b.Bytes())
	require.ErrorIs(t, err, ovf.ErrPath)
	require.ErrorContains(t, err, "sparse")
}

func FuzzArchive(f *testing.F) {
	f.Add(pack(f, "box.ovf", sample, "data.vmdk", "DATA", "box.mf", "SHA1(data.vmdk)= 00"))
	f.Add(packHeader(f, &tar.Header{Name: "a.vmdk", Typeflag: tar.TypeSymlink, Linkname: "x"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := open(b)
		if err != nil {
			return
		}
		total := int64(0)
		for _, m := range a.Members() {
			require.True(t, ovf.SafeName(m.Name))
			total += m.SizeBytes
			r, err := a.Open(m.Name)
			require.NoError(t, err)
			n, err := io.Copy(io.Discard, r)
			require.NoError(t, err)
			require.Equal(t, m.SizeBytes, n)
		}
		require.LessOrEqual(t, total, int64(len(b)))
		_, _ = a.Descriptor()
		_, _ = a.Verify(t.Context())
	})
}
