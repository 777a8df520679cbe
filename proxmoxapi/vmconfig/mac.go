package vmconfig

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"
)

// DefaultMACPrefix is the prefix of generated MAC addresses unless the datacenter option mac_prefix says otherwise.
const DefaultMACPrefix = "BC:24:11"

const hexDigits = "0123456789ABCDEF"

// NewMAC returns a random unicast MAC address, upper case, that starts with prefix ("" is DefaultMACPrefix); a prefix
// may end inside a byte, such as "BC:24:11:4". Random bytes come from random (nil: crypto/rand).
func NewMAC(prefix string, random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	if prefix == "" {
		prefix = DefaultMACPrefix
	}
	var raw [6]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("MAC address: %w", err)
	}
	digits := strings.ToUpper(strings.ReplaceAll(prefix, ":", ""))
	filled := fmt.Sprintf("%X", raw[:])
	if len(digits) > 12 || strings.Trim(digits, hexDigits) != "" {
		return "", fmt.Errorf("MAC prefix %q", prefix)
	}
	digits += filled[len(digits):]
	if i := strings.IndexByte(hexDigits, digits[1]); i&1 != 0 { // never a multicast address
		digits = digits[:1] + hexDigits[i-1:i] + digits[2:]
	}
	parts := make([]string, 0, 6)
	for i := 0; i < 12; i += 2 {
		parts = append(parts, digits[i:i+2])
	}
	return strings.Join(parts, ":"), nil
}

// NewUUID returns a random version 4 UUID, lower case. Random bytes come from random (nil: crypto/rand).
func NewUUID(random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	var u [16]byte
	if _, err := io.ReadFull(random, u[:]); err != nil {
		return "", fmt.Errorf("UUID: %w", err)
	}
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:]), nil
}
