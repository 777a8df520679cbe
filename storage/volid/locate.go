package volid

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Location says where a volume's data is: one of [File], [Device], [RBD], [ISCSI],
// [Archive].
type Location interface {
	// Text returns the location as Proxmox VE prints it where one string must do.
	Text() string
	location()
}

// File is a path in a file system. Whether a file or something else lies there, only
// the host knows.
type File struct{ Path string }

// Device is a block device's path.
type Device struct{ Path string }

// RBD is an image in a Ceph pool, reached through librbd.
type RBD struct {
	Pool, Namespace, Image, Snapshot string
	// Conf and Keyring are paths, User a Ceph user without "client."; empty if not used.
	Conf, Keyring, User string
	// Hosts are the monitors. Empty means that Conf names them.
	Hosts []MonHost
	// CephX says that the client must authenticate, when there are Hosts.
	CephX bool
}

// MonHost is a Ceph monitor. Port is empty for the default, 3300.
type MonHost struct{ Host, Port string }

// ISCSI is a logical unit that the user of the volume logs into itself.
type ISCSI struct {
	Portal, Target string
	LUN            int
	// Initiator is the name to log in with; empty for the user's own.
	Initiator string
}

// Archive is a snapshot on a backup server.
type Archive struct{ URL string }

func (File) location()    {}
func (Device) location()  {}
func (RBD) location()     {}
func (ISCSI) location()   {}
func (Archive) location() {}

// Text returns the path.
func (f File) Text() string { return f.Path }

// Text returns the path.
func (d Device) Text() string { return d.Path }

// Text returns iscsi://PORTAL/TARGET/LUN.
func (i ISCSI) Text() string { return fmt.Sprintf("iscsi://%s/%s/%d", i.Portal, i.Target, i.LUN) }

// Text returns the URL.
func (a Archive) Text() string { return a.URL }

// Text returns the option string that QEMU's old -drive file= takes.
func (r RBD) Text() string {
	var b strings.Builder
	b.WriteString("rbd:" + r.Pool)
	if r.Namespace != "" {
		b.WriteString("/" + r.Namespace)
	}
	b.WriteString("/" + r.Image)
	if r.Snapshot != "" {
		b.WriteString("@" + r.Snapshot)
	}
	if r.Conf != "" {
		b.WriteString(":conf=" + r.Conf)
	}
	if len(r.Hosts) > 0 {
		auth := "none"
		if r.CephX {
			auth = "cephx"
		}
		b.WriteString(":mon_host=" + r.monHosts() + ":auth_supported=" + auth)
	}
	if r.Keyring != "" {
		b.WriteString(":id=" + r.User + ":keyring=" + r.Keyring)
	}
	return b.String()
}

// monHosts joins the monitors with ';' and hides every ':' from the option parser.
func (r RBD) monHosts() string {
	hosts := make([]string, len(r.Hosts))
	for i, h := range r.Hosts {
		hosts[i] = h.Host
		if strings.Contains(h.Host, ":") {
			hosts[i] = "[" + h.Host + "]"
		}
		if h.Port != "" {
			hosts[i] += ":" + h.Port
		}
		hosts[i] = strings.ReplaceAll(hosts[i], ":", `\:`)
	}
	return strings.Join(hosts, ";")
}

// Facts is what a location depends on beyond the configuration. The zero value knows
// nothing: no file exists.
type Facts struct {
	// Exists tells whether a file of the cluster's configuration exists (Ceph
	// configurations and keyrings).
	Exists func(path string) bool
	// FSID returns the Ceph cluster id of a storage whose images are mapped by the
	// kernel. The option fsid of the storage goes first.
	FSID func(s Storage) string
	// LUN returns the logical unit that exports a dataset of a ZFS-over-iSCSI storage.
	LUN func(s Storage, name string) (int, error)
}

func (f *Facts) exists(p string) bool { return f != nil && f.Exists != nil && f.Exists(p) }

// Locate returns where a volume, or with snap one of its snapshots, lies. Errors are
// those of [Parse], or of class [ErrNoSnapshotPath].
func (s Storage) Locate(name, snap string, facts *Facts) (Location, error) {
	v, err := s.Parse(name)
	if err != nil {
		return nil, err
	}
	switch s.Type {
	case "lvm", "lvmthin":
		return s.locateLVM(v, snap)
	case "zfspool":
		return s.locateZFSPool(v, snap), nil
	case "zfs":
		return s.locateZFSOverISCSI(v, snap, facts)
	case "rbd":
		return s.locateRBD(v, snap, facts), nil
	case "iscsi":
		if snap != "" {
			return nil, noSnapshot("snapshot is not possible on iscsi storage")
		}
		return Device{Path: "/dev/disk/by-id/" + v.Name}, nil
	case "iscsidirect":
		if snap != "" {
			return nil, noSnapshot("volume snapshot is not possible on iscsi device")
		}
		lun, err := strconv.Atoi(v.Name)
		if err != nil {
			return nil, unparsable(s.Type, name)
		}
		return ISCSI{Portal: s.Options["portal"], Target: s.Options["target"], LUN: lun}, nil
	case "pbs":
		return s.locatePBS(v), nil
	case "esxi":
		return File{Path: path.Join("/run/pve/import/esxi", s.ID, "mnt", v.Name)}, nil
	}
	return s.locateFile(v, snap)
}

func noSnapshot(text string) error { return &Error{Text: text, Class: ErrNoSnapshotPath} }

func (s Storage) locateFile(v Volume, snap string) (Location, error) {
	dir, err := s.Dir(v.Content)
	if err != nil {
		return nil, err
	}
	if v.Content != Images {
		return File{Path: path.Join(dir, v.Name)}, nil
	}
	dir = path.Join(dir, strconv.Itoa(v.VMID))
	if s.Type == "btrfs" && (v.Format == "raw" || v.Format == "subvol") {
		return locateBtrfs(dir, v, snap), nil
	}
	switch {
	case snap == "":
		return File{Path: path.Join(dir, v.Name)}, nil
	case v.Format != "qcow2":
		return nil, noSnapshot("can't snapshot this image format")
	case s.Chain():
		return File{Path: path.Join(dir, "snap-"+snap+"-"+v.Name)}, nil
	}
	return File{Path: path.Join(dir, v.Name)}, nil
}

// Chain tells whether snapshots are files or volumes of their own that back the
// current image.
func (s Storage) Chain() bool { return s.Bool("snapshot-as-volume-chain") }

// locateBtrfs: an image is a file in a subvolume of its own, so that the file system
// can snapshot it.
func locateBtrfs(dir string, v Volume, snap string) Location {
	sub := v.Name
	if v.Format == "raw" {
		sub = strings.TrimSuffix(v.Name, ".raw")
	}
	if snap != "" {
		sub += "@" + snap
	}
	if v.Format == "raw" {
		return File{Path: path.Join(dir, sub, "disk.raw")}
	}
	return File{Path: path.Join(dir, sub)}
}

func (s Storage) locateLVM(v Volume, snap string) (Location, error) {
	dev := "/dev/" + s.Options["vgname"] + "/"
	switch {
	case snap == "":
		return Device{Path: dev + v.Name}, nil
	case s.Type == "lvmthin":
		return Device{Path: dev + "snap_" + v.Name + "_" + snap}, nil
	case v.Format != "qcow2":
		return nil, noSnapshot("snapshot is working with qcow2 format only")
	}
	return Device{Path: dev + "snap_" + strings.TrimSuffix(v.Name, ".qcow2") + "_" + snap + ".qcow2"}, nil
}

func (s Storage) locateZFSPool(v Volume, snap string) Location {
	suffix := ""
	if snap != "" {
		suffix = "@" + snap
	}
	if v.Format == "subvol" {
		mount := s.Options["mountpoint"]
		if mount == "" {
			mount = "/" + s.Options["pool"]
		}
		return File{Path: path.Join(mount, v.Name) + suffix}
	}
	return Device{Path: "/dev/zvol/" + s.Options["pool"] + "/" + v.Name + suffix}
}

func (s Storage) locateZFSOverISCSI(v Volume, snap string, facts *Facts) (Location, error) {
	if snap != "" {
		return nil, noSnapshot("direct access to snapshots not implemented")
	}
	if facts == nil || facts.LUN == nil {
		return nil, fmt.Errorf("storage '%s': the logical unit of '%s' is not known", s.ID, v.Name)
	}
	lun, err := facts.LUN(s, v.Name)
	if err != nil {
		return nil, err
	}
	return ISCSI{Portal: s.Options["portal"], Target: s.Options["target"], LUN: lun}, nil
}

// Places of Ceph's files in a cluster's configuration folder.
const (
	cephConf = "/etc/pve/ceph.conf"
	cephPriv = "/etc/pve/priv/ceph/"
)

func (s Storage) locateRBD(v Volume, snap string, facts *Facts) Location {
	pool := s.Options["pool"]
	if pool == "" {
		pool = "rbd"
	}
	if s.Bool("krbd") {
		fsid := s.Options["fsid"]
		if fsid == "" && facts != nil && facts.FSID != nil {
			fsid = facts.FSID(s)
		}
		p := path.Join("/dev/rbd-pve", fsid, pool, s.Options["namespace"], v.Name)
		if snap != "" {
			p += "@" + snap
		}
		return Device{Path: p}
	}
	r := RBD{Pool: pool, Namespace: s.Options["namespace"], Image: v.Name, Snapshot: snap}
	keyring := cephPriv + s.ID + ".keyring"
	r.CephX = facts.exists(keyring)
	if r.CephX {
		r.Keyring, r.User = keyring, s.Options["username"]
		if r.User == "" {
			r.User = "admin"
		}
	}
	if s.Options["monhost"] == "" {
		r.Conf = cephConf
		return r
	}
	if own := cephPriv + s.ID + ".conf"; facts.exists(own) {
		r.Conf = own
	}
	r.Hosts = parseMonHosts(s.Options["monhost"])
	return r
}

// parseMonHosts splits a list of monitors: names, addresses, [v6]:port, host:port.
func parseMonHosts(text string) []MonHost {
	var hosts []MonHost
	for h := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		m := MonHost{Host: strings.Trim(h, "[]")}
		if strings.HasPrefix(h, "[") || strings.Count(h, ":") == 1 {
			if host, port, err := net.SplitHostPort(h); err == nil {
				m = MonHost{Host: host, Port: port}
			}
		}
		hosts = append(hosts, m)
	}
	return slices.Clip(hosts)
}

func (s Storage) locatePBS(v Volume) Location {
	repo := s.Options["server"]
	if strings.Contains(repo, ":") {
		repo = "[" + repo + "]"
	}
	if port := s.Options["port"]; port != "" && port != "8007" {
		repo += ":" + port
	}
	user := s.Options["username"]
	if user == "" {
		user = "root@pam"
	}
	url := "pbs://" + user + "@" + repo + ":" + s.Options["datastore"] + "/" + v.Name
	if ns := s.Options["namespace"]; ns != "" {
		url += "?ns=" + strings.ReplaceAll(ns, "/", "%2f")
	}
	return Archive{URL: url}
}
