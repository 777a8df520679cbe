package daemon

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/turtacn/go-proxmox/internal/hostnet"
)

// What a configuration file must say it is.
const (
	APIVersion = "gpve.io/v1"
	Kind       = "ServerConfiguration"
)

// Config is the configuration of one gpved. The zero value of every key is its default; `gpved init` writes the file. Paths
// are absolute.
type Config struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`

	Server  ServerConfig  `yaml:"server,omitempty"`
	Agent   AgentConfig   `yaml:"agent,omitempty"`
	Network NetworkConfig `yaml:"network,omitempty"`
	QEMU    QEMUConfig    `yaml:"qemu,omitempty"`
	Logging LoggingConfig `yaml:"logging,omitempty"`

	// DataDir holds everything that gpved keeps: state, certificates, images, logs. It is where the file lies, or is given
	// to the command; it is no key of the file.
	DataDir string `yaml:"-"`
	// AdoptNode starts even if the guests of the state belong to a node of another name: see ErrRenamed. It is no key of the
	// file, since it is for one start.
	AdoptNode bool `yaml:"-"`
	// ProbeCommand runs a program that calls ServeProbe, for storages whose death would hold this process. Without one, such a
	// storage holds a thread until it is back. It is no key of the file.
	ProbeCommand []string `yaml:"-"`
}

// ServerConfig is about the API's listener.
type ServerConfig struct {
	Address     string `yaml:"address,omitempty"`     // IP address to listen on; default 0.0.0.0
	Port        int    `yaml:"port,omitempty"`        // default 8006
	TLSCertFile string `yaml:"tlsCertFile,omitempty"` // PEM chain; default DATA/pki/server.crt
	TLSKeyFile  string `yaml:"tlsKeyFile,omitempty"`  // PEM key; default DATA/pki/server.key
}

// AgentConfig is about this node.
type AgentConfig struct {
	NodeName       string `yaml:"nodeName"`                 // as in /nodes/NAME; written by init
	AllowHostPower bool   `yaml:"allowHostPower,omitempty"` // lets the API reboot and power off the host; default false
	RunDir         string `yaml:"runDir,omitempty"`         // sockets and records of running guests, at most 72 bytes long; default DATA/run
}

// NetworkConfig is about the host's network.
type NetworkConfig struct {
	InterfacesFile string         `yaml:"interfacesFile,omitempty"` // default /etc/network/interfaces
	Bridges        []BridgeConfig `yaml:"bridges,omitempty"`        // made by gpved at its start
	// ConfirmSeconds is how long an applied network configuration waits for a request that gets through to the node; without
	// one the former comes back. Default 60; -1 keeps it in any case.
	ConfirmSeconds int `yaml:"confirmSeconds,omitempty"`
}

// BridgeConfig is a bridge that gpved makes.
type BridgeConfig struct {
	Name string `yaml:"name"`          // vmbr0
	CIDR string `yaml:"cidr"`          // the host's address on it with prefix length, 10.0.0.1/24
	NAT  bool   `yaml:"nat,omitempty"` // masquerade what leaves the bridge's network
}

// QEMUConfig is about the processes that run guests.
type QEMUConfig struct {
	BinaryPath string   `yaml:"binaryPath,omitempty"` // default: qemu-system-ARCH of PATH
	Accel      string   `yaml:"accel,omitempty"`      // auto (KVM where it serves guests, else TCG), kvm, tcg; default auto
	UIDs       UIDRange `yaml:"uids,omitempty"`       // each guest runs as a uid of its own out of this range
}

// UIDRange is a range of user ids that belong to nobody else.
type UIDRange struct {
	First int `yaml:"first,omitempty"` // default 700000
	Count int `yaml:"count,omitempty"` // default 65536
}

// LoggingConfig is about gpved's own log; tasks have files of their own.
type LoggingConfig struct {
	Level  string `yaml:"level,omitempty"`  // debug, info, warn, error; default info
	Format string `yaml:"format,omitempty"` // text, json; default text
	Output string `yaml:"output,omitempty"` // a file; default standard error
}

// ConfigError is a fault of a configuration file.
type ConfigError struct {
	File  string // empty when the value did not come from a file
	Key   string // dotted path of the key; empty when the text itself is at fault
	Cause error
}

func (e *ConfigError) Error() string {
	text := e.Cause.Error()
	for _, where := range []string{e.Key, e.File} {
		if where != "" {
			text = where + ": " + text
		}
	}
	return text
}

func (e *ConfigError) Unwrap() error { return e.Cause }

// ConfigFile is the name of the configuration file in the data directory.
const ConfigFile = "config.yaml"

// LoadConfig reads and checks a configuration file. Unknown keys are refused by name and line.
func LoadConfig(path, dataDir string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	c, err := parseConfig(data)
	if err != nil {
		return nil, &ConfigError{File: path, Cause: err}
	}
	c.DataDir = dataDir
	if err := c.fill(); err != nil {
		if k, ok := errors.AsType[*ConfigError](err); ok {
			k.File = path
		}
		return nil, err
	}
	return c, nil
}

func parseConfig(data []byte) (*Config, error) {
	var c Config
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the file is empty")
		}
		return nil, plainYAML(err)
	}
	if err := dec.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	return &c, nil
}

// unknownField is how yaml.v3 words an unknown key.
var unknownField = regexp.MustCompile(`^line (\d+): field (\S+) not found in type \S+$`)

// plainYAML words the library's errors for a reader who does not know our Go types.
func plainYAML(err error) error {
	te, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		return errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	lines := make([]string, len(te.Errors))
	for i, text := range te.Errors {
		if m := unknownField.FindStringSubmatch(text); m != nil {
			text = fmt.Sprintf("line %s: unknown key %q", m[1], m[2])
		}
		lines[i] = text
	}
	return errors.New(strings.Join(lines, "; "))
}

func bad(key, format string, args ...any) error {
	return &ConfigError{Key: key, Cause: fmt.Errorf(format, args...)}
}

var nodeName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)

// fill sets defaults and checks every key.
func (c *Config) fill() error {
	setDefault(&c.Server.Address, "0.0.0.0")
	setDefault(&c.Server.Port, 8006)
	setDefault(&c.Server.TLSCertFile, pki{pkiPath(c.DataDir)}.cert())
	setDefault(&c.Server.TLSKeyFile, pki{pkiPath(c.DataDir)}.key())
	setDefault(&c.Agent.RunDir, filepath.Join(c.DataDir, "run"))
	setDefault(&c.Network.InterfacesFile, "/etc/network/interfaces")
	setDefault(&c.QEMU.Accel, "auto")
	setDefault(&c.QEMU.UIDs.First, 700000)
	setDefault(&c.QEMU.UIDs.Count, 65536)
	setDefault(&c.Logging.Level, "info")
	setDefault(&c.Logging.Format, "text")
	return c.check()
}

// check refuses a configuration with a bad value. All defaults are set.
func (c *Config) check() error {
	switch {
	case c.APIVersion != APIVersion:
		return bad("apiVersion", "is %q, this program knows %q", c.APIVersion, APIVersion)
	case c.Kind != Kind:
		return bad("kind", "is %q, expected %q", c.Kind, Kind)
	case !nodeName.MatchString(c.Agent.NodeName):
		return bad("agent.nodeName", "%q is no host name: letters, digits and - only, at most 63", c.Agent.NodeName)
	case net.ParseIP(c.Server.Address) == nil:
		return bad("server.address", "%q is no IP address", c.Server.Address)
	case c.Server.Port < 0 || c.Server.Port > 65535: // 0 comes from SetListen alone
		return bad("server.port", "%d is not in 1-65535", c.Server.Port)
	case len(c.Agent.RunDir) > maxRunDir:
		return bad("agent.runDir", "%s has %d bytes, more than the %d with which the sockets of guests can be reached", c.Agent.RunDir, len(c.Agent.RunDir), maxRunDir)
	}
	if u := c.QEMU.UIDs; u.First < 1000 || u.Count < 1 || u.First+u.Count > 1<<31 {
		return bad("qemu.uids", "range of %d from %d on is not within 1000-%d", u.Count, u.First, 1<<31-1)
	}
	_, err := c.bridges()
	return cmp.Or(
		oneOf("qemu.accel", c.QEMU.Accel, "auto", "kvm", "tcg"),
		oneOf("logging.level", c.Logging.Level, "debug", "info", "warn", "error"),
		oneOf("logging.format", c.Logging.Format, "text", "json"),
		absolute("server.tlsCertFile", c.Server.TLSCertFile),
		absolute("server.tlsKeyFile", c.Server.TLSKeyFile),
		absolute("agent.runDir", c.Agent.RunDir),
		absolute("network.interfacesFile", c.Network.InterfacesFile),
		absolute("logging.output", c.Logging.Output),
		err,
	)
}

// maxRunDir bounds the run directory: the path of a socket has at most 107 bytes, and RUN/VMID/guest/NAME is behind it.
const maxRunDir = 72

// absolute refuses a relative path, which would mean another file wherever gpved is started.
func absolute(key, path string) error {
	if path != "" && !filepath.IsAbs(path) {
		return bad(key, "%q is no absolute path", path)
	}
	return nil
}

func (c *Config) bridges() ([]hostnet.Bridge, error) {
	var out []hostnet.Bridge
	networks := map[string]netip.Prefix{}
	for i, b := range c.Network.Bridges {
		key := fmt.Sprintf("network.bridges[%d]", i)
		cidr, err := netip.ParsePrefix(b.CIDR)
		if err != nil {
			return nil, bad(key+".cidr", "%q is no address with prefix length, such as 10.0.0.1/24", b.CIDR)
		}
		br := hostnet.Bridge{Name: b.Name, CIDR: cidr, NAT: b.NAT}
		if err := br.Check(); err != nil {
			return nil, &ConfigError{Key: key, Cause: err}
		}
		if _, twice := networks[b.Name]; twice {
			return nil, bad(key+".name", "%s is there already", b.Name)
		}
		for other, n := range networks {
			if n.Overlaps(cidr) {
				return nil, bad(key+".cidr", "%s overlaps with %s of %s", cidr, n, other)
			}
		}
		networks[b.Name] = cidr
		out = append(out, br)
	}
	return out, nil
}

func oneOf(key, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return bad(key, "%q is none of %s", value, strings.Join(allowed, ", "))
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Listen returns the address of the API's listener.
func (c *Config) Listen() string {
	return net.JoinHostPort(c.Server.Address, strconv.Itoa(c.Server.Port))
}

// SetListen replaces the address of the listener by ADDR:PORT; an empty ADDR is every address, port 0 a free one.
func (c *Config) SetListen(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("listen address %q is not of the form ADDR:PORT", s)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	if c.Server.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("listen address %q: port %q is no number", s, port)
	}
	c.Server.Address = host
	return c.check()
}

func (c *Config) level() slog.Level {
	var l slog.Level
	if err := l.UnmarshalText([]byte(c.Logging.Level)); err != nil {
		return slog.LevelInfo
	}
	return l
}

// SetAccel replaces the accelerator of guests.
func (c *Config) SetAccel(accel string) error {
	c.QEMU.Accel = accel
	return c.check()
}
