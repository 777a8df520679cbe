package proxmoxapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// countedListener counts the writes of the connections that it accepts.
type countedListener struct {
	net.Listener
	writes atomic.Int64
}

type countedConn struct {
	net.Conn
	l *countedListener
}

func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &countedConn{c, l}, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	c.l.writes.Add(1)
	return c.Conn.Write(p)
}

// An answer goes to the kernel in a few pieces, the first one of a connection, too.
func TestAnswersAreWrittenInLargePieces(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &countedListener{Listener: raw}
	opts := &Options{HeaderTimeout: 10 * time.Second, MaxConns: 10, MaxConnsPerHost: 10}
	f := newFront(t.Context(), l, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, opts)
	done := make(chan struct{})
	go func() { defer close(done); f.accept() }()
	defer func() { f.Close(); <-done }()
	client, err := tls.Dial("tcp", raw.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer client.Close()
	server, err := f.Accept()
	require.NoError(t, err)
	defer server.Close()

	for _, size := range []int{256 << 10, 100, 1} {
		body := make([]byte, size)
		_, _ = rand.Read(body)
		l.writes.Store(0)
		sent := make(chan error, 1)
		go func() {
			n, err := server.Write(body)
			if err == nil && n != size {
				err = io.ErrShortWrite
			}
			sent <- err
		}()
		got := make([]byte, size)
		_, err = io.ReadFull(client, got)
		require.NoError(t, err)
		require.NoError(t, <-sent)
		require.Equal(t, body, got)
		require.LessOrEqual(t, l.writes.Load(), int64(1+size/gatherSize))
	}
	require.NoError(t, server.Close())
	_, err = server.Write([]byte("too late"))
	require.True(t, errors.Is(err, net.ErrClosed), "%v", err)
}
