package iscsi

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/proc"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options of both drivers. The zero value of each field is the documented default.
type Options struct {
	Initiator   string        // name that libiscsi logs in with; default: the library's
	DialTimeout time.Duration // for a portal to answer; default 2 s
	Tool        *qimg.Tool    // default qimg.New(nil); only Direct uses it
	Logger      *slog.Logger  // argv of each command at Debug; nil discards
}

// target is where both drivers find their units.
type target struct {
	kind   string // type of storage
	portal string // HOST:PORT
	name   string // iqn.…, eui.… or naa.…
	opt    Options
}

// targetName is what RFC 3720 and RFC 3980 allow, which no option of a program can be taken for.
var targetName = regexp.MustCompile(`^(iqn|eui|naa)\.[A-Za-z0-9.:_-]{1,219}$`)

func newTarget(kind, portal, name string, o *Options) (target, error) {
	if o == nil {
		o = &Options{}
	}
	t := target{kind: kind, name: name, opt: *o}
	host, port, err := net.SplitHostPort(portal)
	if err != nil {
		host, port = strings.Trim(portal, "[]"), "3260"
	}
	if host == "" || strings.HasPrefix(host, "-") || strings.ContainsFunc(host, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune("/?#@,%\\", r)
	}) {
		return t, fmt.Errorf("iscsi: portal %q: %w", portal, fs.ErrInvalid)
	}
	if !targetName.MatchString(name) {
		return t, fmt.Errorf("iscsi: target %q: %w", name, fs.ErrInvalid)
	}
	if o.Initiator != "" && !targetName.MatchString(o.Initiator) {
		return t, fmt.Errorf("iscsi: initiator %q: %w", o.Initiator, fs.ErrInvalid)
	}
	t.portal = net.JoinHostPort(host, port)
	t.opt.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	if o.Logger == nil {
		t.opt.Logger = slog.New(slog.DiscardHandler)
	}
	return t, nil
}

// reachable asks whether somebody listens at a portal.
func (t *target) reachable(ctx context.Context, portal string) error {
	ctx, cancel := context.WithTimeout(ctx, t.opt.DialTimeout)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", portal)
	if err != nil {
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return c.Close()
}

// parse reads a volume id.
func (t *target) parse(id storage.VolumeID) (volid.Volume, error) {
	v, err := volid.Parse(t.kind, string(id))
	if err != nil {
		err = fmt.Errorf("%w: %w", storage.ErrBadID, err)
	}
	return v, err
}

// unit describes a logical unit as a volume.
func unit(id storage.VolumeID, size int64) storage.Volume {
	return storage.Volume{ID: id, Content: storage.Images, Format: storage.Raw, SizeBytes: size, Features: storage.FeatureCopy}
}

func (t *target) fail(op string, id storage.VolumeID, err error) error {
	if err == nil {
		return nil
	}
	return &storage.OpError{Op: op, Driver: t.kind, Volume: id, Err: err}
}

// never answers for what this storage cannot do, after looking at the id.
func (t *target) never(op string, id storage.VolumeID) error {
	_, err := t.parse(id)
	if err == nil {
		err = fmt.Errorf("units are made at the target: %w", errors.ErrUnsupported)
	}
	return t.fail(op, id, err)
}

// Error is a command that failed.
type Error struct {
	Argv   []string
	Exit   int    // -1: ended by a signal or not started
	Stderr string // the last 4 KiB
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: exit %d: %v: %s", strings.Join(e.Argv, " "), e.Exit, e.Err, e.Stderr)
}

func (e *Error) Unwrap() error { return e.Err }

// run runs a program and returns its output.
func (t *target) run(ctx context.Context, argv ...string) ([]byte, error) {
	t.opt.Logger.DebugContext(ctx, "iscsi", "argv", argv)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	var stderr proc.Tail
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		e := &Error{Argv: argv, Exit: -1, Stderr: stderr.String(), Err: err}
		if cmd.ProcessState != nil {
			e.Exit = cmd.ProcessState.ExitCode()
		}
		switch {
		case ctx.Err() != nil:
			e.Err = context.Cause(ctx)
		case errors.Is(err, exec.ErrNotFound):
			e.Err = fmt.Errorf("%w: %s is not installed", storage.ErrUnavailable, argv[0])
		}
		return out.Bytes(), e
	}
	return out.Bytes(), nil
}
