package showcmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Names of the cluster's files below a root directory.
const (
	storageFile   = "etc/pve/storage.cfg"
	pciFile       = "etc/pve/mapping/pci.cfg"
	usbFile       = "etc/pve/mapping/usb.cfg"
	dirFile       = "etc/pve/mapping/directory.cfg"
	cpuModelsFile = "etc/pve/virtual-guest/cpu-models.conf"
)

// cluster is what a translation needs of the cluster's configuration.
type cluster struct {
	storages map[string]volid.Storage // nil if there is no file
	mappings machineconf.Mappings
	models   map[string]machineconf.CPUModel
	warnings []string
}

// readCluster reads the files below root. Files that are not there are empty; what cannot
// be used in a file is passed over with a warning.
func readCluster(root string) (*cluster, error) {
	c := &cluster{}
	for _, f := range []struct {
		name string
		use  func(name, text string)
	}{{storageFile, c.useStorages}, {pciFile, c.usePCI}, {usbFile, c.useUSB}, {dirFile, c.useDirs}, {cpuModelsFile, c.useModels}} {
		text, err := os.ReadFile(filepath.Join(root, f.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.use(filepath.Base(f.name), string(text))
	}
	return c, nil
}

func (c *cluster) warn(name, format string, args ...any) {
	c.warnings = append(c.warnings, name+": "+fmt.Sprintf(format, args...))
}

// sections reads a file of sections as it is, whatever their types.
func (c *cluster) sections(name, text string, checkID func(string) error) []*pveconf.Section {
	f, warnings := pveconf.ParseSections(text, &pveconf.SectionRules{KeepUnknown: true, CheckID: checkID})
	for _, w := range warnings {
		c.warn(name, "line %d: %s", w.Line, w.Text)
	}
	return f.Sections()
}

func (c *cluster) useStorages(name, text string) {
	c.storages = map[string]volid.Storage{}
	checkID := func(id string) error { return pveconf.CheckFormat("pve-storage-id", id) }
	for _, s := range c.sections(name, text, checkID) {
		if _, ok := volid.KindOf(s.Type); !ok {
			c.warn(name, "storage '%s': unsupported type '%s'", s.ID, s.Type)
			continue
		}
		for key, value := range s.Values {
			if value == "" {
				s.Values[key] = "1" // a bare word is a switch
			}
		}
		c.storages[s.ID] = volid.Storage{ID: s.ID, Type: s.Type, Options: s.Values}
	}
}

// mapping reads a file of mappings. Its sections have a name only; each line "map" is one
// device or folder of a node.
func (c *cluster) mapping(name, text, format string, use func(s *pveconf.Section, entries []map[string]string)) {
	var typed strings.Builder
	for line := range strings.Lines(text) {
		if line[0] != ' ' && line[0] != '\t' && line[0] != '#' && strings.TrimSpace(line) != "" && !strings.Contains(line, ":") {
			typed.WriteString("mapping: ")
		}
		typed.WriteString(line)
	}
	for _, s := range c.sections(name, typed.String(), nil) {
		lines := s.Lists["map"]
		if one, ok := s.Values["map"]; ok {
			lines = []string{one}
		}
		var entries []map[string]string
		for _, line := range lines {
			props, err := pveconf.ParsePropertyString(line, schema.Format(format), schema.Formats())
			if err != nil {
				c.warn(name, "'%s': %v", s.ID, err)
				continue
			}
			entries = append(entries, props)
		}
		use(s, entries)
	}
}

func on(s *pveconf.Section, key string) bool {
	value, ok := s.Values[key]
	set, _ := pveconf.ParseBool(value)
	return ok && (set || value == "")
}

func (c *cluster) usePCI(name, text string) {
	c.mappings.PCI = map[string]machineconf.PCIMapping{}
	c.mapping(name, text, "@mapping.pci", func(s *pveconf.Section, entries []map[string]string) {
		m := machineconf.PCIMapping{MDev: on(s, "mdev"), LiveMigration: on(s, "live-migration-capable")}
		for _, p := range entries {
			m.Entries = append(m.Entries, machineconf.PCIMapEntry{Node: p["node"], Path: p["path"], ID: p["id"],
				SubsystemID: p["subsystem-id"], IOMMUGroup: p["iommugroup"]})
		}
		c.mappings.PCI[s.ID] = m
	})
}

func (c *cluster) useUSB(name, text string) {
	c.mappings.USB = map[string]machineconf.USBMapping{}
	c.mapping(name, text, "@mapping.usb", func(s *pveconf.Section, entries []map[string]string) {
		var m machineconf.USBMapping
		for _, p := range entries {
			m.Entries = append(m.Entries, machineconf.USBMapEntry{Node: p["node"], Path: p["path"], ID: p["id"]})
		}
		c.mappings.USB[s.ID] = m
	})
}

func (c *cluster) useDirs(name, text string) {
	c.mappings.Dir = map[string]machineconf.DirMapping{}
	c.mapping(name, text, "@mapping.dir", func(s *pveconf.Section, entries []map[string]string) {
		var m machineconf.DirMapping
		for _, p := range entries {
			m.Entries = append(m.Entries, machineconf.DirMapEntry{Node: p["node"], Path: p["path"]})
		}
		c.mappings.Dir[s.ID] = m
	})
}

func (c *cluster) useModels(name, text string) {
	c.models = map[string]machineconf.CPUModel{}
	for _, s := range c.sections(name, text, nil) {
		if s.Type != "cpu-model" {
			c.warn(name, "unknown section type '%s'", s.Type)
			continue
		}
		m, err := cpuModel(s)
		if err != nil {
			c.warn(name, "%s: %v", s.ID, err)
			continue
		}
		c.models[s.ID] = m
	}
}

// cpuModel reads a custom model. Unlike the flags of a guest, those of a model may be any
// that QEMU knows.
func cpuModel(s *pveconf.Section) (machineconf.CPUModel, error) {
	m := machineconf.CPUModel{Type: "custom-" + s.ID, ReportedModel: s.Values["reported-model"], HVVendorID: s.Values["hv-vendor-id"],
		PhysBits: s.Values["phys-bits"]}
	if _, ok := s.Values["hidden"]; ok {
		m.Hidden = vmconfig.Some(on(s, "hidden"))
	}
	for _, n := range []struct {
		key  string
		into *vmconfig.Opt[int]
	}{{"guest-phys-bits", &m.GuestPhysBits}, {"level", &m.Level}} {
		text, ok := s.Values[n.key]
		if !ok {
			continue
		}
		v, err := strconv.Atoi(text)
		if err != nil {
			return m, fmt.Errorf("%s '%s' is not a number", n.key, text)
		}
		*n.into = vmconfig.Some(v)
	}
	for f := range strings.FieldsFuncSeq(s.Values["flags"], func(r rune) bool { return r == ';' || r == ' ' }) {
		if len(f) < 2 || f[0] != '+' && f[0] != '-' || strings.ContainsAny(f, ",=") {
			return m, fmt.Errorf("'%s' is not a CPU flag", f)
		}
		m.Flags = append(m.Flags, vmconfig.CPUFlag{Name: f[1:], On: f[0] == '+'})
	}
	return m, nil
}
