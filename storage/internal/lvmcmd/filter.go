package lvmcmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/turtacn/go-proxmox/internal/proc"
)

// guests are the block devices that hold what guests write: ZFS volumes, mapped RBD images, and what NBD serves. A guest's
// logical volumes are kept out by scan_lvs.
var guests = []string{"r|^/dev/zd[0-9]|", "r|^/dev/zvol/|", "r|^/dev/rbd|", "r|^/dev/nbd|"}

// settings is the text for --config. The machine's own devices/global_filter stays in force: ours go before it, and lvm2 takes
// the first that matches. It is asked for once; a failure is not kept.
func (t *Tool) settings(ctx context.Context) (string, error) {
	t.mu.Lock()
	config := t.config
	t.mu.Unlock()
	if config != "" {
		return config, nil
	}
	if err := take(ctx, t.reports); err != nil {
		return "", err
	}
	defer func() { <-t.reports }()
	var out bytes.Buffer
	argv := []string{t.opt.Program, "lvmconfig", "--typeconfig", "full", "devices/global_filter"}
	if err := t.run(ctx, &proc.Capped{W: &out, Left: 64 << 10}, argv); err != nil {
		return "", err
	}
	own, err := parseFilter(out.String())
	if err != nil {
		return "", err
	}
	config = render(append(append(append([]string(nil), guests...), t.opt.Filter...), own...))
	t.mu.Lock()
	t.config = config
	t.mu.Unlock()
	return config, nil
}

func render(filter []string) string {
	return `devices{scan_lvs=0 global_filter=["` + strings.Join(filter, `","`) + `"]} report{time_format="%s"}`
}

// parseFilter reads what lvmconfig prints: global_filter=["a|.*|"] or global_filter="a|.*|".
func parseFilter(text string) ([]string, error) {
	value, ok := strings.CutPrefix(strings.TrimSpace(text), "global_filter=")
	if !ok {
		return nil, fmt.Errorf("lvmcmd: answer of lvmconfig %q", text)
	}
	value = strings.TrimSuffix(strings.TrimPrefix(value, "["), "]")
	var list []string
	for rest := strings.TrimSpace(value); rest != ""; rest = strings.TrimLeft(rest, ", ") {
		if rest[0] != '"' {
			return nil, fmt.Errorf("lvmcmd: filter of this machine %q", text)
		}
		pattern, after, ok := strings.Cut(rest[1:], `"`)
		if !ok || !validPattern(pattern) {
			return nil, errors.Join(fmt.Errorf("lvmcmd: filter of this machine %q", text))
		}
		list, rest = append(list, pattern), after
	}
	return list, nil
}

// validPattern reports whether s is a pattern that can stand in a quoted string of lvm2's configuration as it is.
func validPattern(s string) bool {
	return len(s) >= 3 && (s[0] == 'a' || s[0] == 'r') && !strings.ContainsAny(s, "\"\\\n\x00")
}
