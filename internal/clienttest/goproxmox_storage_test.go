package clienttest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	proxmox "github.com/luthermonson/go-proxmox"
	"github.com/stretchr/testify/require"
)

func (g *goProxmox) storage(t *testing.T) {
	ctx := t.Context()
	list, err := g.node.Storages(ctx)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, storage, list[0].Name)
	require.Equal(t, 1, list[0].Enabled)
	require.Equal(t, 1, list[0].Active)
	require.InDelta(t, float64(list[0].Used)/float64(list[0].Total), list[0].UsedFraction, 0.05)

	g.store, err = g.node.Storage(ctx, storage)
	require.NoError(t, err)
	require.Equal(t, "dir", g.store.Type)
	require.Positive(t, g.store.Avail)
	for _, content := range []string{"images", "iso", "import"} {
		require.Contains(t, g.store.Content, content)
	}
	_, err = g.node.Storage(ctx, "attic")
	require.ErrorContains(t, err, "No such storage.")
	_, err = g.client.ClusterStorage(ctx, "attic")
	require.ErrorContains(t, err, "500 storage 'attic' does not exist")

	cluster, err := g.client.ClusterStorage(ctx, storage)
	require.NoError(t, err)
	require.Equal(t, "dir", cluster.Type)
	_, err = g.client.ClusterStorages(ctx)
	require.NoError(t, err)

	waitOK(t)(g.store.UploadWithName("import", g.house.guest, diskFile))
	imported, err := g.store.Import(ctx, diskFile)
	require.NoError(t, err)
	require.Equal(t, "qcow2", imported.Format)
	require.Positive(t, uint64(imported.Size))
}

// makeISO writes a small ISO image.
func makeISO(t *testing.T, dir, name string) string {
	t.Helper()
	content := filepath.Join(dir, "content")
	require.NoError(t, os.MkdirAll(content, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(content, "readme.txt"), []byte("nothing to see\n"), 0o644))
	file := filepath.Join(dir, name)
	out, err := exec.CommandContext(t.Context(), "genisoimage", "-quiet", "-o", file, content).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return file
}

func (g *goProxmox) isoImages(t *testing.T) {
	ctx := t.Context()
	file := makeISO(t, t.TempDir(), "small disc.iso")
	waitOK(t)(g.store.Upload("iso", file))
	iso, err := g.store.ISO(ctx, "small_disc.iso")
	require.NoError(t, err, "a blank in a name becomes _")
	st, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, uint64(st.Size()), uint64(iso.Size))

	data, err := os.ReadFile(file)
	require.NoError(t, err)
	sum := sha256.Sum256(data)
	waitOK(t)(g.store.UploadWithHash("iso", file, proxmox.Ptr("summed.iso"), hex.EncodeToString(sum[:]), "sha256"))
	sum[0]++
	task, err := g.store.UploadWithHash("iso", file, proxmox.Ptr("broken.iso"), hex.EncodeToString(sum[:]), "sha256")
	require.NoError(t, err)
	require.NoError(t, task.WaitFor(ctx, 30))
	require.Contains(t, task.ExitStatus, "checksum mismatch: got")
	require.True(t, task.IsFailed)

	_, err = g.store.UploadWithName("iso", file, "small.txt")
	require.ErrorContains(t, err, "bad request: 400 Parameter verification failed.")
	require.ErrorContains(t, err, "wrong file extension")

	content, err := g.store.GetContent(ctx)
	require.NoError(t, err)
	row := named(t, content, func(c *proxmox.StorageContent) bool { return c.Volid == storage+":iso/small_disc.iso" })
	require.Equal(t, "iso", row.Format)
	require.Equal(t, uint64(st.Size()), row.Size)
	require.Positive(t, uint64(row.Ctime))

	waitOK(t)(iso.Delete(ctx))
	waitOK(t)(g.store.DeleteContent(ctx, storage+":iso/summed.iso"))
	content, err = g.store.GetContent(ctx)
	require.NoError(t, err)
	require.Len(t, content, 1, "the guest's disk alone")
	_, err = g.store.ISO(ctx, "small_disc.iso")
	require.Error(t, err)
}
