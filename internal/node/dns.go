package node

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/atomicfile"
)

// DNS are the name servers of the host, at most three, and its search domain.
type DNS struct {
	Search  string
	Servers []string
}

const resolvConf = "etc/resolv.conf"

// DNS reads resolv.conf; a missing file is an empty one.
func (h *Host) DNS() (DNS, error) {
	data, err := os.ReadFile(h.path(resolvConf))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return DNS{}, err
	}
	var d DNS
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "search", "domain":
			d.Search = f[1]
		case "nameserver":
			if len(d.Servers) < 3 {
				d.Servers = append(d.Servers, f[1])
			}
		}
	}
	return d, nil
}

// SetDNS replaces the search domain and the name servers; all other lines stay.
func (h *Host) SetDNS(d DNS) error {
	data, err := os.ReadFile(h.path(resolvConf))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var b strings.Builder
	b.WriteString("search " + d.Search + "\n")
	var seen []string
	for _, s := range d.Servers {
		if s != "" && s != "0.0.0.0" && !slices.Contains(seen, s) {
			seen = append(seen, s)
			b.WriteString("nameserver " + s + "\n")
		}
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) > 0 && slices.Contains([]string{"search", "domain", "nameserver"}, f[0]) {
			continue
		}
		b.WriteString(strings.TrimRight(line, "\n") + "\n")
	}
	return atomicfile.Write(h.path(resolvConf), []byte(b.String()), 0o644)
}
