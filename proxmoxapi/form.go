package proxmoxapi

import "strings"

// parseForm adds the pairs of a query string or form body to into. Pairs are separated by '&' or ';', '+' is a blank, bad
// percent-escapes stay as they are, bytes that are no UTF-8 become U+FFFD. A repeated key collects its values in a []any;
// a key without '=' counts as not given.
func parseForm(s string, into map[string]any) {
	for s != "" {
		pair := s
		if i := strings.IndexAny(s, "&;"); i >= 0 {
			pair, s = s[:i], s[i+1:]
		} else {
			s = ""
		}
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		addValue(into, formText(key), formText(value))
	}
}

func addValue(into map[string]any, key string, value any) {
	switch have := into[key].(type) {
	case nil:
		into[key] = value
	case []any:
		into[key] = append(have, value)
	default:
		into[key] = []any{have, value}
	}
}

func formText(s string) string {
	if strings.ContainsAny(s, "+%") {
		s = unescape(s)
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func unescape(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && hexDigit(s[i+1]) >= 0 && hexDigit(s[i+2]) >= 0:
			b = append(b, byte(hexDigit(s[i+1])<<4|hexDigit(s[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
