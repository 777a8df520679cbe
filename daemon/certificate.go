package daemon

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
)

const (
	renewBefore   = 30 * 24 * time.Hour // how long before its end a certificate is renewed, or worth a warning
	renewInterval = 24 * time.Hour      // between two looks at it
)

// certificate is what the API's server shows to its clients. One that gpved's own authority has signed is renewed before it
// ends, and when the host has got names or addresses that it does not hold; the key stays the same, so that the renewal is
// one file. Any other is the operator's: it is read again when its files change. It is safe for concurrent use.
type certificate struct {
	pki       pki
	node      string
	cert, key string // the files
	log       *slog.Logger
	now       func() time.Time
	names     func(node string) ([]string, error)

	mu      sync.Mutex // guards what follows
	current *tls.Certificate
	print   string
	chain   []byte
}

// openCertificate reads the certificate of the configuration and renews it if that is due.
func openCertificate(cfg *Config, log *slog.Logger, now func() time.Time) (*certificate, error) {
	c := &certificate{
		pki: pki{pkiPath(cfg.DataDir)}, node: cfg.Agent.NodeName, cert: cfg.Server.TLSCertFile, key: cfg.Server.TLSKeyFile,
		log: log, now: now, names: hostNames,
	}
	if err := c.load(); err != nil {
		return nil, err
	}
	c.refresh()
	return c, nil
}

// load reads the files. On an error what was read before stays.
func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	print, err := fingerprint(c.cert)
	if err != nil {
		return err
	}
	chain, err := os.ReadFile(c.cert)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.print, c.chain = &pair, print, chain
	return nil
}

// Run looks at the certificate once a day until ctx ends.
func (c *certificate) Run(ctx context.Context) error {
	tick := time.NewTicker(renewInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.refresh()
		case <-ctx.Done():
			return nil
		}
	}
}

// refresh renews the certificate if that is due, and reads it again. What goes wrong is logged: the old one serves on.
func (c *certificate) refresh() {
	if err := c.load(); err != nil { // the operator may be half-way through an exchange
		c.log.Warn("the certificate of the API cannot be read again", "err", err)
		return
	}
	leaf := c.leaf()
	why := c.due(leaf)
	if why == "" {
		return
	}
	err := c.renew(leaf)
	if err == nil {
		err = c.load()
	}
	if err != nil {
		c.log.Warn("the certificate of the API is not renewed", "file", c.cert, "why", why, "ends", leaf.NotAfter, "err", err)
		return
	}
	c.log.Info("the certificate of the API is renewed", "why", why, "ends", c.leaf().NotAfter, "fingerprint", c.fingerprint())
}

// due says why the certificate should be another one, or nothing.
func (c *certificate) due(leaf *x509.Certificate) string {
	if leaf.NotAfter.Sub(c.now()) < renewBefore {
		return "it ends"
	}
	if _, _, err := c.authority(leaf); err != nil {
		return "" // the operator's, who knows its names
	}
	names, err := c.names(c.node)
	if err != nil {
		c.log.Warn("names of the host", "err", err)
		return ""
	}
	for _, name := range names {
		if leaf.VerifyHostname(name) != nil {
			return "it does not hold " + name
		}
	}
	return ""
}

// authority reads gpved's own certificate authority, if it has signed the certificate.
func (c *certificate) authority(leaf *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	pair, err := tls.LoadX509KeyPair(c.pki.caCert(), c.pki.caKey())
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s: no key of gpved's kind", c.pki.caKey())
	}
	if err := leaf.CheckSignatureFrom(pair.Leaf); err != nil {
		return nil, nil, fmt.Errorf("it is not from %s: %w", c.pki.caCert(), err)
	}
	return pair.Leaf, key, nil
}

// renew writes a new certificate for the same key.
func (c *certificate) renew(leaf *x509.Certificate) error {
	ca, caKey, err := c.authority(leaf)
	if err != nil {
		return err
	}
	key, ok := c.get().PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return fmt.Errorf("%s: no key of gpved's kind", c.key)
	}
	now := c.now()
	if ca.NotAfter.Sub(now) < renewBefore {
		return fmt.Errorf("the authority %s itself ends at %v", c.pki.caCert(), ca.NotAfter)
	}
	names, err := c.names(c.node)
	if err != nil {
		return err
	}
	t := leafTemplate(c.node, names, now)
	if t.NotAfter.After(ca.NotAfter) {
		t.NotAfter = ca.NotAfter
	}
	fresh, err := signFor(t, key, ca, caKey, now)
	if err != nil {
		return err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: fresh.Raw})
	return atomicfile.Write(c.cert, append(data, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})...), 0o644)
}

func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

func (c *certificate) leaf() *x509.Certificate { return c.get().Leaf }

// GetCertificate is for tls.Config: each handshake gets the certificate of its time.
func (c *certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.get(), nil
}

// fingerprint returns the SHA-256 of the certificate as AA:BB:….
func (c *certificate) fingerprint() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.print
}

// PEM returns the certificate and its chain.
func (c *certificate) PEM() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.chain)
}
