package cephconf

import "strings"

// Parse reads a configuration. There is no text that it refuses: what it does not understand is left out, as Ceph's own
// tools and Proxmox VE do.
func Parse(text string) *Config {
	c := &Config{}
	section, inside := "", false
	for _, l := range logicalLines(text) {
		switch {
		case l.bracket:
			if section, inside = sectionName(l.text); inside {
				c.add(section)
			}
		case inside:
			if key, value, ok := keyValue(l.text); ok {
				c.put(section, key, value)
			}
		}
	}
	return c
}

// line is a logical line that has more than blanks.
type line struct {
	text    string // without comment; escapes are still in it
	bracket bool   // meant as a section's name
}

// logicalLines joins continued lines and drops comments.
func logicalLines(text string) []line {
	var lines []line
	var cur strings.Builder
	for raw := range strings.SplitSeq(text, "\n") {
		raw = strings.TrimSuffix(raw, "\r")
		body, comment := cutComment(raw)
		if !comment && strings.HasSuffix(body, `\`) {
			cur.WriteString(body[:len(body)-1])
			continue
		}
		cur.WriteString(body)
		lines = appendLine(lines, cur.String())
		cur.Reset()
	}
	return appendLine(lines, cur.String())
}

func appendLine(lines []line, text string) []line {
	if strings.TrimFunc(text, isBlank) == "" {
		return lines
	}
	return append(lines, line{text: text, bracket: strings.Contains(text, "[")})
}

// cutComment ends s before the first comment sign that no backslash escapes.
func cutComment(s string) (body string, found bool) {
	for i := range len(s) {
		if (s[i] == '#' || s[i] == ';') && (i == 0 || s[i-1] != '\\') {
			return s[:i], true
		}
	}
	return s, false
}

func unescape(s string) string { return strings.NewReplacer(`\#`, "#", `\;`, ";").Replace(s) }

// sectionName reads "[name]" with nothing but blanks beside it.
func sectionName(s string) (string, bool) {
	s = strings.TrimFunc(s, isBlank)
	inner, ok := strings.CutPrefix(s, "[")
	if !ok {
		return "", false
	}
	inner, ok = strings.CutSuffix(inner, "]")
	if !ok || inner == "" || strings.ContainsAny(inner, "[]") {
		return "", false
	}
	return unescape(inner), true
}

// keyValue reads "key = value".
func keyValue(s string) (key, value string, ok bool) {
	key, value, ok = strings.Cut(s, "=")
	if !ok {
		return "", "", false
	}
	key = Key(unescape(key))
	value, ok = plainValue(strings.TrimFunc(value, isBlank))
	return key, unescape(value), ok && key != "" && value != ""
}

// plainValue takes the quotes off. A quote that opens must close at the end, and not before.
func plainValue(s string) (string, bool) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return s, true
	}
	inner := s[1:]
	end := strings.IndexByte(inner, s[0])
	return inner[:max(end, 0)], end >= 0 && end == len(inner)-1
}
