package ovf

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

// Limits bound what is read of an archive. A zero field is the default.
type Limits struct {
	// Members is how many members an archive may have: 1024.
	Members int
	// NameBytes is how long all their names may be together: 64 KiB.
	NameBytes int
}

// Member is a file in an archive.
type Member struct {
	Name      string
	SizeBytes int64
	offset    int64
}

// Archive is an OVA: a tar archive of a descriptor, images, and perhaps a manifest.
type Archive struct {
	r       io.ReaderAt
	members []Member
}

// OpenArchive reads the list of members of the archive of size bytes in r. It passes over the members' data without
// reading it. Errors are of class [ErrSyntax], [ErrPath] or [ErrTooLarge].
func OpenArchive(r io.ReaderAt, size int64, l *Limits) (*Archive, error) {
	limits := Limits{Members: 1024, NameBytes: 64 << 10}
	if l != nil && l.Members > 0 {
		limits.Members = l.Members
	}
	if l != nil && l.NameBytes > 0 {
		limits.NameBytes = l.NameBytes
	}
	a := &Archive{r: r}
	// A SectionReader seeks, so that data is passed over, and package tar reads headers without reading ahead.
	file := io.NewSectionReader(r, 0, size)
	tr := tar.NewReader(file)
	names := 0
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		if len(a.members) == limits.Members {
			return nil, fmt.Errorf("more than %d members: %w", limits.Members, ErrTooLarge)
		}
		if names += len(h.Name); names > limits.NameBytes {
			return nil, fmt.Errorf("names of members: %w", ErrTooLarge)
		}
		offset, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		if err := a.add(h, offset, size); err != nil {
			return nil, err
		}
	}
}

func (a *Archive) add(h *tar.Header, offset, size int64) error {
	name := strings.TrimPrefix(h.Name, "./")
	if name == "" || h.Typeflag == tar.TypeDir && name == "." {
		return nil // the folder that was packed
	}
	if h.Typeflag != tar.TypeReg {
		return fmt.Errorf("member '%s' is not a regular file: %w", h.Name, ErrPath)
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return fmt.Errorf("member '%s' is sparse: %w", h.Name, ErrPath)
		}
	}
	if !SafeName(name) {
		return fmt.Errorf("member '%s': %w", h.Name, ErrPath)
	}
	if _, double := a.find(name); double {
		return fmt.Errorf("member '%s' comes twice: %w", name, ErrPath)
	}
	if h.Size < 0 || h.Size > size-offset {
		return fmt.Errorf("member '%s' is longer than the archive: %w", name, ErrSyntax)
	}
	a.members = append(a.members, Member{Name: name, SizeBytes: h.Size, offset: offset})
	return nil
}

func (a *Archive) find(name string) (Member, bool) {
	for _, m := range a.members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// Members returns the members in the order of the archive.
func (a *Archive) Members() []Member { return append([]Member(nil), a.members...) }

// Open returns a member's data. An unknown name is fs.ErrNotExist. The reader reads from the archive's reader at its own
// position; there may be many at once.
func (a *Archive) Open(name string) (*io.SectionReader, error) {
	m, ok := a.find(name)
	if !ok {
		return nil, fmt.Errorf("no member '%s' in the archive: %w", name, fs.ErrNotExist)
	}
	return io.NewSectionReader(a.r, m.offset, m.SizeBytes), nil
}

// firstWith returns the first member with this ending.
func (a *Archive) firstWith(ending string) (Member, bool) {
	for _, m := range a.members {
		if len(m.Name) > len(ending) && strings.HasSuffix(strings.ToLower(m.Name), ending) {
			return m, true
		}
	}
	return Member{}, false
}

// ErrNoDescriptor is an archive without a descriptor.
var ErrNoDescriptor = errclass.New("ova archive has no .ovf file inside", ErrSyntax)

// Descriptor reads the archive's descriptor: the first member whose name ends in .ovf. Each of its disks is a member of
// the archive, or the error is of class [ErrPath].
func (a *Archive) Descriptor() (*Descriptor, error) {
	m, ok := a.firstWith(".ovf")
	if !ok {
		return nil, ErrNoDescriptor
	}
	text, err := a.read(m, MaxDescriptorBytes)
	if err != nil {
		return nil, err
	}
	d, err := Parse(text)
	if err != nil {
		return nil, err
	}
	for _, disk := range d.Disks {
		if _, ok := a.find(disk.File); !ok {
			return nil, fmt.Errorf("disk '%s' is not in the archive: %w", disk.File, ErrPath)
		}
	}
	return d, nil
}

// read returns a small member.
func (a *Archive) read(m Member, limit int64) ([]byte, error) {
	if m.SizeBytes > limit {
		return nil, fmt.Errorf("member '%s' of %d bytes: %w", m.Name, m.SizeBytes, ErrTooLarge)
	}
	return io.ReadAll(io.NewSectionReader(a.r, m.offset, m.SizeBytes))
}
