package storagetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

type creator struct {
	storage.Driver
	made int
}

func (c *creator) Create(context.Context, storage.VolumeSpec) (storage.Volume, error) {
	c.made++
	return storage.Volume{ID: "made"}, nil
}

func TestFaulty(t *testing.T) {
	lost := errors.New("answer lost")
	when := ""
	d := &creator{}
	f := &storagetest.Faulty{Driver: d, Fault: func(op string, _ storage.VolumeID, after bool) error {
		if when == op+" before" && !after || when == op+" after" && after {
			return lost
		}
		return nil
	}}
	v, err := f.Create(t.Context(), storage.VolumeSpec{})
	require.NoError(t, err)
	require.Equal(t, storage.VolumeID("made"), v.ID)
	when = "create before"
	_, err = f.Create(t.Context(), storage.VolumeSpec{})
	require.ErrorIs(t, err, lost)
	require.Equal(t, 1, d.made)
	when = "create after"
	_, err = f.Create(t.Context(), storage.VolumeSpec{})
	require.ErrorIs(t, err, lost)
	require.Equal(t, 2, d.made, "it happened, and nobody knows")
	when = "list before"
	for _, err := range f.List(t.Context(), storage.Filter{}) {
		require.ErrorIs(t, err, lost)
	}
	require.Same(t, d, f.Unwrap())
}
