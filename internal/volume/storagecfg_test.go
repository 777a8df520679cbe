package volume

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStorageCfg(t *testing.T) {
	const text = `# a comment that a rewrite loses
dir: local
	path /data/local
	content iso,backup
	nodes pve1

DIR: fast
	content images , rootdir;images
	path //srv//fast/
	prune-backups keep-last=3
	disable
	path /second/time
	bogus 1
	preallocation sometimes
	content-dirs vztmpl=tmpl,iso=isos
	shared 0

nfs: share
	server nas.example
	export /vol/1
	content iso,swap

drbd: old
	resource r

dir: 1bad
	path /x

lvmthin: thin
	thinpool data
	vgname pve
	content images,iso
`
	f, warnings := parseConfig(text, "/data/local")
	require.Len(t, warnings, 7, "%q", warnings)
	require.Equal(t, []string{"local", "fast", "share", "thin"}, ids(f))
	fast := f.byID["fast"]
	require.Equal(t, "/srv/fast", fast.Path())
	require.Equal(t, []string{"images", "rootdir"}, fast.Contents)
	require.True(t, fast.Disabled)
	require.False(t, fast.Shared)
	require.Empty(t, f.byID["local"].Nodes, "local is on every node")
	require.Equal(t, []string{"backup", "iso"}, f.byID["local"].Contents)
	require.Equal(t, "/mnt/pve/share", f.byID["share"].Path())
	require.True(t, f.byID["share"].Shared)
	require.Equal(t, []string{"images"}, f.byID["share"].Contents, "the type's default")
	require.Equal(t, []string{"images"}, f.byID["thin"].Contents, "without what the type does not offer")

	require.Equal(t, `dir: local
	path /data/local
	content backup,iso
	nodes pve1

dir: fast
	disable
	path /srv/fast
	content images,rootdir
	content-dirs iso=isos,vztmpl=tmpl
	prune-backups keep-last=3
	shared 0

nfs: share
	export /vol/1
	server nas.example

lvmthin: thin
	thinpool data
	vgname pve
	content images

`, f.sections.String())
}

func ids(f *configFile) (list []string) {
	for _, c := range f.storages {
		list = append(list, c.ID)
	}
	return list
}

func TestLocalIsThereWithoutBeingConfigured(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "other path": "dir: local\n\tpath /elsewhere\n\n", "other type": "lvm: local\n\tvgname x\n\n",
	} {
		f, _ := parseConfig(text, "/data/local")
		require.Len(t, f.storages, 1, name)
		require.Equal(t, Config{
			ID: "local", Type: "dir", Contents: []string{"backup", "images", "iso", "rootdir", "snippets", "vztmpl"},
			Options: map[string]string{"path": "/data/local", "content": "backup,images,iso,rootdir,snippets,vztmpl", "prune-backups": "keep-all=1"},
		}, f.storages[0], name)
	}
	f, _ := parseConfig("dir: local\n\tcontent iso\n\n", "/data/local")
	require.Equal(t, "/data/local", f.byID["local"].Path())
}

func TestContentRules(t *testing.T) {
	for text, want := range map[string]string{"none": "none", "": "none", "iso,images": "images,iso", "iso none": "unable to combine 'none' with other content types"} {
		got, err := storageTypes["dir"].content(text, func(string, ...any) {})
		if err != nil {
			got = err.Error()
		}
		require.Equal(t, want, got)
	}
	_, err := storageTypes["nfs"].content("none", func(string, ...any) {})
	require.EqualError(t, err, "storage does not support content type 'none'")
}

func FuzzStorageCfg(f *testing.F) {
	f.Add("dir: a1\n\tpath /x\n\tcontent iso\n\n")
	f.Add("dir:a1\n path /x\n shared\n#x\n\nnfs: b2\n\tserver h\n\texport /e\n")
	f.Fuzz(func(t *testing.T, text string) {
		first, _ := parseConfig(text, "/data/local")
		printed := first.sections.String()
		second, _ := parseConfig(printed, "/data/local")
		require.Equal(t, printed, second.sections.String(), "what is written reads as the same")
		require.Equal(t, first.storages, second.storages)
	})
}
