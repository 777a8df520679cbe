package pveconf

import (
	"crypto/sha1" //nolint:gosec // the digest detects concurrent edits, as PVE's clients expect it; it protects nothing
	"encoding/hex"
	"strings"
)

// ParseBool reads a boolean as property strings and configuration files write it: 1, on, yes, true and 0, off, no, false,
// in any case. ok is false for anything else.
func ParseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "1", "on", "yes", "true":
		return true, true
	case "0", "off", "no", "false":
		return false, true
	}
	return false, false
}

// Digest returns the SHA-1 of a configuration's text in hexadecimal, by which clients notice that somebody else changed it.
// A missing file counts as empty text.
func Digest(text string) string {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// EncodeText percent-encodes what must not appear in a field of a configuration file: control characters, bytes above
// ASCII, ':' and '%'.
func EncodeText(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == ':' || c == '%' {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// DecodeText undoes EncodeText. A '%' without two hexadecimal digits stays as it is.
func DecodeText(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b = append(b, c[0])
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
