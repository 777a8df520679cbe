package proxmoxapi

import "strings"

const apiRoot = "/api2"

// splitURI takes the path of a request, percent-decoded once, apart into the format and the path below it:
// "/api2/json/nodes//pve1/" gives "json" and "/nodes//pve1/". api tells whether the path belongs to the API at all; an API
// path without a well-formed format gives an empty one. rel is never empty for an API path.
func splitURI(path string) (format, rel string, api bool) {
	rest, ok := strings.CutPrefix(path, apiRoot)
	if !ok || rest != "" && rest[0] != '/' {
		return "", "", false
	}
	format, rel, _ = strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	if !isFormat(format) {
		return "", "/" + rel, true
	}
	return format, "/" + rel, true
}

// isFormat reports whether s is [a-z][a-z0-9]+.
func isFormat(s string) bool {
	if len(s) < 2 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// validNode reports whether s is a node name, [a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?. No other text may ever be looked up
// as a host.
func validNode(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
