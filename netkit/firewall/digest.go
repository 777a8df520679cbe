package firewall

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
)

// Digest is the digest of a list of objects, given by their defined members: SHA-1 in hex over "key:value\n" of each member
// of each object, keys sorted, objects in order. All firewall lists and options carry it.
func Digest(objects ...map[string]string) string {
	h := sha1.New()
	for _, o := range objects {
		for _, key := range slices.Sorted(maps.Keys(o)) {
			fmt.Fprintf(h, "%s:%s\n", key, o[key])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// members collects what is defined.
func members(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// Members returns what the API shows of a rule, but its position and faults.
func (r *Rule) Members() map[string]string {
	m := members("type", r.Type, "action", r.Action, "macro", r.Macro, "iface", r.Iface, "source", r.Source, "dest", r.Dest,
		"proto", r.Proto, "dport", r.Dport, "sport", r.Sport, "icmp-type", r.ICMPType, "log", r.Log, "comment", r.Comment)
	m["enable"] = "0"
	if r.Enable {
		m["enable"] = "1"
	}
	if r.IPVersion != 0 {
		m["ipversion"] = strconv.Itoa(r.IPVersion)
	}
	return m
}

// Members returns what the API shows of an alias.
func (a Alias) Members() map[string]string {
	m := members("name", a.Name, "cidr", a.CIDR, "comment", a.Comment)
	if v := ipVersion(a.CIDR); v != 0 {
		m["ipversion"] = strconv.Itoa(v)
	}
	return m
}

// Members returns what the API shows of an entry, but its fault.
func (e Entry) Members() map[string]string {
	m := members("cidr", e.CIDR, "comment", e.Comment)
	if e.NoMatch {
		m["nomatch"] = "1"
	}
	return m
}

// RulesDigest is the digest of a list of rules.
func RulesDigest(rules []*Rule) string {
	objects := make([]map[string]string, len(rules))
	for i, r := range rules {
		objects[i] = r.Members()
	}
	return Digest(objects...)
}

// EntriesDigest is the digest of the entries of a set.
func EntriesDigest(entries []Entry) string {
	objects := make([]map[string]string, len(entries))
	for i, e := range entries {
		objects[i] = e.Members()
	}
	return Digest(objects...)
}

// AliasesDigest is the digest of aliases, which are listed by name.
func AliasesDigest(aliases []Alias) string {
	sorted := slices.SortedFunc(slices.Values(aliases), func(a, b Alias) int { return compareNames(a.Name, b.Name) })
	objects := make([]map[string]string, len(sorted))
	for i, a := range sorted {
		objects[i] = a.Members()
	}
	return Digest(objects...)
}

func compareNames(a, b string) int {
	a, b = lower(a), lower(b)
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// hash returns a short name for content: what has the same hash is the same.
func hash(content string) string {
	h := sha1.New()
	io.WriteString(h, content)
	return hex.EncodeToString(h.Sum(nil)[:8])
}
