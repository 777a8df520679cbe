package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/storage"
)

// root is the open folder of a storage, beneath which everything happens. It is opened for each call and not kept: what is
// mounted at its path may change.
type root struct{ dir *os.File }

func openRoot(folder string) (*root, error) {
	fd, err := unix.Open(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", storage.ErrUnavailable, &fs.PathError{Op: "open", Path: folder, Err: err})
	}
	return &root{os.NewFile(uintptr(fd), folder)}, nil
}

func (r *root) close() { r.dir.Close() }

// open opens rel beneath the root. No component may be a link, and ".." leads nowhere.
func (r *root) open(rel string, flags int, perm uint32) (*os.File, error) {
	how := unix.OpenHow{
		Flags: uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW), Mode: uint64(perm),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for try := 0; ; try++ {
		fd, err := unix.Openat2(int(r.dir.Fd()), rel, &how)
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), path.Join(r.dir.Name(), rel)), nil
		case try < 100 && (errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)): // something was renamed meanwhile
			continue
		}
		return nil, classify("open", rel, err)
	}
}

// classify gives a system error the class that callers branch on.
func classify(op, rel string, err error) error {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		err = errno // without the path that the os package added
	}
	err = &fs.PathError{Op: op, Path: rel, Err: err}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("%w: %w", storage.ErrNotFound, err)
	case errors.Is(err, unix.EEXIST):
		return fmt.Errorf("%w: %w", storage.ErrExists, err)
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return fmt.Errorf("%w: %w", storage.ErrUnsafe, err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: %w", storage.ErrNoSpace, err)
	case errors.Is(err, unix.ENAMETOOLONG):
		return fmt.Errorf("%w: %w", storage.ErrBadID, err)
	case errors.Is(err, unix.ESTALE), errors.Is(err, unix.EIO):
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return err
}

// folder opens a folder for reading and as the parent of other calls.
func (r *root) folder(rel string) (*os.File, error) {
	return r.open(rel, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// exists reports whether there is anything of that name.
func (r *root) exists(rel string) (bool, error) {
	f, err := r.open(rel, unix.O_PATH, 0)
	if err == nil {
		return true, f.Close()
	}
	if errors.Is(err, storage.ErrNotFound) {
		err = nil
	}
	return false, err
}

// create makes a new file.
func (r *root) create(rel string, perm uint32) (*os.File, error) {
	return r.open(rel, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, perm)
}

// regular opens a regular file. Whatever else lies there is looked at, but never opened: no FIFO blocks, no device acts.
func (r *root) regular(rel string, write bool) (*os.File, *fileInfo, error) {
	at, err := r.open(rel, unix.O_PATH, 0)
	if err != nil {
		return nil, nil, err
	}
	defer at.Close()
	st, err := fstat(at)
	if err != nil {
		return nil, nil, err
	}
	if st.kind != kindFile {
		return nil, nil, fmt.Errorf("%s is no regular file: %w", rel, storage.ErrUnsafe)
	}
	flags := unix.O_RDONLY
	if write {
		flags = unix.O_RDWR
	}
	// The very file that was looked at, opened again by its descriptor.
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(int(at.Fd())), flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, classify("open", rel, err)
	}
	return os.NewFile(uintptr(fd), at.Name()), st, nil
}

// makeFolder makes rel and the folders above it, with mode perm for rel and 0755 above unless they are there.
func (r *root) makeFolder(rel string, perm uint32) error {
	if rel == "." {
		return nil
	}
	if f, err := r.folder(rel); err == nil {
		return f.Close()
	}
	parts := strings.Split(rel, "/")
	for i := range parts {
		at, mode := path.Join(parts[:i+1]...), uint32(0o755)
		if i == len(parts)-1 {
			mode = perm
		}
		if err := r.mkdir(at, mode); err != nil && !errors.Is(err, storage.ErrExists) {
			return err
		}
	}
	return nil
}

func (r *root) mkdir(rel string, perm uint32) error {
	return r.inParent("mkdir", rel, func(fd int, name string) error {
		if err := unix.Mkdirat(fd, name, perm); err != nil {
			return err
		}
		return unix.Fchmodat(fd, name, perm, 0) // whatever the umask is; a new folder is no link
	})
}

func (r *root) remove(rel string) error {
	return r.inParent("remove", rel, func(fd int, name string) error { return unix.Unlinkat(fd, name, 0) })
}

// removeIfEmpty removes a folder unless something is in it.
func (r *root) removeIfEmpty(rel string) {
	r.inParent("remove", rel, func(fd int, name string) error { return unix.Unlinkat(fd, name, unix.AT_REMOVEDIR) })
}

// rename moves a file, both folders synced. Without replace an existing target is ErrExists.
func (r *root) rename(from, to string, replace bool) error {
	source, err := r.folder(path.Dir(from))
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := r.folder(path.Dir(to))
	if err != nil {
		return err
	}
	defer target.Close()
	a, b, fromName, toName := int(source.Fd()), int(target.Fd()), path.Base(from), path.Base(to)
	if replace {
		err = unix.Renameat(a, fromName, b, toName)
	} else if err = unix.Renameat2(a, fromName, b, toName, unix.RENAME_NOREPLACE); errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		// NFS and some others: a link is as exclusive, and the second name goes at once.
		if err = unix.Linkat(a, fromName, b, toName, 0); err == nil {
			err = unix.Unlinkat(a, fromName, 0)
		}
	}
	if err != nil {
		return classify("rename", to, err)
	}
	if err := target.Sync(); err != nil {
		return err
	}
	if path.Dir(from) != path.Dir(to) {
		return source.Sync()
	}
	return nil
}

// inParent does fn with the open folder that holds rel.
func (r *root) inParent(op, rel string, fn func(fd int, name string) error) error {
	parent, err := r.folder(path.Dir(rel))
	if err != nil {
		return err
	}
	defer parent.Close()
	if err := fn(int(parent.Fd()), path.Base(rel)); err != nil {
		return classify(op, rel, err)
	}
	return nil
}

// statIn looks at a name in an open folder without following it.
func statIn(folder *os.File, name string) (*fileInfo, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(int(folder.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, classify("stat", name, err)
	}
	return newFileInfo(&st), nil
}

// openIn opens a file in an open folder for reading.
func openIn(folder *os.File, name string) (*os.File, *fileInfo, error) {
	fd, err := unix.Openat(int(folder.Fd()), name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, classify("open", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	st, err := fstat(f)
	if err == nil && st.kind != kindFile {
		err = fmt.Errorf("%s is no regular file: %w", name, storage.ErrUnsafe)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, st, nil
}

func fstat(f *os.File) (*fileInfo, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, classify("stat", f.Name(), err)
	}
	fi := newFileInfo(&st)
	if fi.kind == kindFile && fi.links > 1 {
		links, err := settledLinks(f, fi.changed)
		if err != nil {
			return nil, classify("stat", f.Name(), err)
		}
		fi.links = links
	}
	return fi, nil
}

// How long a second name is waited for to go that was there a moment ago, and how often it is looked for.
const (
	freshName, nameWait, namePoll = 5 * time.Second, 2 * time.Second, 10 * time.Millisecond
)

// settledLinks counts the names of a file that seems to have several. A network file system may remember the second name that
// a rename of ours had for a moment: the server is asked. NFS also keeps such a name, under another one, while the file is
// open, and removes it some time after it was closed: it is waited for, unless the names are older than that.
func settledLinks(f *os.File, changed time.Time) (uint64, error) {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return 0, err
	}
	until := time.Now()
	if fs.Type == unix.NFS_SUPER_MAGIC && time.Since(changed).Abs() < freshName {
		until = until.Add(nameWait)
	}
	for {
		var now unix.Statx_t
		if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, unix.STATX_NLINK, &now); err != nil {
			return 0, err
		}
		if now.Nlink == 1 || !time.Now().Before(until) {
			return uint64(now.Nlink), nil
		}
		time.Sleep(namePoll)
	}
}

func newFileInfo(st *unix.Stat_t) *fileInfo {
	fi := &fileInfo{
		size: st.Size, allocated: st.Blocks * 512, changed: time.Unix(st.Ctim.Unix()), perm: st.Mode & 0o777,
		uid: int(st.Uid), links: uint64(st.Nlink), device: uint64(st.Dev), inode: st.Ino, kind: kindOther,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		fi.kind = kindFile
	case unix.S_IFDIR:
		fi.kind = kindFolder
	}
	return fi
}

// usage is the space of the file system that holds the root.
func (r *root) usage() (storage.Usage, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(r.dir.Fd()), &st); err != nil {
		return storage.Usage{}, classify("statfs", r.dir.Name(), err)
	}
	unit := int64(st.Frsize)
	return storage.Usage{
		TotalBytes: int64(st.Blocks) * unit, UsedBytes: int64(st.Blocks-st.Bfree) * unit, AvailBytes: int64(st.Bavail) * unit,
	}, nil
}
