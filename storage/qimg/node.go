package qimg

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/storage"
)

// blockNode is QEMU's description of a block device, see qapi/block-core.json: BlockdevOptions.
type blockNode struct {
	Driver  string    `json:"driver"`
	File    *protocol `json:"file,omitempty"`
	Backing any       `json:"backing,omitempty"` // a node, or noBacking
}

// protocol is the node that reaches the bytes. See qapi/block-core.json: BlockdevOptionsFile, BlockdevOptionsRbd,
// BlockdevOptionsIscsi.
type protocol struct {
	Driver    string `json:"driver"`
	Filename  string `json:"filename,omitempty"`
	Pool      string `json:"pool,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Image     string `json:"image,omitempty"`
	Snapshot  string `json:"snapshot,omitempty"`
	Conf      string `json:"conf,omitempty"`
	User      string `json:"user,omitempty"`
	Server    []host `json:"server,omitempty"`
	Transport string `json:"transport,omitempty"`
	Portal    string `json:"portal,omitempty"`
	Target    string `json:"target,omitempty"`
	LUN       *int   `json:"lun,omitempty"`
	Initiator string `json:"initiator-name,omitempty"`
}

type host struct {
	Host string `json:"host"`
	Port string `json:"port"`
}

// remote describes what a library reaches.
func remote(at storage.Attachment) (*protocol, error) {
	switch at := at.(type) {
	case storage.RBD:
		p := &protocol{
			Driver: "rbd", Pool: at.Pool, Namespace: at.Namespace, Image: at.Image, Snapshot: at.Snapshot, Conf: at.ConfFile, User: at.User,
		}
		if at.KeyringFile != "" {
			return nil, fmt.Errorf("qimg: keyring outside of the configuration: %w", errors.ErrUnsupported) // QEMU has no option for it
		}
		for _, m := range at.Monitors {
			name, port, err := net.SplitHostPort(m)
			if err != nil {
				return nil, fmt.Errorf("qimg: monitor: %w", err)
			}
			p.Server = append(p.Server, host{Host: name, Port: port})
		}
		return p, nil
	case storage.ISCSI:
		return &protocol{Driver: "iscsi", Transport: "tcp", Portal: at.Portal, Target: at.Target, LUN: &at.LUN, Initiator: at.Initiator}, nil
	}
	return nil, fmt.Errorf("qimg: %T is not reached by a library: %w", at, errors.ErrUnsupported)
}

// options is the node in the form key=value,…, below prefix, for the command lines that take no JSON.
func (p *protocol) options(prefix string) (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return "", err
	}
	var parts []string
	flatten(prefix, v, &parts)
	return strings.Join(parts, ","), nil
}

func flatten(key string, v any, parts *[]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			flatten(key+"."+k, v[k], parts)
		}
	case []any:
		for i, e := range v {
			flatten(key+"."+strconv.Itoa(i), e, parts)
		}
	default:
		*parts = append(*parts, key+"="+escapeComma(fmt.Sprint(v)))
	}
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
	proto, err := s.protocol(img)
	n := blockNode{Driver: string(img.Format), File: proto}
	if err != nil || !f.backing {
		return n, err
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

// protocol describes where the bytes of img are.
func (s *fileSet) protocol(img *storage.Image) (*protocol, error) {
	if img.Remote != nil {
		if img.Format != storage.Raw {
			return nil, fmt.Errorf("qimg: %s image behind a library: %w", img.Format, errors.ErrUnsupported)
		}
		return remote(img.Remote)
	}
	fi, err := img.File.Stat()
	if err != nil {
		return nil, err
	}
	driver := "file"
	if fi.Mode()&os.ModeDevice != 0 {
		driver = "host_device"
	} else if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("qimg: %s is no file: %w", img.File.Name(), storage.ErrUnsafe)
	}
	return &protocol{Driver: driver, Filename: s.add(img.File)}, nil
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
