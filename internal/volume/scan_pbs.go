package volume

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// backupServerPort is where a Proxmox Backup Server listens.
const backupServerPort = 8007

// maxAnswerBytes bounds what a backup server may answer.
const maxAnswerBytes = 1 << 20

// GetNodesScanPbs lists the datastores of a Proxmox Backup Server.
func (s *Service) GetNodesScanPbs(ctx context.Context, req *schema.GetNodesScanPbs) ([]schema.GetNodesScanPbsRow, error) {
	if err := serverName("server", req.Server); err != nil {
		return nil, err
	}
	port := int64(backupServerPort)
	if req.Port != nil {
		port = *req.Port
	}
	ctx, cancel := context.WithTimeout(ctx, scanPatience)
	defer cancel()
	c := &backupServer{
		base: "https://" + net.JoinHostPort(strings.Trim(req.Server, "[]"), strconv.FormatInt(port, 10)) + "/api2/json",
		http: s.backupClient(deref(req.Fingerprint)),
	}
	if err := c.login(ctx, req.Username, req.Password); err != nil {
		return nil, scanError(err)
	}
	rows := []schema.GetNodesScanPbsRow{}
	if err := c.get(ctx, "/admin/datastore", &rows); err != nil {
		return nil, scanError(err)
	}
	return rows, nil
}

func scanError(err error) error {
	if isPublic(err) {
		return err
	}
	return public(err, "error fetching datastores - %s", fetchText(err))
}

// backupServer is a session with a backup server.
type backupServer struct {
	base   string
	http   *http.Client
	cookie string
	token  string // Authorization, for an API token
}

// backupClient trusts the certificate of the fingerprint, or without one what the host trusts. It follows no redirects: they
// would carry the credentials elsewhere.
func (s *Service) backupClient(fingerprint string) *http.Client {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if fingerprint != "" {
		want := strings.ToLower(strings.ReplaceAll(fingerprint, ":", ""))
		config.InsecureSkipVerify = true // the fingerprint is what is verified
		config.VerifyPeerCertificate = func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) > 0 {
				if sum := sha256.Sum256(raw[0]); hex.EncodeToString(sum[:]) == want {
					return nil
				}
			}
			return &tls.CertificateVerificationError{Err: errors.New("fingerprint does not match")}
		}
	}
	t := &http.Transport{TLSClientConfig: config, DialContext: s.fetch.dialer().DialContext, DisableKeepAlives: true, MaxResponseHeaderBytes: fetchHeaderMax}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// login opens a session; a user name with a '!' is a token's, whose secret goes with every request.
func (c *backupServer) login(ctx context.Context, user, password string) error {
	if strings.Contains(user, "!") {
		c.token = "PBSAPIToken=" + user + ":" + password
		return nil
	}
	var reply struct {
		Ticket string `json:"ticket"`
	}
	form := url.Values{"username": {user}, "password": {password}}.Encode()
	if err := c.do(ctx, http.MethodPost, "/access/ticket", strings.NewReader(form), &reply); err != nil {
		return err
	}
	c.cookie = "PBSAuthCookie=" + url.QueryEscape(reply.Ticket)
	return nil
}

func (c *backupServer) get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, nil, out)
}

func (c *backupServer) do(ctx context.Context, method, path string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return call.Param("server", "not a server's name or address")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.cookie != "" {
		req.Header.Set("Cookie", c.cookie)
	}
	if c.token != "" {
		req.Header.Set("Authorization", c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusUnauthorized:
		return call.Errorf("error fetching datastores - 401 Unauthorized")
	case resp.StatusCode != http.StatusOK:
		return call.Errorf("error fetching datastores - %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	reply := struct {
		Data any `json:"data"`
	}{out}
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&reply); err != nil {
		return public(fmt.Errorf("answer of %s: %w", path, err), "error fetching datastores - the answer is not understood")
	}
	return nil
}
