package storagetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
	"github.com/turtacn/go-proxmox/storage/storagetest"
)

var everything = map[storage.Format]storagetest.Claims{storage.Raw: storagetest.Resize | storagetest.Snapshot | storagetest.RollbackPast |
	storagetest.Clone | storagetest.Rename | storagetest.Open | storagetest.OpenSnapshot | storagetest.Fill | storagetest.Copy | storagetest.CopySnapshot}

func config(wrap func(*storagetest.Memory) storage.Driver) storagetest.Config {
	return storagetest.Config{
		Type: "rbd", Claims: everything, SizeBytes: 256 << 10,
		New: func(t *testing.T) storage.Driver { return wrap(storagetest.NewMemory(t, nil)) },
		Residue: func(t *testing.T, d storage.Driver) []string {
			m, ok := storage.As[*storagetest.Memory](d)
			require.True(t, ok)
			return m.Residue()
		},
		Full: func(t *testing.T) (storage.Driver, int64) {
			return wrap(storagetest.NewMemory(t, &storagetest.MemoryOptions{CapacityBytes: 8 << 20})), 16 << 20
		},
	}
}

func TestMemory(t *testing.T) {
	storagetest.Run(t, config(func(m *storagetest.Memory) storage.Driver { return m }))
}

func TestMemoryBehindAWrapper(t *testing.T) {
	storagetest.Run(t, config(func(m *storagetest.Memory) storage.Driver {
		return storagetest.NewFaults(m, func(storage.Call) storagetest.Fault { return storagetest.Fault{} })
	}))
}

func TestMemoryThatClaimsNothing(t *testing.T) {
	none := map[storage.Format]storagetest.Claims{storage.Raw: 0}
	storagetest.Run(t, storagetest.Config{Type: "rbd", Claims: none, New: func(t *testing.T) storage.Driver {
		return storagetest.NewMemory(t, &storagetest.MemoryOptions{Claims: none})
	}})
}

func TestSequences(t *testing.T) {
	storagetest.Sequences(t, config(func(m *storagetest.Memory) storage.Driver { return m }), 20)
}

func FuzzMemory(f *testing.F) {
	c := config(func(m *storagetest.Memory) storage.Driver { return m })
	c.SizeBytes = 8 << 10 // the books are fuzzed, not the bytes
	storagetest.FuzzSequences(f, c)
}

func TestFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := errors.New("answer lost")
		var fault storagetest.Fault
		f := storagetest.NewFaults(storagetest.NewMemory(t, nil), func(c storage.Call) storagetest.Fault {
			if c.Op == "create" || c.Op == "resize" {
				return fault
			}
			return storagetest.Fault{}
		})
		spec := storage.VolumeSpec{ID: "vm-100-disk-0", SizeBytes: 1 << 20}
		fault = storagetest.Fault{Before: lost}
		_, err := f.Create(t.Context(), spec)
		require.ErrorIs(t, err, lost)
		_, err = f.Stat(t.Context(), spec.ID)
		require.ErrorIs(t, err, storage.ErrNotFound)
		fault = storagetest.Fault{After: lost}
		_, err = f.Create(t.Context(), spec)
		require.ErrorIs(t, err, lost)
		_, err = f.Stat(t.Context(), spec.ID)
		require.NoError(t, err, "it happened, and nobody knows")

		r, ok := storage.As[storage.Resizer](f)
		require.True(t, ok)
		fault = storagetest.Fault{Before: lost}
		_, err = r.Resize(t.Context(), spec.ID, 2<<20)
		require.ErrorIs(t, err, lost, "capabilities too")
		fault = storagetest.Fault{Delay: time.Minute}
		began := time.Now()
		_, err = r.Resize(t.Context(), spec.ID, 2<<20)
		require.NoError(t, err)
		require.Equal(t, time.Minute, time.Since(began))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = r.Resize(ctx, spec.ID, 2<<20)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		hang := make(chan struct{})
		fault = storagetest.Fault{Hang: hang}
		time.AfterFunc(time.Hour, func() { close(hang) })
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		r.Resize(ctx, spec.ID, 2<<20)
		require.Equal(t, time.Hour, time.Since(began), "as long as the kernel likes")
	})
}
