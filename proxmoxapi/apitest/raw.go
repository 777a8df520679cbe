package apitest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
)

// Reply is an answer as it came over the wire.
type Reply struct {
	Line   string // status line, without CRLF
	Status int    // 0 when the server closed the connection without a reply
	Reason string // what follows the status on its line
	Header http.Header
	Body   string // as sent, so possibly compressed
	Closed bool   // the server closed the connection behind the reply
}

// Do sends a request without a body on a connection of its own and returns the reply. Each of headers is a list of header
// lines; a Host is added.
func (s *Server) Do(method, uri string, headers ...[]string) Reply {
	s.t.Helper()
	return s.Send(method, uri, "", headers...)
}

// Send is Do with a body, for which Content-Length is added. Unless a header line says otherwise the server takes it for a form.
func (s *Server) Send(method, uri, body string, headers ...[]string) Reply {
	s.t.Helper()
	return s.Raw(Request(method, uri, body, headers...), method)
}

// Request prints a request as Send sends it.
func Request(method, uri, body string, headers ...[]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, uri)
	for _, lines := range headers {
		for _, line := range lines {
			b.WriteString(line + "\r\n")
		}
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// Raw sends bytes on a connection of its own and reads one reply to a request of the given method.
func (s *Server) Raw(request, method string) Reply {
	s.t.Helper()
	conn := s.Dial()
	defer conn.Close()
	// The server may refuse the request, and stop reading, before all of it is written.
	written := make(chan struct{})
	go func() {
		defer close(written)
		io.WriteString(conn, request)
	}()
	reply, err := ReadReply(bufio.NewReader(conn), method)
	if err != nil {
		s.t.Errorf("read reply: %v", err)
	}
	conn.Close()
	<-written
	return reply
}

// ReadReply reads one reply to a request of the given method. A connection that ends before the status line gives the
// zero Reply, with Closed set.
func ReadReply(r *bufio.Reader, method string) (Reply, error) {
	var reply Reply
	text := textproto.NewReader(r)
	line, err := text.ReadLine()
	if err != nil {
		return Reply{Closed: true}, nil
	}
	reply.Line = line
	_, rest, _ := strings.Cut(line, " ")
	status, reason, _ := strings.Cut(rest, " ")
	reply.Reason = reason
	if reply.Status, err = strconv.Atoi(status); err != nil {
		return reply, fmt.Errorf("status line %q", line)
	}
	header, err := text.ReadMIMEHeader()
	if err != nil {
		return reply, fmt.Errorf("header: %w", err)
	}
	reply.Header = http.Header(header)
	if reply.Status == http.StatusSwitchingProtocols {
		return reply, nil
	}
	return reply, reply.readBody(r, method)
}

func (reply *Reply) readBody(r *bufio.Reader, method string) error {
	reply.Closed = strings.EqualFold(reply.Header.Get("Connection"), "close")
	var body io.Reader = r
	switch length := reply.Header.Get("Content-Length"); {
	case method == http.MethodHead:
		body = strings.NewReader("")
	case length != "":
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil {
			return fmt.Errorf("content length %q", length)
		}
		body = io.LimitReader(r, n)
	case reply.Header.Get("Transfer-Encoding") == "chunked":
		response, err := http.ReadResponse(bufio.NewReader(io.MultiReader(
			strings.NewReader("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), r)), nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		body = response.Body
	case !reply.Closed:
		return fmt.Errorf("reply without a length on a connection that stays open: %q", reply.Line)
	}
	raw, err := io.ReadAll(body)
	reply.Body = string(raw)
	if length := reply.Header.Get("Content-Length"); err == nil && length != "" && method != http.MethodHead && length != strconv.Itoa(len(raw)) {
		return fmt.Errorf("%w: body has %d bytes of %s", io.ErrUnexpectedEOF, len(raw), length)
	}
	if err != nil {
		return err
	}
	if reply.Closed {
		if _, err := r.ReadByte(); err != io.EOF && !isReset(err) {
			return fmt.Errorf("connection stays open behind a reply that closes it (%v)", err)
		}
	}
	return nil
}

func isReset(err error) bool {
	_, ok := err.(*net.OpError)
	return ok
}
