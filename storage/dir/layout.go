package dir

import (
	"cmp"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// place is where a volume lies: a folder below the root, and a file name in it.
type place struct {
	volid.Volume
	id     storage.VolumeID
	folder string // relative, never empty
	file   string
}

func (p place) rel() string { return path.Join(p.folder, p.file) }

// image tells whether the volume is a guest's disk.
func (p place) image() bool { return p.Content == volid.Images }

// locate finds the place of a volume by its id alone.
func (d *Driver) locate(id storage.VolumeID) (place, error) {
	v, err := d.storage.Parse(string(id))
	if err != nil {
		return place{}, fmt.Errorf("%w: %w", storage.ErrBadID, err)
	}
	return d.place(v)
}

func (d *Driver) place(v volid.Volume) (place, error) {
	p := place{Volume: v, id: storage.VolumeID(v.VolumeName("dir")), file: v.Name}
	p.folder = d.folder(storage.Content(v.Content))
	if p.image() {
		p.folder = path.Join(p.folder, strconv.Itoa(v.VMID))
	}
	if strings.Contains(v.Name, "/") { // a member of an appliance archive is no file
		return place{}, fmt.Errorf("member of an archive: %w", storage.ErrBadID)
	}
	return p, nil
}

// folder returns the folder of a kind of content, relative to the root.
func (d *Driver) folder(c storage.Content) string {
	rel, ok := d.folders[c]
	if !ok {
		panic("dir: content without a folder: " + string(c)) // callers pass parsed volumes or the package's own list
	}
	return rel
}

// layout finds the folders of all kinds of content once: they are asked for with each file of a list.
func layout(st volid.Storage, root string) (map[storage.Content]string, error) {
	folders := map[storage.Content]string{}
	for _, c := range append(contents[:], storage.RootDir) {
		abs, err := st.Dir(volid.Content(c))
		if err != nil {
			return nil, err
		}
		folders[c] = cmp.Or(strings.TrimPrefix(strings.TrimPrefix(abs, root), "/"), ".")
	}
	return folders, nil
}

// contents are the kinds of volumes that a folder can hold.
var contents = [...]storage.Content{storage.Images, storage.ISO, storage.Template, storage.Backup, storage.Snippets, storage.Import}

// Root returns the absolute path of the storage's folder.
func (d *Driver) Root() string { return d.path }

// Path returns the absolute path of a volume. See storage.Pather.
func (d *Driver) Path(id storage.VolumeID) (string, error) {
	p, err := d.locate(id)
	if err != nil {
		return "", d.fail("path", id, err)
	}
	return path.Join(d.path, p.rel()), nil
}
