package machineconf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// TestLocated: a machine has its volumes where they were attached, and the rest where their names say.
func TestLocated(t *testing.T) {
	res, err := translate(t, "scsi0: thin:vm-310-disk-0\nscsi1: thin:vm-310-disk-1\n", launch)
	require.NoError(t, err)
	before := strings.Join(res.Argv(), "\n")
	for want, loc := range map[string]volid.Location{
		`"driver":"host_device","filename":"/dev/dm-7"`: volid.Device{Path: "/dev/dm-7"},
		`"conf":"/run/x/image.conf"`:                    volid.RBD{Pool: "p", Image: "i", Conf: "/run/x/image.conf", User: "u"},
		`"initiator-name":"iqn.2020-01.org.example:me"`: volid.ISCSI{Portal: "192.0.2.1:3260", Target: "iqn.t", LUN: 3, Initiator: "iqn.2020-01.org.example:me"},
	} {
		again, err := res.Located(func(id volid.ID) (volid.Location, error) {
			if id.Name == "vm-310-disk-0" {
				return loc, nil
			}
			return nil, nil
		})
		require.NoError(t, err)
		line := strings.Join(again.Argv(), "\n")
		node, err := machineconf.LocationNode(loc)
		require.NoError(t, err)
		require.Contains(t, node.JSON(), want)
		for _, part := range strings.Split(strings.Trim(want, "{}"), ",") {
			require.Contains(t, line, part)
		}
		require.NotContains(t, line, "vm-310-disk-0\"", "not where its name says")
		require.Contains(t, line, "vm-310-disk-1")
	}
	require.Equal(t, before, strings.Join(res.Argv(), "\n"), "the first translation stays what it was")
	_, err = res.Located(func(volid.ID) (volid.Location, error) { return nil, errors.New("not there") })
	require.EqualError(t, err, "not there")
	_, err = machineconf.LocationNode(nil)
	require.Error(t, err)
}
