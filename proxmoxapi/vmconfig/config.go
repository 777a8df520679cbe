package vmconfig

import (
	"maps"
	"slices"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// Names of the special sections.
const (
	SpecialCloudInit = "cloudinit" // what the cloud-init medium of the VM was made from, see RecordCloudInit
	SpecialFleecing  = "fleecing"  // left-over fleecing images of a backup
)

// Config is one VM's configuration. All maps of a Config made by Parse or New are not nil.
type Config struct {
	Main      Section
	Pending   Section            // changes that wait; the key "delete" holds the list of options to delete
	Special   map[string]Section // by name; a present but empty section is written as its head alone
	Snapshots map[string]Section // by snapshot name
	Digest    string             // SHA-1 hex of the text that was parsed, "" for a new Config; never written
}

// Section is a set of options with their values in text form. The description is the key "description", decoded.
type Section map[string]string

// New returns an empty configuration.
func New() *Config {
	return &Config{Main: Section{}, Pending: Section{}, Special: map[string]Section{}, Snapshots: map[string]Section{}}
}

// Clone returns a deep copy.
func (c *Config) Clone() *Config {
	out := &Config{Main: c.Main.Clone(), Pending: c.Pending.Clone(), Special: map[string]Section{}, Snapshots: map[string]Section{}, Digest: c.Digest}
	for name, s := range c.Special {
		out.Special[name] = s.Clone()
	}
	for name, s := range c.Snapshots {
		out.Snapshots[name] = s.Clone()
	}
	return out
}

// Digest returns the digest of a config's text, which clients send back to guard a change: SHA-1 in hex.
func Digest(text string) string { return pveconf.Digest(text) }

// Clone returns a copy that is never nil.
func (s Section) Clone() Section {
	out := make(Section, len(s))
	maps.Copy(out, s)
	return out
}

// Has reports whether the option is set.
func (s Section) Has(key string) bool { _, ok := s[key]; return ok }

// Keys returns the set options sorted bytewise.
func (s Section) Keys() []string { return slices.Sorted(maps.Keys(s)) }

// Bool returns a boolean option, def when it is unset.
func (s Section) Bool(key string, def bool) bool {
	v, ok := s[key]
	if !ok {
		return def
	}
	b, _ := pveconf.ParseBool(v)
	return b
}

// Int returns an integer option, def when it is unset or no integer.
func (s Section) Int(key string, def int) int {
	n := def
	if v, ok := s[key]; ok && parseScalar(v, &n) != nil {
		return def
	}
	return n
}

// Text returns a text option, def when it is unset.
func (s Section) Text(key, def string) string {
	if v, ok := s[key]; ok {
		return v
	}
	return def
}

// Drive returns a parsed drive or unusedN; ok is false when it is not set.
func (s Section) Drive(key string) (d Drive, ok bool, err error) {
	v, ok := s[key]
	if !ok {
		return Drive{}, false, nil
	}
	d, err = ParseDrive(key, v)
	return d, true, err
}

// Drives returns the drives in slot order (DriveKeys). A drive whose value does not parse is left out, as Proxmox VE
// does everywhere.
func (s Section) Drives() []Drive {
	var out []Drive
	for _, key := range DriveKeys() {
		if d, ok, err := s.Drive(key); ok && err == nil {
			out = append(out, d)
		}
	}
	return out
}

// Net returns a parsed netN; ok is false when it is not set.
func (s Section) Net(key string) (n Net, ok bool, err error) {
	v, ok := s[key]
	if !ok {
		return Net{}, false, nil
	}
	n, err = ParseNet(v)
	return n, true, err
}

// CloudInitDrive returns the key of the cloud-init drive, "" when there is none.
func (s Section) CloudInitDrive() string {
	for _, d := range s.Drives() {
		if d.IsCloudInit() {
			return d.Key
		}
	}
	return ""
}

// HasCloudInit reports whether the VM has a cloud-init drive.
func (s Section) HasCloudInit() bool { return s.CloudInitDrive() != "" }
