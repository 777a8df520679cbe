package vmconfig

import (
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// DecodeSSHKeys returns the lines of the option sshkeys (URL encoded, as stored) without blank ones.
func DecodeSSHKeys(encoded string) []string {
	text, err := url.PathUnescape(encoded)
	if err != nil {
		text = encoded
	}
	var keys []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.Trim(line, blanks); line != "" {
			keys = append(keys, line)
		}
	}
	return keys
}

// CheckSSHKeys refuses a value of sshkeys whose lines are no SSH public keys: optional options, a type, a key of that
// very type in base64, an optional comment. Comment lines are allowed.
func CheckSSHKeys(encoded string) error {
	for _, line := range DecodeSSHKeys(encoded) {
		if !strings.HasPrefix(line, "#") && !isSSHKey(line) {
			return call.Errorf("SSH public key validation error")
		}
	}
	return nil
}

func isSSHKey(line string) bool {
	fields := strings.Fields(line)
	for i := 0; i+1 < len(fields); i++ { // options may stand before the type
		blob, err := base64.StdEncoding.DecodeString(fields[i+1])
		if err != nil || len(blob) < 4 {
			continue
		}
		n := binary.BigEndian.Uint32(blob)
		if uint64(n)+4 < uint64(len(blob)) && string(blob[4:4+n]) == fields[i] {
			return true
		}
	}
	return false
}
