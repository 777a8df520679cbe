package dir_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
)

func Example() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	reg, err := storage.NewRegistry(dir.Backend(nil))
	if err != nil {
		panic(err)
	}
	drv, err := reg.Open(storage.Config{ID: "local", Type: "dir", Options: map[string]string{"path": folder}})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	vol, err := drv.Create(ctx, storage.VolumeSpec{ID: "100/vm-100-disk-0.raw", SizeBytes: 1 << 30})
	fmt.Println(vol.ID, vol.Format, vol.SizeBytes, vol.UsedBytes, err)
	_, err = drv.Create(ctx, storage.VolumeSpec{ID: vol.ID, SizeBytes: 1 << 30})
	fmt.Println(errors.Is(err, storage.ErrExists))
	if r, ok := storage.As[storage.Resizer](drv); ok {
		vol, err = r.Resize(ctx, vol.ID, 2<<30)
		fmt.Println(vol.SizeBytes, err)
	}
	fmt.Println(drv.Delete(ctx, vol.ID))
	// Output:
	// 100/vm-100-disk-0.raw raw 1073741824 0 <nil>
	// true
	// 2147483648 <nil>
	// <nil>
}
