package daemon

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// hostileNames are names of volumes behind "local:" that must lead nowhere.
var hostileNames = []string{
	"../../canary", "100/../../../../canary", "100/../../../canary.raw", "iso/../../../canary", "import/../../state/gpve.db",
	"snippets/../../config.yaml", "/etc/shadow", "100//etc/shadow", "100/..", "..", ".", "100/vm-100-disk-0.raw/../../../../canary",
	"%2e%2e/%2e%2e/canary", "100/%2e%2e/%2e%2e/canary", "100∕..∕..∕canary", "100/vm-100-disk-0.raw\x00.qcow2", "100/vm-100-disk-0.raw\nfile=/etc/shadow",
	"-rf", "100/-o", "iso/-.iso/../../x", "100/" + strings.Repeat("a", 5000) + ".raw", "iso/" + strings.Repeat("../", 300) + "etc/shadow",
	"import/json:{\"driver\":\"file\",\"filename\":\"/etc/shadow\"}", "nbd:127.0.0.1:10809", "\\..\\canary", "100/vm-100-disk-0.raw ",
}

// hostilePaths are what only root@pam may name.
var hostilePaths = []string{
	"/dev/sda", "/etc/passwd", "/proc/self/mem", "nbd:127.0.0.1:10809", "nbd://127.0.0.1/x", "json:{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}",
	"fat:rw:/etc", "host_device:/dev/sda", "./canary", "//etc/passwd",
}

// drives are the options of a VM that name a volume.
func drives(volume string) []client.Params {
	return []client.Params{
		{"scsi1": volume}, {"ide2": volume + ",media=cdrom"}, {"virtio3": "file=" + volume}, {"sata0": volume + ",size=1G"},
		{"efidisk0": volume}, {"tpmstate0": volume + ",version=v2.0"}, {"scsi1": "local:0,import-from=" + volume},
		{"efidisk0": "local:0,efitype=4m,pre-enrolled-keys=0,import-from=" + volume}, {"unused0": volume},
	}
}

const pathOfVM = "/nodes/" + testNode + "/qemu"

// outside lists what is in the data directory beside the storage's content, by size. Logs and state may grow.
func (h *house) outside() (files []string) {
	h.t.Helper()
	for _, pattern := range []string{"*", "data/*", "data/pki/*", "data/run/*", "data/local/*"} {
		found, err := filepath.Glob(filepath.Join(h.dir, pattern))
		require.NoError(h.t, err)
		files = append(files, found...)
	}
	return files
}

func TestThreat01_VolumeTraversal(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const canary = "CANARY of a file beside the storage"
	for _, name := range []string{"canary", "data/canary", "data/canary.raw"} {
		require.NoError(t, os.WriteFile(filepath.Join(h.dir, name), []byte(canary), 0o644))
	}
	h.vm(h.root, client.Params{"vmid": 100, "scsi0": "local:1"})
	admin := h.as("admin@pve", "/", "Administrator")
	before := h.outside()
	for _, name := range hostileNames {
		volume := "local:" + name
		for _, p := range drives(volume) {
			what := fmt.Sprintf("%.80q", compact(t, p))
			require.Error(t, h.attempt(admin, "PUT", pathOfVM+"/100/config", p), what)
			if _, only := p["unused0"]; !only {
				p["vmid"] = 200
				require.Error(t, h.attempt(admin, "POST", pathOfVM, p), what)
			}
		}
		for _, c := range []*client.Client{admin, h.root} {
			content := "/nodes/" + testNode + "/storage/local/content"
			for _, spelt := range []string{url.PathEscape(volume), url.PathEscape(name), (&url.URL{Path: volume}).EscapedPath()} {
				for _, method := range []string{"GET", "DELETE"} {
					r := h.raw(method, "/api2/json"+content+"/"+spelt, auth(c, true), "")
					require.NotContains(t, r.Body, canary)
					require.False(t, r.Status < 400 && !strings.Contains(r.Body, "UPID"), "%s %.60q: %d %s", method, spelt, r.Status, r.Body)
				}
				r := h.raw("PUT", "/api2/json"+content+"/"+spelt, form(auth(c, true)), "notes=x")
				require.GreaterOrEqual(t, r.Status, 400, "PUT %.60q", spelt)
			}
			require.Error(t, h.attempt(c, "POST", content, client.Params{"vmid": 100, "filename": name, "size": "1M"}), "allocate %.80q", name)
		}
	}
	for _, id := range []string{"../local", "local/../x", "-local", "lo\x00cal", strings.Repeat("l", 300)} {
		require.Error(t, h.attempt(admin, "PUT", pathOfVM+"/100/config", client.Params{"scsi1": id + ":1"}))
		require.Error(t, h.attempt(admin, "POST", pathOfVM+"/100/clone", client.Params{"newid": 201, "full": true, "storage": id}))
		require.Error(t, h.attempt(admin, "GET", "/nodes/"+testNode+"/storage/"+url.PathEscape(id)+"/content", nil))
	}
	// The files of cicustom are read when the medium is made.
	require.NoError(t, h.attempt(admin, "PUT", pathOfVM+"/100/config", client.Params{"ide2": "local:cloudinit"}))
	for _, name := range hostileNames {
		if err := h.attempt(admin, "PUT", pathOfVM+"/100/config", client.Params{"cicustom": "user=local:" + name}); err == nil {
			var conf map[string]any
			require.NoError(t, h.root.Get(t.Context(), pathOfVM+"/100/config", nil, &conf))
			if _, kept := conf["cicustom"]; kept {
				require.Error(t, h.attempt(admin, "PUT", pathOfVM+"/100/cloudinit", nil), "%.80q", name)
			}
		}
	}
	require.Equal(t, before, h.outside())
	for _, name := range []string{"canary", "data/canary", "data/canary.raw"} {
		text, err := os.ReadFile(filepath.Join(h.dir, name))
		require.NoError(t, err)
		require.Equal(t, canary, string(text))
	}
	var conf map[string]any
	require.NoError(t, h.root.Get(t.Context(), pathOfVM+"/100/config", nil, &conf))
	require.NotContains(t, conf, "scsi1")
}

func form(h http.Header) http.Header {
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	return h
}

// tenants are two users who share a storage: a@pve owns VM 200, b@pve VM 100 with a disk and a cloud-init medium.
func (h *house) tenants() (a, b *client.Client) {
	h.t.Helper()
	grants := func(id string) []string {
		return []string{"/vms/" + id, "PVEVMAdmin", "/storage/local", "PVEDatastoreUser", "/sdn/zones/localnetwork", "PVESDNUser"}
	}
	a, b = h.as("a@pve", grants("200")...), h.as("b@pve", grants("100")...)
	h.vm(b, client.Params{"vmid": 100, "name": "secret-of-b", "scsi0": "local:1", "ide2": "local:cloudinit"})
	h.vm(a, client.Params{"vmid": 200, "name": "of-a", "scsi0": "local:1"})
	return a, b
}

func TestThreat02_VolumesOfAnotherTenant(t *testing.T) {
	h := newHouse(t)
	a, b := h.tenants()
	for _, volume := range []string{"local:100/vm-100-disk-0.raw", "local:100/vm-100-cloudinit.qcow2"} {
		for _, p := range drives(volume) {
			what := compact(t, p)
			require.Error(t, h.attempt(a, "PUT", pathOfVM+"/200/config", p), what)
			require.Error(t, h.attempt(a, "POST", pathOfVM+"/200/config", p), what)
		}
		for method, path := range map[string]string{"GET": "", "DELETE": "", "PUT": ""} {
			refused(t, a.Do(t.Context(), method, "/nodes/"+testNode+"/storage/local/content/"+volume+path, nil, nil), 403, "")
		}
	}
	refusals := map[string]client.Params{
		"POST " + pathOfVM + "/100/clone":     {"newid": 200},
		"PUT " + pathOfVM + "/100/resize":     {"disk": "scsi0", "size": "+1G"},
		"PUT " + pathOfVM + "/100/unlink":     {"idlist": "scsi0"},
		"POST " + pathOfVM + "/100/template":  nil,
		"POST " + pathOfVM + "/100/move_disk": {"disk": "scsi0", "target-vmid": 200, "target-disk": "scsi1"},
		"DELETE " + pathOfVM + "/100":         nil,
		"POST " + pathOfVM + "/200/move_disk": {"disk": "scsi0", "target-vmid": 100, "target-disk": "scsi1"},
	}
	for call, p := range refusals {
		method, path, _ := strings.Cut(call, " ")
		err := h.attempt(a, method, path, p)
		require.Error(t, err, call)
		if !strings.Contains(call, "move_disk") { // not there yet: refused all the same
			refused(t, err, 403, "")
		}
	}
	// A VM that could be created with the foreign disk would carry it off.
	require.NoError(t, h.root.Put(t.Context(), "/access/acl", client.Params{"path": "/vms/201", "roles": "PVEVMAdmin", "users": "a@pve"}, nil))
	for _, p := range drives("local:100/vm-100-disk-0.raw") {
		if _, only := p["unused0"]; only {
			continue
		}
		p["vmid"] = 201
		refused(t, h.attempt(a, "POST", pathOfVM, p), 403, "")
	}
	// What a cloud-init medium is to contain can be read by the guest.
	require.NoError(t, h.root.Post(t.Context(), "/storage", client.Params{"storage": "other", "type": "dir", "path": filepath.Join(h.dir, "other"), "content": "snippets"}, nil))
	refused(t, h.attempt(a, "PUT", pathOfVM+"/200/config", client.Params{"cicustom": "user=other:snippets/secret.yaml"}), 403, "/storage/other")
	require.NoError(t, h.attempt(a, "PUT", pathOfVM+"/200/config", client.Params{"ide2": "local:cloudinit"}))
	if h.attempt(a, "PUT", pathOfVM+"/200/config", client.Params{"cicustom": "user=local:100/vm-100-disk-0.raw"}) == nil {
		require.Error(t, h.attempt(a, "PUT", pathOfVM+"/200/cloudinit", nil), "it is no snippet")
	}
	var rows []map[string]any
	require.NoError(t, a.Get(t.Context(), "/nodes/"+testNode+"/storage/local/content", nil, &rows))
	require.NotContains(t, compact(t, rows), "vm-100-")
	require.NoError(t, b.Get(t.Context(), "/nodes/"+testNode+"/storage/local/content", nil, &rows))
	require.Contains(t, compact(t, rows), "vm-100-disk-0", "the owner sees it")
}

func TestThreat08_NamesOfUploads(t *testing.T) {
	h := newHouse(t)
	uploader := h.as("up@pve", "/storage/local", "PVEDatastoreAdmin")
	names := []string{
		"../../x.iso", "a;id.iso", "a\nb.iso", "a\r\nX: y.iso", ".conf", "..", ".", "", "x.exe", "x.iso.exe", "-rf.iso", "/etc/cron.d/x.iso", `C:\x.iso`,
		"a b.iso", "ä.iso", strings.Repeat("n", 300) + ".iso", "x.iso\x00.exe", "$(id).iso", "`id`.iso", "x.iso/", "..iso", ".gpve-x.tmp", "x.conf", "%2e%2e%2fy.iso",
		"vm-100-disk-0.raw", "x.qcow2",
	}
	safe := regexp.MustCompile(`^template/iso/[-a-zA-Z0-9_.]+\.(iso|img)$`)
	before := h.outside()
	for _, name := range names {
		upid, err := uploader.Upload(t.Context(), testNode, "local", "iso", name, 5, strings.NewReader("12345"))
		if err == nil {
			uploader.WaitTask(t.Context(), upid, nil) // may fail; what counts is where files are
		}
	}
	root := h.data("local")
	require.NoError(t, filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(root, path) // both are absolute
			require.Regexp(t, safe, rel)
		}
		return err
	}))
	entries, err := os.ReadDir(h.data("local", "template", "iso"))
	require.NoError(t, err)
	require.NotEmpty(t, entries, "harmless names work")
	require.Subset(t, append(before, h.data("local", "template")), h.outside())

	for _, content := range []string{"images", "snippets", "backup", "rootdir", "../iso", ""} {
		_, err := uploader.Upload(t.Context(), testNode, "local", content, "x.iso", 1, strings.NewReader("1"))
		require.Error(t, err, content)
	}
	_, err = h.as("user@pve", "/storage/local", "PVEDatastoreUser").Upload(t.Context(), testNode, "local", "iso", "x.iso", 1, strings.NewReader("1"))
	refused(t, err, 403, "")
}

func TestThreat09_PathsOfTheHost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.vm(h.root, client.Params{"vmid": 100})
	before := h.outside()
	for _, c := range []*client.Client{h.as("admin@pve", "/", "Administrator"), h.withToken("root@pam", "full", false)} {
		for _, path := range hostilePaths {
			for _, p := range drives(path) {
				require.Error(t, h.attempt(c, "PUT", pathOfVM+"/100/config", p), compact(t, p))
			}
		}
		for _, p := range []client.Params{
			{"args": "-drive file=/etc/passwd"}, {"hookscript": "local:snippets/x.pl"}, {"hostpci0": "0000:00:1f.2"}, {"serial0": "/dev/ttyS0"},
			{"parallel0": "/dev/usb/lp0"}, {"usb0": "host=1-1"}, {"hookscript": "/bin/sh"}, {"lock": "backup"}, {"skiplock": true, "name": "x"},
		} {
			require.Error(t, h.attempt(c, "PUT", pathOfVM+"/100/config", p), compact(t, p))
			require.Error(t, h.attempt(c, "POST", pathOfVM+"/100/config", p), compact(t, p))
		}
	}
	require.Equal(t, before, h.outside())
	var conf map[string]any
	require.NoError(t, h.root.Get(t.Context(), pathOfVM+"/100/config", nil, &conf))
	for _, key := range []string{"scsi1", "args", "serial0", "hostpci0", "usb0", "lock", "cicustom", "efidisk0"} {
		require.NotContains(t, conf, key)
	}
}
