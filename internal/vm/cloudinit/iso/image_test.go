package iso_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/internal/vm/cloudinit/iso"
)

func ExampleImage_Bytes() {
	image, err := iso.Image{
		Label: "config-2",
		Files: []iso.File{{Path: "openstack/latest/user_data", Data: []byte("#cloud-config\n")}},
	}.Bytes()
	fmt.Println(string(image[16*iso.SectorBytes+1:][:5]), len(image)%iso.SectorBytes, err)
	// Output: CD001 0 <nil>
}

func TestDeterministic(t *testing.T) {
	image := iso.Image{Label: "x", ModTime: time.Unix(1, 0), Files: []iso.File{{"b", []byte("2")}, {"a/c", nil}}}
	one, err := image.Bytes()
	require.NoError(t, err)
	two, err := image.Bytes()
	require.NoError(t, err)
	require.True(t, bytes.Equal(one, two))
	require.Equal(t, uint32(len(one)/iso.SectorBytes), binary.LittleEndian.Uint32(one[16*iso.SectorBytes+80:]))
}

func TestRefused(t *testing.T) {
	for name, image := range map[string]iso.Image{
		"no label":        {},
		"long label":      {Label: strings.Repeat("x", 17)},
		"absolute path":   {Label: "x", Files: []iso.File{{"/a", nil}}},
		"climbing path":   {Label: "x", Files: []iso.File{{"../a", nil}}},
		"folder itself":   {Label: "x", Files: []iso.File{{".", nil}}},
		"twice":           {Label: "x", Files: []iso.File{{"a", nil}, {"a", nil}}},
		"file and folder": {Label: "x", Files: []iso.File{{"a", nil}, {"a/b", nil}}},
		"same short name": {Label: "x", Files: []iso.File{{"a-b", nil}, {"a_b", nil}}},
		"long name":       {Label: "x", Files: []iso.File{{strings.Repeat("n", 200), nil}}},
	} {
		_, err := image.Bytes()
		require.Error(t, err, name)
	}
}

// TestManyFiles needs folders of several sectors, and reads everything back with an independent reader.
func TestManyFiles(t *testing.T) {
	need.Tool(t, "isoinfo")
	image := iso.Image{Label: "many", ModTime: time.Date(2024, 2, 29, 1, 2, 3, 0, time.UTC)}
	for i := range 100 {
		data := []byte(strings.Repeat(fmt.Sprintf("%d,", i), i*40))
		image.Files = append(image.Files, iso.File{Path: fmt.Sprintf("dir%d/File number %03d.txt", i%3, i), Data: data})
	}
	raw, err := image.Bytes()
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "many.iso")
	require.NoError(t, os.WriteFile(name, raw, 0o600))
	for _, view := range []string{"-R", "-J"} {
		for _, i := range []int{0, 1, 50, 99} {
			out, err := exec.Command("isoinfo", view, "-i", name, "-x", "/"+image.Files[i].Path).Output()
			require.NoError(t, err)
			require.Equal(t, string(image.Files[i].Data), string(out), "%s %s", view, image.Files[i].Path)
		}
		out, err := exec.Command("isoinfo", view, "-i", name, "-f").Output()
		require.NoError(t, err)
		require.Equal(t, 103, strings.Count(string(out), "\n"))
	}
	out, err := exec.Command("isoinfo", "-R", "-l", "-i", name).Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "Feb 29 2024")
}
