package volume_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
)

func post(params schema.Params) *schema.PostStorage { return &schema.PostStorage{Params: params} }

func TestStorageConfiguration(t *testing.T) {
	w := newWorld(t, "")
	folder := filepath.Join(t.TempDir(), "new")
	reply, err := w.PostStorage(w.ctx, post(schema.Params{"storage": "fast", "type": "dir", "path": folder, "content": "iso,images", "nodes": "", "shared": true}))
	require.NoError(t, err)
	require.Equal(t, schema.PostStorageReply{Storage: "fast", Type: "dir"}, reply)
	require.DirExists(t, filepath.Join(folder, "template", "iso"), "activated")
	kv, err := w.store.Get(w.ctx, volume.Key)
	require.NoError(t, err)
	require.Equal(t, "dir: fast\n\tpath "+folder+"\n\tcontent images,iso\n\tshared 1\n\n", string(kv.Value))

	row, err := w.GetStorageStorage(w.ctx, &schema.GetStorageStorage{Storage: "fast"})
	require.NoError(t, err)
	require.Len(t, row["digest"], 40)
	require.Equal(t, map[string]any{
		"storage": "fast", "type": "dir", "path": folder, "content": "images,iso", "shared": 1.0, "digest": row["digest"],
	}, asJSON(t, row))
	rows, err := w.GetStorage(w.ctx, &schema.GetStorage{})
	require.NoError(t, err)
	require.Len(t, rows, 2)
	rows, err = w.GetStorage(as("audit@pve"), &schema.GetStorage{})
	require.NoError(t, err)
	require.Len(t, rows, 1, "only what one may see")
	require.Equal(t, "local", rows[0]["storage"])

	_, err = w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "fast", Params: schema.Params{"content": "iso", "disable": true, "digest": row["digest"]}})
	require.NoError(t, err)
	_, err = w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "fast", Params: schema.Params{"content": "images", "digest": row["digest"]}})
	require.EqualError(t, err, "update storage failed: detected modified configuration - file changed by other user? Try again.")
	_, err = w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "fast", Params: schema.Params{"delete": "disable,shared"}})
	require.NoError(t, err)
	c, err := w.Storage(w.ctx, "fast")
	require.NoError(t, err)
	require.Equal(t, []string{"iso"}, c.Contents)
	require.False(t, c.Disabled || c.Shared)

	_, err = w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "local", Params: schema.Params{"content": "iso,import,images"}})
	require.NoError(t, err, "local is configured by changing it")
	ok, err := w.Supports(w.ctx, "local", "import")
	require.NoError(t, err)
	require.True(t, ok)

	_, err = w.store.Txn(w.ctx, cluster.Put("/pve/user.cfg", []byte(users+"acl:1:/storage/fast:audit@pve:Audit:\n")))
	require.NoError(t, err)
	_, err = w.DeleteStorageStorage(w.ctx, &schema.DeleteStorageStorage{Storage: "fast"})
	require.NoError(t, err)
	_, err = w.GetStorageStorage(w.ctx, &schema.GetStorageStorage{Storage: "fast"})
	require.EqualError(t, err, "storage 'fast' does not exist")
	kv, err = w.store.Get(w.ctx, "/pve/user.cfg")
	require.NoError(t, err)
	require.NotContains(t, string(kv.Value), "/storage/fast")
	require.Contains(t, string(kv.Value), "/storage/local")
	require.DirExists(t, folder, "what is in it stays")
}

func TestStorageConfigurationRefused(t *testing.T) {
	w := newWorld(t, "")
	blocker := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(blocker, nil, 0o600))
	for name, c := range map[string]struct {
		params schema.Params
		want   string
	}{
		"unknown option": {schema.Params{"storage": "x1", "type": "dir", "path": "/x", "server": "h"}, "unexpected property 'server'"},
		"missing option": {schema.Params{"storage": "x1", "type": "nfs", "server": "h"}, "missing value for required option 'export'"},
		"taken":          {schema.Params{"storage": "local", "type": "dir", "path": "/x"}, "create storage failed: storage ID 'local' already defined"},
		"path":           {schema.Params{"storage": "x1", "type": "dir", "path": "/x y"}, "illegal path for directory storage: /x y"},
		"content":        {schema.Params{"storage": "x1", "type": "dir", "path": "/x", "content": "none,iso"}, "unable to combine 'none' with other content types"},
		"not reachable": {schema.Params{"storage": "x1", "type": "dir", "path": blocker},
			"create storage failed: unable to activate storage 'x1' - directory '" + blocker + "' does not exist or is unreachable"},
		"password": {schema.Params{"storage": "x1", "type": "esxi", "server": "h", "username": "u"}, "missing password"},
		"key":      {schema.Params{"storage": "x1", "type": "pbs", "server": "h", "datastore": "d", "encryption-key": "plain"}, "Value does not seems like a valid, JSON formatted encryption key!"},
	} {
		_, err := w.PostStorage(w.ctx, post(c.params))
		require.EqualError(t, err, c.want, name)
	}
	_, err := w.store.Get(w.ctx, volume.Key)
	require.ErrorIs(t, err, cluster.ErrNotFound, "nothing was written")

	for name, c := range map[string]struct {
		params schema.Params
		want   string
	}{
		"fixed":          {schema.Params{"path": "/y"}, "update storage failed: can't change value of fixed parameter 'path'"},
		"other type's":   {schema.Params{"server": "h"}, "update storage failed: unexpected property 'server'"},
		"delete unknown": {schema.Params{"delete": "server"}, "update storage failed: no such option 'server'"},
		"delete path":    {schema.Params{"delete": "path"}, "update storage failed: unable to delete required option 'path'"},
		"both":           {schema.Params{"delete": "disable", "disable": true}, "update storage failed: cannot set and delete property 'disable' at the same time!"},
	} {
		_, err := w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "local", Params: c.params})
		require.EqualError(t, err, c.want, name)
	}
	_, err = w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "local", Params: schema.Params{"is_mountpoint": "x\n\tpath /etc"}})
	require.ErrorContains(t, err, "is_mountpoint", "a value cannot become a line of its own")
	_, err = w.DeleteStorageStorage(w.ctx, &schema.DeleteStorageStorage{Storage: "none"})
	require.EqualError(t, err, "delete storage failed: storage 'none' does not exist")
}

func TestSecretsOfStoragesAreKeptApart(t *testing.T) {
	w := newWorld(t, "")
	_, err := w.PostStorage(w.ctx, post(schema.Params{"storage": "bak", "type": "pbs", "server": "h", "datastore": "d", "username": "u@pbs",
		"password": "canary-pw", "encryption-key": `{"data":"canary-key"}`}))
	require.NoError(t, err)
	kv, err := w.store.Get(w.ctx, volume.Key)
	require.NoError(t, err)
	require.NotContains(t, string(kv.Value), "canary")
	row, err := w.GetStorageStorage(w.ctx, &schema.GetStorageStorage{Storage: "bak"})
	require.NoError(t, err)
	require.NotContains(t, row, "password")
	require.Equal(t, "1", row["encryption-key"])
	kv, err = w.store.Get(w.ctx, "/pve/priv/storage/bak.password")
	require.NoError(t, err)
	require.Equal(t, "canary-pw", string(kv.Value))
	_, err = w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "bak", Params: schema.Params{"delete": "encryption-key"}})
	require.NoError(t, err)
	_, err = w.DeleteStorageStorage(w.ctx, &schema.DeleteStorageStorage{Storage: "bak"})
	require.NoError(t, err)
	left, _, err := w.store.List(w.ctx, "/pve/priv/")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestContent(t *testing.T) {
	w := newWorld(t, "")
	alloc := func(name, size string, format *string) (string, error) {
		return w.PostNodesStorageContent(w.ctx, &schema.PostNodesStorageContent{Storage: "local", Vmid: 100, Filename: name, Size: size, Format: format})
	}
	id, err := alloc("vm-100-disk-0.raw", "4M", nil)
	require.NoError(t, err)
	require.Equal(t, "local:100/vm-100-disk-0.raw", id)
	_, err = alloc("vm-100-disk-0.raw", "4M", nil)
	require.EqualError(t, err, "disk image 'local:100/vm-100-disk-0.raw' already exists")
	for name, c := range map[string]struct {
		name, size string
		format     *string
	}{
		"format":     {"vm-100-disk-1.raw", "4M", ptr("qcow2")},
		"subvol":     {"vm-100-disk-1", "4M", ptr("subvol")},
		"no ending":  {"vm-100-disk-1", "4M", nil},
		"slash":      {"../101/vm-101-disk-1.raw", "4M", nil},
		"linked":     {"base-100-disk-0.raw/101/vm-101-disk-0.qcow2", "4M", nil},
		"huge":       {"vm-100-disk-1.raw", "99999999999999999999", nil},
		"overflow":   {"vm-100-disk-1.raw", "9223372036854775807G", nil},
		"snapshot":   {"snap-a-vm-100-disk-0.qcow2", "4M", nil},
		"line break": {"vm-100-disk-1\n.raw", "4M", nil},
	} {
		_, err := alloc(c.name, c.size, c.format)
		require.Error(t, err, name)
	}
	require.NoError(t, os.MkdirAll(filepath.Join(w.local, "template/iso"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(w.local, "template/iso/b.iso"), []byte("iso"), 0o644))
	backup := "vzdump-qemu-100-2025_01_02-03_04_05.vma.zst"
	require.NoError(t, os.WriteFile(filepath.Join(w.local, "dump", backup), []byte("b"), 0o644))

	rows := func(ctx context.Context, req schema.GetNodesStorageContent) (all []any) {
		req.Storage = "local"
		answer, err := w.GetNodesStorageContent(ctx, &req)
		require.NoError(t, err)
		for _, r := range asJSON(t, answer).([]any) {
			m := r.(map[string]any)
			require.Positive(t, m["ctime"])
			delete(m, "ctime")
			all = append(all, m)
		}
		return all
	}
	image := map[string]any{"volid": "local:100/vm-100-disk-0.raw", "content": "images", "format": "raw", "size": float64(4 << 20), "used": 0.0, "vmid": 100.0}
	iso := map[string]any{"volid": "local:iso/b.iso", "content": "iso", "format": "iso", "size": 3.0}
	dump := map[string]any{"volid": "local:backup/" + backup, "content": "backup", "format": "vma.zst", "subtype": "qemu", "size": 1.0, "vmid": 100.0}
	require.Equal(t, []any{image, dump, iso}, rows(w.ctx, schema.GetNodesStorageContent{}))
	require.Equal(t, []any{iso}, rows(w.ctx, schema.GetNodesStorageContent{Content: ptr("iso")}))
	require.Equal(t, []any{image, dump}, rows(w.ctx, schema.GetNodesStorageContent{Vmid: ptr(int64(100))}))
	require.Empty(t, rows(w.ctx, schema.GetNodesStorageContent{Content: ptr("import")}), "not a content of this storage")
	require.Equal(t, []any{iso}, rows(as("audit@pve"), schema.GetNodesStorageContent{}), "only what one may use")
	require.Equal(t, []any{image, iso}, rows(as("owner@pve"), schema.GetNodesStorageContent{}))

	info, err := w.GetNodesStorageContentVolume(w.ctx, &schema.GetNodesStorageContentVolume{Storage: ptr("local"), Volume: "100/vm-100-disk-0.raw"})
	require.NoError(t, err)
	require.Equal(t, schema.GetNodesStorageContentVolumeReply{Path: filepath.Join(w.local, "images/100/vm-100-disk-0.raw"), Format: "raw", Size: 4 << 20}, info)
	_, err = w.GetNodesStorageContentVolume(w.ctx, &schema.GetNodesStorageContentVolume{Volume: "local:iso/none.iso"})
	require.EqualError(t, err, "volume_size_info on 'local:iso/none.iso' failed - no format")
	_, err = w.GetNodesStorageContentVolume(w.ctx, &schema.GetNodesStorageContentVolume{Storage: ptr("other"), Volume: "local:iso/b.iso"})
	require.Equal(t, call.ParamErrors{"volume": "storage ID mismatch (other != local)\n"}, err)
	_, err = w.GetNodesStorageContentVolume(w.ctx, &schema.GetNodesStorageContentVolume{Volume: "iso/b.iso"})
	require.Equal(t, call.ParamErrors{"volume": "no storage specified - incomplete volume ID"}, err)

	put := func(ctx context.Context, req schema.PutNodesStorageContentVolume) error {
		req.Storage = ptr("local")
		_, err := w.PutNodesStorageContentVolume(ctx, &req)
		return err
	}
	require.NoError(t, put(w.ctx, schema.PutNodesStorageContentVolume{Volume: "backup/" + backup, Notes: ptr("n"), Protected: ptr(true)}))
	require.EqualError(t, put(w.ctx, schema.PutNodesStorageContentVolume{Volume: "iso/b.iso", Notes: ptr("n")}), "only backups can have notes")

	remove := func(ctx context.Context, v string, delay *int64) (any, error) {
		return w.DeleteNodesStorageContentVolume(ctx, &schema.DeleteNodesStorageContentVolume{Storage: ptr("local"), Volume: v, Delay: delay})
	}
	_, err = remove(as("audit@pve"), "iso/b.iso", nil)
	require.EqualError(t, err, "Permission check failed (/storage/local, Datastore.Allocate)")
	_, err = remove(w.ctx, "backup/"+backup, ptr(int64(20)))
	require.EqualError(t, err, "cannot remove protected volume 'backup/"+backup+"' on 'local'")
	require.NoError(t, put(as("backup@pve"), schema.PutNodesStorageContentVolume{Volume: "backup/" + backup, Protected: ptr(false)}))
	answer, err := remove(as("backup@pve"), "backup/"+backup, ptr(int64(20)))
	require.NoError(t, err)
	require.Nil(t, answer)
	task, err := remove(w.ctx, "local:100/vm-100-disk-0.raw", nil)
	require.NoError(t, err)
	require.Contains(t, task, ":imgdel:100@local:root@pam:")
	require.Equal(t, "OK", w.wait(t, task.(string)))
	_, err = w.Stat(w.ctx, "local:100/vm-100-disk-0.raw")
	require.EqualError(t, err, "volume 'local:100/vm-100-disk-0.raw' does not exist")
	task, err = remove(w.ctx, "100/vm-100-disk-0.raw", nil)
	require.NoError(t, err)
	require.Equal(t, "OK", w.wait(t, task.(string)), "gone is gone")
}

func TestProtectedBackupsAreLimited(t *testing.T) {
	w := newWorld(t, "dir: local\n\tcontent backup\n\tmax-protected-backups 1\n\n")
	require.NoError(t, os.MkdirAll(filepath.Join(w.local, "dump"), 0o755))
	var ids []string
	for _, name := range []string{"vzdump-qemu-100-2025_01_02-03_04_05.vma", "vzdump-qemu-100-2025_01_02-03_04_06.vma", "vzdump-lxc-100-2025_01_02-03_04_05.tar"} {
		require.NoError(t, os.WriteFile(filepath.Join(w.local, "dump", name), []byte("b"), 0o644))
		ids = append(ids, "local:backup/"+name)
	}
	protect := func(id string) error {
		_, err := w.PutNodesStorageContentVolume(w.ctx, &schema.PutNodesStorageContentVolume{Volume: id, Protected: ptr(true)})
		return err
	}
	require.NoError(t, protect(ids[0]))
	require.NoError(t, protect(ids[0]))
	require.EqualError(t, protect(ids[1]), "The number of protected backups per guest is limited to 1 on storage 'local'")
	require.NoError(t, protect(ids[2]), "another kind of guest")
}

func TestThreat2_UseOfVolumes(t *testing.T) {
	w := newWorld(t, "")
	const image, iso, backup, snippet = "local:100/vm-100-disk-0.raw", "local:iso/a.iso", "local:backup/vzdump-qemu-100-2025_01_02-03_04_05.vma", "local:snippets/x"
	for _, c := range []struct {
		user, volume string
		vmid         int
		want         bool
	}{
		{"root@pam", image, 0, true}, {"alloc@pve", image, 0, true}, {"alloc@pve", snippet, 0, true}, {"alloc@pve", backup, 0, true},
		{"audit@pve", iso, 0, true}, {"space@pve", iso, 0, true}, {"nobody@pve", iso, 0, false}, {"nobody@pve", iso, 100, false},
		{"nobody@pve", image, 100, true}, {"nobody@pve", backup, 100, true}, // the guest's own
		{"nobody@pve", image, 0, false}, {"audit@pve", image, 0, false}, {"space@pve", image, 101, false}, // a foreign guest's
		{"owner@pve", image, 101, true}, {"owner@pve", backup, 0, false}, {"owner@pve", "local:101/vm-101-disk-0.raw", 100, false},
		{"backup@pve", backup, 0, true}, {"backup@pve", image, 0, false}, {"audit@pve", snippet, 0, false}, {"space@pve", "local:backup/x.vma", 0, false},
		{"nobody@pve", "local:9000/base-9000-disk-0.raw/100/vm-100-disk-0.qcow2", 9000, false}, // a link does not make an owner
		{"root@pam", "/etc/passwd", 0, true}, {"alloc@pve", "/etc/passwd", 0, false}, {"root@pam!token", "/etc/passwd", 0, false},
		{"alloc@pve", "/dev/sda", 100, false}, {"alloc@pve", "nbd:127.0.0.1:1", 100, false}, {"alloc@pve", "", 100, false},
	} {
		err := w.CheckAccess(as(c.user), c.volume, c.vmid, "")
		require.Equal(t, c.want, err == nil, "%s %s %d: %v", c.user, c.volume, c.vmid, err)
	}
	err := w.CheckAccess(as("audit@pve"), image, 0, "")
	e, ok := errors.AsType[*call.Error](err)
	require.True(t, ok)
	require.Equal(t, 403, e.Status)
	require.Equal(t, "missing privileges to access "+image, e.Text)
	require.EqualError(t, w.CheckAccess(w.ctx, image, 0, "iso"), "unable to use volume "+image+" - content type needs to be 'iso'")
	require.NoError(t, w.CheckAccess(w.ctx, image, 0, "rootdir"))
	require.EqualError(t, w.CheckAccess(as("alloc@pve"), "/dev/sda", 0, ""), "Only root can pass arbitrary filesystem paths.")
}

func TestThreat1_VolumeIDsThatLeadOut(t *testing.T) {
	w := newWorld(t, "")
	for _, id := range []string{
		"local:100/../../etc/shadow", "local:iso/../../x.iso", "local:100/..", "local:../x", "local:100/vm-100-disk-0.raw\x00", "local:-rf",
		"local:iso/%2e%2e/x.iso\n", "local:100/vm-100-disk-0.raw/../../../etc/passwd", "local:", ":x", "local", "", "-", "local:import/../a.qcow2",
	} {
		_, err := w.Stat(w.ctx, id)
		require.Error(t, err, id)
		require.Error(t, w.Create(w.ctx, id, 1<<20), id)
		require.Error(t, w.Free(w.ctx, id), id)
		_, err = w.Attach(w.ctx, id, 0, false)
		require.Error(t, err, id)
		_, err = w.Path(w.ctx, id)
		require.Error(t, err, id)
		_, err = w.DeleteNodesStorageContentVolume(w.ctx, &schema.DeleteNodesStorageContentVolume{Storage: ptr("local"), Volume: id})
		require.Error(t, err, id)
	}
}

func TestCopyOfContent(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, "")
	require.NoError(t, w.Create(w.ctx, "local:100/vm-100-disk-0.raw", 1<<20))
	copyTo := func(ctx context.Context, from, to string) (string, error) {
		return w.PostNodesStorageContentVolume(ctx, &schema.PostNodesStorageContentVolume{Storage: ptr("local"), Volume: from, Target: to})
	}
	_, err := copyTo(as("alloc@pve"), "100/vm-100-disk-0.raw", "101/vm-101-disk-0.qcow2")
	require.EqualError(t, err, "Permission check failed (user != root@pam)")
	id, err := copyTo(w.ctx, "100/vm-100-disk-0.raw", "local:101/vm-101-disk-0.qcow2")
	require.NoError(t, err)
	require.Equal(t, "OK", w.wait(t, id))
	v, err := w.Stat(w.ctx, "local:101/vm-101-disk-0.qcow2")
	require.NoError(t, err)
	require.Equal(t, storage.QCOW2, v.Format)
	require.Equal(t, int64(1<<20), v.SizeBytes)
	id, err = copyTo(w.ctx, "100/vm-100-disk-0.raw", "101/vm-101-disk-0.qcow2")
	require.NoError(t, err)
	require.Equal(t, "disk image 'local:101/vm-101-disk-0.qcow2' already exists", w.wait(t, id))
	_, err = w.Stat(w.ctx, "local:101/vm-101-disk-0.qcow2")
	require.NoError(t, err, "the refused copy removes nothing")

	require.NoError(t, os.WriteFile(filepath.Join(w.local, "template/iso/a.iso"), []byte("iso"), 0o644))
	id, err = copyTo(w.ctx, "iso/a.iso", "iso/b.iso")
	require.NoError(t, err)
	require.Equal(t, "OK", w.wait(t, id))
	data, err := os.ReadFile(filepath.Join(w.local, "template/iso/b.iso"))
	require.NoError(t, err)
	require.Equal(t, "iso", string(data))
	_, err = copyTo(w.ctx, "iso/a.iso", "101/vm-101-disk-1.raw")
	require.Error(t, err)
}
