package storage_test

import (
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

type plain struct{ storage.Driver }

type growing struct{ storage.Driver }

func (growing) Resize(context.Context, storage.VolumeID, int64) (storage.Volume, error) {
	return storage.Volume{}, nil
}

type wrapper struct{ storage.Driver }

func (w wrapper) Unwrap() storage.Driver { return w.Driver }

func TestAsLooksThroughWrappers(t *testing.T) {
	_, ok := storage.As[storage.Resizer](plain{})
	require.False(t, ok)
	_, ok = storage.As[storage.Resizer](wrapper{wrapper{growing{}}})
	require.True(t, ok)
	_, ok = storage.As[storage.Resizer](nil)
	require.False(t, ok)
}

func TestRegistry(t *testing.T) {
	open := func(cfg storage.Config) (storage.Driver, error) {
		if cfg.Options["path"] == "" {
			return nil, errors.New("no path")
		}
		return plain{}, nil
	}
	reg, err := storage.NewRegistry(storage.Backend{Type: "dir", Open: open})
	require.NoError(t, err)
	require.Equal(t, []string{"dir"}, reg.Types())

	_, err = reg.Open(storage.Config{ID: "x", Type: "dir", Options: map[string]string{"path": "/x"}})
	require.NoError(t, err)
	_, err = reg.Open(storage.Config{ID: "x", Type: "dir"})
	require.EqualError(t, err, "storage: dir: open: no path")
	_, err = reg.Open(storage.Config{ID: "x", Type: "drbd"})
	require.ErrorIs(t, err, storage.ErrUnknownType)
	require.ErrorIs(t, err, errors.ErrUnsupported)

	_, err = storage.NewRegistry(storage.Backend{Type: "dir", Open: open}, storage.Backend{Type: "dir", Open: open})
	require.ErrorContains(t, err, "two backends")
	_, err = storage.NewRegistry(storage.Backend{Type: "nfs"})
	require.ErrorContains(t, err, "incomplete")
}

func TestErrors(t *testing.T) {
	err := error(&storage.OpError{Op: "delete", Driver: "dir", Volume: "100/vm-100-disk-0.raw", Err: storage.ErrNotFound})
	require.EqualError(t, err, "storage: dir: delete 100/vm-100-disk-0.raw: volume not found")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, err, storage.ErrNotFound)
	require.NotErrorIs(t, err, storage.ErrInUse)
}

func TestFilterAndFeatures(t *testing.T) {
	v := &storage.Volume{Content: storage.Images, Owner: 100, Features: storage.FeatureCopy | storage.FeatureResize}
	require.True(t, storage.Filter{}.Match(v))
	require.True(t, storage.Filter{Content: storage.Images, Owner: 100}.Match(v))
	require.False(t, storage.Filter{Owner: 101}.Match(v))
	require.False(t, storage.Filter{Content: storage.ISO}.Match(v))
	require.True(t, v.Features.Has(storage.FeatureCopy))
	require.False(t, v.Features.Has(storage.FeatureCopy|storage.FeatureSnapshot))
}
