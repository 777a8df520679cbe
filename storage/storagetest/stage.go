package storagetest

import (
	"context"
	"errors"
	"io"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

func (s *suite) stage() {
	const id = storage.VolumeID("iso/image.iso")
	st, ok := storage.As[storage.Stager](s.d)
	if !s.claims.Has(Stage) {
		if ok {
			_, err := st.Stage(s.ctx, id)
			s.fails(err, errors.ErrUnsupported)
		}
		return
	}
	require.True(s, ok, "claims Stage")
	upload := func(text string, replace bool) error {
		s.Helper()
		file, err := st.Stage(s.ctx, id)
		require.NoError(s, err)
		defer file.Discard()
		_, err = io.WriteString(file, text)
		require.NoError(s, err)
		s.sweepsNothing(s.ctx)
		return file.Commit(s.ctx, replace)
	}
	file, err := st.Stage(s.ctx, id)
	require.NoError(s, err)
	_, err = io.WriteString(file, "half")
	require.NoError(s, err)
	s.only()
	require.NoError(s, file.Discard())
	require.NoError(s, file.Discard())
	require.NoError(s, file.Commit(s.ctx, false), "a second end does nothing")
	s.only()
	s.noResidue()

	require.NoError(s, upload("first", false))
	s.fails(upload("second, longer", false), storage.ErrExists)
	v := s.stat(id)
	require.Equal(s, int64(len("first")), v.SizeBytes)
	require.Equal(s, storage.ISO, v.Content)
	require.Equal(s, []storage.VolumeID{id}, s.ids(storage.Filter{Content: storage.ISO}))
	require.NoError(s, upload("second, longer", true))
	require.Equal(s, int64(len("second, longer")), s.stat(id).SizeBytes)

	reason := errors.New("task stopped")
	ctx, cancel := context.WithCancelCause(s.ctx)
	file, err = st.Stage(ctx, id)
	require.NoError(s, err)
	cancel(reason)
	s.fails(file.Commit(ctx, true), reason)
	require.NoError(s, file.Discard())
	require.Equal(s, int64(len("second, longer")), s.stat(id).SizeBytes)
	for _, bad := range []storage.VolumeID{"iso/../x.iso", "iso/x\n.iso", "iso/a/b.iso", "iso/.iso/../..", "iso/x.sh", "iso/"} {
		_, err := st.Stage(s.ctx, bad)
		s.fails(err, storage.ErrBadID)
	}
	_, err = st.Stage(s.ctx, s.id(100, 0))
	require.Error(s, err, "a guest image comes by Create")
	require.NoError(s, s.d.Delete(s.ctx, id))
}
