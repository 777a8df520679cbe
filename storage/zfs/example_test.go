package zfs_test

import (
	"context"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/zfs"
)

// Example shows a volume from its making to its use by a guest.
func Example() {
	ctx := context.Background()
	d, err := zfs.New("tank/guests", &zfs.Options{Sparse: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	v, err := d.Create(ctx, storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 32 << 30})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	at, err := d.Attach(ctx, v.ID, storage.AttachOptions{UID: 64100})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(at.(storage.Block).Path)
}
