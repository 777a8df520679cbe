package volume_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage/vma"
)

// newFetchWorld is a world whose downloads may go to this host, where the tests' servers are.
func newFetchWorld(t *testing.T) *world {
	return newWorldWith(t, allContents, func(o *volume.Options) { o.FetchAllowed = func(netip.Addr) bool { return true } })
}

func (w *world) download(t testing.TB, req schema.PostNodesStorageDownloadUrl) string {
	t.Helper()
	req.Storage, req.Node = "local", "pve1"
	id, err := w.PostNodesStorageDownloadUrl(w.ctx, &req)
	require.NoError(t, err)
	return w.wait(t, id)
}

func (w *world) isoFolder(t testing.TB) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.local, "template/iso"))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestDownload(t *testing.T) {
	need.Tool(t, "qemu-img")
	data := bytes.Repeat([]byte("an ISO image\n"), 10_000)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write(data)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	var packedLZO bytes.Buffer
	z2, err := vma.Compress(&packedLZO, vma.LZO, 0)
	require.NoError(t, err)
	_, err = z2.Write(data)
	require.NoError(t, err)
	require.NoError(t, z2.Close())
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		switch r.URL.Path {
		case "/plain":
			_, _ = rw.Write(data)
		case "/packed.gz":
			_, _ = rw.Write(packed.Bytes())
		case "/packed.lzo":
			_, _ = rw.Write(packedLZO.Bytes())
		case "/moved":
			http.Redirect(rw, r, "/plain", http.StatusFound)
		case "/short":
			rw.Header().Set("Content-Length", "1000")
			_, _ = rw.Write(data[:10])
		default:
			http.NotFound(rw, r)
		}
	}))
	t.Cleanup(server.Close)
	w := newFetchWorld(t)
	sum := sha256.Sum256(data)
	right := ptr(hex.EncodeToString(sum[:]))
	packedSum := sha256.Sum256(packed.Bytes())

	require.Equal(t, "OK", w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "a.iso", Url: server.URL + "/moved", ChecksumAlgorithm: ptr("sha256"), Checksum: right}))
	got, err := os.ReadFile(filepath.Join(w.local, "template/iso/a.iso"))
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.Equal(t, "OK", w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "b.iso", Url: server.URL + "/packed.gz", Compression: ptr("gz"),
		ChecksumAlgorithm: ptr("sha256"), Checksum: ptr(hex.EncodeToString(packedSum[:]))}), "the checksum is that of what the server sends")
	require.Equal(t, "OK", w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "l.iso", Url: server.URL + "/packed.lzo", Compression: ptr("lzo")}))
	for _, name := range []string{"b.iso", "l.iso"} {
		got, err = os.ReadFile(filepath.Join(w.local, "template/iso", name))
		require.NoError(t, err)
		require.Equal(t, data, got)
	}

	before := requests.Load()
	require.Equal(t, "OK", w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "a.iso", Url: server.URL + "/plain", ChecksumAlgorithm: ptr("sha256"), Checksum: right}))
	require.Equal(t, before, requests.Load(), "what is there already is not fetched again")
	require.Equal(t, "refusing to override existing file 'a.iso'", w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "a.iso", Url: server.URL + "/plain"}))
	require.Contains(t, w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "a.iso", Url: server.URL + "/plain", ChecksumAlgorithm: ptr("sha256"), Checksum: ptr("00")}), "aborting")

	for want, req := range map[string]schema.PostNodesStorageDownloadUrl{
		"checksum mismatch: got '":                   {Url: "/plain", ChecksumAlgorithm: ptr("sha256"), Checksum: ptr("00")},
		"download failed: the server answers 404":    {Url: "/none"},
		"download failed: ":                          {Url: "/short"},
		"decompression failed: not a valid gz file":  {Url: "/plain", Compression: ptr("gz")},
		"decompression failed: not a valid zst file": {Url: "/packed.gz", Compression: ptr("zst")},
	} {
		req.Content, req.Filename, req.Url = "iso", "c.iso", server.URL+req.Url
		require.Contains(t, w.download(t, req), want)
	}
	require.Equal(t, []string{"a.iso", "b.iso", "l.iso"}, w.isoFolder(t), "what failed leaves nothing, not even a hidden file")

	for want, req := range map[string]schema.PostNodesStorageDownloadUrl{
		"wrong file extension":             {Content: "iso", Filename: "a.exe"},
		"decompression not supported for":  {Content: "vztmpl", Filename: "a.tar.gz", Compression: ptr("gz")},
		"a checksum needs":                 {Content: "iso", Filename: "d.iso", Checksum: ptr("00")},
		"no decompression method found":    {Content: "iso", Filename: "d.iso", Compression: ptr("xz")},
		"is not configured for content-ty": {Content: "rootdir", Filename: "d.iso"},
	} {
		req.Storage, req.Url = "local", server.URL+"/plain"
		_, err := w.PostNodesStorageDownloadUrl(w.ctx, &req)
		require.ErrorContains(t, err, want)
	}
}

// TestThreat13_DecompressionBomb: what is unpacked is bounded by the space of the storage, and nothing of it stays.
func TestThreat13_DecompressionBomb(t *testing.T) {
	need.Tool(t, "qemu-img")
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	zeros := make([]byte, 1<<20)
	for range 64 {
		_, err := z.Write(zeros)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _, _ = rw.Write(bomb.Bytes()) }))
	t.Cleanup(server.Close)
	w := newWorldWith(t, allContents, func(o *volume.Options) {
		o.FetchAllowed = func(netip.Addr) bool { return true }
		o.RoomBytes = 1 << 20
	})
	got := w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "a.iso", Url: server.URL, Compression: ptr("gz")})
	require.Regexp(t, "larger than", got)
	require.Empty(t, w.isoFolder(t))
}

// TestThreat17_DownloadsStayOutside: neither an address, nor a name that leads to one, nor a redirect gets a user to what
// only this host can reach.
func TestThreat17_DownloadsStayOutside(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	w := newWorld(t, allContents)
	for _, host := range []string{
		"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[::127.0.0.1]",
		"[2002:7f00:1::]", "169.254.169.254", "[fe80::1]", "224.0.0.1", "255.255.255.255",
	} {
		got := w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "a.iso", Url: "http://" + host + ":" + port + "/"})
		require.NotEqual(t, "OK", got, host)
		require.NotContains(t, got, "answers", host)
		_, err := w.GetNodesQueryUrlMetadata(w.ctx, &schema.GetNodesQueryUrlMetadata{Url: "http://" + host + ":" + port + "/"})
		require.Error(t, err, host)
	}
	for _, url := range []string{"file:///etc/passwd", "gopher://example.org/", "ftp://example.org/x", "http://user:pw@example.org/", "//example.org/", "http:///x", "x"} {
		got := w.download(t, schema.PostNodesStorageDownloadUrl{Content: "iso", Filename: "a.iso", Url: url})
		require.NotEqual(t, "OK", got, url)
	}
	require.Zero(t, asked.Load())
	require.Empty(t, w.isoFolder(t))
}

func TestThreat17_Redirects(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inner server was asked") }))
	t.Cleanup(inner.Close)
	innerAddr := netip.MustParseAddrPort(inner.Listener.Addr().String())
	listener, err := net.Listen("tcp", "127.0.0.2:0") // which the policy of this test takes for a server outside
	require.NoError(t, err)
	target := ""
	outer := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, target, http.StatusFound) }))
	outer.Listener.Close()
	outer.Listener = listener
	outer.Start()
	t.Cleanup(outer.Close)
	w := newWorldWith(t, allContents, func(o *volume.Options) {
		o.FetchAllowed = func(a netip.Addr) bool { return a == netip.MustParseAddr("127.0.0.2") }
	})
	for _, target = range []string{"http://" + innerAddr.String() + "/", "file:///etc/passwd", outer.URL + "/loop", fmt.Sprintf("http://localhost:%d/", innerAddr.Port())} {
		_, err := w.GetNodesQueryUrlMetadata(w.ctx, &schema.GetNodesQueryUrlMetadata{Url: outer.URL})
		require.Error(t, err, target)
		require.NotContains(t, err.Error(), innerAddr.Addr().String()+":", "where things are inside is not told")
	}
}

func TestURLMetadata(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		require.Equal(t, http.MethodHead, r.Method)
		if r.URL.Path == "/named" {
			rw.Header().Set("Content-Disposition", `attachment; filename="../../real.iso"`)
		}
		rw.Header().Set("Content-Type", "application/octet-stream; x=y")
		rw.Header().Set("Content-Length", "4711")
	}))
	t.Cleanup(server.Close)
	w := newFetchWorld(t)
	_, err := w.GetNodesQueryUrlMetadata(w.ctx, &schema.GetNodesQueryUrlMetadata{Url: server.URL + "/a.iso"})
	require.ErrorContains(t, err, "the server's certificate is not trusted")
	for path, name := range map[string]string{"/dir/a.iso": "a.iso", "/named": "real.iso"} {
		got, err := w.GetNodesQueryUrlMetadata(w.ctx, &schema.GetNodesQueryUrlMetadata{Url: server.URL + path, VerifyCertificates: ptr(false)})
		require.NoError(t, err)
		require.Equal(t, name, *got.Filename)
		require.EqualValues(t, 4711, *got.Size)
		require.Equal(t, "application/octet-stream", *got.Mimetype)
	}
}

func TestDownloadsUseTheDatacentersProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		require.Equal(t, "http://mirror.example.org/a.iso", r.RequestURI)
		rw.Header().Set("Content-Length", "5")
	}))
	t.Cleanup(proxy.Close)
	w := newWorld(t, allContents) // the proxy is on this host: it was an administrator who said so
	_, err := w.store.Txn(context.Background(), cluster.Put("/pve/datacenter.cfg", []byte("http_proxy: "+proxy.URL+"\n")))
	require.NoError(t, err)
	got, err := w.GetNodesQueryUrlMetadata(w.ctx, &schema.GetNodesQueryUrlMetadata{Url: "http://mirror.example.org/a.iso"})
	require.NoError(t, err)
	require.EqualValues(t, 5, *got.Size)
	_, err = w.GetNodesQueryUrlMetadata(w.ctx, &schema.GetNodesQueryUrlMetadata{Url: "http://127.0.0.1/"})
	require.Error(t, err)
}

func TestPruneBackups(t *testing.T) {
	w := newWorld(t, "dir: local\n\tcontent backup,images\n\tprune-backups keep-last=1\n\n")
	dump := filepath.Join(w.local, "dump")
	require.NoError(t, os.MkdirAll(dump, 0o755))
	names := []string{"vzdump-qemu-100-2031_01_02-03_04_05.vma.zst", "vzdump-qemu-100-2031_01_03-03_04_05.vma.zst", "vzdump-qemu-100-2031_01_01-03_04_05.vma.zst",
		"vzdump-qemu-101-2030_01_01-00_00_00.vma", "vzdump-qemu-100-mine.vma"}
	for _, n := range names {
		require.NoError(t, os.WriteFile(filepath.Join(dump, n), []byte("x"), 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dump, names[2]+".protected"), nil, 0o600))
	marks := func(req schema.GetNodesStoragePrunebackups) map[string]string {
		req.Storage = "local"
		rows, err := w.GetNodesStoragePrunebackups(w.ctx, &req)
		require.NoError(t, err)
		out := map[string]string{}
		for _, r := range rows {
			out[strings.TrimPrefix(r.Volid, "local:backup/")] = r.Mark
		}
		return out
	}
	require.Equal(t, map[string]string{names[0]: "remove", names[1]: "keep", names[2]: "protected", names[3]: "keep", names[4]: "renamed"}, marks(schema.GetNodesStoragePrunebackups{}))
	require.Equal(t, map[string]string{names[3]: "keep"}, marks(schema.GetNodesStoragePrunebackups{Vmid: ptr(int64(101)), PruneBackups: ptr("keep-last=5")}))
	require.Empty(t, marks(schema.GetNodesStoragePrunebackups{Type: ptr("lxc")}))

	_, err := w.DeleteNodesStoragePrunebackups(as("backup@pve"), &schema.DeleteNodesStoragePrunebackups{Storage: "local"})
	require.ErrorContains(t, err, "Datastore.Allocate", "all guests' backups are not his")
	_, err = w.DeleteNodesStoragePrunebackups(as("backup@pve"), &schema.DeleteNodesStoragePrunebackups{Storage: "local", Vmid: ptr(int64(101))})
	require.ErrorContains(t, err, "VM.Backup")
	id, err := w.DeleteNodesStoragePrunebackups(as("backup@pve"), &schema.DeleteNodesStoragePrunebackups{Storage: "local", Vmid: ptr(int64(100))})
	require.NoError(t, err)
	require.Contains(t, id, ":prunebackups:100@local:backup@pve:")
	require.Equal(t, "OK", w.wait(t, id))
	require.NoFileExists(t, filepath.Join(dump, names[0]))
	for _, n := range names[1:] {
		require.FileExists(t, filepath.Join(dump, n))
	}

	w = newWorld(t, allContents)
	_, err = w.GetNodesStoragePrunebackups(w.ctx, &schema.GetNodesStoragePrunebackups{Storage: "local"})
	require.EqualError(t, err, "no prune-backups options configured for storage 'local'")
	_, err = w.GetNodesStoragePrunebackups(w.ctx, &schema.GetNodesStoragePrunebackups{Storage: "local", PruneBackups: ptr("keep-all=1,keep-last=1")})
	_, ok := err.(call.ParamErrors)
	require.True(t, ok, "%v", err)
}

func TestWhatOnlyBackupServersHave(t *testing.T) {
	w := newWorld(t, allContents)
	_, err := w.GetNodesStorageFileRestoreList(w.ctx, &schema.GetNodesStorageFileRestoreList{Storage: "local", Volume: "backup/x"})
	require.ErrorContains(t, err, "Only PBS storages supported for file-restore.")
	_, err = w.GetNodesStorageIdentity(w.ctx, &schema.GetNodesStorageIdentity{Storage: "local"})
	require.EqualError(t, err, "get_identity not implemented for this plugin")
	_, err = w.GetNodesStorageIdentity(w.ctx, &schema.GetNodesStorageIdentity{Storage: "none"})
	require.EqualError(t, err, "storage 'none' does not exist")
}
