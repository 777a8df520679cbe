package usercfg

import (
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Node is one path in the tree of access control lists. The zero value is an empty node.
type Node struct {
	Users    Grants // by user@realm
	Groups   Grants // by group name
	Tokens   Grants // by full token id
	Children map[string]*Node
}

// Grants are the roles of members: member, role, propagate.
type Grants map[string]map[string]bool

// Set grants the role, or sets its flag anew. g must not be nil.
func (g Grants) Set(member, role string, propagate bool) {
	if g[member] == nil {
		g[member] = map[string]bool{}
	}
	g[member][role] = propagate
}

// Unset takes the role back.
func (g Grants) Unset(member, role string) {
	delete(g[member], role)
	if len(g[member]) == 0 {
		delete(g, member)
	}
}

// segments yields the parts of a normalised path; the root has none.
func segments(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := strings.TrimPrefix(path, "/"); rest != ""; {
			var seg string
			seg, rest, _ = strings.Cut(rest, "/")
			if !yield(seg) {
				return
			}
		}
	}
}

// Find returns the node at a normalised path, nil if there is none.
func (n *Node) Find(path string) *Node {
	for seg := range segments(path) {
		if n = n.Children[seg]; n == nil {
			return nil
		}
	}
	return n
}

// At returns the node at a normalised path, made if missing, ready for [Grants.Set].
func (n *Node) At(path string) *Node {
	for seg := range segments(path) {
		child := n.Children[seg]
		if child == nil {
			child = &Node{}
			if n.Children == nil {
				n.Children = map[string]*Node{}
			}
			n.Children[seg] = child
		}
		n = child
	}
	for _, g := range []*Grants{&n.Users, &n.Groups, &n.Tokens} {
		if *g == nil {
			*g = Grants{}
		}
	}
	return n
}

// Prune removes the node at a normalised path with everything below it. The root stays.
func (n *Node) Prune(path string) {
	i := strings.LastIndexByte(path, '/')
	if parent := n.Find(path[:max(i, 0)]); parent != nil {
		delete(parent.Children, path[i+1:])
	}
}

// Walk yields the nodes below and including n with their paths, parents first, children sorted.
func (n *Node) Walk() iter.Seq2[string, *Node] {
	return func(yield func(string, *Node) bool) { n.walk("", yield) }
}

func (n *Node) walk(prefix string, yield func(string, *Node) bool) bool {
	path := prefix
	if path == "" {
		path = "/"
	}
	if !yield(path, n) {
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(n.Children)) {
		if !n.Children[name].walk(prefix+"/"+name, yield) {
			return false
		}
	}
	return true
}

// empty reports whether the node itself grants nothing.
func (n *Node) empty() bool { return len(n.Users) == 0 && len(n.Groups) == 0 && len(n.Tokens) == 0 }

// NormalizePath brings an ACL path into the form in which it is stored and compared; ok is false if it has none.
func NormalizePath(path string) (string, bool) {
	if path == "" {
		return "", false
	}
	for i := range len(path) {
		if b := path[i]; b != '/' && b != '.' && b != '_' && b != '-' && !isAlnum(b) {
			return "", false
		}
	}
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	path = strings.TrimSuffix(path, "/")
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path, true
}

// The grammar of paths that may get a list of their own.
var aclPath = sync.OnceValue(func() *regexp.Regexp {
	const n = `[A-Za-z0-9._-]+`
	return regexp.MustCompile(`^(?:/` +
		`|/access(?:/groups(?:/` + n + `)?|/realm(?:/` + n + `)?)?` +
		`|/nodes(?:/` + n + `)?` +
		`|/pool(?:/` + n + `(?:/` + n + `(?:/` + n + `)?)?)?` +
		`|/storage(?:/` + n + `)?` +
		`|/vms(?:/[1-9][0-9]{2,})?` +
		`|/mapping(?:/` + n + `(?:/` + n + `)?)?` +
		`|/sdn` +
		`|/sdn/zones(?:/` + n + `(?:/` + n + `(?:/[1-9][0-9]{0,3})?)?)?` +
		`|/sdn/controllers(?:/[A-Za-z0-9_-]+)?` +
		`|/sdn/(?:dns|fabrics|ipams|prefix-lists|route-maps)(?:/[A-Za-z0-9]+)?` +
		`)$`)
})

// ValidPath reports whether a normalised path may be given a list. Lists that exist are honoured at any path.
func ValidPath(path string) bool { return aclPath().MatchString(path) }
