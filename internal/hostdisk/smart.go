package hostdisk

import (
	"regexp"
	"strconv"
	"strings"
)

// SMART is a report of a disk on itself.
type SMART struct {
	// Type is "ata" with attributes, "text" with a text, or empty if there was neither.
	Type string
	// Health in the disk's own words: PASSED, OK, FAILED!, "SMART Disabled", …
	Health     string
	Attributes []Attribute
	Text       string
}

// Attribute is a line of an ATA disk's table. Value, Worst and Threshold are normalised by the disk's maker; a threshold
// that the disk does not have is 0.
type Attribute struct {
	ID                      string // as printed, with leading blanks
	Name, Flags, Fail, Raw  string
	Value, Worst, Threshold int
}

// maxText bounds what is kept of a report.
const maxText = 64 << 10

// smartPatterns are the lines of smartctl's output that say something.
type smartPatterns struct{ health, attribute, used *regexp.Regexp }

func newSmartPatterns() smartPatterns {
	return smartPatterns{
		health:    regexp.MustCompile(`(?:Health Status|self-assessment test result):\s*(.*?)\s*$`),
		attribute: regexp.MustCompile(`^([ \d]{2}\d)\s+(\S+)\s+([A-Z-]+)\s+(\d+)\s+(\d+)\s+(\d+|---)\s+(\S+)\s+(.*)$`),
		used:      regexp.MustCompile(`(?im)^Percentage Used[^:]*:\s*(\d+)%`),
	}
}

// ParseSMART reads the output of smartctl -H, with -A -f brief if there are attributes to be.
func ParseSMART(output string) SMART {
	var s SMART
	var text strings.Builder
	p := newSmartPatterns()
	inside := false // behind the health line of the data section
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "=== START OF ") {
			inside = false
			continue
		}
		if m := p.health.FindStringSubmatch(line); m != nil {
			s.Health, inside = m[1], true
			continue
		}
		if strings.HasPrefix(line, "SMART Disabled") {
			s.Health = "SMART Disabled"
			continue
		}
		if strings.HasPrefix(line, "SMART Attributes Data Structure") {
			s.Type = "ata"
		}
		if m := p.attribute.FindStringSubmatch(line); m != nil && s.Type == "ata" {
			s.Attributes = append(s.Attributes, attribute(m))
		}
		if inside && text.Len()+len(line) < maxText {
			text.WriteString(line + "\n")
		}
	}
	if s.Type == "" && strings.TrimSpace(text.String()) != "" {
		s.Type, s.Text = "text", text.String()
	}
	return s
}

func attribute(m []string) Attribute {
	a := Attribute{ID: m[1], Name: m[2], Flags: m[3], Fail: m[7], Raw: m[8]}
	a.Value, _ = strconv.Atoi(m[4])
	a.Worst, _ = strconv.Atoi(m[5])
	a.Threshold, _ = strconv.Atoi(m[6]) // "---" is 0
	return a
}

// wearAttributes are the attributes by which makers tell how much life is left, the most telling first.
func wearAttributes() []string {
	return []string{"Media_Wearout_Indicator", "SSD_Life_Left", "Wear_Leveling_Count", "Perc_Write/Erase_Ct_BC", "Perc_Rated_Life_Remain",
		"Remaining_Lifetime_Perc", "Percent_Lifetime_Remain", "Lifetime_Left", "PCT_Life_Remaining", "Lifetime_Remaining",
		"Percent_Life_Remaining", "Percent_Lifetime_Used", "Perc_Rated_Life_Used"}
}

// Life returns the share of a disk's life that is left, in per cent, and whether the report says. It can be negative.
func (s SMART) Life() (int, bool) {
	if s.Type == "text" {
		m := newSmartPatterns().used.FindStringSubmatch(s.Text)
		if m == nil {
			return 0, false
		}
		n, err := strconv.Atoi(m[1])
		return 100 - n, err == nil
	}
	for _, name := range wearAttributes() {
		for _, a := range s.Attributes {
			if strings.EqualFold(a.Name, name) {
				return a.Value, true
			}
		}
	}
	return 0, false
}

// Row is the report as the API's method disks/smart gives it.
func (s SMART) Row() map[string]any {
	row := map[string]any{"health": s.Health}
	if s.Health == "" {
		row["health"] = unknownHealth
	}
	switch s.Type {
	case "ata":
		list := make([]map[string]any, len(s.Attributes))
		for i, a := range s.Attributes {
			list[i] = map[string]any{"id": a.ID, "name": a.Name, "flags": a.Flags, "value": a.Value, "normalized": a.Value,
				"worst": a.Worst, "threshold": a.Threshold, "fail": a.Fail, "raw": a.Raw}
		}
		row["type"], row["attributes"] = "ata", list
	case "text":
		row["type"], row["text"] = "text", s.Text
		if n, ok := s.Life(); ok {
			row["wearout"] = n
		}
	}
	return row
}
