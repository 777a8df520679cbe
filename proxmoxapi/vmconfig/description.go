package vmconfig

import (
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

const blanks = " \t\r\n\f\v" // what Perl's \s matches in ASCII text

func trimRight(text string) string { return strings.TrimRight(text, blanks) }

// decodeComment reads the encoded text of a comment line. Bytes that are no UTF-8 become U+FFFD.
func decodeComment(text string) string {
	return strings.ToValidUTF8(pveconf.DecodeText(text), "\uFFFD")
}

// plainDescription brings a description into the form in which it reads back.
func plainDescription(text string) string { return trimRight(strings.ToValidUTF8(text, "\uFFFD")) }

// writeDescription prints the description as comment lines.
func writeDescription(b *strings.Builder, description string, keepEmpty bool) {
	description = plainDescription(description)
	if description == "" {
		if keepEmpty {
			b.WriteString("#\n")
		}
		return
	}
	for line := range strings.SplitSeq(description, "\n") {
		b.WriteString("#" + pveconf.EncodeText(line) + "\n")
	}
}
