package volume_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
)

func TestBWLimit(t *testing.T) {
	w := newWorld(t, "dir: local\n\tbwlimit default=500,clone=300\n\ndir: free\n\tpath /srv/free\n\n")
	_, err := w.store.Txn(w.ctx, cluster.Put("/pve/datacenter.cfg", []byte("keyboard: de\nbwlimit: default=1000,move=200\n")))
	require.NoError(t, err)
	for _, c := range []struct {
		user, op string
		storages []string
		override *int64
		want     int64
	}{
		{"root@pam", "clone", []string{"local"}, nil, 300},
		{"root@pam", "restore", []string{"local"}, nil, 500},
		{"root@pam", "clone", []string{"local", "free"}, nil, 300},
		{"root@pam", "move", []string{"free", "local"}, nil, 200},
		{"root@pam", "move", nil, nil, 200},
		{"root@pam", "clone", []string{"local"}, ptr(int64(0)), 0},
		{"alloc@pve", "clone", []string{"local"}, ptr(int64(9000)), 9000},
		{"alloc@pve", "clone", []string{"local", "free"}, ptr(int64(9000)), 1000},
		{"space@pve", "clone", []string{"local"}, ptr(int64(9000)), 300},
		{"space@pve", "clone", []string{"local"}, ptr(int64(100)), 100},
		{"space@pve", "clone", []string{"local"}, ptr(int64(0)), 300},
	} {
		got, err := w.BWLimit(as(c.user), c.op, c.storages, c.override)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%+v", c)
	}
	_, err = w.BWLimit(w.ctx, "clone", []string{"nowhere"}, nil)
	require.Error(t, err)
}
