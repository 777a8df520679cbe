//go:build ceph

// Gpve-rbd does for package storage/rbd what Ceph's program rbd does, by librbd itself: the same commands and options as far as
// the package uses them, the same JSON, and the system's error number as exit status. It is a process of its own, so that a
// cluster that hangs or a fault in librbd is the end of one call and of nothing else. Build it with cgo and the tag of the
// installed Ceph, see github.com/ceph/go-ceph:
//
//	CGO_ENABLED=1 go build -tags ceph,pacific ./storage/rbd/gpve-rbd
//
// and give it to the driver as [rbd.Options.Program]; nothing else changes.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/ceph/go-ceph/rados"
	"github.com/ceph/go-ceph/rbd"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gpve-rbd:", err)
		os.Exit(status(err))
	}
}

// status is the exit status for an error: the number of the system's error where there is one.
func status(err error) int {
	if coded, ok := errors.AsType[interface {
		error
		ErrorCode() int
	}](err); ok && coded.ErrorCode() < 0 && coded.ErrorCode() > -256 {
		return -coded.ErrorCode()
	}
	return 1
}

// request is a command line: words that say what to do, and options.
type request struct {
	command string
	option  map[string]string
}

// flags are the options without a value.
var flags = map[string]bool{"long": true, "no-progress": true}

func parse(args []string) (request, error) {
	r := request{option: map[string]string{}}
	var words []string
	for i := 0; i < len(args); i++ {
		name, ok := strings.CutPrefix(args[i], "--")
		switch {
		case !ok:
			words = append(words, args[i])
		case flags[name]:
			r.option[name] = "1"
		case i+1 == len(args):
			return r, fmt.Errorf("option --%s needs a value", name)
		default:
			i++
			r.option[name] = args[i]
		}
	}
	r.command = strings.Join(words, " ")
	return r, nil
}

// session is a request with the connection that it needs.
type session struct {
	request
	conn *rados.Conn
	pool *rados.IOContext
	out  *bufio.Writer
}

var commands = map[string]func(*session) error{
	"ls": list, "info": info, "du": usage, "status": watchers, "create": create, "rm": remove, "mv": rename, "resize": resize,
	"clone": clone, "cp": copyImage, "export": export, "import": importImage, "children": children,
	"snap ls": snapshots, "snap create": snapshot, "snap rm": removeSnapshot, "snap protect": protect, "snap unprotect": unprotect, "snap rollback": rollback,
}

func run(args []string) error {
	r, err := parse(args)
	if err != nil {
		return err
	}
	do, ok := commands[r.command]
	if !ok {
		return fmt.Errorf("no command %q", r.command)
	}
	s := &session{request: r, out: bufio.NewWriter(os.Stdout)}
	if s.conn, err = rados.NewConnWithUser(r.option["id"]); err != nil {
		return err
	}
	if err := s.conn.ReadConfigFile(r.option["conf"]); err != nil {
		return fmt.Errorf("couldn't connect to the cluster: configuration: %w", err)
	}
	if err := s.conn.Connect(); err != nil {
		return fmt.Errorf("couldn't connect to the cluster: %w", err)
	}
	defer s.conn.Shutdown()
	pool, space := r.option["pool"], r.option["namespace"]
	if pool == "" { // commands that only make something
		pool, space = r.option["dest-pool"], r.option["dest-namespace"]
	}
	if s.pool, err = s.open(pool, space); err != nil {
		return err
	}
	defer s.pool.Destroy()
	if err := do(s); err != nil {
		return err
	}
	return s.out.Flush()
}

func (s *session) open(pool, space string) (*rados.IOContext, error) {
	io, err := s.conn.OpenIOContext(pool)
	if err != nil {
		return nil, fmt.Errorf("error opening pool '%s': %w", pool, err)
	}
	io.SetNamespace(space)
	return io, nil
}

// destination opens where a new image goes.
func (s *session) destination() (*rados.IOContext, error) {
	return s.open(s.option["dest-pool"], s.option["dest-namespace"])
}

func (s *session) answer(v any) error { return json.NewEncoder(s.out).Encode(v) }

// size reads --size, whose unit is a trailing M.
func (s *session) size() (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimSuffix(s.option["size"], "M"), 10, 43)
	return n << 20, err
}

// options are those of new images.
func (s *session) options() (*rbd.ImageOptions, error) {
	o := rbd.NewRbdImageOptions()
	if pool := s.option["data-pool"]; pool != "" {
		return o, o.SetString(rbd.ImageOptionDataPool, pool)
	}
	return o, nil
}

// withImage does fn with the image, or its snapshot, of the request.
func (s *session) withImage(write bool, fn func(*rbd.Image) error) error {
	open := rbd.OpenImageReadOnly
	if write {
		open = rbd.OpenImage
	}
	snap := s.option["snap"]
	if write {
		snap = ""
	}
	img, err := open(s.pool, s.option["image"], snap)
	if err != nil {
		return err
	}
	return errors.Join(fn(img), img.Close())
}
