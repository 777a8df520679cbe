package lint

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/turtacn/go-proxmox"

// room says what a package (and the packages below it, unless they have a row of their own) may import of this module.
// A trailing slash-star means the package and everything below.
type room struct {
	path string
	may  []string
	why  string
}

// small are the rooms that every ring may use: they know nothing of the domain.
var small = []string{"internal/errclass", "internal/undo", "internal/proc", "internal/atomicfile", "internal/pveconf"}

// wire is the vocabulary in which the API and the rooms behind it speak.
var wire = []string{"proxmoxapi/schema", "proxmoxapi/call", "proxmoxapi/upid"}

// base is what most rooms behind the API stand on.
var base = slices.Concat(wire, []string{"cluster", "internal/access", "internal/task", "internal/inventory"})

var rooms = []room{
	{"internal/errclass", nil, "leaf of leaves"},
	{"internal/undo", nil, "leaf of leaves"},
	{"internal/proc", nil, "leaf of leaves"},
	{"internal/atomicfile", nil, "leaf of leaves"},
	{"internal/pveconf", nil, "text formats, no domain"},
	{"internal/calendar", nil, "text of calendar events, no domain"},
	{"internal/cephconf", nil, "text of ceph.conf, no domain"},
	{"internal/hostdisk", nil, "texts of disk tools, no domain"},
	{"internal/hosttool", nil, "runs programs, knows none"},
	{"internal/disks", slices.Concat(base, []string{"internal/hostdisk", "internal/hosttool", "internal/volume"}), "disks of the node; registers storages on them"},
	{"internal/kernelversion", nil, "text of kernel names, no domain"},
	{"internal/need", nil, "tests only"},
	{"internal/lint", nil, "tests only"},
	{"internal/cephlab", nil, "tests only"},

	{"qmp", []string{"qmp/*"}, "a leaf for anyone: no Proxmox, no daemon"},
	{"qmp/internal/qemutest", []string{"qmp", "internal/need"}, "tests only"},
	{"storage", []string{"storage", "storage/volid", "storage/qimg", "storage/internal/*"}, "a driver knows the contract, never another driver"},
	{"storage/internal/holders", nil, "who has a device open; block drivers share it"},
	{"storage/internal/lvmcmd", []string{"storage"}, "lvm2's commands and reports alone"},
	{"storage/internal/lvmlab", nil, "tests only"},
	{"storage/internal/maker", nil, "names of what is not finished; drivers share them"},
	{"storage/internal/rawstream", []string{"storage"}, "raw bytes with their size; drivers share it"},
	{"storage/internal/lvmgroup", []string{"storage", "storage/internal/holders", "storage/internal/lvmcmd", "storage/internal/maker", "storage/internal/rawstream"}, "what thick and thin logical volumes share"},
	{"storage/lvm", []string{"storage", "storage/volid", "storage/internal/lvmcmd", "storage/internal/lvmgroup", "storage/internal/rawstream"}, "a driver knows the contract, never another driver"},
	{"storage/lvmthin", []string{"storage", "storage/volid", "storage/internal/lvmcmd", "storage/internal/lvmgroup", "storage/internal/rawstream"}, "a driver knows the contract, never another driver"},
	{"storage/volid", nil, "pure table, usable without any driver"},
	{"storage/qimg", []string{"storage"}, "qemu-img alone, in the contract's terms"},
	{"storage/storagetest", []string{"storage", "storage/volid", "storage/qimg", "internal/need"}, "the suite that every driver passes"},
	{"storage/nfs", []string{"storage", "storage/volid", "storage/qimg", "storage/dir"}, "nfs is dir on a mount"},
	{"netkit", []string{"netkit/*"}, "a leaf for anyone"},
	{"netkit/netkittest", []string{"netkit", "internal/need"}, "tests only"},
	{"cluster", []string{"cluster/*"}, "a leaf for anyone"},

	{"proxmoxapi", []string{"proxmoxapi/*"}, "declares what it consumes; knows no domain package, driver or QEMU"},

	{"internal/access", slices.Concat(wire, []string{"cluster", "proxmoxapi/ticket", "internal/access/*"}), "users and permissions stand on the store alone"},
	{"internal/task", slices.Concat(wire, []string{"cluster"}), "operations know nothing of what they do"},
	{"internal/inventory", slices.Concat(wire, []string{"cluster", "internal/access", "proxmoxapi/vmconfig"}), "read model, fed by watch; parses what it lists"},
	{"internal/volume", slices.Concat(base, []string{"storage", "storage/volid", "storage/qimg", "storage/ovf", "storage/prune", "storage/vma", "internal/hosttool", "internal/hostdisk"}), "storage service over the drivers' contract"},
	{"internal/hostnet", slices.Concat(base, []string{"netkit", "internal/hostnet/interfaces"}), "network of the node"},
	{"internal/hostnet/interfaces", nil, "pure: one file format"},
	{"internal/guestfw", slices.Concat(base, []string{"netkit", "netkit/firewall", "netkit/firewall/nflog", "proxmoxapi/vmconfig"}), "the node's firewall over netkit's"},
	{"internal/node", base, "the node itself"},
	{"internal/datacenter", slices.Concat(base, []string{"proxmoxapi/vmconfig", "internal/access/usercfg"}), "options, pools, log"},
	{"internal/console", slices.Concat(base, []string{"proxmoxapi/ticket"}), "streams to guests; finds them through an interface"},
	{"internal/vm/cloudinit", []string{"proxmoxapi/vmconfig", "internal/vm/cloudinit/iso"}, "pure: configuration to image"},
	{"internal/vm/machineconf", []string{"proxmoxapi/vmconfig", "qmp/machine", "storage/volid"}, "pure: configuration to machine"},
	{"internal/vm/showcmd", []string{"proxmoxapi/vmconfig", "qmp/machine", "storage/volid", "internal/vm/machineconf", "proxmoxapi/schema"}, "a translation, printed"},
	{"internal/vm", slices.Concat(base, []string{
		"internal/vm/*", "internal/volume", "internal/hostnet", "internal/guestfw", "proxmoxapi/vmconfig",
		"qmp", "qmp/*", "storage", "storage/volid",
	}), "orchestrates a guest from all its parts"},

	{"daemon", []string{"*"}, "composition root"},
	{"internal/tinyguest", []string{"internal/need"}, "tests only"},
	{"internal/lab", nil, "a program that runs tests, under their feet"},
	{"internal/acceptance", []string{"*"}, "a program over all packages"},
	{"internal/demo", []string{"*"}, "a program over all packages"},
	{"examples", []string{"*"}, "what users would import"},
}

// roomOf finds the row of the package or of its nearest parent.
func roomOf(pkg string) (room, bool) {
	for p := pkg; ; {
		for _, r := range rooms {
			if r.path == p {
				return r, true
			}
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			return room{}, false
		}
		p = p[:i]
	}
}

func allowed(r room, pkg, imp string) bool {
	for _, m := range slices.Concat(r.may, small) {
		if prefix, wild := strings.CutSuffix(m, "*"); m == imp || wild && strings.HasPrefix(imp+"/", prefix) {
			return true
		}
	}
	return false
}

func list(t *testing.T, args ...string) [][]string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
	require.NoError(t, err)
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Fields(line))
	}
	return rows
}

func TestImportArrows(t *testing.T) {
	for _, row := range list(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...") {
		pkg, inside := strings.CutPrefix(row[0], module+"/")
		if !inside {
			continue // the module's root: documentation alone
		}
		r, ok := roomOf(pkg)
		if !ok {
			t.Errorf("%s has no row in the table of rooms", pkg)
			continue
		}
		for _, full := range row[1:] {
			imp, ours := strings.CutPrefix(full, module+"/")
			if !ours || imp == pkg || strings.HasPrefix(imp, pkg+"/internal") {
				continue
			}
			if !allowed(r, pkg, imp) {
				t.Errorf("%s imports %s, but %s: %s", pkg, imp, r.path, r.why)
			}
		}
	}
}

// TestQMPStaysSmall keeps the client cheap for whoever imports it alone.
func TestQMPStaysSmall(t *testing.T) {
	for _, row := range list(t, "-deps", "-f", `{{.ImportPath}} {{.Standard}}`, module+"/qmp") {
		pkg, std := row[0], row[1] == "true"
		ours := strings.HasPrefix(pkg, module+"/qmp") || strings.HasPrefix(pkg, module+"/internal/")
		if !std && !ours && !strings.HasPrefix(pkg, "golang.org/x/sys") {
			t.Errorf("qmp depends on %s", pkg)
		}
	}
}

// TestNoHiddenStart refuses package initialisation functions: nothing may happen because something was imported.
func TestNoHiddenStart(t *testing.T) {
	out, _ := exec.Command("git", "-C", "../..", "grep", "-nE", `^func init\(\)`, "--", "*.go", ":!*_test.go").Output()
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "daemon/cmd/gpved/") { // pins the main thread to the host's namespaces
			t.Errorf("init function: %s", strings.TrimSpace(line))
		}
	}
}

func TestRoomsTable(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rooms {
		require.False(t, seen[r.path], fmt.Sprint("two rows for ", r.path))
		seen[r.path] = true
		require.NotEmpty(t, r.why, r.path)
	}
}
