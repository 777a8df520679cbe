package proxmoxapi_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func (p *pools) startTLS(t *testing.T, opts *proxmoxapi.Options) *apitest.Server {
	return apitest.StartTLS(t, proxmoxapi.New(p.registry(), &apitest.Auth{}, opts))
}

func TestTLS(t *testing.T) {
	p := &pools{answer: "x"}
	srv := p.startTLS(t, nil)
	require.Equal(t, `{"data":"x"}`, srv.Do("GET", "/api2/json/version", apitest.Root).Body)
	p.err = errors.New("hidden")
	require.Contains(t, srv.Do("GET", "/api2/json/version", apitest.Root).Line, "500 internal error (id ")

	conn, err := tls.Dial("tcp", srv.Addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	require.NoError(t, err)
	require.Equal(t, "http/1.1", conn.ConnectionState().NegotiatedProtocol)
	require.NoError(t, conn.Close())

	_, err = tls.Dial("tcp", srv.Addr, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	require.Error(t, err, "TLS 1.1")
}

func plain(t *testing.T, srv *apitest.Server, request string) apitest.Reply {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	reply, err := apitest.ReadReply(bufio.NewReader(conn), method)
	require.NoError(t, err)
	return reply
}

func TestPlainOnTheTLSPort(t *testing.T) {
	srv := (&pools{}).startTLS(t, nil)
	reply := plain(t, srv, "GET /api2/json/version?a=b HTTP/1.1\r\nHost: pve1:8006\r\n\r\n")
	require.Equal(t, "HTTP/1.1 301 Moved Permanently", reply.Line)
	require.Equal(t, "https://pve1:8006/api2/json/version?a=b", reply.Header.Get("Location"))
	require.True(t, reply.Closed)
	require.Equal(t, "HTTP/1.1 308 Permanent Redirect", plain(t, srv, "POST /x HTTP/1.1\r\nHost: [::1]:8006\r\nContent-Length: 1\r\n\r\na").Line)
	for _, request := range []string{
		"GET /x HTTP/1.1\r\nHost: evil@host\r\n\r\n", "GET /x HTTP/1.0\r\n\r\n", "GET http://evil/ HTTP/1.1\r\nHost: a\r\n\r\n", "nonsense\r\n\r\n",
	} {
		require.Equal(t, apitest.Reply{Closed: true}, plain(t, srv, request), request)
	}
}

func TestKeepAlive(t *testing.T) {
	srv := (&pools{}).start(t, nil)
	conn := srv.Dial()
	in := bufio.NewReader(conn)
	request := apitest.Request("GET", "/api2/json/version", "", apitest.Root)
	for i := range 100 {
		_, err := io.WriteString(conn, request)
		require.NoError(t, err)
		reply, err := apitest.ReadReply(in, "GET")
		require.NoError(t, err)
		require.Equal(t, 200, reply.Status)
		require.Equal(t, i == 99, reply.Closed, i)
	}

	reply := srv.Do("GET", "/api2/json/version", apitest.Root, []string{"Connection: close"})
	require.Equal(t, 200, reply.Status)
	require.True(t, reply.Closed)
}

func TestThreat35_SlowClients(t *testing.T) {
	const limit = time.Second // long enough for a handshake on a busy machine
	opts := &proxmoxapi.Options{HeaderTimeout: limit, BodyTimeout: limit, IdleTimeout: limit}
	var clients sync.WaitGroup
	defer clients.Wait()
	for name, srv := range map[string]*apitest.Server{"TLS": (&pools{}).startTLS(t, opts), "plain": (&pools{}).start(t, opts)} {
		silent, err := net.Dial("tcp", srv.Addr) // before TLS
		require.NoError(t, err)
		require.NoError(t, silent.SetDeadline(time.Now().Add(20*time.Second)))
		clients.Go(func() { closedByServer(t, silent, name+" silent") })
		for what, begin := range map[string]string{
			"nothing": "",
			"header":  "GET /api2/json/version HTTP/1.1\r\nHost:",
			"body":    "POST /api2/json/pools HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n" + strings.Join(apitest.Root, "\r\n") + "\r\n\r\npoo",
			"idle":    apitest.Request("GET", "/api2/json/version", "", apitest.Root),
		} {
			conn := srv.Dial()
			_, err := io.WriteString(conn, begin)
			require.NoError(t, err)
			clients.Go(func() { closedByServer(t, conn, name+" "+what) })
		}
	}
}

// closedByServer waits until the server has closed a connection on which nothing more is sent.
func closedByServer(t *testing.T, conn net.Conn, name string) {
	_, err := io.Copy(io.Discard, conn)
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		t.Errorf("%s: the connection stays open", name)
	}
	conn.Close()
}

func TestThreat35_TooManyConnections(t *testing.T) {
	for name, opts := range map[string]*proxmoxapi.Options{
		"in all":   {MaxConns: 2, MaxConnsPerHost: 10},
		"per host": {MaxConns: 10, MaxConnsPerHost: 2},
	} {
		srv := (&pools{}).start(t, opts)
		request := apitest.Request("GET", "/api2/json/version", "", apitest.Root)
		var open []net.Conn
		for range 2 {
			conn := srv.Dial()
			_, err := io.WriteString(conn, request)
			require.NoError(t, err)
			_, err = apitest.ReadReply(bufio.NewReader(conn), "GET")
			require.NoError(t, err)
			open = append(open, conn)
		}
		conn := srv.Dial()
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err, name)
		require.NoError(t, open[0].Close())
		require.Eventually(t, func() bool {
			return srv.Do("GET", "/api2/json/version", apitest.Root).Status == 200
		}, 10*time.Second, time.Millisecond, name)
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(context.Context, *schema.GetVersion) (string, error) {
		close(started)
		<-release
		return "done", nil
	})
	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, nil))
	var client sync.WaitGroup
	client.Go(func() {
		reply := srv.Do("GET", "/api2/json/version", apitest.Root)
		if reply.Body != `{"data":"done"}` {
			t.Errorf("reply %+v", reply)
		}
	})
	<-started
	stopped := make(chan error, 1)
	client.Go(func() { stopped <- srv.Stop() })
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", srv.Addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	}, 10*time.Second, time.Millisecond, "no new connections")
	close(release)
	require.NoError(t, <-stopped)
	client.Wait()
}

func TestShutdownEndsContextsAfterTheGrace(t *testing.T) {
	started := make(chan struct{})
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(ctx context.Context, _ *schema.GetVersion) (string, error) {
		close(started)
		<-ctx.Done()
		return "", ctx.Err()
	})
	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, &proxmoxapi.Options{ShutdownGrace: 20 * time.Millisecond}))
	conn := srv.Dial()
	_, err := io.WriteString(conn, apitest.Request("GET", "/api2/json/version", "", apitest.Root))
	require.NoError(t, err)
	<-started
	require.NoError(t, srv.Stop())
}

func TestClientThatLeavesEndsTheContext(t *testing.T) {
	started, ended := make(chan struct{}), make(chan struct{})
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(ctx context.Context, _ *schema.GetVersion) (string, error) {
		close(started)
		<-ctx.Done()
		close(ended)
		return "", ctx.Err()
	})
	srv := apitest.Start(t, proxmoxapi.New(reg, &apitest.Auth{}, nil))
	conn := srv.Dial()
	_, err := io.WriteString(conn, apitest.Request("GET", "/api2/json/version", "", apitest.Root))
	require.NoError(t, err)
	<-started
	require.NoError(t, conn.Close())
	<-ended
}

func TestListenerFails(t *testing.T) {
	h := proxmoxapi.New(proxmoxapi.NewRegistry(), &apitest.Auth{}, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorIs(t, h.Serve(t.Context(), l, nil), net.ErrClosed)
}

// insecure is for the certificate of apitest.
func insecure() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
