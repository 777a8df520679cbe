package iscsi

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

const name = "iqn.2024-01.com.example:disks"

func TestAddresses(t *testing.T) {
	for portal, want := range map[string]string{
		"10.0.0.5": "10.0.0.5:3260", "10.0.0.5:860": "10.0.0.5:860", "disks.example.com": "disks.example.com:3260",
		"[fd00::5]": "[fd00::5]:3260", "fd00::5": "[fd00::5]:3260", "[fd00::5]:860": "[fd00::5]:860",
	} {
		d, err := NewDirect(portal, name, nil)
		require.NoError(t, err, portal)
		require.Equal(t, want, d.portal)
	}
	for _, portal := range []string{"", "-x", "a b", "a/b", "user%secret@host", "a,b", "a\nb"} {
		_, err := New(portal, name, nil)
		require.ErrorIs(t, err, fs.ErrInvalid, portal)
	}
	for _, bad := range []string{"", "disks", "--logout", "iqn.x y", "iqn.a/1", "iqn.a\n"} {
		_, err := New("10.0.0.5", bad, nil)
		require.ErrorIs(t, err, fs.ErrInvalid, bad)
	}
	_, err := NewDirect("10.0.0.5", name, &Options{Initiator: "me"})
	require.ErrorIs(t, err, fs.ErrInvalid)
}

func TestParseLUNs(t *testing.T) {
	const text = `Target:iqn.2024-01.com.example:other Portal:10.0.0.5:3260,1
  Lun:7    Type:DIRECT_ACCESS (Size:1G)
Target:iqn.2024-01.com.example:disks Portal:10.0.0.5:3260,1
  Lun:0    Type:STORAGE_ARRAY_CONTROLLER
  Lun:1    Type:DIRECT_ACCESS (Size:16M)
  Lun:12    Type:DIRECT_ACCESS (Size:2T)
Target:iqn.2024-01.com.example:disks Portal:10.0.0.6:3260,1
  Lun:1    Type:DIRECT_ACCESS (Size:16M)
  Lun:3    Type:CDROM
`
	luns, err := parseLUNs([]byte(text), name)
	require.NoError(t, err)
	require.Equal(t, []int{1, 12}, luns)
	_, err = parseLUNs([]byte(text), "iqn.2024-01.com.example:gone")
	require.ErrorIs(t, err, storage.ErrUnavailable)
	_, err = parseLUNs([]byte("Target:"+name+" \n Lun:99999999999999999999 Type:DIRECT_ACCESS"), name)
	require.Error(t, err)
}

func TestParsePortals(t *testing.T) {
	const text = "10.0.0.5:3260,1 iqn.2024-01.com.example:disks\n10.0.0.5:3260,1 iqn.2024-01.com.example:other\n" +
		"[fd00::5]:3260,2 iqn.2024-01.com.example:disks\n--logout iqn.2024-01.com.example:disks\nnowhere,1 iqn.2024-01.com.example:disks\n\n"
	require.Equal(t, []string{"10.0.0.5:3260", "[fd00::5]:3260"}, parsePortals([]byte(text), name))
}

func FuzzParseLUNs(f *testing.F) {
	f.Add([]byte("Target:" + name + " Portal:x\n  Lun:1    Type:DIRECT_ACCESS (Size:1G)\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		luns, err := parseLUNs(text, name)
		for _, n := range luns {
			require.NoError(t, err)
			require.GreaterOrEqual(t, n, 0)
		}
	})
}
