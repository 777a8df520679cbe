package vma

import "fmt"

// pageClusters is how many clusters one page of a tracker covers: 16 GiB of a disk in 32 KiB of memory.
const pageClusters = 1 << 18

// tracker knows which clusters of a device there have been.
type tracker struct {
	Device
	clusters uint64 // of the whole device
	seen     uint64
	pages    map[uint32]*[pageClusters / 64]uint64
	next     uint32 // of a stream: the least number that may come
}

func newTrackers(devices []Device) map[uint8]*tracker {
	all := map[uint8]*tracker{}
	for _, d := range devices {
		all[d.ID] = &tracker{Device: d, clusters: (uint64(d.SizeBytes) + ClusterBytes - 1) / ClusterBytes, // sizes are checked
			pages: map[uint32]*[pageClusters / 64]uint64{}}
	}
	return all
}

// add notes a cluster, and returns how many of its bytes lie within the device.
func (t *tracker) add(c cluster, l *Limits) (int, error) {
	n := uint64(c.number)
	if t.Name == VMState {
		if c.number < t.next || n >= uint64(l.stateBytes()/ClusterBytes) { // a limit is positive
			return 0, fmt.Errorf("cluster %d of %s: %w", c.number, t.Name, ErrCorrupt)
		}
		t.next = c.number + 1
		return ClusterBytes, nil
	}
	if n >= t.clusters {
		return 0, fmt.Errorf("cluster %d beyond the end of %s: %w", c.number, t.Name, ErrCorrupt)
	}
	page := t.pages[c.number/pageClusters]
	if page == nil {
		page = new([pageClusters / 64]uint64)
		t.pages[c.number/pageClusters] = page
	}
	word, bit := &page[c.number%pageClusters/64], uint64(1)<<(c.number%64)
	if *word&bit != 0 {
		return 0, fmt.Errorf("cluster %d of %s comes twice: %w", c.number, t.Name, ErrCorrupt)
	}
	*word |= bit
	t.seen++
	within := t.within(c.number)
	if blocks := (within + BlockBytes - 1) / BlockBytes; c.mask>>blocks != 0 {
		return 0, fmt.Errorf("data beyond the end of %s: %w", t.Name, ErrCorrupt)
	}
	return within, nil
}

// within is how many bytes of a cluster lie within the device: 0 beyond its end.
func (t *tracker) within(number uint32) int {
	if t.Name == VMState {
		return ClusterBytes
	}
	return int(max(0, min(ClusterBytes, t.SizeBytes-int64(number)*ClusterBytes)))
}

// complete is an error if a cluster of a device is missing.
func complete(all map[uint8]*tracker) error {
	for _, t := range all {
		if t.Name != VMState && t.seen != t.clusters {
			return fmt.Errorf("%d of %d clusters of %s: %w", t.seen, t.clusters, t.Name, ErrTruncated)
		}
	}
	return nil
}
