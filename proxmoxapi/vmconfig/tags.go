package vmconfig

import (
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// TagStyle is what the datacenter option tag-style says about storing tags.
type TagStyle struct {
	CaseSensitive bool // keep the case
	ConfigOrder   bool // ordering=config: keep the order
}

// NormalizeTags returns a list of tags as it is stored when set through the API: deduplicated, lower-cased and sorted
// unless the style says otherwise, joined with ';'.
func NormalizeTags(tags string, style TagStyle) string {
	var out []string
	for _, tag := range SplitList(tags) {
		if !style.CaseSensitive {
			tag = strings.ToLower(tag)
		}
		if !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	if !style.ConfigOrder {
		slices.Sort(out)
	}
	return strings.Join(out, ";")
}

// SplitList splits a list parameter of the API at NUL characters when it has any, else at ',', ';' and blanks.
func SplitList(text string) []string { return pveconf.SplitList(text) }
