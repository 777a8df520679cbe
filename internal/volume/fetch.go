package volume

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// What bounds a fetch from a server that may be anybody's.
const (
	fetchHeaderWait = 30 * time.Second // for the connection and for the answer's header
	fetchIdle       = 60 * time.Second // between two pieces of the body
	fetchRedirects  = 10
	fetchHeaderMax  = 64 << 10
)

// errForbiddenAddress is the refusal of a connection that would stay within the host or its link.
var errForbiddenAddress = errors.New("address is not allowed")

// publicAddress reports whether users may let this node connect to an address: not the host itself, its link (where cloud
// metadata services are), or a group. Private networks are allowed: mirrors are there.
func publicAddress(a netip.Addr) bool {
	a = a.Unmap()
	if a.Is6() {
		for _, prefix := range translated {
			if prefix.Contains(a) {
				b := a.As16()
				return publicAddress(netip.AddrFrom4([4]byte(b[12:])))
			}
		}
		if b := a.As16(); b[0] == 0x20 && b[1] == 0x02 { // 6to4: an IPv4 address behind the prefix
			return publicAddress(netip.AddrFrom4([4]byte(b[2:6])))
		}
	}
	if !a.IsValid() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsInterfaceLocalMulticast() {
		return false
	}
	if a.Is4() {
		b := a.As4()
		return b[0] != 0 && b[0] < 240 // "this network"; reserved, broadcast
	}
	return true
}

// translated are the prefixes behind which an IPv4 address may stand: NAT64, and the deprecated compatible form.
var translated = [...]netip.Prefix{netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("::/96")}

// fetcher gets files by HTTP for users.
type fetcher struct {
	allowed func(netip.Addr) bool // where a connection may go
}

// fetchRequest says what to fetch.
type fetchRequest struct {
	URL      string
	Insecure bool   // do not verify the server's certificate
	Proxy    string // of the datacenter; empty: none
}

// client makes a client for one fetch. Addresses are checked when a connection is made to them, so no name can change
// between the check and its use; redirects are checked as the first address is.
func (f *fetcher) client(r *fetchRequest, first *url.URL) (*http.Client, error) {
	t := &http.Transport{
		DialContext: f.dialer().DialContext, TLSHandshakeTimeout: fetchHeaderWait, ResponseHeaderTimeout: fetchHeaderWait,
		MaxResponseHeaderBytes: fetchHeaderMax, DisableKeepAlives: true, DisableCompression: true, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: r.Insecure, MinVersion: tls.VersionTLS12}, //nolint:gosec // what the user asked for
	}
	if r.Proxy != "" {
		proxy, err := url.Parse(r.Proxy)
		if err != nil || proxy.Host == "" {
			return nil, call.Errorf("the datacenter's option http_proxy is no address")
		}
		t.Proxy = http.ProxyURL(proxy)
		t.DialContext = (&net.Dialer{Timeout: fetchHeaderWait}).DialContext // to the proxy, which the administrator has set
	}
	return &http.Client{Transport: t, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		switch {
		case len(via) > fetchRedirects:
			return errors.New("too many redirects")
		case first.Scheme == "https" && next.URL.Scheme != "https":
			return errors.New("redirected from https to " + next.URL.Scheme)
		}
		next.Header.Del("Referer")
		return f.checkURL(next.URL)
	}}, nil
}

// dialer connects to allowed addresses only. The check is that of the address itself, after a name has been looked up.
func (f *fetcher) dialer() *net.Dialer {
	return &net.Dialer{Timeout: fetchHeaderWait, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil || !f.allowed(ap.Addr()) {
			return errForbiddenAddress
		}
		return nil
	}}
}

// checkURL refuses what is no address of a web server, or is the address of one that may not be asked.
func (f *fetcher) checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("scheme '%s' is not allowed", u.Scheme)
	case u.Hostname() == "" || u.User != nil:
		return errors.New("not a plain address")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !f.allowed(a.WithZone("")) {
		return errForbiddenAddress
	}
	return nil
}

// do sends a request and returns the answer, if it is 200. The caller closes the body, whose reads end when nothing comes
// for a minute.
func (f *fetcher) do(ctx context.Context, method string, r *fetchRequest) (*http.Response, error) {
	u, err := url.Parse(r.URL)
	if err == nil {
		err = f.checkURL(u)
	}
	if err != nil {
		return nil, call.Param("url", "%s", fetchText(err))
	}
	client, err := f.client(r, u)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, call.Param("url", "not a valid address")
	}
	req.Header.Set("User-Agent", "go-proxmox")
	resp, err := client.Do(req)
	if err != nil {
		cancel(nil)
		return nil, public(err, "download failed: %s", fetchText(err))
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		cancel(nil)
		return nil, call.Errorf("download failed: the server answers %d", resp.StatusCode)
	}
	resp.Body = newIdleBody(resp.Body, cancel)
	return resp, nil
}

// fetchText is what a user may know of a failed fetch: not which addresses there are inside.
func fetchText(err error) string {
	switch {
	case errors.Is(err, errForbiddenAddress):
		return "the address is not allowed"
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return "the server does not answer in time"
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return "the server's name is not known"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate is not trusted"
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		if inner := e.Err.Error(); strings.HasPrefix(inner, "redirected") || strings.HasPrefix(inner, "scheme") || inner == "too many redirects" {
			return inner
		}
		return "the server cannot be reached"
	}
	return err.Error()
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// idleBody cancels a request whose body stands still.
type idleBody struct {
	io.ReadCloser
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

func newIdleBody(body io.ReadCloser, cancel context.CancelCauseFunc) *idleBody {
	return &idleBody{body, time.AfterFunc(fetchIdle, func() { cancel(context.DeadlineExceeded) }), cancel}
}

func (b *idleBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.timer.Reset(fetchIdle)
	}
	return n, err
}

func (b *idleBody) Close() error {
	b.timer.Stop()
	err := b.ReadCloser.Close()
	b.cancel(nil)
	return err
}

// fileNameOf is the name under which a server gives a file: as it says, else the last part of its address. Empty for none.
func fileNameOf(resp *http.Response) string {
	if _, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition")); err == nil && params["filename"] != "" {
		return path.Base(strings.ReplaceAll(params["filename"], `\`, "/"))
	}
	if name := path.Base(resp.Request.URL.Path); name != "/" && name != "." {
		return name
	}
	return ""
}

// httpProxy is the datacenter's option http_proxy, empty for none.
func (s *Service) httpProxy(ctx context.Context) (string, error) {
	kv, err := s.store.Get(ctx, datacenterKey)
	if errors.Is(err, cluster.ErrNotFound) {
		return "", nil
	}
	for line := range strings.Lines(string(kv.Value)) {
		if v, ok := strings.CutPrefix(line, "http_proxy:"); ok {
			return strings.TrimSpace(v), err
		}
	}
	return "", err
}
