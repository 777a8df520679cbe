package clienttest

import (
	"encoding/json"
	"net/http"
	"net/textproto"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// curl is one way to call the API with curl: its arguments for authentication go before those of each call.
type curl struct {
	house *house
	auth  []string
}

// reply is what curl showed.
type reply struct {
	proto  string // HTTP/1.1
	status string // "200 OK": the code and the reason
	header http.Header
	body   string
}

// envelope is the body of most replies.
type envelope struct {
	Data    json.RawMessage   `json:"data"`
	Errors  map[string]string `json:"errors"`
	Message string            `json:"message"`
}

// url returns the address of an API path.
func (c *curl) url(path string) string { return c.house.url() + "/api2/json" + path }

// do runs curl; the last argument may be a path of the API.
func (c *curl) do(t *testing.T, args ...string) reply {
	t.Helper()
	if last := len(args) - 1; strings.HasPrefix(args[last], "/") {
		args[last] = c.url(args[last])
	}
	out := c.raw(t, append(append([]string{"-i"}, c.auth...), args...)...)
	head, body, ok := strings.Cut(out, "\r\n\r\n")
	for ok && strings.HasPrefix(head, "HTTP/1.1 100 ") {
		head, body, ok = strings.Cut(body, "\r\n\r\n")
	}
	require.True(t, ok, "no head in %q", out)
	line, fields, _ := strings.Cut(head, "\r\n")
	r := reply{header: http.Header{}, body: body}
	r.proto, r.status, ok = strings.Cut(line, " ")
	require.True(t, ok, line)
	for field := range strings.SplitSeq(fields, "\r\n") {
		name, value, ok := strings.Cut(field, ":")
		require.True(t, ok, field)
		r.header.Add(textproto.CanonicalMIMEHeaderKey(name), strings.TrimSpace(value))
	}
	return r
}

// raw runs curl and returns what it printed.
func (c *curl) raw(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"--silent", "--show-error", "--max-time", "60", "--cacert", c.house.caFile()}, args...)
	cmd := exec.CommandContext(t.Context(), "curl", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "curl %q: %s", args, stderr.String())
	return string(out)
}

// json returns the members of the body.
func (r reply) json(t *testing.T) (e envelope) {
	t.Helper()
	require.Equal(t, "application/json;charset=UTF-8", r.header.Get("Content-Type"), r.body)
	require.NoError(t, json.Unmarshal([]byte(r.body), &e), r.body)
	return e
}

// into decodes the data of a reply that must be a success.
func (r reply) into(t *testing.T, v any) {
	t.Helper()
	require.Equal(t, "200 OK", r.status, r.body)
	require.NoError(t, json.Unmarshal(r.json(t).Data, v), r.body)
}

// ok expects a success without data.
func (r reply) ok(t *testing.T) {
	t.Helper()
	require.Equal(t, "200 OK", r.status, r.body)
	require.JSONEq(t, `{"data":null}`, r.body)
}

// fails expects an error with its text in the status line and in the body.
func (r reply) fails(t *testing.T, status string) {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	_, text, _ := strings.Cut(status, " ")
	e := r.json(t)
	require.Equal(t, text, strings.TrimSuffix(e.Message, "\n"))
	require.JSONEq(t, `null`, string(e.Data))
}

// refuses expects a parameter error.
func (r reply) refuses(t *testing.T, errors map[string]string) {
	t.Helper()
	r.fails(t, "400 Parameter verification failed.")
	require.Equal(t, errors, r.json(t).Errors)
}

// bare expects an error whose text is in the status line alone.
func (r reply) bare(t *testing.T, status string) {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	require.Empty(t, r.body)
}

// wait follows the task that a reply names to its end and returns its exit status. The UPID goes into the path as it is, or
// percent-encoded.
func (c *curl) wait(t *testing.T, r reply) (exit string) {
	t.Helper()
	var upid string
	r.into(t, &upid)
	path := "/nodes/" + node + "/tasks/" + strings.NewReplacer(":", "%3A", "@", "%40", "!", "%21").Replace(upid) + "/status"
	eventually(t, 2*time.Minute, upid, func() (bool, error) {
		var st struct{ Upid, Status, Exitstatus string }
		c.do(t, path).into(t, &st)
		require.Equal(t, upid, st.Upid)
		exit = st.Exitstatus
		path = "/nodes/" + node + "/tasks/" + upid + "/status"
		return st.Status == "stopped", nil
	})
	return exit
}

// done waits for a task that must succeed.
func (c *curl) done(t *testing.T, r reply) {
	t.Helper()
	require.Equal(t, "OK", c.wait(t, r))
}

// login gets a ticket and returns a curl with its cookie and CSRF token.
func (h *house) login(t *testing.T, user, password string) *curl {
	t.Helper()
	var s struct{ Username, Ticket, CSRFPreventionToken string }
	c := &curl{house: h}
	c.do(t, "-d", "username="+user, "--data-urlencode", "password="+password, "/access/ticket").into(t, &s)
	require.Equal(t, user, s.Username)
	c.auth = []string{"-b", "PVEAuthCookie=" + s.Ticket, "-H", "CSRFPreventionToken: " + s.CSRFPreventionToken}
	return c
}

// tokenCurl makes an API token of root and returns a curl that uses it.
func (h *house) tokenCurl(t *testing.T, name string) *curl {
	t.Helper()
	var made struct {
		FullTokenID string `json:"full-tokenid"`
		Value       string
	}
	h.login(t, rootUser, h.password).do(t, "-d", "privsep=0", "/access/users/"+rootUser+"/token/"+name).into(t, &made)
	require.Equal(t, rootUser+"!"+name, made.FullTokenID)
	return &curl{house: h, auth: []string{"-H", "Authorization: PVEAPIToken=" + made.FullTokenID + "=" + made.Value}}
}

// uploadGuest puts the guest's disk into the storage, if it is not there yet.
func uploadGuest(t *testing.T, h *house) {
	t.Helper()
	c := h.login(t, rootUser, h.password)
	var volumes []struct{ Volid string }
	c.do(t, "-G", "-d", "content=import", "/nodes/"+node+"/storage/"+storage+"/content").into(t, &volumes)
	if len(volumes) == 0 {
		c.done(t, c.do(t, "-F", "content=import", "-F", "filename=@"+h.guest+";filename="+diskFile, "/nodes/"+node+"/storage/"+storage+"/upload"))
	}
}

func testCurl(t *testing.T, h *house) {
	t.Run("tickets", func(t *testing.T) { testCurlTickets(t, h) })
	t.Run("errors", func(t *testing.T) { testCurlErrors(t, h) })
	t.Run("transport", func(t *testing.T) { testCurlTransport(t, h) })
	t.Run("upload", func(t *testing.T) { testCurlUpload(t, h) })
	t.Run("VM", func(t *testing.T) { testCurlVM(t, h) })
}
