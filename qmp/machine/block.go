package machine

import "maps"

// Node is one node of the block graph with the nodes below it (-blockdev,
// blockdev-add). See qapi/block-core.json: BlockdevOptions.
//
// A disk is usually a format node over a protocol node:
//
//	machine.Node{Driver: "qcow2", NodeName: "root", File: &machine.Node{Driver: "file",
//		Options: []machine.Property{{"filename", "/vm/root.qcow2"}}}}
type Node struct {
	// Driver is a format (raw, qcow2, vmdk), a filter (throttle) or a protocol (file,
	// host_device, rbd, iscsi, nbd).
	Driver string
	// NodeName names the node; at most 31 characters. A node without one cannot be
	// referred to.
	NodeName string
	// ReadOnly is nil for the default: what the node above asks for.
	ReadOnly *bool
	Cache    *Cache
	// Discard is "unmap" or "ignore", DetectZeroes "on", "off" or "unmap".
	Discard, DetectZeroes string
	// Options are the driver's own.
	Options []Property
	// File is the node that holds the data, Backing the one below it in a chain.
	File, Backing *Node
}

// Cache says how the host caches a node.
type Cache struct {
	// Direct bypasses the host's page cache. NoFlush ignores the guest's flushes.
	Direct, NoFlush bool
}

// Arguments returns the arguments of QMP blockdev-add.
func (n Node) Arguments() map[string]any {
	m := asMap(n.Options)
	m["driver"] = n.Driver
	for name, v := range map[string]string{"node-name": n.NodeName, "discard": n.Discard, "detect-zeroes": n.DetectZeroes} {
		if v != "" {
			m[name] = v
		}
	}
	if n.ReadOnly != nil {
		m["read-only"] = *n.ReadOnly
	}
	if n.Cache != nil {
		m["cache"] = map[string]any{"direct": n.Cache.Direct, "no-flush": n.Cache.NoFlush}
	}
	if n.File != nil {
		m["file"] = n.File.Arguments()
	}
	if n.Backing != nil {
		m["backing"] = n.Backing.Arguments()
	}
	return m
}

// JSON returns the value of -blockdev. The keys are sorted, so equal nodes have equal
// text.
func (n Node) JSON() string { return mustJSON(n.Arguments()) }

// Option returns one of the driver's own options.
func (n Node) Option(name string) (any, bool) {
	for _, p := range n.Options {
		if p.Name == name {
			return p.Value, true
		}
	}
	return nil, false
}

// Walk calls fn for the node and every node below it.
func (n *Node) Walk(fn func(*Node)) {
	for ; n != nil; n = n.Backing {
		fn(n)
		n.File.Walk(fn)
	}
}

// ThrottleGroup is the object that bounds the I/O of throttle nodes. Limits are those
// of qapi/block-core.json: ThrottleLimits; the map is copied.
func ThrottleGroup(id string, limits map[string]int64) Object {
	m := make(map[string]any, len(limits))
	maps.Insert(m, func(yield func(string, any) bool) {
		for k, v := range limits {
			if !yield(k, v) {
				return
			}
		}
	})
	return Object{Type: "throttle-group", ID: id, Props: []Property{{"limits", m}}}
}
