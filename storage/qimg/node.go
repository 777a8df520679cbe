package qimg

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/storage"
)

// blockNode is QEMU's description of a block device, see qapi/block-core.json: BlockdevOptions.
type blockNode struct {
	Driver   string `json:"driver"`
	File     any    `json:"file,omitempty"`
	Filename string `json:"filename,omitempty"`
	Backing  any    `json:"backing,omitempty"` // a node, or noBacking
}

// noBacking prints null: the image has no backing file, whatever its header says.
var noBacking = json.RawMessage("null")

// fileSet collects the files of a command in the order of their descriptors.
type fileSet []*os.File

func (s *fileSet) add(f *os.File) string {
	*s = append(*s, f)
	return fdPath(len(*s) - 1)
}

// formats are the format drivers that images may be opened with.
var formats = map[storage.Format]struct{ backing bool }{
	storage.Raw:   {},
	storage.QCOW2: {backing: true},
	storage.VMDK:  {backing: true},
}

// node describes img, and what backs it if chain is set, with every driver named.
func (s *fileSet) node(img *storage.Image, chain bool) (blockNode, error) {
	f, ok := formats[img.Format]
	if !ok {
		return blockNode{}, fmt.Errorf("qimg: image format %q: %w", img.Format, storage.ErrUnsafe)
	}
	proto := "file"
	if fi, err := img.File.Stat(); err != nil {
		return blockNode{}, err
	} else if fi.Mode()&os.ModeDevice != 0 {
		proto = "host_device"
	} else if !fi.Mode().IsRegular() {
		return blockNode{}, fmt.Errorf("qimg: %s is no file: %w", img.File.Name(), storage.ErrUnsafe)
	}
	n := blockNode{Driver: string(img.Format), File: blockNode{Driver: proto, Filename: s.add(img.File)}}
	if !f.backing {
		return n, nil
	}
	if err := selfContained(img); err != nil {
		return blockNode{}, err
	}
	n.Backing = noBacking
	if chain && img.Backing != nil {
		b, err := s.node(img.Backing, true)
		if err != nil {
			return blockNode{}, err
		}
		n.Backing = b
	}
	return n, nil
}

// source returns the file name argument for img: QEMU's json: form, in which nothing is left to be probed or followed.
func (s *fileSet) source(img *storage.Image, chain bool) (string, error) {
	n, err := s.node(img, chain)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(n)
	return "json:" + string(text), err
}

// selfContained refuses an image whose data is in files that no option of QEMU can take away from it.
func selfContained(img *storage.Image) error {
	size, err := fileSize(img.File)
	if err != nil {
		return err
	}
	h, err := ProbeAs(img.File, size, img.Format)
	if err == nil && (h.DataFile || h.Extents > 0) {
		err = fmt.Errorf("qimg: %s image with its data elsewhere: %w", img.Format, storage.ErrUnsafe)
	}
	return err
}
