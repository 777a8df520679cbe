package machineconf

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// source is where the data of a drive comes from.
type source struct {
	// text is the path or option string of -drive file=.
	text string
	// format is the format of the data; empty if it needs no format node.
	format string
	// node is the protocol node, without what the drive's options say.
	node machine.Node
	// storage is the storage of a volume; its ID is empty for a path.
	storage volid.Storage
	id      volid.ID
	volume  volid.Volume
}

func (s source) isVolume() bool { return s.storage.ID != "" }

// rbd tells whether QEMU itself talks to Ceph.
func (s source) rbd() bool { return s.node.Driver == "rbd" }

// krbd tells whether the kernel does.
func (s source) krbd() bool { return s.storage.Type == "rbd" && !s.rbd() }

// volumes checks that every volume of the machine may be used as what it is. Drives that
// cannot be read are left out of the machine.
func (b *builder) volumes() error {
	var files []string
	for _, key := range vmconfig.DriveKeys() {
		d, ok, err := b.conf.Drive(key)
		switch {
		case ok && err != nil:
			b.warn("%s: %v", key, err)
		case ok:
			files = append(files, d.File)
		}
	}
	if state := b.conf.Text("vmstate", ""); state != "" {
		b.res.Volumes = append(b.res.Volumes, VolumeUse{Key: "vmstate", ID: state})
		files = append(files, state)
	}
	for _, check := range []func(volid.Storage, string) error{b.checkContent, b.checkEnabled} {
		for _, file := range files {
			id, err := volid.Split(file)
			if err != nil || strings.HasPrefix(file, "nbd:") {
				continue // no volume
			}
			s, err := b.in.storage(id.Storage)
			if err != nil {
				return err
			}
			if err := check(s, id.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *builder) checkContent(s volid.Storage, name string) error {
	v, err := s.Parse(name)
	if err != nil {
		return err
	}
	if !s.Holds(v.Content) {
		return fmt.Errorf("storage '%s' does not support content-type '%s'", s.ID, v.Content)
	}
	return nil
}

func (b *builder) checkEnabled(s volid.Storage, _ string) error {
	if s.Bool("disable") {
		return fmt.Errorf("storage '%s' is disabled", s.ID)
	}
	nodes := strings.FieldsFunc(s.Options["nodes"], func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
	if len(nodes) > 0 && !slices.Contains(nodes, b.host.Node) {
		return fmt.Errorf("storage '%s' is not available on node '%s'", s.ID, b.host.Node)
	}
	return nil
}

// use notes that the machine uses a drive's volume or path.
func (b *builder) use(d vmconfig.Drive) {
	b.res.Volumes = append(b.res.Volumes, VolumeUse{Key: d.Key, ID: d.File, CDROM: d.IsCDROM(), ReadOnly: b.readOnly(d)})
}

func (b *builder) readOnly(d vmconfig.Drive) bool {
	return d.IsCDROM() || d.ReadOnly.Or(false) || b.template
}

// source resolves what a drive's file says.
func (b *builder) source(d vmconfig.Drive) (source, error) {
	switch {
	case d.File == "cdrom":
		return b.physicalCDROM(), nil
	case strings.HasPrefix(d.File, "nbd:"):
		return nbdSource(d)
	case d.IsPath():
		return b.pathSource(d)
	}
	return b.volumeSource(d)
}

func fileNode(driver, filename string) machine.Node {
	return machine.Node{Driver: driver, Options: []machine.Property{{Name: "filename", Value: filename}}}
}

// physicalCDROM is the host's own drive.
func (b *builder) physicalCDROM() source {
	if b.host.CDROM == "" {
		b.warn("no physical CD-ROM available, ignoring")
	}
	return source{text: b.host.CDROM, format: "raw", node: fileNode("host_cdrom", b.host.CDROM)}
}

// pathSource is a file or device of the host.
func (b *builder) pathSource(d vmconfig.Drive) (source, error) {
	s := source{text: d.File, format: d.Format, node: fileNode("file", d.File)}
	if s.format == "" {
		s.format = "raw"
	}
	if d.Key == "efidisk0" && strings.HasPrefix(d.File, b.in.run("")) || strings.HasPrefix(d.File, "/run/qemu-server/") {
		return s, nil // made just before the start
	}
	kind, err := b.host.stat(d.File)
	if err != nil {
		if !b.blockdev() {
			return s, nil
		}
		return source{}, err
	}
	if kind == BlockFile || kind == CharFile {
		s.node.Driver = "host_device"
		if d.IsCDROM() {
			s.node.Driver = "host_cdrom"
		}
	}
	return s, nil
}

// nbdSource is a network block device: nbd:HOST:PORT:exportname=E or
// nbd:unix:PATH:exportname=E.
func nbdSource(d vmconfig.Drive) (source, error) {
	rest := strings.TrimPrefix(d.File, "nbd:")
	rest, export, _ := strings.Cut(rest, ":exportname=")
	server := map[string]any{}
	if path, ok := strings.CutPrefix(rest, "unix:"); ok {
		server["type"], server["path"] = "unix", path
	} else {
		host, port, ok := cutLast(rest, ":")
		if !ok {
			return source{}, fmt.Errorf("unable to parse NBD address '%s'", d.File)
		}
		server["type"], server["host"], server["port"] = "inet", strings.Trim(host, "[]"), port
	}
	node := machine.Node{Driver: "nbd", Options: []machine.Property{{Name: "server", Value: server}}}
	if export != "" {
		node.Options = append(node.Options, machine.Property{Name: "export", Value: export})
	}
	return source{text: d.File, node: node}, nil
}

// volumeSource is a volume of a storage.
func (b *builder) volumeSource(d vmconfig.Drive) (source, error) {
	id, err := volid.Split(d.File)
	if err != nil {
		return source{}, err
	}
	st, err := b.in.storage(id.Storage)
	if err != nil {
		return source{}, err
	}
	v, err := st.Parse(id.Name)
	if err != nil {
		return source{}, err
	}
	s := source{storage: st, id: id, volume: v}
	if err := checkUsable(d, v); err != nil {
		return source{}, err
	}
	s.format = formatOf(st, v)
	if d.Format != "" && d.Format != s.format {
		return source{}, fmt.Errorf("drive '%s' - volume '%s' - 'format=%s' option different from storage format '%s'", d.Key, d.File, d.Format, s.format)
	}
	loc, err := b.in.location(id, "")
	if err != nil {
		return source{}, err
	}
	s.text = loc.Text()
	s.node, err = b.protocolNode(loc)
	return s, err
}

// checkUsable refuses volumes that are no disks.
func checkUsable(d vmconfig.Drive, v volid.Volume) error {
	switch v.Content {
	case volid.Images, volid.ISO, volid.Import:
	default:
		return fmt.Errorf("cannot use volume of type '%s' as a QEMU blockdevice", v.Content)
	}
	if v.Content == volid.ISO && d.Media == "" {
		return fmt.Errorf("%s: explicit media parameter is required for iso images", d.Key)
	}
	switch v.Format {
	case "raw", "qcow2", "vmdk":
		return nil
	}
	return fmt.Errorf("volume '%s' - not a QEMU image format '%s'", d.File, v.Format)
}

// formatOf returns the format of a volume's data.
func formatOf(st volid.Storage, v volid.Volume) string {
	k, _ := volid.KindOf(st.Type)
	if v.Content == volid.ISO || !k.Path && st.Type != "lvm" {
		return "raw"
	}
	return v.Format
}

// protocolNode returns the node that reaches a location.
func (b *builder) protocolNode(loc volid.Location) (machine.Node, error) {
	l, ok := loc.(volid.File)
	if !ok {
		return LocationNode(loc)
	}
	kind, err := b.host.stat(l.Path)
	if err != nil && b.blockdev() {
		return machine.Node{}, err
	}
	if kind == BlockFile {
		return fileNode("host_device", l.Path), nil
	}
	return fileNode("file", l.Path), nil
}

// LocationNode returns the node that reaches a location, without a name. A file, of which only the host knows whether it is
// one, is taken as such.
func LocationNode(loc volid.Location) (machine.Node, error) {
	switch l := loc.(type) {
	case nil:
		return machine.Node{}, errors.New("the volume has no location")
	case volid.File:
		return fileNode("file", l.Path), nil
	case volid.Device:
		return fileNode("host_device", l.Path), nil
	case volid.RBD:
		return rbdNode(l), nil
	case volid.ISCSI:
		n := machine.Node{Driver: "iscsi", Options: []machine.Property{{Name: "transport", Value: "tcp"}, {Name: "portal", Value: l.Portal},
			{Name: "target", Value: l.Target}, {Name: "lun", Value: l.LUN}}}
		if l.Initiator != "" {
			n.Options = append(n.Options, machine.Property{Name: "initiator-name", Value: l.Initiator})
		}
		return n, nil
	}
	return machine.Node{}, fmt.Errorf("cannot use '%s' as a QEMU blockdevice", loc.Text())
}

// defaultMonPort is the port of Ceph monitors (msgr2).
const defaultMonPort = "3300"

func rbdNode(l volid.RBD) machine.Node {
	n := machine.Node{Driver: "rbd", Options: []machine.Property{{Name: "pool", Value: l.Pool}, {Name: "image", Value: l.Image}}}
	for _, p := range []struct{ name, v string }{{"namespace", l.Namespace}, {"conf", l.Conf}, {"user", l.User}, {"snapshot", l.Snapshot}} {
		if p.v != "" {
			n.Options = append(n.Options, machine.Property{Name: p.name, Value: p.v})
		}
	}
	if len(l.Hosts) == 0 {
		return n
	}
	servers := make([]any, len(l.Hosts))
	for i, h := range l.Hosts {
		port := h.Port
		if port == "" {
			port = defaultMonPort
		}
		servers[i] = map[string]any{"host": h.Host, "port": port}
	}
	auth := "none"
	if l.CephX {
		auth = "cephx"
	}
	n.Options = append(n.Options, machine.Property{Name: "server", Value: servers}, machine.Property{Name: "auth-client-required", Value: []any{auth}})
	return n
}

// locateFile returns the path or option string of a volume or path.
func (b *builder) locateFile(file string) (string, bool, error) {
	if strings.HasPrefix(file, "/") {
		return file, true, nil
	}
	id, err := volid.Split(file)
	if err != nil {
		return "", false, err
	}
	loc, err := b.in.location(id, "")
	if err != nil {
		return "", false, err
	}
	return loc.Text(), true, nil
}
