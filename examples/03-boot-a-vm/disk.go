package main

import (
	"context"
	"fmt"
	"os"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/dir"
	"github.com/turtacn/go-proxmox/storage/qimg"
)

// importDisk copies a qcow2 image into a storage in the folder and says where a guest finds it. The image may come from
// anywhere: what its header could do to the host is checked first, and the format is never guessed.
func importDisk(ctx context.Context, folder, image string) (storage.File, error) {
	src, err := os.Open(image)
	if err != nil {
		return storage.File{}, err
	}
	defer src.Close()
	tool, err := qimg.New(nil)
	if err != nil {
		return storage.File{}, err
	}
	header, err := tool.Inspect(ctx, src, storage.QCOW2)
	if err != nil {
		return storage.File{}, err
	}
	store, err := dir.New(folder, &dir.Options{Tool: tool})
	if err != nil {
		return storage.File{}, err
	}
	if err := store.Activate(ctx); err != nil {
		return storage.File{}, err
	}

	// The volume shows when it is complete; if the copy fails there is none.
	spec := storage.VolumeSpec{ID: "100/vm-100-disk-0.qcow2", SizeBytes: header.VirtualBytes}
	volume, err := store.CreateFilled(ctx, spec, func(ctx context.Context, dst *storage.Image) error {
		return tool.Copy(ctx, dst, &storage.Image{File: src, Format: storage.QCOW2}, qimg.CopyOptions{Untrusted: true, TargetIsZero: true})
	})
	if err != nil {
		return storage.File{}, err
	}
	attached, err := store.Attach(ctx, volume.ID, storage.AttachOptions{})
	if err != nil {
		return storage.File{}, err
	}
	file, ok := attached.(storage.File)
	if !ok {
		return storage.File{}, fmt.Errorf("%T is no file", attached)
	}
	return file, nil
}
