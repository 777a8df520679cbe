package lvm

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/storage"
)

// writing is a fill with this content.
func writing(data []byte) func(context.Context, *storage.Image) error {
	return func(_ context.Context, img *storage.Image) error {
		_, err := img.File.WriteAt(data, 0)
		return err
	}
}

// disk is the beginning of the disk below the group.
func disk(t *testing.T) []byte {
	f, err := os.Open(need.LabDisk(t, 0))
	require.NoError(t, err)
	defer f.Close()
	data := make([]byte, 32<<20)
	_, err = io.ReadFull(f, data)
	require.NoError(t, err)
	return data
}
