package nfs

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options describe a Driver. The zero value of each field without a default is an error.
type Options struct {
	Server       string        // name or address, IPv6 without brackets
	Export       string        // absolute path on the server
	Path         string        // where it is mounted, absolute
	MountOptions string        // as in fstab(5), checked; default: none, the client and server agree on a version
	Dir          *dir.Options  // layout below the mount; nil: dir's defaults. Type and MountPoint are set here
	ProbeTimeout time.Duration // of the server's answer; default 2 s
	ProbeEvery   time.Duration // how long an answer holds; default 2 s
	Logger       *slog.Logger  // mounts and unmounts at Debug, stale mounts at Warn; nil discards
}

// Backend opens drivers from sections of storage.cfg of the type nfs. o supplies what a section does not have: ProbeTimeout,
// ProbeEvery, Logger, and Tool of Dir. nil is fine.
func Backend(o *Options) storage.Backend {
	if o == nil {
		o = &Options{}
	}
	var tool *qimg.Tool
	if o.Dir != nil {
		tool = o.Dir.Tool
	}
	return storage.Backend{Type: "nfs", Open: func(cfg storage.Config) (storage.Driver, error) {
		st := volid.Storage{ID: cfg.ID, Type: cfg.Type, Options: cfg.Options}
		opt := *o
		opt.Server, opt.Export, opt.Path = cfg.Options["server"], cfg.Options["export"], st.Path()
		opt.MountOptions, opt.Dir = cfg.Options["options"], dir.FromConfig(cfg)
		opt.Dir.Tool, opt.Dir.Logger = tool, o.Logger
		return New(opt)
	}}
}

// source is what is mounted, as mount(8) and the kernel write it.
func (o *Options) source() string {
	host := o.Server
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + o.Export
}

var (
	hostName    = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$`)
	optionValue = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,255}$`)
)

// mountKeys are the options of nfs(5) and mount(8) that may be given, with those that take a value. Not among them are
// what changes who is talked to (addr), what runs (nothing does), and what guests would get (suid, dev, exec stays).
var (
	mountFlags = []string{
		"soft", "hard", "softerr", "softreval", "nosoftreval", "intr", "nointr", "ac", "noac", "cto", "nocto", "lock", "nolock",
		"sharecache", "nosharecache", "resvport", "noresvport", "rdirplus", "nordirplus", "migration", "nomigration", "tcp", "udp", "rdma",
		"rw", "ro", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "sync", "async", "nosuid", "nodev",
		"noexec", "fg", "fsc", "nofsc", "acl", "noacl", "_netdev", "defaults",
	}
	mountValues = []string{
		"vers", "nfsvers", "minorversion", "timeo", "retrans", "retry", "rsize", "wsize", "acregmin", "acregmax", "acdirmin",
		"acdirmax", "actimeo", "port", "proto", "mountport", "mountproto", "mountvers", "mounthost", "namlen", "nconnect",
		"max_connect", "sec", "lookupcache", "local_lock", "clientaddr", "xprtsec", "write",
	}
	versions = []string{"3", "4", "4.0", "4.1", "4.2"}
)

// parseOptions checks mount options and returns them by name.
func parseOptions(text string) (map[string]string, error) {
	options := map[string]string{}
	if text == "" {
		return options, nil
	}
	for word := range strings.SplitSeq(text, ",") {
		key, value, valued := strings.Cut(word, "=")
		bad := func(why string) error { return fmt.Errorf("nfs: option %q: %s: %w", word, why, fs.ErrInvalid) }
		switch {
		case !valued && slices.Contains(mountFlags, key):
		case !valued || !slices.Contains(mountValues, key):
			return nil, bad("not known")
		case !optionValue.MatchString(value):
			return nil, bad("value has characters that no value has")
		case (key == "vers" || key == "nfsvers") && !slices.Contains(versions, value):
			return nil, bad("version is one of " + strings.Join(versions, ", "))
		case key == "port":
			if n, err := strconv.ParseUint(value, 10, 16); err != nil || n > 65535 {
				return nil, bad("no port")
			}
		}
		options[key] = value
	}
	return options, nil
}

func (o *Options) check() (map[string]string, error) {
	if !hostName.MatchString(o.Server) && net.ParseIP(o.Server) == nil {
		return nil, fmt.Errorf("nfs: server %q: %w", o.Server, fs.ErrInvalid)
	}
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if !path.IsAbs(o.Export) || strings.ContainsFunc(o.Export, control) || len(o.Export) > 4095 {
		return nil, fmt.Errorf("nfs: export %q: %w", o.Export, fs.ErrInvalid)
	}
	if !path.IsAbs(o.Path) || path.Clean(o.Path) == "/" || strings.ContainsFunc(o.Path, control) {
		return nil, fmt.Errorf("nfs: path %q: %w", o.Path, fs.ErrInvalid)
	}
	return parseOptions(o.MountOptions)
}
