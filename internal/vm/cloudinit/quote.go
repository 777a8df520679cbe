package cloudinit

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// yaml11 are plain scalars that YAML 1.1 readers, cloud-init's among them, do not take for strings though YAML 1.2 does.
var yaml11 = regexp.MustCompile(`(?i)^(?:y|n|yes|no|on|off|true|false|null|~|=|<<|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|[-+]?[0-9][0-9_,.]*|[-+]?0[box_]?[0-9a-f_]*)$`)

// scalar prints a string as a YAML value: as it is where that reads back as the same string, else double-quoted.
func scalar(s string) string {
	var doc map[string]yaml.Node
	if printable(s) && !yaml11.MatchString(s) && yaml.Unmarshal([]byte("k: "+s+"\n"), &doc) == nil {
		node := doc["k"]
		plain := node.Kind == yaml.ScalarNode && node.Style == 0 && node.Tag == "!!str" && node.Value == s
		if plain && node.LineComment == "" && node.HeadComment == "" && node.FootComment == "" && len(doc) == 1 {
			return s
		}
	}
	return doubleQuoted(s)
}

// quoted prints a string as a single-quoted YAML value, double-quoted when it has characters that need codes.
func quoted(s string) string {
	if !printable(s) {
		return doubleQuoted(s)
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// doubleQuoted prints a string as JSON, which YAML reads.
func doubleQuoted(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string cannot fail
	// JSON leaves DEL and the C1 controls alone, YAML does not allow all of them
	return strings.Map(func(r rune) rune {
		if r >= 0x7f && r <= 0x9f || r == '\ufeff' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.TrimSuffix(b.String(), "\n"))
}

func printable(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == '\ufeff' || r == unicode.ReplacementChar }) < 0
}

// word drops what would end a word or a line in an interfaces file.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

var plainShell = regexp.MustCompile(`^[A-Za-z0-9_./:=+@%,-]*$`)

// shellWord prints a string as a word of the shell, quoted only where needed.
func shellWord(s string) string {
	if plainShell.MatchString(s) {
		return s
	}
	return shellQuoted(s)
}

// shellQuoted prints a string in double quotes with nothing expanded in it.
func shellQuoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`", "\x00", "").Replace(s) + `"`
}
