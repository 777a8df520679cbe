package storagetest

import (
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// creates makes all of specs at once and returns their errors.
func (s *suite) creates(specs []storage.VolumeSpec) []error {
	var wg sync.WaitGroup
	errs := make([]error, len(specs))
	for i, spec := range specs {
		wg.Go(func() { _, errs[i] = s.d.Create(s.ctx, spec) })
	}
	wg.Wait()
	return errs
}

func (s *suite) race() {
	for round := range 3 {
		specs := make([]storage.VolumeSpec, 8)
		for i := range specs {
			specs[i] = s.spec(100, round)
		}
		won := 0
		for _, err := range s.creates(specs) {
			if err == nil {
				won++
			} else {
				s.fails(err, storage.ErrExists)
			}
		}
		require.Equal(s, 1, won)
		require.Len(s, s.all(storage.Filter{}), round+1)
	}
}

func (s *suite) parallel() {
	var specs []storage.VolumeSpec
	var want []storage.VolumeID
	for n := range s.c.Parallel {
		spec := s.spec(100+n%7, n)
		specs, want = append(specs, spec), append(want, spec.ID)
	}
	for i, err := range s.creates(specs) {
		require.NoError(s, err, specs[i].ID)
	}
	s.only(want...)
	var wg sync.WaitGroup
	errs := make([]error, len(want))
	for i, id := range want {
		wg.Go(func() { errs[i] = s.d.Delete(s.ctx, id) })
	}
	wg.Wait()
	for i, err := range errs {
		require.NoError(s, err, want[i])
	}
	require.Empty(s, s.all(storage.Filter{}))
}
