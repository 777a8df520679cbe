package apitest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/turtacn/go-proxmox/proxmoxapi"
)

// Server is a Handler that serves on the loopback until the test ends.
type Server struct {
	Addr string // host:port
	TLS  bool

	t    testing.TB
	stop context.CancelFunc
	done chan error
}

// Start serves h in plain HTTP.
func Start(t testing.TB, h *proxmoxapi.Handler) *Server { return start(t, h, nil) }

// StartTLS serves h with a certificate of its own. Do speaks TLS then, without checking the certificate.
func StartTLS(t testing.TB, h *proxmoxapi.Handler) *Server {
	return start(t, h, &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}})
}

func start(t testing.TB, h *proxmoxapi.Handler, config *tls.Config) *Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{Addr: l.Addr().String(), TLS: config != nil, t: t, stop: cancel, done: make(chan error, 1)}
	go func() { s.done <- h.Serve(ctx, l, config) }() // ends in Stop, which every test calls by Cleanup
	t.Cleanup(func() { s.Stop() })
	return s
}

// Stop ends the server and returns what Serve returned. Calling it again returns nil.
func (s *Server) Stop() error {
	s.stop()
	err, ok := <-s.done
	if ok {
		close(s.done)
	}
	return err
}

// Dial opens a connection to the server, which the test closes at its end.
func (s *Server) Dial() net.Conn {
	s.t.Helper()
	var conn net.Conn
	var err error
	if s.TLS {
		conn, err = tls.Dial("tcp", s.Addr, &tls.Config{InsecureSkipVerify: true}) // its own certificate, on the loopback
	} else {
		conn, err = net.Dial("tcp", s.Addr)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func selfSigned(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "apitest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
