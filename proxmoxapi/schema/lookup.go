package schema

import (
	"strings"
	"unicode"
)

// route is a node of the tree of paths. A node has fixed children or one variable child, never both.
type route struct {
	segment  string
	param    string // name, on a variable node
	rest     bool   // takes all remaining segments
	methods  [4]*Endpoint
	children []route // sorted by segment
	variable *route
}

// Lookup finds the method that serves a path such as /nodes/pve1/qemu/100/config, and the values of the path's parameters.
// Empty segments are skipped. The path is already percent-decoded; "localhost" is a node name like any other here. It
// reports false if there is no such path, or no such method on it. The map is nil if the path has no parameters.
func Lookup(method, path string) (*Endpoint, map[string]string, bool) {
	m := methodIndex(method)
	if m < 0 {
		return nil, nil, false
	}
	var params [maxPathParams]struct{ name, value string }
	n, count := &routes, 0
	for path = strings.TrimLeft(path, "/"); path != ""; path = strings.TrimLeft(path, "/") {
		var segment string
		tail := path
		if i := strings.IndexByte(path, '/'); i >= 0 {
			segment, path = path[:i], path[i:]
		} else {
			segment, path = path, ""
		}
		if v := n.variable; v != nil {
			if v.rest {
				segment, path = joinSegments(tail), ""
			}
			if strings.ContainsFunc(segment, unicode.IsSpace) || count == len(params) {
				return nil, nil, false
			}
			params[count].name, params[count].value = v.param, segment
			count++
			n = v
			continue
		}
		if n = n.child(segment); n == nil {
			return nil, nil, false
		}
	}
	e := n.methods[m]
	if e == nil {
		return nil, nil, false
	}
	if count == 0 {
		return e, nil, true
	}
	values := make(map[string]string, count)
	for _, p := range params[:count] {
		values[p.name] = p.value
	}
	return e, values, true
}

// maxPathParams is more than any path has; a test holds the schema against it.
const maxPathParams = 8

// Find returns the method with exactly this path template, such as /nodes/{node}/qemu, nil if there is none.
func Find(method, template string) *Endpoint {
	m := methodIndex(method)
	if m < 0 {
		return nil
	}
	n := &routes
	for segment := range strings.SplitSeq(template, "/") {
		switch {
		case segment == "":
		case segment[0] == '{':
			n = n.variable
		default:
			n = n.child(segment)
		}
		if n == nil {
			return nil
		}
	}
	if e := n.methods[m]; e != nil && e.Path == template {
		return e
	}
	return nil
}

// child finds a fixed child by halving.
func (n *route) child(segment string) *route {
	lo, hi := 0, len(n.children)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch c := &n.children[mid]; {
		case c.segment == segment:
			return c
		case c.segment < segment:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return nil
}

// joinSegments drops empty segments.
func joinSegments(path string) string {
	path = strings.Trim(path, "/")
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// methodIndex is the place of a method in route.methods, -1 if the API does not know it.
func methodIndex(method string) int {
	switch method {
	case "GET":
		return 0
	case "POST":
		return 1
	case "PUT":
		return 2
	case "DELETE":
		return 3
	}
	return -1
}
