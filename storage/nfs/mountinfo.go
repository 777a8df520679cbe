package nfs

import (
	"bufio"
	"io"
	"net"
	"path"
	"strings"
)

// parseMountinfo returns the last, so topmost, mount at a path. See proc_pid_mountinfo(5).
func parseMountinfo(r io.Reader, at string) (m mount, ok bool, err error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for sc.Scan() {
		left, right, found := strings.Cut(sc.Text(), " - ")
		fields, tail := strings.Fields(left), strings.Fields(right)
		if !found || len(fields) < 5 || len(tail) < 2 || unescape.Replace(fields[4]) != at {
			continue
		}
		m, ok = mount{fstype: tail[0], source: unescape.Replace(tail[1])}, true
		if len(tail) > 2 {
			for option := range strings.SplitSeq(tail[2], ",") {
				if a, has := strings.CutPrefix(option, "addr="); has {
					m.address = a
				}
			}
		}
	}
	return m, ok, sc.Err()
}

// is reports whether a mount is that of the driver's export. Whoever mounted it may have written the server's address for its
// name, but not another path.
func (d *Driver) is(m mount) bool {
	if m.fstype != "nfs" && m.fstype != "nfs4" {
		return false
	}
	i := strings.LastIndex(m.source, ":/")
	if i < 0 || path.Clean(m.source[i+1:]) != d.opt.Export {
		return false
	}
	host := strings.Trim(m.source[:i], "[]")
	if strings.EqualFold(host, d.opt.Server) {
		return true
	}
	want := net.ParseIP(d.opt.Server)
	return want != nil && (want.Equal(net.ParseIP(host)) || want.Equal(net.ParseIP(m.address)))
}
