package client

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
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options of a client; nil and the zero value verify the server by the system's roots.
type Options struct {
	Fingerprint string            // SHA-256 of the server's certificate, hex with or without colons; replaces verification by roots
	RootCAs     *x509.CertPool    // nil: the system's
	Transport   http.RoundTripper // nil: made from the fields above
}

// Client is one server and one identity.
type Client struct {
	base string
	http *http.Client
	tls  *tls.Config

	mu   sync.Mutex // guards cred
	cred Credentials
}

// Credentials are what a login yields; they may be stored and used again with [Client.SetCredentials].
type Credentials struct {
	User   string `json:"username"`
	Ticket string `json:"ticket,omitempty"`
	CSRF   string `json:"CSRFPreventionToken,omitempty"`
	Token  string `json:"token,omitempty"` // USER@REALM!TOKENID=SECRET, instead of a ticket
}

// New returns a client of the server at base, such as https://host:8006. It does not connect.
func New(base string, opts *Options) (*Client, error) {
	if opts == nil {
		opts = &Options{}
	}
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("client: server %q is not of the form https://HOST[:PORT]", base)
	}
	c := &Client{base: u.Scheme + "://" + u.Host, tls: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: opts.RootCAs}}
	if opts.Fingerprint != "" {
		want, err := hex.DecodeString(strings.ReplaceAll(opts.Fingerprint, ":", ""))
		if err != nil || len(want) != sha256.Size {
			return nil, fmt.Errorf("client: fingerprint %q is no SHA-256 in hex", opts.Fingerprint)
		}
		pin(c.tls, want)
	}
	rt := opts.Transport
	if rt == nil {
		rt = &http.Transport{TLSClientConfig: c.tls, Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: 2 * time.Minute, MaxIdleConnsPerHost: 16}
	}
	c.http = &http.Client{Transport: rt}
	return c, nil
}

// pin accepts exactly the certificate with this fingerprint, whatever its name and issuer.
func pin(conf *tls.Config, want []byte) {
	conf.InsecureSkipVerify = true // replaced by the check below, which also runs for resumed sessions
	conf.VerifyConnection = func(st tls.ConnectionState) error {
		got := sha256.Sum256(st.PeerCertificates[0].Raw)
		if !bytes.Equal(got[:], want) {
			return &FingerprintError{Got: Fingerprint(st.PeerCertificates[0]), Want: FormatFingerprint(want)}
		}
		return nil
	}
}

// Login gets a ticket. user is USER@REALM.
func (c *Client) Login(ctx context.Context, user, password string) error {
	var cred struct {
		Credentials
		NeedTFA json.RawMessage
	}
	if err := c.Post(ctx, "/access/ticket", Params{"username": user, "password": password}, &cred); err != nil {
		return err
	}
	if cred.NeedTFA != nil {
		return errors.New("client: the account needs a second factor; use an API token")
	}
	c.SetCredentials(cred.Credentials)
	return nil
}

// SetCredentials replaces the identity.
func (c *Client) SetCredentials(cred Credentials) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cred = cred
}

// Credentials returns the identity, for storing.
func (c *Client) Credentials() Credentials {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cred
}

// Params are the parameters of a call. Values are strings, numbers, booleans (sent as 1 and 0) or lists of them (the key is
// repeated); nil is left out.
type Params map[string]any

func (p Params) values() url.Values {
	v := url.Values{}
	for k, x := range p {
		switch x := x.(type) {
		case nil:
		case bool:
			v.Set(k, map[bool]string{false: "0", true: "1"}[x])
		case []string:
			v[k] = x
		default:
			v.Set(k, fmt.Sprint(x))
		}
	}
	return v
}

// Get calls a reading method; path is below /api2/json and already escaped. out may be nil.
func (c *Client) Get(ctx context.Context, path string, p Params, out any) error {
	return c.Do(ctx, http.MethodGet, path, p, out)
}

// Post calls a writing method with its parameters in the body.
func (c *Client) Post(ctx context.Context, path string, p Params, out any) error {
	return c.Do(ctx, http.MethodPost, path, p, out)
}

// Put is Post for PUT.
func (c *Client) Put(ctx context.Context, path string, p Params, out any) error {
	return c.Do(ctx, http.MethodPut, path, p, out)
}

// Delete calls DELETE with its parameters in the query.
func (c *Client) Delete(ctx context.Context, path string, p Params, out any) error {
	return c.Do(ctx, http.MethodDelete, path, p, out)
}

// Do calls any method and decodes the answer's data into out, unless out is nil. A refusal is an [*Error].
func (c *Client) Do(ctx context.Context, method, path string, p Params, out any) error {
	var body io.Reader
	target := c.base + "/api2/json" + path
	if method == http.MethodGet || method == http.MethodDelete {
		if len(p) > 0 {
			target += "?" + p.values().Encode()
		}
	} else {
		body = strings.NewReader(p.values().Encode())
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return c.send(req, out)
}

func (c *Client) send(req *http.Request, out any) error {
	c.authorize(req.Header, req.Method)
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client: %s %s: %w", req.Method, req.URL.Path, err)
	}
	if resp.StatusCode >= 400 {
		return refusal(req, resp, data)
	}
	if out == nil {
		return nil
	}
	envelope := struct{ Data any }{out}
	if err := json.Unmarshal(data, &envelope); err != nil {
		return fmt.Errorf("client: %s %s: answer: %w", req.Method, req.URL.Path, err)
	}
	return nil
}

// maxAnswer bounds an answer in bytes; a list of 100,000 guests is about half of it.
const maxAnswer = 128 << 20

func (c *Client) authorize(h http.Header, method string) {
	cred := c.Credentials()
	switch {
	case cred.Token != "":
		h.Set("Authorization", "PVEAPIToken="+cred.Token)
	case cred.Ticket != "":
		h.Set("Cookie", "PVEAuthCookie="+url.QueryEscape(cred.Ticket))
		if method != http.MethodGet {
			h.Set("CSRFPreventionToken", cred.CSRF)
		}
	}
}
