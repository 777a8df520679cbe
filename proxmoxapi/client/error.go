package client

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// Error is a refusal by the server.
type Error struct {
	Method, Path string
	Status       int
	Message      string            // the server's words, one or more lines without the last line feed
	Errors       map[string]string // by parameter, for status 400
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %d %s", e.Method, e.Path, e.Status, e.Message)
	for _, k := range slices.Sorted(maps.Keys(e.Errors)) {
		fmt.Fprintf(&b, "\n  %s: %s", k, strings.TrimSpace(e.Errors[k]))
	}
	return b.String()
}

// refusal takes the text from the body, or else from the reason phrase, where older servers have it.
func refusal(req *http.Request, resp *http.Response, body []byte) error {
	e := &Error{Method: req.Method, Path: strings.TrimPrefix(req.URL.Path, "/api2/json"), Status: resp.StatusCode}
	var parsed struct {
		Message string
		Errors  map[string]string
	}
	if json.Unmarshal(body, &parsed) == nil {
		e.Message, e.Errors = strings.TrimSpace(parsed.Message), parsed.Errors
	}
	if e.Message == "" {
		_, e.Message, _ = strings.Cut(resp.Status, " ")
	}
	return e
}

// FingerprintError says that the server showed another certificate than the pinned one.
type FingerprintError struct{ Got, Want string }

func (e *FingerprintError) Error() string {
	return fmt.Sprintf("the server's certificate has fingerprint %s, expected %s", e.Got, e.Want)
}

// Fingerprint returns the SHA-256 of a certificate as AA:BB:….
func Fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return FormatFingerprint(sum[:])
}

// FormatFingerprint prints a digest as AA:BB:….
func FormatFingerprint(sum []byte) string {
	var b bytes.Buffer
	for i, x := range sum {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02X", x)
	}
	return b.String()
}
