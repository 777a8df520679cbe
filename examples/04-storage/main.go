// Command 04-storage leads one disk image through what a storage can do. The same program does it in a folder, in a ZFS pool and
// in a thin pool of LVM: what differs is only how the storage is opened.
//
//	go run ./examples/04-storage -type dir -path /tmp/vms
//	go run ./examples/04-storage -type zfspool -pool tank/vms
//	go run ./examples/04-storage -type lvmthin -group vg0 -pool thin
//
// It needs qemu-img, and root where the storage is one of devices. It leaves nothing behind in the storage.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/lvmthin"
	"github.com/turtacn/go-proxmox/storage/qimg"
	"github.com/turtacn/go-proxmox/storage/zfs"
)

func main() {
	var o options
	flag.StringVar(&o.Type, "type", "dir", "dir, zfspool or lvmthin")
	flag.StringVar(&o.Path, "path", "", "`folder`, for dir; it is made if it is not there")
	flag.StringVar(&o.Pool, "pool", "", "`dataset` of ZFS, or thin pool in the volume group")
	flag.StringVar(&o.Group, "group", "", "volume `group`, for lvmthin")
	flag.StringVar(&o.Image, "image", "", "qcow2 `file` to import; default: an empty one is made")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options say which storage, and what is imported.
type options struct{ Type, Path, Group, Pool, Image string }

// registry knows the types of storages of this program, as a configuration in the style of Proxmox VE names them.
func registry() (*storage.Registry, error) {
	return storage.NewRegistry(dir.Backend(nil), zfs.Backend(nil), lvmthin.Backend(nil))
}

func run(ctx context.Context, out io.Writer, o options) error {
	reg, err := registry()
	if err != nil {
		return err
	}
	store, err := reg.Open(storage.Config{ID: "example", Type: o.Type, Options: map[string]string{
		"path": o.Path, "pool": o.Pool, "vgname": o.Group, "thinpool": o.Pool, "sparse": "1", "content": "images",
	}})
	if err != nil {
		return err
	}
	tool, err := qimg.New(nil)
	if err != nil {
		return err
	}
	t := &tour{out: out, typ: o.Type, store: store, tool: tool, made: map[storage.VolumeID]bool{}}
	if a, ok := storage.As[storage.Activator](store); ok { // a pool is imported, folders are made
		if err := a.Activate(ctx); err != nil {
			return err
		}
	}
	if o.Image == "" {
		image, err := t.emptyImage(ctx)
		if err != nil {
			return err
		}
		defer os.Remove(image)
		o.Image = image
	}
	defer t.cleanUp(context.WithoutCancel(ctx)) // after an error; else nothing is left to do
	return t.walk(ctx, o.Image)
}
