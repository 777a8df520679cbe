package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// login is the stored identity: 0600, since a ticket is as good as a password while it lives.
type login struct {
	Server      string `json:"server"`
	Fingerprint string `json:"fingerprint,omitempty"` // pinned certificate; empty: the system's roots decide
	client.Credentials
}

func (l *login) client() (*client.Client, error) {
	c, err := client.New(l.Server, &client.Options{Fingerprint: l.Fingerprint})
	if err != nil {
		return nil, err
	}
	c.SetCredentials(l.Credentials)
	return c, nil
}

func (a *app) loginPath() (string, error) {
	dir := a.profile
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(base, "gpve")
	}
	return filepath.Join(dir, "login.json"), nil
}

func (a *app) loadLogin() (*login, error) {
	path, err := a.loginPath()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("no login yet; see gpvectl login --help")
	}
	if err != nil {
		return nil, err
	}
	var l login
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &l, nil
}

func (a *app) saveLogin(l *login) error {
	path, err := a.loginPath()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(path, append(data, '\n'), 0o600)
}

func (a *app) loginCmd() *cobra.Command {
	var user, passwordFile, fingerprint, token string
	cmd := &cobra.Command{
		Use:   "login [SERVER]",
		Short: "Log in and keep the ticket",
		Long: `Log in to SERVER (default https://localhost:8006) and keep the ticket and the server's certificate fingerprint in the
user's configuration folder, readable by the user alone. A certificate that no root vouches for is shown and must be
confirmed, or given with --fingerprint (gpved init prints it).

The password is asked for, or read from --password-file (- is standard input). With --token USER@REALM!ID=SECRET an API
token is kept instead.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l := &login{Server: "https://localhost:8006", Fingerprint: fingerprint}
			if len(args) == 1 {
				l.Server = serverURL(args[0])
			}
			if err := a.trust(cmd.Context(), l); err != nil {
				return err
			}
			c, err := l.client()
			if err != nil {
				return err
			}
			if token != "" {
				l.Credentials = client.Credentials{User: strings.SplitN(token, "=", 2)[0], Token: token}
				c.SetCredentials(l.Credentials)
				if err := c.Get(cmd.Context(), "/version", nil, nil); err != nil {
					return err
				}
				return a.saveLogin(l)
			}
			password, err := a.password(passwordFile, user)
			if err != nil {
				return err
			}
			if err := c.Login(cmd.Context(), user, password); err != nil {
				return err
			}
			l.Credentials = c.Credentials()
			if err := a.saveLogin(l); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "logged in to %s as %s\n", l.Server, l.User)
			return nil
		},
	}
	cmd.Flags().StringVarP(&user, "user", "u", "root@pam", "`USER@REALM`")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "`file` with the password; - reads standard input")
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "SHA-256 `fingerprint` of the server's certificate to pin")
	cmd.Flags().StringVar(&token, "token", "", "API `token` USER@REALM!ID=SECRET to keep instead of a ticket")
	return cmd
}

func (a *app) logoutCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Forget the stored login",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			path, err := a.loginPath()
			if err != nil {
				return err
			}
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		},
	}
}

// serverURL completes HOST and HOST:PORT to a URL.
func serverURL(s string) string {
	if strings.Contains(s, "://") {
		return s
	}
	if _, _, err := net.SplitHostPort(s); err != nil {
		s = net.JoinHostPort(strings.Trim(s, "[]"), "8006")
	}
	return "https://" + s
}

// trust pins the server's certificate after the user's word, unless the system's roots vouch for it or a fingerprint is given.
func (a *app) trust(ctx context.Context, l *login) error {
	u, err := url.Parse(l.Server)
	if err != nil || u.Scheme != "https" || l.Fingerprint != "" {
		return err
	}
	cert, verified, err := peerCertificate(ctx, u.Host)
	if err != nil || verified {
		return err
	}
	fp := client.Fingerprint(cert)
	fmt.Fprintf(a.err, "%s shows a certificate that no root vouches for.\nSHA-256 fingerprint: %s\n", u.Host, fp)
	if !isTerminal(a.in) {
		return errors.New("give --fingerprint to trust it")
	}
	fmt.Fprint(a.err, "Trust it? [y/N] ")
	line, _ := bufio.NewReader(a.in).ReadString('\n')
	if !strings.EqualFold(strings.TrimSpace(line), "y") {
		return errors.New("the certificate is not trusted")
	}
	l.Fingerprint = fp
	return nil
}

func peerCertificate(ctx context.Context, host string) (cert *x509.Certificate, verified bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if !strings.Contains(host, ":") {
		host += ":443"
	}
	for _, insecure := range []bool{false, true} { // the second time only to look at the certificate
		d := tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure}}
		conn, dialErr := d.DialContext(ctx, "tcp", host)
		if dialErr == nil {
			cert = conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
			conn.Close()
			return cert, !insecure, nil
		}
		if _, ok := errors.AsType[*tls.CertificateVerificationError](dialErr); !ok {
			return nil, false, dialErr
		}
	}
	return nil, false, errors.New("the server shows no certificate")
}

func (a *app) password(file, user string) (string, error) {
	switch {
	case file == "-":
		data, err := io.ReadAll(io.LimitReader(a.in, 4096))
		return strings.TrimRight(string(data), "\r\n"), err
	case file != "":
		data, err := os.ReadFile(file)
		return strings.TrimRight(string(data), "\r\n"), err
	case !isTerminal(a.in):
		return "", errors.New("no terminal to ask for the password; give --password-file")
	}
	fmt.Fprintf(a.err, "password of %s: ", user)
	data, err := term.ReadPassword(int(a.in.(*os.File).Fd()))
	fmt.Fprintln(a.err)
	return string(data), err
}

func isTerminal(s any) bool {
	f, ok := s.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
