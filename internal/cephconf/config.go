package cephconf

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// ErrUnwritable is a section, key or value that the format has no spelling for.
var ErrUnwritable = errclass.New("not writable in ceph.conf", fs.ErrInvalid)

// Config is a configuration: sections of keys and values. The zero value is empty and ready for use.
type Config struct {
	sections map[string]map[string]string
}

// Sections returns the names of all sections, in the order in which they are written.
func (c *Config) Sections() []string {
	names := slices.Collect(maps.Keys(c.sections))
	slices.SortFunc(names, func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// rank orders sections: the common ones first, then the daemons', then all others.
func rank(section string) int {
	switch {
	case section == "global":
		return 0
	case section == "client":
		return 1
	case strings.HasPrefix(section, "client."):
		return 2
	}
	for i, daemon := range []string{"mds", "mon", "osd", "mgr"} {
		if section == daemon || strings.HasPrefix(section, daemon+".") {
			return 3 + i
		}
	}
	return 7
}

// Section returns a copy of the keys and values of a section, and whether there is such a section.
func (c *Config) Section(name string) (map[string]string, bool) {
	s, ok := c.sections[name]
	return maps.Clone(s), ok
}

// Get returns the value of a key, in any spelling of the key.
func (c *Config) Get(section, key string) (string, bool) {
	v, ok := c.sections[section][Key(key)]
	return v, ok
}

// Set sets a value, and makes the section if there is none. It fails with [ErrUnwritable] and changes nothing if the
// result could not be read back.
func (c *Config) Set(section, key, value string) error {
	one := Config{sections: map[string]map[string]string{section: {Key(key): value}}}
	back, ok := Parse(one.String()).sections[section]
	if !ok || len(back) != 1 || back[Key(key)] != value {
		return fmt.Errorf("[%s] %s: %w", section, key, ErrUnwritable)
	}
	c.put(section, Key(key), value)
	return nil
}

// AddSection makes an empty section, unless there is one. It fails with [ErrUnwritable].
func (c *Config) AddSection(name string) error {
	one := Config{sections: map[string]map[string]string{name: {}}}
	if _, ok := Parse(one.String()).sections[name]; !ok {
		return fmt.Errorf("[%s]: %w", name, ErrUnwritable)
	}
	c.add(name)
	return nil
}

// Delete removes a key; an absent one is fine.
func (c *Config) Delete(section, key string) { delete(c.sections[section], Key(key)) }

// DeleteSection removes a section and all in it; an absent one is fine.
func (c *Config) DeleteSection(name string) { delete(c.sections, name) }

func (c *Config) add(section string) {
	if c.sections == nil {
		c.sections = map[string]map[string]string{}
	}
	if c.sections[section] == nil {
		c.sections[section] = map[string]string{}
	}
}

func (c *Config) put(section, key, value string) {
	c.add(section)
	c.sections[section][key] = value
}

// Key returns the one spelling of a key that this package uses: blanks around it gone, every row of blanks in it an
// underscore.
func Key(s string) string { return strings.Join(strings.FieldsFunc(s, isBlank), "_") }

func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\v' || r == '\f' }

// String returns the text of the configuration, canonical: equal configurations have equal texts.
func (c *Config) String() string {
	var b strings.Builder
	for _, name := range c.Sections() {
		fmt.Fprintf(&b, "[%s]\n", escape(name))
		s := c.sections[name]
		for _, key := range slices.Sorted(maps.Keys(s)) {
			fmt.Fprintf(&b, "\t%s = %s\n", escape(key), quote(s[key]))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func escape(s string) string { return strings.NewReplacer("#", `\#`, ";", `\;`).Replace(s) }

// quote puts a value in quotes if it would not survive without.
func quote(value string) string {
	text := escape(value)
	bare := value != "" && strings.TrimFunc(value, isBlank) == value && !strings.HasSuffix(value, `\`) && value[0] != '"' && value[0] != '\''
	switch {
	case bare:
		return text
	case strings.Contains(value, `"`):
		return "'" + text + "'"
	}
	return `"` + text + `"`
}
