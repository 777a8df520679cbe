package machineconf

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// nodeName derives the name of a node from what it is for, so that it stays the same
// over restarts: a letter for the node's role and 30 digits of a hash.
func nodeName(role byte, what string) string {
	sum := sha256.Sum256([]byte(what))
	return string(role) + hex.EncodeToString(sum[:])[:30]
}

// Roles of nodes in the graph of a drive.
const (
	roleFile   = 'e'
	roleFormat = 'f'
)

// blockGraph returns the nodes of a drive: throttle over format over protocol, with the
// snapshots below where they are images of their own. size, if not 0, bounds what the
// guest sees of a raw image.
func (b *builder) blockGraph(d vmconfig.Drive, size int64) (machine.Node, error) {
	if d.Snapshot.Or(false) {
		return machine.Node{}, errors.New("'snapshot' option is not yet supported for '-blockdev'")
	}
	src, err := b.source(d)
	if err != nil {
		return machine.Node{}, err
	}
	ro := b.readOnly(d)
	node := b.formatNode(d, src, src.node, "drive="+d.Key+",volid="+d.File)
	if size > 0 && src.format == "raw" {
		node.Options = append(node.Options, machine.Property{Name: "size", Value: size})
	}
	if err := b.addBacking(d, src, &node); err != nil {
		return machine.Node{}, err
	}
	if d.SCSIBlock.Or(false) {
		node.NodeName = "drive-" + d.Key
		return node, nil
	}
	top := machine.Node{Driver: "throttle", NodeName: "drive-" + d.Key, ReadOnly: &ro, File: &node,
		Options: []machine.Property{{Name: "throttle-group", Value: "throttle-drive-" + d.Key}}}
	top.Discard, top.DetectZeroes = discardOf(d)
	return top, nil
}

// formatNode returns the format node over a protocol node, both with the drive's
// options.
func (b *builder) formatNode(d vmconfig.Drive, src source, file machine.Node, what string) machine.Node {
	ro := b.readOnly(d)
	direct := direct(d, src)
	apply := func(n *machine.Node, name string) {
		n.NodeName, n.ReadOnly = name, &ro
		n.Discard, n.DetectZeroes = discardOf(d)
		n.Cache = &machine.Cache{Direct: direct, NoFlush: d.Cache == "unsafe"}
	}
	apply(&file, nodeName(roleFile, what))
	switch file.Driver {
	case "file", "host_device", "host_cdrom":
		file.Options = append(file.Options, machine.Property{Name: "aio", Value: b.aio(d, src, direct)})
	}
	if src.format == "" {
		return file
	}
	node := machine.Node{Driver: src.format, File: &file}
	apply(&node, nodeName(roleFormat, what))
	if src.format == "qcow2" && src.storage.Chain() && (!b.launch() || b.qemu.AtLeast(8, 1)) {
		node.Options = append(node.Options, machine.Property{Name: "discard-no-unref", Value: true})
	}
	return node
}

// discardOf returns discard and detect-zeroes; a CD-ROM has neither.
func discardOf(d vmconfig.Drive) (discard, zeroes string) {
	if d.IsCDROM() {
		return "", ""
	}
	discard, zeroes = "ignore", "on"
	if d.Discard == "on" {
		discard, zeroes = "unmap", "unmap"
	}
	if !d.DetectZeroes.Or(true) {
		zeroes = "off"
	}
	return discard, zeroes
}

// direct tells whether the host's page cache is bypassed.
func direct(d vmconfig.Drive, src source) bool {
	switch d.Cache {
	case "none", "directsync":
		return true
	case "":
		return !d.IsCDROM() && (src.storage.Type != "btrfs" || src.storage.Bool("nocow"))
	}
	return false
}

// aio chooses how QEMU talks to the kernel: io_uring, but not where it was seen to
// hang.
func (b *builder) aio(d vmconfig.Drive, src source, direct bool) string {
	mode := d.AIO
	if mode == "" {
		mode = "io_uring"
		if src.storage.Type == "cifs" || src.storage.Type == "lvm" || src.krbd() && !direct {
			mode = "threads"
			if direct {
				mode = "native"
			}
		}
	}
	if !b.launch() {
		return mode
	}
	if mode == "io_uring" && !b.host.QEMU.IOUring {
		mode = "threads"
		if direct {
			mode = "native"
		}
	}
	if mode == "native" && (!b.host.QEMU.NativeAIO || !direct) { // native needs the bypass
		mode = "threads"
	}
	return mode
}

// chained tells whether snapshots of a volume are images of their own.
func (s source) chained() bool {
	if s.format != "qcow2" || !s.isVolume() {
		return false
	}
	switch s.storage.Type {
	case "lvm":
		return true
	case "dir", "nfs", "cifs":
		return s.storage.Chain()
	}
	return false
}

// addBacking puts the images of earlier snapshots below the current one.
func (b *builder) addBacking(d vmconfig.Drive, src source, current *machine.Node) error {
	if !src.chained() {
		return nil
	}
	chain, err := b.host.chain(src.id)
	if err != nil {
		return err
	}
	below := current
	seen := map[string]bool{}
	for snap := chain["current"].Parent; snap != ""; snap = chain[snap].Parent {
		link, ok := chain[snap]
		if !ok || seen[snap] {
			return fmt.Errorf("volume '%s' - the chain of snapshots is broken at '%s'", d.File, snap)
		}
		seen[snap] = true
		file, err := b.linkNode(src, link, snap)
		if err != nil {
			return err
		}
		node := b.formatNode(d, src, file, "drive="+d.Key+",snap="+snap+",volid="+d.File)
		below.Backing = &node
		below = &node
	}
	return nil
}

// linkNode reaches one image of a chain.
func (b *builder) linkNode(src source, link ChainLink, snap string) (machine.Node, error) {
	if link.File == "" {
		loc, err := b.in.location(src.id, snap)
		if err != nil {
			return machine.Node{}, err
		}
		return b.protocolNode(loc)
	}
	if k, _ := volid.KindOf(src.storage.Type); k.Path {
		return b.protocolNode(volid.File{Path: link.File})
	}
	return fileNode("host_device", link.File), nil
}
