package apitest_test

import (
	"bufio"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/apitest"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func TestReadReply(t *testing.T) {
	for name, c := range map[string]struct {
		wire string
		want string // body
		err  string
	}{
		"length":         {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "ab", ""},
		"close":          {"HTTP/1.1 500 no such thing\r\nConnection: close\r\n\r\nab", "ab", ""},
		"chunks":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", "ab", ""},
		"short":          {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "ab", "unexpected EOF"},
		"no length":      {"HTTP/1.1 200 OK\r\n\r\nab", "", "stays open"},
		"bad status":     {"HTTP/1.1 x OK\r\n\r\n", "", "status line"},
		"behind the end": {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nab", "a", "stays open"},
	} {
		t.Run(name, func(t *testing.T) {
			reply, err := apitest.ReadReply(bufio.NewReader(strings.NewReader(c.wire)), "GET")
			require.Equal(t, c.want, reply.Body)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
		})
	}
}

func TestServer(t *testing.T) {
	reg := proxmoxapi.NewRegistry()
	proxmoxapi.Handle(reg, func(context.Context, *schema.GetVersion) (string, error) { return "x", nil })
	srv := apitest.StartTLS(t, proxmoxapi.New(reg, &apitest.Auth{}, nil))
	for _, who := range [][]string{apitest.Root, apitest.Nobody, apitest.Token} {
		require.Equal(t, `{"data":"x"}`, srv.Do("GET", "/api2/json/version", who).Body)
	}
	require.NoError(t, srv.Stop())
	require.NoError(t, srv.Stop())
}
