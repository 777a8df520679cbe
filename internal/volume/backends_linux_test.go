package volume_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/hosttool"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
)

// special is a directory with ways of its own: it copies from its like, and gives its volumes as a stream only.
type special struct {
	storage.Driver
	dir      *dir.Driver
	closed   bool // no volume opens
	natively *int
	refuse   error
}

func (s special) CopyFrom(ctx context.Context, spec storage.VolumeSpec, src storage.Driver, id storage.VolumeID, o storage.CopyOptions) (storage.Volume, error) {
	if s.refuse != nil {
		return storage.Volume{}, s.refuse
	}
	*s.natively++
	return s.dir.Create(ctx, spec)
}

func (s special) Open(ctx context.Context, id storage.VolumeID, write bool) (*storage.Image, error) {
	if s.closed {
		return nil, errors.ErrUnsupported
	}
	return s.dir.Open(ctx, id, write)
}

func (s special) StreamFormats(context.Context, storage.VolumeID, storage.StreamOptions) ([]storage.StreamFormat, error) {
	return []storage.StreamFormat{storage.StreamZFS, storage.StreamRaw}, nil
}

func (s special) Export(ctx context.Context, w io.Writer, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) error {
	img, err := s.dir.Open(ctx, id, false)
	if err != nil {
		return err
	}
	defer img.Close()
	data, err := io.ReadAll(img.File)
	if err != nil {
		return err
	}
	head := make([]byte, 8)
	for i, n := 0, len(data); i < 8; i, n = i+1, n>>8 {
		head[i] = byte(n)
	}
	_, err = w.Write(append(head, data...))
	return err
}

func (s special) ImportFormats(storage.VolumeID, storage.StreamOptions) ([]storage.StreamFormat, error) {
	return []storage.StreamFormat{storage.StreamRaw}, nil
}

func (s special) Import(ctx context.Context, r io.Reader, id storage.VolumeID, format storage.StreamFormat, o storage.StreamOptions) (storage.Volume, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return storage.Volume{}, err
	}
	return s.dir.CreateFilled(ctx, storage.VolumeSpec{ID: id, SizeBytes: int64(len(data) - 8)}, func(_ context.Context, img *storage.Image) error {
		_, err := img.File.WriteAt(data[8:], 0)
		return err
	})
}

func TestCopyTakesTheBestWay(t *testing.T) {
	need.Tool(t, "qemu-img")
	natively := 0
	var refuse error
	closed := false
	backend := storage.Backend{Type: "cifs", Open: func(cfg storage.Config) (storage.Driver, error) {
		d, err := dir.New(cfg.Options["path"], nil)
		return special{Driver: plainDriver{d}, dir: d, closed: closed, natively: &natively, refuse: refuse}, err
	}}
	copyOnce := func(o volume.CopyOptions) (*world, error) {
		w := newWorldBackends(t, "cifs: bb\n\tserver s\n\tshare x\n\tpath "+t.TempDir()+"\n\tcontent images\n\n", nil, backend)
		require.NoError(t, w.Create(w.ctx, "bb:100/vm-100-disk-0.raw", 1<<20))
		p, err := w.Path(w.ctx, "bb:100/vm-100-disk-0.raw")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(p, bytes.Repeat([]byte("d"), 1<<20), 0o600))
		return w, w.Copy(w.ctx, "bb:100/vm-100-disk-0.raw", "bb:101/vm-101-disk-0.raw", o)
	}
	_, err := copyOnce(volume.CopyOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, natively)

	refuse = errors.ErrUnsupported // this pair has no such way: the bytes are copied
	w, err := copyOnce(volume.CopyOptions{})
	require.NoError(t, err)
	requireContent(t, w, "bb:101/vm-101-disk-0.raw")

	closed = true // nor do the volumes open: a stream
	var last, total int64
	w, err = copyOnce(volume.CopyOptions{Progress: func(d, n int64) { last, total = d, n }})
	require.NoError(t, err)
	requireContent(t, w, "bb:101/vm-101-disk-0.raw")
	require.EqualValues(t, 1<<20, total)
	require.Equal(t, total, last)

	refuse = storage.ErrNoSpace // what fails is no reason to try otherwise
	w, err = copyOnce(volume.CopyOptions{})
	require.ErrorIs(t, err, storage.ErrNoSpace)
	_, err = w.Stat(w.ctx, "bb:101/vm-101-disk-0.raw")
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.Equal(t, 1, natively)
}

func requireContent(t *testing.T, w *world, id string) {
	t.Helper()
	p, err := w.Path(w.ctx, id)
	require.NoError(t, err)
	got, err := os.ReadFile(p)
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte("d"), 1<<20), got)
}

// plainDriver hides all capabilities.
type plainDriver struct{ storage.Driver }

// TestThreat27_SecretsOfStorages: what is secret about a storage lies in files that only the daemon reads, is in no answer,
// and goes with the storage.
func TestThreat27_SecretsOfStorages(t *testing.T) {
	const secret = "hunter2-canary"
	priv := filepath.Join(t.TempDir(), "priv")
	w := newWorldWith(t, "", func(o *volume.Options) { o.PrivDir = priv })
	params := schema.Params{"storage": "share", "type": "cifs", "server": "192.0.2.9", "share": "x", "username": "u", "password": secret}
	_, err := w.PostStorage(w.ctx, &schema.PostStorage{Params: params})
	require.NoError(t, err)
	file := filepath.Join(priv, "storage/share.pw")
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "password="+secret+"\n", string(got))
	fi, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), fi.Mode().Perm())
	fi, err = os.Stat(filepath.Dir(file))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), fi.Mode().Perm())

	kv, err := w.store.Get(w.ctx, volume.Key)
	require.NoError(t, err)
	require.NotContains(t, string(kv.Value), secret)
	rows, err := w.GetStorage(w.ctx, &schema.GetStorage{})
	require.NoError(t, err)
	require.NotContains(t, asText(t, rows), secret)

	_, err = w.PutStorageStorage(w.ctx, &schema.PutStorageStorage{Storage: "share", Params: schema.Params{"password": "other"}})
	require.NoError(t, err)
	got, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "password=other\n", string(got))
	_, err = w.DeleteStorageStorage(w.ctx, &schema.DeleteStorageStorage{Storage: "share"})
	require.NoError(t, err)
	require.NoFileExists(t, file)
	_, err = w.store.Get(w.ctx, "/pve/priv/storage/share.password")
	require.ErrorIs(t, err, cluster.ErrNotFound)

	for option, p := range map[string]schema.Params{
		"keyring":       {"storage": "ceph", "type": "rbd", "keyring": "no keyring"},
		"master-pubkey": {"storage": "pbs", "type": "pbs", "server": "s", "datastore": "d", "encryption-key": `{"data":"x"}`, "master-pubkey": "nothing"},
	} {
		_, err = w.PostStorage(w.ctx, &schema.PostStorage{Params: p})
		require.ErrorContains(t, err, map[string]string{"keyring": "Not a proper rbd authentication file", "master-pubkey": "PEM"}[option])
	}
	_, err = w.PostStorage(w.ctx, &schema.PostStorage{Params: schema.Params{"storage": "ceph", "type": "rbd", "monhost": "192.0.2.1", "keyring": "[client.admin]\n\tkey = AQBx==\n"}})
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(priv, "ceph/ceph.keyring"))
}

func asText(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				b.WriteString(k + " ")
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case string:
			b.WriteString(v + " ")
		}
	}
	walk(asJSON(t, v))
	return b.String()
}

func TestBaseOfAVolumeGroup(t *testing.T) {
	w := newWorld(t, "dir: dd\n\tpath /srv/d\n\n")
	for base, text := range map[string]string{"none:0.0.0.x": "base storage ID 'none' does not exist", "dd:x": "unsupported base type 'dir'"} {
		_, err := w.PostStorage(w.ctx, &schema.PostStorage{Params: schema.Params{"storage": "vg", "type": "lvm", "vgname": "vg", "base": base, "nodes": "elsewhere"}})
		require.ErrorContains(t, err, text)
	}
}

func TestStoragesForNodes(t *testing.T) {
	w := newWorld(t, "lvm: shared\n\tvgname vga\n\tnodes pve2\n\ndir: mine\n\tpath /srv/m\n\tnodes pve1\n\n")
	lvm := map[string]string{"vgname": "vga", "content": "images"}
	require.NoError(t, w.CheckForNode(w.ctx, "lvm", "shared", lvm))
	require.NoError(t, w.AddForNode(w.ctx, "lvm", "shared", lvm))
	require.NoError(t, w.AddForNode(w.ctx, "lvm", "fresh", map[string]string{"vgname": "vgb"}))
	c, err := w.Storage(w.ctx, "shared")
	require.NoError(t, err)
	require.Equal(t, []string{"pve1", "pve2"}, c.Nodes)
	require.EqualError(t, w.AddForNode(w.ctx, "lvm", "shared", lvm), "Storage ID 'shared' already exists on node pve1")
	require.EqualError(t, w.CheckForNode(w.ctx, "zfspool", "mine", map[string]string{"pool": "p"}), "Storage ID 'mine' already exists on node pve1")
	require.NoError(t, w.DropForNode(w.ctx, func(c *volume.Config) bool { return c.Type == "lvm" }))
	c, err = w.Storage(w.ctx, "shared")
	require.NoError(t, err)
	require.Equal(t, []string{"pve2"}, c.Nodes)
	_, err = w.Storage(w.ctx, "fresh")
	require.ErrorIs(t, err, storage.ErrNotFound, "no node is left of it")
	require.EqualError(t, w.CheckForNode(w.ctx, "lvm", "shared", map[string]string{"vgname": "other"}), "Option 'vgname' (other) does not match existing storage configuration 'vga'")
}

const descriptor = `<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
<References><File ovf:href="small.raw" ovf:id="f1"/></References>
<DiskSection><Disk ovf:capacity="1" ovf:capacityAllocationUnits="byte * 2^20" ovf:diskId="d1" ovf:fileRef="f1"/></DiskSection>
<VirtualSystem ovf:id="x"><Name>my box</Name>
<VirtualHardwareSection>
<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType><rasd:Address>0</rasd:Address></Item>
<Item><rasd:InstanceID>4</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType><rasd:Parent>3</rasd:Parent><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/d1</rasd:HostResource></Item>
</VirtualHardwareSection></VirtualSystem></Envelope>`

func TestAppliance(t *testing.T) {
	need.Tool(t, "qemu-img")
	w := newWorld(t, allContents)
	folder := filepath.Join(w.local, "import")
	require.NoError(t, os.MkdirAll(folder, 0o755))
	disk := bytes.Repeat([]byte("d"), 1<<20)
	var ova bytes.Buffer
	tw := tar.NewWriter(&ova)
	for _, m := range []struct {
		name string
		data []byte
	}{{"box.ovf", []byte(descriptor)}, {"small.raw", disk}} {
		require.NoError(t, tw.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o600, Typeflag: tar.TypeReg}))
		_, err := tw.Write(m.data)
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	require.NoError(t, os.WriteFile(filepath.Join(folder, "box.ova"), ova.Bytes(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "box.ovf"), []byte(descriptor), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "small.raw"), disk, 0o600))

	got, err := w.GetNodesStorageImportMetadata(w.ctx, &schema.GetNodesStorageImportMetadata{Storage: "local", Volume: "import/box.ova"})
	require.NoError(t, err)
	require.Equal(t, "my-box", got.CreateArgs["name"])
	require.Equal(t, map[string]any{"volid": "local:import/box.ova/small.raw", "size": int64(1 << 20)}, got.Disks["scsi0"])
	require.Equal(t, "ova-needs-extracting", got.Warnings[0].Type)
	got, err = w.GetNodesStorageImportMetadata(w.ctx, &schema.GetNodesStorageImportMetadata{Storage: "local", Volume: "local:import/box.ovf"})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"volid": "local:import/small.raw", "size": int64(1 << 20)}, got.Disks["scsi0"])
	_, err = w.GetNodesStorageImportMetadata(w.ctx, &schema.GetNodesStorageImportMetadata{Storage: "local", Volume: "import/small.raw"})
	require.EqualError(t, err, "invalid format")

	require.NoError(t, w.Import(w.ctx, "local:import/box.ova/small.raw", "local:100/vm-100-disk-0.raw", volume.CopyOptions{}))
	requireContent(t, w, "local:100/vm-100-disk-0.raw")
	require.ErrorContains(t, w.Import(w.ctx, "local:import/box.ova/other.raw", "local:100/vm-100-disk-1.raw", volume.CopyOptions{}), "is not in the archive")
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Len(t, entries, 3, "what was extracted is gone")
}

// programs answers in place of the host's programs.
type programs map[string]string

func (p programs) Run(_ context.Context, c hosttool.Command) ([]byte, error) {
	out, ok := p[c.Name]
	if !ok {
		return nil, hosttool.ErrMissing
	}
	if c.Name == "smbclient" {
		for _, a := range c.Args {
			if strings.Contains(a, "secret") {
				return nil, errors.New("a password among the arguments")
			}
		}
	}
	return []byte(out), nil
}

func TestScan(t *testing.T) {
	w := newWorldWith(t, "", func(o *volume.Options) {
		o.Tools = programs{
			"showmount": "/srv/with blank *\n/srv/a   192.0.2.0/24,198.51.100.1\nnoise\n",
			"smbclient": "Disk|data|my files\nDisk|C$|hidden\nIPC|IPC$|x\n",
			"vgs":       `{"report":[{"vg":[{"vg_name":"v","vg_size":"9","vg_free":"4","lv_count":"2"}]}]}`,
			"lvs":       `{"report":[{"lv":[{"vg_name":"v","lv_name":"p","lv_attr":"twi-a-","lv_size":"8"}]}]}`,
			"zfs":       "tank\t900\t100\n",
		}
	})
	index, err := w.GetNodesScan(w.ctx, nil)
	require.NoError(t, err)
	require.Len(t, index, 6)
	nfs, err := w.GetNodesScanNfs(w.ctx, &schema.GetNodesScanNfs{Server: "192.0.2.1"})
	require.NoError(t, err)
	require.Equal(t, []schema.GetNodesScanNfsRow{{Path: "/srv/with blank", Options: "*"}, {Path: "/srv/a", Options: "192.0.2.0/24,198.51.100.1"}}, nfs)
	shares, err := w.GetNodesScanCifs(w.ctx, &schema.GetNodesScanCifs{Server: "192.0.2.1", Username: ptr("u"), Password: ptr("secret")})
	require.NoError(t, err)
	require.Equal(t, []schema.GetNodesScanCifsRow{{Share: "data", Description: "my files"}}, shares)
	groups, err := w.GetNodesScanLvm(w.ctx, nil)
	require.NoError(t, err)
	require.Equal(t, []map[string]any{{"vg": "v", "size": int64(9), "free": int64(4), "lvcount": 2}}, groups)
	pools, err := w.GetNodesScanLvmthin(w.ctx, &schema.GetNodesScanLvmthin{Vg: "v"})
	require.NoError(t, err)
	require.Len(t, pools, 1)
	datasets, err := w.GetNodesScanZfs(w.ctx, nil)
	require.NoError(t, err)
	require.Equal(t, []map[string]any{{"pool": "tank", "size": int64(900), "free": int64(800)}}, datasets)

	for _, server := range []string{"-x", "a b", "a;b", "//x", "", "a\nb"} {
		_, err := w.GetNodesScanNfs(w.ctx, &schema.GetNodesScanNfs{Server: server})
		require.Error(t, err, server)
		_, err = w.GetNodesScanCifs(w.ctx, &schema.GetNodesScanCifs{Server: server})
		require.Error(t, err, server)
	}
	_, err = w.GetNodesScanLvmthin(w.ctx, &schema.GetNodesScanLvmthin{Vg: "-x"})
	require.Error(t, err)
	w = newWorldWith(t, "", func(o *volume.Options) { o.Tools = programs{} })
	_, err = w.GetNodesScanNfs(w.ctx, &schema.GetNodesScanNfs{Server: "192.0.2.1"})
	require.EqualError(t, err, "the program 'showmount' is not installed on this node")
	_, err = w.GetNodesScanPbs(w.ctx, &schema.GetNodesScanPbs{Server: "127.0.0.1", Username: "u@pbs", Password: "x"})
	require.EqualError(t, err, "error fetching datastores - the address is not allowed")
}
