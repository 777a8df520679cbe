package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
)

// pki are the files of DATA/pki.
type pki struct{ dir string }

func (p pki) caCert() string { return filepath.Join(p.dir, "ca.crt") }
func (p pki) caKey() string  { return filepath.Join(p.dir, "ca.key") }
func (p pki) cert() string   { return filepath.Join(p.dir, "server.crt") }
func (p pki) key() string    { return filepath.Join(p.dir, "server.key") }

const (
	caLife     = 10 * 365 * 24 * time.Hour
	serverLife = 2 * 365 * 24 * time.Hour
)

// ensure makes the files, for the host's names and addresses and more of them to come, unless there is a certificate with its key,
// which may be the operator's own.
func (p pki) ensure(node string, more []string, now time.Time) error {
	if _, err := tls.LoadX509KeyPair(p.cert(), p.key()); err == nil {
		return nil
	}
	names, err := hostNames(node)
	if err != nil {
		return err
	}
	return p.create(node, append(names, more...), now)
}

// create makes a certificate authority and a server certificate for the names. The private keys are 0600.
func (p pki) create(node string, names []string, now time.Time) error {
	ca, caKey, err := newCA(node, now)
	if err != nil {
		return err
	}
	leaf, leafKey, err := newLeaf(ca, caKey, node, names, now)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path, kind string
		der        []byte
		perm       fs.FileMode
	}{
		{p.caKey(), "EC PRIVATE KEY", mustMarshal(caKey), 0o600},
		{p.caCert(), "CERTIFICATE", ca.Raw, 0o644},
		{p.key(), "EC PRIVATE KEY", mustMarshal(leafKey), 0o600},
		{p.cert(), "CERTIFICATE", leaf.Raw, 0o644},
	} {
		data := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		if f.path == p.cert() { // clients that trust the authority want the chain
			data = append(data, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})...)
		}
		if err := atomicfile.Write(f.path, data, f.perm); err != nil {
			return err
		}
	}
	return nil
}

func mustMarshal(k *ecdsa.PrivateKey) []byte {
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		panic(err) // only for curves without a name
	}
	return der
}

func newCA(node string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "gpve " + node + " certificate authority", Organization: []string{"go-proxmox"}},
		NotAfter:              now.Add(caLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return sign(t, nil, nil, now)
}

func newLeaf(ca *x509.Certificate, caKey *ecdsa.PrivateKey, node string, names []string, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	return sign(leafTemplate(node, names, now), ca, caKey, now)
}

// leafTemplate is the certificate of a server with the names.
func leafTemplate(node string, names []string, now time.Time) *x509.Certificate {
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: node, Organization: []string{"go-proxmox"}},
		NotAfter:    now.Add(serverLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return t
}

// sign completes the template with a new key and signs it; without a parent it signs itself.
func sign(t, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	cert, err := signFor(t, key, parent, parentKey, now)
	return cert, key, err
}

// signFor is sign for a key that is there already.
func signFor(t *x509.Certificate, key *ecdsa.PrivateKey, parent *x509.Certificate, parentKey *ecdsa.PrivateKey, now time.Time) (_ *x509.Certificate, err error) {
	if t.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return nil, err
	}
	t.NotBefore = now.Add(-time.Hour) // clients' clocks
	if parent == nil {
		parent, parentKey = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, parentKey)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// fingerprint returns the SHA-256 of the first certificate of a PEM file as AA:BB:….
func fingerprint(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return "", errors.New(path + ": no certificate")
	}
	sum := sha256.Sum256(block.Bytes)
	s := strings.ToUpper(hex.EncodeToString(sum[:]))
	parts := make([]string, 0, len(sum))
	for i := 0; i < len(s); i += 2 {
		parts = append(parts, s[i:i+2])
	}
	return strings.Join(parts, ":"), nil
}

// hostNames returns what this host may be called: node and host name, localhost, and all its addresses that last.
func hostNames(node string) ([]string, error) {
	names := []string{"localhost", node}
	if host, err := os.Hostname(); err == nil && host != node {
		names = append(names, host)
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of the host: %w", err)
	}
	passing := passingAddresses()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() && !passing[hex.EncodeToString(n.IP)] {
			names = append(names, n.IP.String())
		}
	}
	return names, nil
}

// passingAddresses are the IPv6 addresses, as 32 hexadecimal digits, that the kernel exchanges from time to time so that the host
// is not recognised by them. A certificate that followed them would be another one every day.
func passingAddresses() map[string]bool {
	text, err := os.ReadFile("/proc/net/if_inet6")
	if err != nil { // no IPv6, or no Linux
		return nil
	}
	return passingOf(string(text))
}

// passingOf reads lines of address, index, length, scope, flags and name, all numbers hexadecimal.
func passingOf(text string) map[string]bool {
	const temporary = 1 // IFA_F_TEMPORARY of linux/if_addr.h
	out := map[string]bool{}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		if flags, err := strconv.ParseUint(f[4], 16, 32); err == nil && flags&temporary != 0 {
			out[f[0]] = true
		}
	}
	return out
}
