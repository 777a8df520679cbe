package pveconf

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
)

// textRule has texts with a grammar of their own.
func textRule(name string) func(string) error {
	switch name {
	case "string":
		return func(string) error { return nil }
	case "urlencoded":
		return simple(func(v string) bool { return v == "" || class(alnum).and("-%_.!~*'()").all(v) }, "invalid urlencoded string: {v}")
	case "pem-certificate":
		return simple(func(v string) bool { return isPEM(v, "CERTIFICATE", 1) }, notPEM)
	case "pem-certificate-chain":
		return simple(func(v string) bool { return isPEM(v, "CERTIFICATE", 0) }, notPEM)
	case "pem-string":
		return simple(func(v string) bool { return isPEM(v, "", 1) }, notPEM)
	case "pve-tfa-secret":
		return simple(isTFASecret, "unable to decode TFA secret")
	case "pve-command-batch":
		return checkCommandBatch
	}
	return nil
}

const notPEM = "not a valid PEM-formatted string."

// isPEM tells whether v is blocks in PEM form, count of them or, for 0, at least one. Text before the first is ignored.
// An empty label is any.
func isPEM(v, want string, count int) bool {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	start := strings.Index(v, begin)
	if start < 0 {
		return false
	}
	v = v[start:]
	found := 0
	for v = strings.TrimSpace(v); v != ""; v = strings.TrimSpace(v) {
		rest, ok := strings.CutPrefix(v, begin)
		if !ok {
			return false
		}
		name, rest, ok := strings.Cut(rest, dashes)
		if !ok || strings.ContainsAny(name, "\r\n") || want != "" && name != want {
			return false
		}
		body, rest, ok := strings.Cut(rest, end+name+dashes)
		if !ok || !isBase64Lines(body) {
			return false
		}
		found++
		v = rest
	}
	return found > 0 && (count == 0 || found == count)
}

func isBase64Lines(body string) bool {
	joined := strings.NewReplacer("\r", "", "\n", "").Replace(body)
	_, err := base64.StdEncoding.DecodeString(joined)
	return err == nil && joined != ""
}

// isTFASecret takes the four forms in which secrets were ever stored.
func isTFASecret(v string) bool {
	base32 := func(c byte) bool { return c >= 'A' && c <= 'Z' || c >= '2' && c <= '7' || c == '=' }
	length := func(s string) bool { return len(s) >= 16 && len(s) <= 128 }
	if hex, ok := strings.CutPrefix(v, "v2-0x"); ok {
		return length(hex) && class(hexit).all(hex)
	}
	if text, ok := strings.CutPrefix(v, "v2-"); ok {
		return length(text) && class(base32).all(text)
	}
	return len(v) == 16 && class(base32).all(v) || len(v) == 40 && class(hexit).all(v)
}

func checkCommandBatch(v string) error {
	if !json.Valid([]byte(v)) {
		return errors.New("commands param did not contain valid JSON: malformed JSON string")
	}
	const wrong = "commands is not a valid array of commands: "
	var commands []map[string]json.RawMessage
	if json.Unmarshal([]byte(v), &commands) != nil {
		return errors.New(wrong + "an array of objects is expected")
	}
	for _, c := range commands {
		var path, method string
		var args map[string]any
		switch {
		case c["path"] == nil || json.Unmarshal(c["path"], &path) != nil:
			return errors.New(wrong + "path: " + textMissing)
		case c["method"] == nil || json.Unmarshal(c["method"], &method) != nil:
			return errors.New(wrong + "method: " + textMissing)
		case method != "GET" && method != "POST" && method != "PUT" && method != "DELETE":
			return errors.New(wrong + "method: value '" + method + "' does not have a value in the enumeration 'GET, POST, PUT, DELETE'")
		case c["args"] != nil && json.Unmarshal(c["args"], &args) != nil:
			return errors.New(wrong + "args: type check ('object') failed")
		}
		for name := range c {
			if name != "path" && name != "method" && name != "args" {
				return errors.New(wrong + name + ": " + textUnknown)
			}
		}
	}
	return nil
}
