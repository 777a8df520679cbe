package iso

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf16"
)

// node is a file or folder.
type node struct {
	name     string
	isDir    bool
	data     []byte
	extent   uint32 // of a file; folders have one per view
	parent   *node  // the root is its own
	children []*node
}

func buildTree(files []File) (*node, error) {
	root := &node{isDir: true}
	root.parent = root
	for _, f := range files {
		if !fs.ValidPath(f.Path) || f.Path == "." {
			return nil, fmt.Errorf("iso: path %q", f.Path)
		}
		dir, err := root.mkdirs(path.Dir(f.Path))
		if err != nil {
			return nil, err
		}
		name := path.Base(f.Path)
		if dir.child(name) != nil {
			return nil, fmt.Errorf("iso: %q is there twice", f.Path)
		}
		dir.children = append(dir.children, &node{name: name, data: f.Data, parent: dir})
	}
	return root, nil
}

func (n *node) mkdirs(dir string) (*node, error) {
	if dir == "." {
		return n, nil
	}
	for name := range strings.SplitSeq(dir, "/") {
		next := n.child(name)
		switch {
		case next == nil:
			next = &node{name: name, isDir: true, parent: n}
			n.children = append(n.children, next)
		case !next.isDir:
			return nil, fmt.Errorf("iso: %q is a file and a folder", dir)
		}
		n = next
	}
	return n, nil
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// names is how a view of the tree names things.
type names interface {
	identifier(n *node) []byte // of a file or folder that is not the root
	text(s string, bytes int) []byte
	isJoliet() bool
}

// primaryNames are the names of plain ISO 9660: upper case letters, digits and '_', at most 30 of them.
type primaryNames struct{}

func (primaryNames) isJoliet() bool { return false }

func (primaryNames) identifier(n *node) []byte {
	base, ext := n.name, ""
	if !n.isDir {
		if i := strings.LastIndexByte(n.name, '.'); i >= 0 {
			base, ext = n.name[:i], n.name[i+1:]
		}
	}
	base, ext = dCharacters(base), dCharacters(ext)
	if n.isDir {
		return []byte(base[:min(len(base), 31)])
	}
	ext = ext[:min(len(ext), 15)]
	return []byte(base[:min(len(base), 30-len(ext))] + "." + ext + ";1")
}

func dCharacters(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, s)
}

func (primaryNames) text(s string, bytes int) []byte {
	return []byte((s + strings.Repeat(" ", bytes))[:bytes])
}

// jolietNames are the original names in UCS-2, at most 64 characters.
type jolietNames struct{}

func (jolietNames) isJoliet() bool { return true }

func (jolietNames) identifier(n *node) []byte {
	b := ucs2(n.name)
	return b[:min(len(b), 128)]
}

func (jolietNames) text(s string, bytes int) []byte {
	b := ucs2(s + strings.Repeat(" ", bytes))[:bytes&^1]
	return append(b, make([]byte, bytes-len(b))...)
}

func ucs2(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u>>8), byte(u))
	}
	return out
}
