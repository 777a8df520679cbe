package volume

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// sectionRules are the rules of storage.cfg, from the table of types and the schema of the method that adds a storage.
var sectionRules = sync.OnceValue(func() *pveconf.SectionRules {
	rules := &pveconf.SectionRules{
		CheckID: func(id string) error { return pveconf.CheckFormat("pve-storage-id", id) },
		First:   []string{"disable"}, Formats: schema.Formats(),
	}
	for _, name := range slices.Sorted(maps.Keys(storageTypes)) {
		t := storageTypes[name]
		st := &pveconf.SectionType{Name: name, Fixed: t.fixed, Properties: map[string]*pveconf.Property{}}
		for _, key := range slices.Concat(t.required, t.optional) {
			p := *property(key)
			p.Optional = !slices.Contains(t.required, key)
			st.Properties[key] = &p
		}
		rules.Types = append(rules.Types, st)
	}
	return rules
})

// parseSections reads storage.cfg. Nothing stops it: what cannot be understood is left out with a warning.
func parseSections(text string) (*pveconf.SectionFile, []string) {
	f, found := pveconf.ParseSections(text, sectionRules())
	var warnings []string
	for _, w := range found {
		warnings = append(warnings, fmt.Sprintf("line %d: %s", w.Line, w.Text))
	}
	for _, s := range f.Sections() {
		warn := func(format string, args ...any) {
			warnings = append(warnings, fmt.Sprintf("storage '%s': "+format, append([]any{s.ID}, args...)...))
		}
		err := decode(s, warn)
		if err == nil {
			err = f.Set(s)
		}
		if err != nil {
			warn("%v", err)
		}
	}
	return f, warnings
}

// property is the schema of an option of storages, nil if there is none of that name.
func property(key string) *pveconf.Property {
	if key == "storage" || key == "type" {
		return nil
	}
	return schema.Find("POST", "/storage").Params.Property(key)
}

func boolText(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// optionText is a validated value as storage.cfg has it.
func optionText(v any) string {
	switch v := v.(type) {
	case bool:
		return boolText(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return v
	}
	return fmt.Sprint(v)
}

var legalPath = regexp.MustCompile(`^/[-/a-zA-Z0-9_.@]+$`)

// decode gives lists their canonical form, and drops what the type does not offer. An error is about the storage as a whole.
func decode(s *pveconf.Section, warn func(string, ...any)) error {
	t := storageTypes[s.Type]
	if text, ok := s.Values["content"]; ok {
		content, err := t.content(text, warn)
		if err != nil {
			return err
		}
		s.Values["content"] = content
	}
	if text, ok := s.Values["nodes"]; ok {
		s.Values["nodes"] = joinSorted(splitList(text))
	}
	if f := s.Values["format"]; f != "" {
		if k, _ := volid.KindOf(s.Type); !slices.Contains(k.Formats, f) {
			warn("format '%s' is not supported", f)
			delete(s.Values, "format")
		}
	}
	if text, ok := s.Values["content-dirs"]; ok {
		var pairs []string
		for _, pair := range splitList(text) {
			if c, _, _ := strings.Cut(pair, "="); slices.Contains(t.contents, c) {
				pairs = append(pairs, pair)
			} else {
				warn("content-dirs: content type '%s' is not supported", c)
			}
		}
		s.Values["content-dirs"] = joinSorted(pairs)
	}
	if s.Type == "dir" || s.Type == "btrfs" {
		p := s.Values["path"]
		if p != "" && !legalPath.MatchString(p) {
			return fmt.Errorf("illegal path for directory storage: %s", p)
		}
		if p = slashes.ReplaceAllString(p, "/"); len(p) > 1 {
			s.Values["path"] = strings.TrimRight(p, "/")
		}
	}
	return nil
}

var slashes = regexp.MustCompile(`/+`)

// content reads a list of contents.
func (t *storageType) content(text string, warn func(string, ...any)) (string, error) {
	var list []string
	for _, c := range splitList(text) {
		if !slices.Contains(t.contents, c) {
			if c != "none" {
				warn("storage does not support content type '%s'", c)
			}
			continue
		}
		list = append(list, c)
	}
	if len(list) > 1 && slices.Contains(list, "none") {
		return "", fmt.Errorf("unable to combine 'none' with other content types")
	}
	if len(list) == 0 {
		if !slices.Contains(t.contents, "none") {
			return "", fmt.Errorf("storage does not support content type 'none'")
		}
		return "none", nil
	}
	return joinSorted(list), nil
}

func joinSorted(list []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(list))), ",")
}

// parseConfig reads storage.cfg and adds what is there without being configured: the storage local, in localPath.
func parseConfig(text, localPath string) (*configFile, []string) {
	sec, warnings := parseSections(text)
	f := &configFile{digest: sec.Digest(), byID: map[string]*Config{}, sections: sec}
	implied := map[string]string{"path": localPath, "content": "backup,images,iso,rootdir,snippets,vztmpl", "prune-backups": "keep-all=1"}
	if sec.Get("local") == nil {
		f.storages = append(f.storages, newConfig("dir", "local", implied))
	}
	for _, s := range sec.Sections() {
		if s.ID == "local" {
			if s.Type != "dir" || s.Values["path"] != "" && s.Values["path"] != localPath {
				s.Type, s.Values = "dir", implied
			}
			s.Values["path"] = localPath
			delete(s.Values, "nodes")
		}
		f.storages = append(f.storages, newConfig(s.Type, s.ID, s.Values))
	}
	for i := range f.storages {
		f.byID[f.storages[i].ID] = &f.storages[i]
	}
	return f, warnings
}
