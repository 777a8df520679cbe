package machineconf

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
)

const (
	maxMemoryMiB = 4194304
	dimmSlots    = 255
	maxNode      = 1023 // Linux: MAX_NUMNODES
)

// memory describes the main memory, its NUMA nodes and plugged modules.
func (b *builder) memory() error {
	opt, err := vmconfig.ParseMemory(b.conf.Text("memory", ""))
	if err != nil {
		opt.CurrentMiB = vmconfig.DefaultMemoryMiB
	}
	total := opt.CurrentMiB
	static, err := b.staticMemory(total)
	if err != nil {
		return err
	}
	numa := b.conf.Bool("numa", false)
	if b.conf.Has("hugepages") && !numa {
		return errors.New("numa needs to be enabled to use hugepages")
	}
	b.virtioFS = b.usesVirtioFS()
	if b.virtioFS && b.hotplugs("memory") {
		return errors.New("Memory hotplug does not work in combination with virtio-fs.") //nolint:staticcheck // public text
	}
	switch {
	case numa:
		if err := b.numaNodes(static); err != nil {
			return err
		}
	case b.virtioFS:
		var size any = machine.Bytes(total) * mebibyte
		if !b.launch() {
			size = b.conf.Text("memory", "") + "M" // Proxmox VE prints the option as it is written
		}
		b.m.Memory.Backends = []machine.Object{{Type: "memory-backend-memfd", ID: "virtiofs-mem", Props: []machine.Property{
			{Name: "size", Value: size}, {Name: "share", Value: true}}}}
		b.m.Board.MemoryBackend = "virtiofs-mem"
	}
	if b.hotplugs("memory") {
		return b.dimms(static, total)
	}
	return nil
}

// staticMemory returns the memory that is there without modules.
func (b *builder) staticMemory(total int) (int, error) {
	b.m.Memory.SizeMiB = int64(total)
	if !b.hotplugs("memory") {
		return total, nil
	}
	if !b.conf.Bool("numa", false) {
		return 0, errors.New("NUMA needs to be enabled for memory hotplug") //nolint:staticcheck // public text
	}
	limit := b.maxMemory()
	if total > limit {
		return 0, fmt.Errorf("Total memory is bigger than %dMB", limit) //nolint:staticcheck // public text
	}
	if len(b.numaOptions()) > 0 {
		return 0, errors.New("cannot enable memory hotplugging with custom NUMA topology")
	}
	static := 1024
	if b.conf.Text("hugepages", "") == "1024" {
		static *= b.sockets()
	}
	if total < static {
		return 0, fmt.Errorf("minimum memory must be %dMB", static)
	}
	b.m.Memory = machine.Memory{SizeMiB: int64(static), Slots: dimmSlots, MaxMiB: int64(limit)}
	return static, nil
}

// maxMemory is how much memory can ever be plugged, by the processor's address width.
func (b *builder) maxMemory() int {
	bits, host := 0, b.host.PhysBits
	c, _ := vmconfig.ParseCPU(b.conf.Text("cpu", ""))
	switch {
	case c.PhysBits == "host":
		bits = host
	case c.PhysBits != "":
		bits = atoi(c.PhysBits)
	case c.Type == "host" || c.Type == "max":
		bits = host
	case host > 0:
		bits = min(40, host)
	}
	if bits == 0 {
		bits = 36
	}
	bits -= bits % 2
	if bits-21 >= 22 {
		return maxMemoryMiB
	}
	return 1 << max(0, bits-21)
}

// numaOptions returns the configured numaN, sorted, as far as they can be read.
func (b *builder) numaOptions() []numaOption {
	var list []numaOption
	for n := range 8 {
		text, ok := b.conf["numa"+strconv.Itoa(n)]
		if !ok {
			continue
		}
		if o, err := vmconfig.ParseNUMA(text); err == nil {
			list = append(list, numaOption{id: n, NUMA: o})
		}
	}
	return list
}

type numaOption struct {
	id int
	vmconfig.NUMA
}

func (b *builder) memoryPrefix() string {
	if b.virtioFS {
		return "virtiofs-mem"
	}
	return "ram-node"
}

func (b *builder) numaNodes(static int) error {
	if options := b.numaOptions(); len(options) > 0 {
		return b.customNodes(options, static)
	}
	sockets, cores := b.sockets(), b.cores()
	for i := range sockets {
		size := float64(static) / float64(sockets)
		if b.launch() {
			size = float64(static / sockets)
			if i == 0 {
				size += float64(static % sockets)
			}
		}
		backend, err := b.memoryObject(b.memoryPrefix()+strconv.Itoa(i), size)
		if err != nil {
			return err
		}
		b.m.Memory.Nodes = append(b.m.Memory.Nodes, machine.NUMANode{ID: i, Backend: backend,
			CPUs: []machine.CPURange{{First: cores * i, Last: cores*i + cores - 1}}})
	}
	return nil
}

func (b *builder) customNodes(options []numaOption, static int) error {
	sum := 0.0
	for _, o := range options {
		node, err := b.customNode(o)
		if err != nil {
			return err
		}
		sum += o.MemoryMiB.Float()
		b.m.Memory.Nodes = append(b.m.Memory.Nodes, node)
	}
	if sum != float64(static) {
		return errors.New("total memory for NUMA nodes must be equal to vm static memory")
	}
	return nil
}

func (b *builder) customNode(o numaOption) (machine.NUMANode, error) {
	node := machine.NUMANode{ID: o.id}
	switch {
	case o.MemoryMiB.Float() == 0:
		return node, fmt.Errorf("missing NUMA node%d memory value", o.id)
	case len(o.CPUs) == 0:
		return node, fmt.Errorf("missing NUMA node%d cpus", o.id)
	}
	for _, r := range o.CPUs {
		if r.Last < r.First {
			return node, fmt.Errorf("invalid range: %d-%d", r.First, r.Last)
		}
		node.CPUs = append(node.CPUs, machine.CPURange(r))
	}
	backend, err := b.memoryObject(b.memoryPrefix()+strconv.Itoa(o.id), o.MemoryMiB.Float())
	if err != nil {
		return node, err
	}
	for i, r := range o.HostNodes {
		list := machine.CPURange(r).String()
		if o.Policy == "" {
			return node, fmt.Errorf("you need to define a policy for hostnode %s", list)
		}
		if r.Last < r.First {
			return node, fmt.Errorf("invalid range: %s", list)
		}
		for n := r.First; n <= r.Last; n++ {
			if n > maxNode || !b.host.numaNode(n) {
				return node, fmt.Errorf("host NUMA node%d doesn't exist", n)
			}
		}
		name := "host-nodes"
		if i > 0 && !b.launch() {
			name = "" // Proxmox VE joins the ranges by commas
		}
		backend.Props = append(backend.Props, machine.Property{Name: name, Value: list})
	}
	if len(o.HostNodes) > 0 {
		backend.Props = append(backend.Props, machine.Property{Name: "policy", Value: o.Policy})
	}
	node.Backend = backend
	return node, nil
}

// memoryObject returns the host's end of a piece of memory.
func (b *builder) memoryObject(id string, sizeMiB float64) (machine.Object, error) {
	size := machine.Property{Name: "size", Value: machine.Bytes(sizeMiB) * mebibyte}
	if sizeMiB != math.Trunc(sizeMiB) {
		size.Value = strconv.FormatFloat(sizeMiB, 'g', 15, 64) + "M"
	}
	share := machine.Property{Name: "share", Value: true}
	if b.conf.Has("hugepages") {
		page, err := b.hugepage(sizeMiB)
		if err != nil {
			return machine.Object{}, err
		}
		folder := fmt.Sprintf("/run/hugepages/kvm/%dkB", page*1024)
		return machine.Object{Type: "memory-backend-file", ID: id, Props: []machine.Property{size, {Name: "mem-path", Value: folder}, share,
			{Name: "prealloc", Value: true}}}, nil
	}
	if b.virtioFS {
		return machine.Object{Type: "memory-backend-memfd", ID: id, Props: []machine.Property{size, share}}, nil
	}
	return machine.Object{Type: "memory-backend-ram", ID: id, Props: []machine.Property{size}}, nil
}

// hugepage returns the size in MiB of the pages that a piece of memory is made of.
func (b *builder) hugepage(sizeMiB float64) (int, error) {
	if sizeMiB <= 0 || math.Mod(sizeMiB, 2) != 0 {
		return 0, fmt.Errorf("memory size '%s' is not a positive even integer; cannot use for hugepages", strconv.FormatFloat(sizeMiB, 'g', 15, 64))
	}
	if b.host.HugepagesMiB == nil {
		return 0, errors.New("your system doesn't support hugepages")
	}
	size := int(sizeMiB)
	page := b.conf.Int("hugepages", 0)
	if page == 0 { // any
		page = 2
		if size%1024 == 0 && slices.Contains(b.host.HugepagesMiB, 1024) {
			page = 1024
		}
	}
	switch {
	case !slices.Contains(b.host.HugepagesMiB, page):
		return 0, fmt.Errorf("your system doesn't support hugepages of %d MB", page)
	case size%page != 0:
		return 0, fmt.Errorf("Memory size %d is not a multiple of the requested hugepages size %d", size, page) //nolint:staticcheck // public text
	}
	return page, nil
}

// dimms plugs modules until the memory is reached: rounds of 32, each round's modules
// twice the size of the last one's.
func (b *builder) dimms(static, total int) error {
	size := 512
	if b.conf.Text("hugepages", "") == "1024" {
		size = 1024
	}
	for current, n := static, 0; current < total && n < 8*32; n++ {
		if n > 0 && n%32 == 0 {
			size *= 2
		}
		id := "dimm" + strconv.Itoa(n)
		backend, err := b.memoryObject("mem-"+id, float64(size))
		if err != nil {
			return err
		}
		b.m.Memory.DIMMs = append(b.m.Memory.DIMMs, machine.Unit{Name: id, Objects: []machine.Object{backend},
			Devices: []machine.Device{{Driver: "pc-dimm", ID: id, Props: []machine.Property{
				{Name: "memdev", Value: backend.ID}, {Name: "node", Value: n % 32 % b.sockets()}}}}})
		if current += size; current > total {
			return fmt.Errorf("memory size (%d) must be aligned to %d for hotplugging", total, size)
		}
	}
	return nil
}
