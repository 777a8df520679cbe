package proxmoxapi_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const uploadURI = "/api2/json/nodes/localhost/storage/local/upload"

// receiver takes uploads and notes what came.
type receiver struct {
	req  schema.PostNodesStorageUpload
	file call.Upload
	sum  hash.Hash
	n    int64
	err  error
}

func (u *receiver) start(t testing.TB) *apitest.Server {
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(ctx context.Context, req *schema.PostNodesStorageUpload) (string, error) {
		file := call.UploadFrom(ctx)
		u.req, u.file, u.sum = *req, *file, sha256.New()
		if u.n, u.err = io.Copy(u.sum, file.Body); u.err != nil {
			return "", call.Errorf("upload failed")
		}
		return "UPID:x", nil
	})
	return apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, nil))
}

const formType = "Content-Type: multipart/form-data; boundary=sep"

func part(disposition, content string) string {
	return "--sep\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + content + "\r\n"
}

const end = "--sep--\r\n"

func TestUpload(t *testing.T) {
	var u receiver
	srv := u.start(t)
	fields := part(`name="content"`, "iso") + part(`name="checksum-algorithm"`, "md5") + part(`name="checksum"`, "d41d8cd98f00b204e9800998ecf8427e")
	for name, content := range map[string]string{
		"text":                  "hello",
		"empty":                 "",
		"line ends":             "\r\n\r\n",
		"looks like a boundary": "a\r\n--separate\r\n--sep\n--se\r\n--",
		"long":                  strings.Repeat("0123456789abcdef\r\n--se", 20000),
	} {
		t.Run(name, func(t *testing.T) {
			body := fields + part("name=\"filename\"; filename=\"some disk.iso\"\r\nContent-Type: application/octet-stream", content) + end
			reply := srv.Send("POST", uploadURI, body, apitest.Root[:1], []string{formType}) // without a CSRF token
			require.Equal(t, `{"data":"UPID:x"}`, reply.Body)
			require.Equal(t, "some disk.iso", u.file.Filename)
			require.Equal(t, "iso", u.req.Content)
			require.Equal(t, "local", u.req.Storage)
			require.EqualValues(t, len(content), u.file.Size)
			require.Equal(t, sha256.Sum256([]byte(content)), [32]byte(u.sum.Sum(nil)))
			require.False(t, reply.Closed)
		})
	}
}

func TestUploadRefusals(t *testing.T) {
	var u receiver
	srv := u.start(t)
	file := part(`name="filename"; filename="a.iso"`, "x")
	content := part(`name="content"`, "iso")
	for name, c := range map[string]struct{ uri, ctype, body, line string }{
		"no boundary":     {"", "Content-Type: multipart/form-data", content + file + end, "501 unable to find the boundary of multipart/form-data"},
		"other start":     {"", formType, "preamble\r\n" + content + file + end, "501 multipart/form-data does not begin with its boundary"},
		"no file":         {"", formType, content + end, "501 no file in multipart/form-data"},
		"other file":      {"", formType, content + part(`name="x"; filename="a"`, "x") + end, "501 unexpected file in part 'x'"},
		"no name":         {"", formType, part(`filename="a"`, "x") + end, "501 form part without a name"},
		"large field":     {"", formType, part(`name="content"`, strings.Repeat("a", 70000)) + file + end, "501 form fields are too large"},
		"many fields":     {"", formType, strings.Repeat(content, 20) + file + end, "501 too many form fields"},
		"long header":     {"", formType, part(`name="content"; x="`+strings.Repeat("a", 9000)+`"`, "iso") + file + end, "501 header of a form part is too large"},
		"form":            {"", "Content-Type: application/x-www-form-urlencoded", "content=iso", "506 upload 'Content-Type 'application/x-www-form-urlencoded' not implemented"},
		"temporary file":  {"?tmpfilename=/var/tmp/pveupload-0", formType, content + file + end, "400 Parameter verification failed."},
		"temporary field": {"", formType, content + part(`name="tmpfilename"`, "/etc/shadow") + file + end, "400 Parameter verification failed."},
		"conflict":        {"", formType, content + part(`name="storage"`, "other") + file + end, "400 Parameter verification failed."},
		"two contents":    {"", formType, content + content + file + end, "400 Parameter verification failed."},
		"more behind":     {"", formType, content + file + content + end, "500 upload failed"},
		"cut off":         {"", formType, content + part(`name="filename"; filename="a.iso"`, "x"), "500 upload failed"},
	} {
		t.Run(name, func(t *testing.T) {
			reply := srv.Send("POST", uploadURI+c.uri, c.body, apitest.Token, []string{c.ctype})
			require.Equal(t, "HTTP/1.1 "+c.line, reply.Line)
		})
	}
	require.Equal(t, 501, srv.Do("POST", uploadURI, apitest.Token, []string{formType}).Status, "without a body")
}

func TestUploadIsAuthorizedBeforeItIsRead(t *testing.T) {
	var u receiver
	srv := u.start(t)
	conn := srv.Dial()
	_, err := io.WriteString(conn, "POST "+uploadURI+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n"+formType+"\r\n"+apitest.Nobody[0]+"\r\n\r\n")
	require.NoError(t, err)
	reply, err := apitest.ReadReply(bufio.NewReader(conn), "POST")
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 403 Permission check failed (/, Sys.Audit)", reply.Line)
}

func TestUploadThatTheClientAbandons(t *testing.T) {
	reg := proxmoxapi.NewRegistry()
	result := make(chan error, 1)
	proxmoxapi.Handle(reg, func(ctx context.Context, _ *schema.PostNodesStorageUpload) (string, error) {
		_, err := io.Copy(io.Discard, call.UploadFrom(ctx).Body)
		result <- err
		return "", err
	})
	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, nil))
	conn := srv.Dial()
	body := part(`name="content"`, "iso") + "--sep\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"a\"\r\n\r\nbegin"
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n%s\r\n%s\r\n\r\n%s", uploadURI, formType, apitest.Token[0], body)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-result, io.ErrUnexpectedEOF)
}

func TestUploadStaysOutOfMemory(t *testing.T) {
	var u receiver
	srv := u.start(t)
	const size = 256 << 20
	head := part(`name="content"`, "iso") + "--sep\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"a\"\r\n\r\n"
	const tail = "\r\n" + end
	conn := srv.Dial()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s\r\n\r\n%s", uploadURI, len(head)+size+len(tail), formType, apitest.Token[0], head)
	require.NoError(t, err)
	_, err = io.Copy(conn, io.LimitReader(zeros{}, size))
	require.NoError(t, err)
	_, err = io.WriteString(conn, tail)
	require.NoError(t, err)
	reply, err := apitest.ReadReply(bufio.NewReader(conn), "POST")
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Equal(t, `{"data":"UPID:x"}`, reply.Body)
	require.EqualValues(t, size, u.n)
	require.EqualValues(t, size, u.file.Size)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "bytes allocated in all")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestRefusedUploadIsHeardOut(t *testing.T) {
	var u receiver
	srv := u.start(t)
	// The client writes everything before it reads; it must find the answer, not a reset connection.
	body := part(`name="content"`, "iso") + part(`name="filename"; filename="a"`, strings.Repeat("x", 20<<20)) + end
	reply := srv.Send("POST", uploadURI, body, []string{formType, "Cookie: PVEAuthCookie=expired"})
	require.Equal(t, "HTTP/1.1 401 permission denied - invalid PVE ticket", reply.Line)
	reply = srv.Send("POST", "/api2/extjs/nodes/localhost/storage/local/upload", body, []string{formType}, apitest.Nobody)
	require.Equal(t, "HTTP/1.1 200 OK", reply.Line)
	require.Contains(t, reply.Body, `"status":403`)
	require.True(t, reply.Closed)
}

func TestExpectContinue(t *testing.T) {
	var u receiver
	srv := u.start(t)
	body := part(`name="content"`, "iso") + part(`name="filename"; filename="a"`, "x") + end
	head := func(lines []string) string {
		return apitest.Request("POST", uploadURI, "", lines, []string{formType, "Expect: 100-continue", fmt.Sprint("Content-Length: ", len(body))})
	}
	conn := srv.Dial()
	in := bufio.NewReader(conn)
	_, err := io.WriteString(conn, head(apitest.Token))
	require.NoError(t, err)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	_, err = io.WriteString(conn, body)
	require.NoError(t, err)
	reply, err := apitest.ReadReply(in, "POST")
	require.NoError(t, err)
	require.Equal(t, 200, reply.Status)

	conn = srv.Dial()
	_, err = io.WriteString(conn, head(nil))
	require.NoError(t, err)
	reply, err = apitest.ReadReply(bufio.NewReader(conn), "POST")
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 401 No ticket", reply.Line)
}
