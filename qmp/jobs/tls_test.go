package jobs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp"
	"github.com/turtacn/go-proxmox/qmp/jobs"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	var der []byte
	der, a.key = a.sign(t, template)
	var err error
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return a
}

// sign makes a key and its certificate; that of the authority itself, as long as it has none.
func (a *authority) sign(t *testing.T, template *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, parentKey := a.cert, a.key
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	require.NoError(t, err)
	return der, key
}

// folder writes the files that QEMU wants for both endpoints; the server is called "target".
func (a *authority) folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	write("ca-cert.pem", "CERTIFICATE", a.cert.Raw)
	for endpoint, usage := range map[string]x509.ExtKeyUsage{"server": x509.ExtKeyUsageServerAuth, "client": x509.ExtKeyUsageClientAuth} {
		cert, key := a.sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: endpoint}, DNSNames: []string{"target"},
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{usage}, BasicConstraintsValid: true})
		der, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		write(endpoint+"-cert.pem", "CERTIFICATE", cert)
		write(endpoint+"-key.pem", "PRIVATE KEY", der)
	}
	return dir
}

// credentials gives both sides certificates, plugged in while they run.
func credentials(t *testing.T, o *jobs.MigrateOptions, source, target *authority) {
	t.Helper()
	for _, side := range []struct {
		c   *qmp.Client
		obj machine.Object
	}{
		{o.Source, machine.TLSCredentials("tls-out", "client", source.folder(t))},
		{o.Target, machine.TLSCredentials("tls-in", "server", target.folder(t))},
	} {
		require.NoError(t, side.c.Do(limited(t), "object-add", side.obj.Arguments(), nil))
	}
	o.TLS = &jobs.MigrateTLS{SourceCreds: "tls-out", TargetCreds: "tls-in", Hostname: "target"}
}

func TestMigrateTLS(t *testing.T) {
	for name, multifd := range map[string]int{"one connection": 0, "multifd": 2} {
		t.Run(name, func(t *testing.T) {
			o := pair(t)
			o.Multifd = multifd
			ca := newAuthority(t)
			credentials(t, o, ca, ca)
			_, err := jobs.Migrate(limited(t), o)
			require.NoError(t, err)
			requireStatus(t, o.Target, qapi.RunStateRunning)
		})
	}
}

// TestMigrateTLSRefuses has targets that the source must not send the guest's memory to.
func TestMigrateTLSRefuses(t *testing.T) {
	ca := newAuthority(t)
	for name, change := range map[string]func(*testing.T, *jobs.MigrateOptions){
		"certificate of another authority": func(t *testing.T, o *jobs.MigrateOptions) { credentials(t, o, ca, newAuthority(t)) },
		"certificate of another host": func(t *testing.T, o *jobs.MigrateOptions) {
			credentials(t, o, ca, ca)
			o.TLS.Hostname = "elsewhere"
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := pair(t)
			change(t, o)
			_, err := jobs.Migrate(limited(t), o)
			var failed *jobs.MigrationError
			require.ErrorAs(t, err, &failed)
			require.Regexp(t, "(?i)certificate|TLS", failed.Text)
			requireStatus(t, o.Source, qapi.RunStateRunning)
		})
	}
	c, _ := script(t, nil, nil)
	_, err := jobs.Migrate(limited(t), &jobs.MigrateOptions{Source: c, URI: "unix:/s", TLS: &jobs.MigrateTLS{}})
	require.ErrorContains(t, err, "credentials")
}
