package storagetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

var streamFormats = []storage.StreamFormat{storage.StreamRaw, storage.StreamQCOW2, storage.StreamVMDK, storage.StreamTar, storage.StreamZFS}

func (s *suite) streamer() (storage.Streamer, bool) {
	st, ok := storage.As[storage.Streamer](s.d)
	if s.claims.Has(Stream) {
		require.True(s, ok, "claims Stream")
		return st, true
	}
	if ok {
		v := s.create(100, 0)
		formats, err := st.StreamFormats(s.ctx, v.ID, storage.StreamOptions{})
		require.True(s, err == nil || errors.Is(err, errors.ErrUnsupported), "%v", err)
		require.Empty(s, formats)
		for _, f := range streamFormats {
			s.fails(st.Export(s.ctx, io.Discard, v.ID, f, storage.StreamOptions{}), errors.ErrUnsupported)
		}
	}
	return nil, false
}

// streamed is a volume with one snapshot, where there can be one, and content before and after it.
func (s *suite) streamed() (id storage.VolumeID, atSnapshot, now []byte) {
	id = s.create(100, 0).ID
	atSnapshot, now = pattern(s.size, 1), pattern(s.size, 2)
	if s.claims.Has(Open) {
		s.write(id, atSnapshot)
	}
	if sn, ok := storage.As[storage.Snapshotter](s.d); ok && s.claims.Has(Snapshot) {
		require.NoError(s, sn.Snapshot(s.ctx, id, "one"))
	}
	if s.claims.Has(Open) {
		s.write(id, now)
	}
	return id, atSnapshot, now
}

// ways are the forms and options in which the streamed volume can leave and come in again.
func (s *suite) ways(st storage.Streamer, id, to storage.VolumeID) []way {
	var ways []way
	options := []storage.StreamOptions{{}}
	if s.claims.Has(Snapshot) {
		options = append(options, storage.StreamOptions{Snapshot: "one"}, storage.StreamOptions{Snapshot: "one", Snapshots: true}, storage.StreamOptions{Snapshots: true})
	}
	for _, o := range options {
		out, err := st.StreamFormats(s.ctx, id, o)
		require.NoError(s, err)
		in, err := st.ImportFormats(to, o)
		require.NoError(s, err)
		for _, f := range streamFormats {
			if !slices.Contains(out, f) {
				s.fails(st.Export(s.ctx, io.Discard, id, f, o), errors.ErrUnsupported)
			} else if slices.Contains(in, f) {
				ways = append(ways, way{f, o})
			}
		}
		for _, f := range append(out, in...) {
			require.Contains(s, streamFormats, f)
		}
	}
	require.NotEmpty(s, ways, "claims Stream")
	return ways
}

type way struct {
	format storage.StreamFormat
	o      storage.StreamOptions
}

func (w way) String() string {
	return fmt.Sprintf("%s of snapshot %q, all %v", w.format, w.o.Snapshot, w.o.Snapshots)
}

func (s *suite) export(st storage.Streamer, id storage.VolumeID, w way) []byte {
	s.Helper()
	var buf bytes.Buffer
	require.NoError(s, st.Export(s.ctx, &buf, id, w.format, w.o), w)
	return buf.Bytes()
}

func (s *suite) stream() {
	st, ok := s.streamer()
	if !ok {
		return
	}
	id, atSnapshot, now := s.streamed()
	to := s.id(101, 0)
	ways := s.ways(st, id, to)
	for _, w := range ways {
		data := s.export(st, id, w)
		if w.format != storage.StreamZFS {
			require.Greater(s, len(data), 8)
			size := binary.LittleEndian.Uint64(data)
			if w.format == storage.StreamRaw {
				require.Equal(s, uint64(s.size), size, "the size in front")
				require.Len(s, data, 8+int(s.size))
			}
		}
		v, err := st.Import(s.ctx, bytes.NewReader(data), to, w.format, w.o)
		require.NoError(s, err, w)
		require.Equal(s, to, v.ID)
		require.Equal(s, s.size, v.SizeBytes)
		s.only(id, to)
		if s.claims.Has(Open) {
			want := now
			if w.o.Snapshot != "" && !w.o.Snapshots || w.format == storage.StreamZFS && w.o.Snapshot != "" {
				want = atSnapshot
			}
			s.holds(to, want)
		}
		_, err = st.Import(s.ctx, bytes.NewReader(data), to, w.format, w.o)
		s.fails(err, storage.ErrExists)
		if sn, ok := storage.As[storage.Snapshotter](s.d); ok && w.o.Snapshots {
			require.Equal(s, []string{"one"}, s.names(sn, to), w)
		}
		require.NoError(s, s.d.Delete(s.ctx, to))
	}
	s.fails(st.Export(s.ctx, io.Discard, s.id(100, 9), storage.StreamRaw, storage.StreamOptions{}), storage.ErrNotFound)
	_, err := st.Import(s.ctx, bytes.NewReader(nil), to, "parcel", storage.StreamOptions{})
	s.fails(err, errors.ErrUnsupported)
	lost := errors.New("line cut")
	w := ways[0]
	s.fails(st.Export(s.ctx, failingWriter{lost}, id, w.format, w.o), lost)
	s.only(id)
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

// streamCut: a stream that ends early, breaks off or lies leaves nothing.
func (s *suite) streamCut() {
	if !s.claims.Has(Stream) {
		return // unclaimed: see stream
	}
	st, _ := s.streamer()
	id, _, _ := s.streamed()
	to := s.id(101, 0)
	cut := map[way]bool{}
	for _, w := range s.ways(st, id, to) {
		kind := way{w.format, storage.StreamOptions{Snapshots: w.o.Snapshots}}
		if cut[kind] && w.format != storage.StreamZFS { // the same for who reads it, whatever it was
			continue
		}
		cut[kind] = true
		data := s.export(st, id, w)
		for _, n := range []int{0, 1, 7, 8, 9, len(data) / 2, len(data) - 1} {
			_, err := st.Import(s.ctx, bytes.NewReader(data[:n]), to, w.format, w.o)
			if err == nil && w.format != storage.StreamRaw && n == len(data)-1 { // padding at the end of an archive
				require.NoError(s, s.d.Delete(s.ctx, to))
				continue
			}
			require.Error(s, err, "%s: %d of %d bytes", w, n, len(data))
			s.fails(err, err)
		}
		lost := errors.New("line cut")
		_, err := st.Import(s.ctx, failingReader{bytes.NewReader(data[:len(data)/2]), lost}, to, w.format, w.o)
		s.fails(err, lost)

		reason := errors.New("task stopped")
		ctx, cancel := context.WithCancelCause(s.ctx)
		_, err = st.Import(ctx, io.MultiReader(bytes.NewReader(data[:len(data)/2]), readFunc(func([]byte) (int, error) {
			cancel(reason)
			return 0, reason
		})), to, w.format, w.o)
		s.fails(err, reason)
		if w.format != storage.StreamZFS {
			for _, size := range []uint64{0, 1<<63 - 1, 1<<64 - 1} {
				lie := slices.Concat(binary.LittleEndian.AppendUint64(nil, size), data[8:])
				if _, err := st.Import(s.ctx, bytes.NewReader(lie), to, w.format, w.o); err == nil {
					require.NotEqual(s, storage.StreamRaw, w.format, "a size of %d", size)
					require.NoError(s, s.d.Delete(s.ctx, to)) // the image inside knows its own size
				}
			}
		}
		s.only(id)
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func (s *suite) streamIncremental() {
	st, ok := storage.As[storage.Streamer](s.d)
	if !ok {
		return // unclaimed: see stream
	}
	whole, changes := storage.StreamOptions{Snapshot: "one"}, storage.StreamOptions{Snapshot: "two", Base: "one"}
	if !s.claims.Has(Incremental) {
		v := s.create(100, 0)
		formats, err := st.StreamFormats(s.ctx, v.ID, changes)
		require.True(s, err != nil || len(formats) == 0, "unclaimed, but offers %v", formats)
		return
	}
	sn, _ := s.snapshotter()
	id, one, two := s.create(100, 0).ID, pattern(s.size, 1), pattern(s.size, 1)
	copy(two[s.size/2:], "what changed")
	s.write(id, one)
	require.NoError(s, sn.Snapshot(s.ctx, id, "one"))
	s.write(id, two)
	require.NoError(s, sn.Snapshot(s.ctx, id, "two"))
	formats, err := st.StreamFormats(s.ctx, id, changes)
	require.NoError(s, err)
	require.NotEmpty(s, formats, "claims Incremental")
	to := s.id(101, 0)
	full := s.export(st, id, way{formats[0], whole})
	delta := s.export(st, id, way{formats[0], changes})
	require.Less(s, len(delta), len(full), "only what changed")
	_, err = st.Import(s.ctx, bytes.NewReader(delta), to, formats[0], changes)
	require.Error(s, err, "changes of nothing")
	s.only(id)
	_, err = st.Import(s.ctx, bytes.NewReader(full), to, formats[0], whole)
	require.NoError(s, err)
	s.holds(to, one)
	_, err = st.Import(s.ctx, bytes.NewReader(delta[:len(delta)/2]), to, formats[0], changes)
	require.Error(s, err, "half the changes")
	s.holds(to, one)
	require.Equal(s, []string{"one"}, s.names(sn, to))
	_, err = st.Import(s.ctx, bytes.NewReader(delta), to, formats[0], changes)
	require.NoError(s, err)
	s.holds(to, two)
	require.Equal(s, []string{"one", "two"}, s.names(sn, to))
}
