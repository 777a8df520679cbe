package iso

import (
	"errors"
	"fmt"
	"time"
)

// SectorBytes is the size of a sector; an image is a multiple of it.
const SectorBytes = 2048

// File is one file of an image. Path is relative, with '/' between folders, which are made as needed.
type File struct {
	Path string
	Data []byte
}

// Image describes an image.
type Image struct {
	Label   string    // volume identifier: at most 16 characters, so that Joliet can hold it
	ModTime time.Time // of everything in the image
	Files   []File
}

const firstDescriptor = 16 // sectors before it are the system area

// Bytes returns the image. Errors are those of names: an empty or long label, a bad path, two files of one name.
func (i Image) Bytes() ([]byte, error) {
	if i.Label == "" || len(i.Label) > 16 {
		return nil, errors.New("iso: the label must have 1 to 16 characters")
	}
	root, err := buildTree(i.Files)
	if err != nil {
		return nil, err
	}
	w := &writer{label: i.Label, time: i.ModTime.UTC()}
	w.primary = newView(root, primaryNames{}, w.recordsFor)
	w.joliet = newView(root, jolietNames{}, w.recordsFor)
	w.layOut()
	return w.encode()
}

// writer holds where everything goes.
type writer struct {
	label string
	time  time.Time

	primary, joliet *view
	continuation    uint32 // sector with the Rock Ridge reference
	sectors         uint32 // of the whole image
	out             []byte
}

// layOut gives every part its sectors: descriptors, path tables, folders, the Rock Ridge reference, files.
func (w *writer) layOut() {
	next := uint32(firstDescriptor + 3)
	take := func(bytes int) (sector uint32) {
		sector = next
		next += uint32((bytes + SectorBytes - 1) / SectorBytes)
		return sector
	}
	for _, v := range []*view{w.primary, w.joliet} {
		v.littleTable, v.bigTable = take(v.tableBytes()), take(v.tableBytes())
	}
	for _, v := range []*view{w.primary, w.joliet} {
		for _, dir := range v.dirs {
			v.extent[dir] = take(v.size[dir])
		}
	}
	w.continuation = take(SectorBytes)
	for _, dir := range w.primary.dirs {
		for _, n := range dir.children {
			if !n.isDir {
				n.extent = take(len(n.data)) // an empty file takes nothing
			}
		}
	}
	w.sectors = next
}

func (w *writer) encode() ([]byte, error) {
	w.out = make([]byte, int(w.sectors)*SectorBytes)
	w.put(firstDescriptor, w.descriptor(w.primary))
	w.put(firstDescriptor+1, w.descriptor(w.joliet))
	w.put(firstDescriptor+2, []byte("\xffCD001\x01"))
	w.put(w.continuation, rockRidgeReference())
	for _, v := range []*view{w.primary, w.joliet} {
		w.put(v.littleTable, v.pathTable(false))
		w.put(v.bigTable, v.pathTable(true))
		for _, dir := range v.dirs {
			data, err := packRecords(w.recordsFor(v, dir))
			if err != nil {
				return nil, fmt.Errorf("iso: folder %q: %w", dir.name, err)
			}
			w.put(v.extent[dir], data)
		}
	}
	for _, dir := range w.primary.dirs {
		for _, n := range dir.children {
			if !n.isDir {
				w.put(n.extent, n.data)
			}
		}
	}
	return w.out, nil
}

func (w *writer) put(sector uint32, data []byte) {
	copy(w.out[int(sector)*SectorBytes:], data)
}
