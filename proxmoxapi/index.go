package proxmoxapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// indexes are the answers of the methods that list the paths below their own, by their endpoint: what a client that walks
// the tree needs. They are the same for everybody, since what is behind a path checks for itself.
type indexes map[*schema.Endpoint][]map[string]string

// newIndexes derives them from the schema: a list method on a path with fixed children.
func newIndexes() indexes {
	children := map[string]map[string]bool{}
	for _, e := range schema.Endpoints() {
		for path := e.Path; path != "/"; {
			parent, segment := splitLast(path)
			if children[parent] == nil {
				children[parent] = map[string]bool{}
			}
			children[parent][segment] = true
			path = parent
		}
	}
	all := indexes{}
	for _, e := range schema.Endpoints() {
		key := indexKey(e)
		if key == "" {
			continue
		}
		var rows []map[string]string
		for segment := range children[e.Path] {
			if !strings.HasPrefix(segment, "{") {
				rows = append(rows, map[string]string{key: segment})
			}
		}
		if len(rows) > 0 {
			slices.SortFunc(rows, func(a, b map[string]string) int { return strings.Compare(a[key], b[key]) })
			all[e] = rows
		}
	}
	return all
}

func splitLast(path string) (parent, segment string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(i, 1)], path[i+1:]
}

// indexKey is the member of an index row that names the child, empty when the rows of the method lead elsewhere.
func indexKey(e *schema.Endpoint) string {
	key, ok := strings.CutPrefix(e.ChildHref, "{")
	if !ok || e.Method != http.MethodGet {
		return ""
	}
	key, rest, ok := strings.Cut(key, "}")
	if !ok || rest != "" {
		return ""
	}
	return key
}
