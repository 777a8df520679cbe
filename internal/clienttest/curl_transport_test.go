package clienttest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// testCurlTransport looks at what lies between the API and its clients.
func testCurlTransport(t *testing.T, h *house) {
	root := h.login(t, rootUser, h.password)

	r := root.do(t, "/version")
	require.Equal(t, "HTTP/1.1", r.proto, "reasons exist in HTTP/1.1 only, whatever a client would rather speak")
	require.Equal(t, "200 OK", r.status)
	require.Contains(t, strings.ToLower(r.header.Get("Cache-Control")), "max-age=0")
	require.Equal(t, "no-cache", r.header.Get("Pragma"))
	require.NotEmpty(t, r.header.Get("Date"))

	// Two calls of one curl share a connection.
	out := root.raw(t, append(append([]string{}, root.auth...), "-w", "\n%{num_connects}\n", root.url("/version"), root.url("/nodes"))...)
	require.Regexp(t, `(?s)^\{.*\}\n1\n\{.*\}\n0\n$`, out)

	plain := root.do(t, "http://"+h.listen+"/api2/json/version?x=1")
	require.Equal(t, "301 Moved Permanently", plain.status)
	require.Equal(t, h.url()+"/api2/json/version?x=1", plain.header.Get("Location"))

	// Answers of more than 1 KiB are compressed for those who like it.
	long := root.do(t, "/access/roles")
	require.Empty(t, long.header.Get("Content-Encoding"))
	short := root.do(t, "--compressed", "/access/roles")
	require.Equal(t, "gzip", short.header.Get("Content-Encoding"))
	require.JSONEq(t, long.body, short.body)

	// The formatter of the web interface keeps the status in the body.
	var e struct {
		Success, Status int
		Message         string
		Data            json.RawMessage
	}
	extjs := root.do(t, h.url()+"/api2/extjs/nodes/"+node+"/qemu/999/config")
	require.Equal(t, "200 OK", extjs.status)
	require.NoError(t, json.Unmarshal([]byte(extjs.body), &e), extjs.body)
	require.Equal(t, 0, e.Success)
	require.Equal(t, 500, e.Status)
	require.Contains(t, e.Message, "does not exist")
	require.NoError(t, json.Unmarshal([]byte(root.do(t, h.url()+"/api2/extjs/version").body), &e))
	require.Equal(t, 1, e.Success)

	// Slashes too many, and the node by its nickname.
	var st struct{ Uptime int64 }
	root.do(t, "//nodes//localhost/status/").into(t, &st)
	require.Positive(t, st.Uptime)

	// The list of children, as a browser of the API asks for it.
	var children []map[string]any
	root.do(t, "/nodes/"+node).into(t, &children)
	require.NotEmpty(t, children)
}

// testCurlUpload uploads as the wiki says: with -F, by ticket or token; deletes by every spelling of a volume.
func testCurlUpload(t *testing.T, h *house) {
	root, token := h.login(t, rootUser, h.password), h.tokenCurl(t, "uploader")
	dir := t.TempDir()
	file := makeISO(t, dir, "drivers.iso")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	content := "/nodes/" + node + "/storage/" + storage + "/content"
	upload := "/nodes/" + node + "/storage/" + storage + "/upload"

	cookieOnly := &curl{house: h, auth: root.auth[:2]} // an upload needs no CSRF token
	cookieOnly.done(t, cookieOnly.do(t, "-F", "content=iso", "-F", "filename=@"+file, upload))
	token.done(t, token.do(t, "-F", "content=iso", "-F", "checksum="+hex.EncodeToString(sum[:]), "-F", "checksum-algorithm=sha256",
		"-F", "filename=@"+file+";type=application/octet-stream;filename=more drivers.iso", upload))
	token.done(t, token.do(t, "-F", "content=iso", "-F", "filename=@"+file+";filename=third.iso", upload))

	var list []struct {
		Volid, Format, Content string
		Size, Ctime            int64
	}
	root.do(t, "-G", "--data-urlencode", "content=iso", content).into(t, &list)
	require.Len(t, list, 3)
	for i, name := range []string{"drivers.iso", "more_drivers.iso", "third.iso"} {
		require.Equal(t, storage+":iso/"+name, list[i].Volid)
		require.Equal(t, int64(len(data)), list[i].Size)
	}
	var volume struct {
		Path string
		Size int64
	}
	root.do(t, content+"/"+storage+":iso/drivers.iso").into(t, &volume)
	require.Equal(t, int64(len(data)), volume.Size)
	stored, err := os.ReadFile(volume.Path)
	require.NoError(t, err)
	require.Equal(t, data, stored)

	for _, spelling := range []string{storage + "%3Aiso%2Fdrivers.iso", storage + ":iso/more_drivers.iso", "iso/third.iso"} {
		root.done(t, root.do(t, "-X", "DELETE", content+"/"+spelling))
	}
	root.do(t, "-G", "-d", "content=iso", content).into(t, &list)
	require.Empty(t, list)

	r := root.do(t, "-F", "content=iso", "-F", "filename=@"+file+";filename=notes.txt", upload)
	r.refuses(t, map[string]string{"filename": "wrong file extension"})
	r = root.do(t, "-F", "content=iso", "-F", "filename=@"+file, "/nodes/"+node+"/storage/attic/upload")
	r.fails(t, "500 storage 'attic' does not exist")
	left, err := filepath.Glob(filepath.Join(h.data(), storage, "template", "iso", "*"))
	require.NoError(t, err)
	require.Empty(t, left, "what was refused leaves no file")
}
