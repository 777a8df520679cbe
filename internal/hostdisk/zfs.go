package hostdisk

import (
	"regexp"
	"strconv"
	"strings"
)

// Dataset is a file system of ZFS, by its output of zfs list -Hp -t filesystem -o name,avail,used.
type Dataset struct {
	Name                  string
	AvailBytes, UsedBytes int64
}

// ParseDatasets reads the datasets that a storage may be put on: not those that are a guest's volume.
func ParseDatasets(text string) []Dataset {
	volume := regexp.MustCompile(`/(?:subvol|basevol)-\d+-[^/]+$`)
	var list []Dataset
	for line := range strings.Lines(text) {
		w := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(w) == 3 && w[0] != "" && !volume.MatchString(w[0]) {
			list = append(list, Dataset{w[0], number(w[1]), number(w[2])})
		}
	}
	return list
}

// Pool is a pool of ZFS, by its output of zpool list -Hp -o name,size,alloc,free,frag,dedup,health.
type Pool struct {
	Name                             string
	SizeBytes, AllocBytes, FreeBytes int64
	Fragmentation                    int64 // per cent; 0 if not known
	Dedup                            float64
	Health                           string
}

// ParsePools reads the pools.
func ParsePools(text string) []Pool {
	var list []Pool
	for line := range strings.Lines(text) {
		w := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(w) != 7 || w[0] == "" {
			continue
		}
		dedup, _ := strconv.ParseFloat(strings.TrimSuffix(w[5], "x"), 64)
		list = append(list, Pool{w[0], number(w[1]), number(w[2]), number(w[3]), number(strings.TrimSuffix(w[4], "%")), dedup, w[6]})
	}
	return list
}

// PoolStatus is what zpool status -P says of one pool.
type PoolStatus struct {
	Name, State, Status, Action, Scan, Errors string
	Devices                                   []PoolDevice
}

// PoolDevice is a node of the tree below a pool: the pool itself, a group of devices, or a device.
type PoolDevice struct {
	Name, State        string
	Counted            bool // Read, Write and Checksum were told
	Read, Write, Cksum float64
	Message            string
	Children           []PoolDevice
}

// ParsePoolStatus reads the output of zpool status -P.
func ParsePoolStatus(text string) PoolStatus {
	var p PoolStatus
	fields := map[string]*string{"pool": &p.Name, "state": &p.State, "status": &p.Status, "action": &p.Action, "scan": &p.Scan, "errors": &p.Errors}
	label := regexp.MustCompile(`^\s*(\S+): ?(.*)$`)
	var current *string
	inTree := false
	var tree []treeLine
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		m := label.FindStringSubmatch(line)
		switch {
		case m != nil && !strings.HasPrefix(line, "\t") && (fields[m[1]] != nil || m[1] == "config" || m[1] == "see" || m[1] == "scrub"):
			current, inTree = fields[m[1]], m[1] == "config"
			if current != nil {
				*current = strings.TrimSpace(m[2])
			}
		case inTree && strings.HasPrefix(line, "\t"):
			tree = append(tree, readTreeLine(line[1:]))
		case current != nil && strings.TrimSpace(line) != "":
			*current = strings.TrimSpace(*current + "\n" + strings.TrimSpace(line))
		}
	}
	p.Devices, _ = buildTree(tree, 0)
	return p
}

type treeLine struct {
	depth  int
	device PoolDevice
	header bool
}

func readTreeLine(line string) treeLine {
	trimmed := strings.TrimLeft(line, " ")
	t := treeLine{depth: (len(line) - len(trimmed)) / 2}
	w := strings.Fields(trimmed)
	if len(w) == 0 || w[0] == "NAME" {
		t.header = true
		return t
	}
	t.device.Name = w[0]
	if len(w) > 1 {
		t.device.State = w[1]
	}
	if len(w) > 4 {
		t.device.Counted = true
		t.device.Read, t.device.Write, t.device.Cksum = count(w[2]), count(w[3]), count(w[4])
		t.device.Message = strings.Join(w[5:], " ")
	} else if len(w) > 2 {
		t.device.Message = strings.Join(w[2:], " ")
	}
	return t
}

// count reads 0, 17 or 1.2K.
func count(s string) float64 {
	factor := 1.0
	if n := len(s); n > 0 {
		if i := strings.IndexByte("KMGT", s[n-1]); i >= 0 {
			for range i + 1 {
				factor *= 1000
			}
			s = s[:n-1]
		}
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return v * factor
}

// maxTreeDepth bounds the tree: pool, kind, group, device, replacement.
const maxTreeDepth = 8

// buildTree takes the lines of one depth, with what is below each.
func buildTree(lines []treeLine, depth int) (nodes []PoolDevice, rest []treeLine) {
	for len(lines) > 0 {
		l := lines[0]
		switch {
		case l.header:
			lines = lines[1:]
		case l.depth < depth:
			return nodes, lines
		case depth < maxTreeDepth && l.depth > depth && len(nodes) > 0:
			nodes[len(nodes)-1].Children, lines = buildTree(lines, depth+1)
		default:
			nodes = append(nodes, l.device)
			lines = lines[1:]
		}
	}
	return nodes, nil
}
