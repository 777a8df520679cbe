package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// newPKI makes certificates as of a moment and returns the configuration that names them.
func newPKI(t *testing.T, now time.Time) *Config {
	t.Helper()
	cfg := &Config{DataDir: t.TempDir(), Agent: AgentConfig{NodeName: "alpha"}}
	p := pki{pkiPath(cfg.DataDir)}
	require.NoError(t, os.Mkdir(p.dir, 0o711))
	require.NoError(t, p.create("alpha", []string{"localhost", "alpha", "192.0.2.1"}, now))
	cfg.Server.TLSCertFile, cfg.Server.TLSKeyFile = p.cert(), p.key()
	return cfg
}

// served is the certificate that a client gets, which it must be able to check by the authority.
func served(t *testing.T, c *certificate, cfg *Config, now time.Time, name string) *x509.Certificate {
	t.Helper()
	ca, err := os.ReadFile(pki{pkiPath(cfg.DataDir)}.caCert())
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(ca))
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	go tls.Server(server, &tls.Config{GetCertificate: c.GetCertificate, Time: func() time.Time { return now }}).HandshakeContext(t.Context())
	conn := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: name, Time: func() time.Time { return now }})
	require.NoError(t, conn.HandshakeContext(t.Context()))
	return conn.ConnectionState().PeerCertificates[0]
}

// The certificate is renewed a month before its end, while the server runs, for the same key.
func TestCertificateIsRenewedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := newPKI(t, time.Now())
		c, err := openCertificate(cfg, slog.New(slog.DiscardHandler), time.Now)
		require.NoError(t, err)
		c.names = func(node string) ([]string, error) { return []string{"localhost", node, "192.0.2.1"}, nil }
		c.refresh()
		first, print := served(t, c, cfg, time.Now(), "192.0.2.1"), c.fingerprint()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()

		time.Sleep(serverLife - renewBefore - 25*time.Hour)
		require.Equal(t, first.SerialNumber, served(t, c, cfg, time.Now(), "alpha").SerialNumber)
		time.Sleep(50 * time.Hour)
		second := served(t, c, cfg, time.Now(), "alpha")
		require.NotEqual(t, first.SerialNumber, second.SerialNumber)
		require.Equal(t, first.PublicKey, second.PublicKey)
		require.WithinDuration(t, time.Now().Add(serverLife), second.NotAfter, 48*time.Hour)
		require.NotEqual(t, print, c.fingerprint())
		pem, err := os.ReadFile(cfg.Server.TLSCertFile)
		require.NoError(t, err)
		require.Equal(t, string(pem), c.PEM())
		cancel()
		require.NoError(t, <-done)
	})
}

func TestCertificateFollowsTheNamesOfTheHost(t *testing.T) {
	now := time.Now()
	cfg := newPKI(t, now)
	c, err := openCertificate(cfg, slog.New(slog.DiscardHandler), func() time.Time { return now })
	require.NoError(t, err)
	for _, names := range [][]string{{"localhost", "alpha", "192.0.2.1"}, {"localhost", "alpha", "192.0.2.7"}} {
		c.names = func(string) ([]string, error) { return names, nil }
		c.refresh()
		served(t, c, cfg, now, names[2])
		print := c.fingerprint()
		c.refresh()
		require.Equal(t, print, c.fingerprint(), "it holds them all")
	}
	c.names = func(string) ([]string, error) { return []string{"alpha"}, nil }
	print := c.fingerprint()
	c.refresh()
	require.Equal(t, print, c.fingerprint(), "one name less is none of its concern")
}

// The operator's own certificate is never replaced, but read again.
func TestCertificateOfTheOperator(t *testing.T) {
	now := time.Now()
	cfg, foreign := newPKI(t, now), newPKI(t, now.Add(-serverLife+time.Hour))
	cfg.Server = foreign.Server
	c, err := openCertificate(cfg, slog.New(slog.DiscardHandler), func() time.Time { return now })
	require.NoError(t, err)
	before, err := os.ReadFile(cfg.Server.TLSCertFile)
	require.NoError(t, err)
	require.Equal(t, string(before), c.PEM())
	c.refresh()
	after, err := os.ReadFile(cfg.Server.TLSCertFile)
	require.NoError(t, err)
	require.Equal(t, before, after)

	fresh := newPKI(t, now)
	for _, file := range [][2]string{{fresh.Server.TLSKeyFile, cfg.Server.TLSKeyFile}, {fresh.Server.TLSCertFile, cfg.Server.TLSCertFile}} {
		data, err := os.ReadFile(file[0])
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file[1], data, 0o600))
		c.refresh() // half-way through, the old pair serves on
		require.NotNil(t, c.leaf())
	}
	require.WithinDuration(t, now.Add(serverLife), c.leaf().NotAfter, time.Hour)
	_, err = openCertificate(&Config{DataDir: cfg.DataDir, Server: ServerConfig{TLSCertFile: filepath.Join(t.TempDir(), "none")}}, slog.New(slog.DiscardHandler), time.Now)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestPassingAddressesAreNoNames(t *testing.T) {
	require.Equal(t, map[string]bool{"20010db8000000000123456789abcdef": true}, passingOf(
		"20010db8000000000123456789abcdef 02 40 00 01     eth0\n"+
			"20010db800000000020000fffe000001 02 40 00 00     eth0\n"+
			"fe80000000000000020000fffe000001 02 40 20 80     eth0\nhalf a line\n"))
}
