package rawstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

func TestThereAndBack(t *testing.T) {
	data := make([]byte, 3*chunk+12345)
	rand.NewChaCha8([32]byte{1}).Read(data[chunk+piece : 2*chunk])
	data[len(data)-1] = 1
	var stream bytes.Buffer
	require.NoError(t, WriteSize(&stream, int64(len(data))))
	require.NoError(t, Send(t.Context(), &stream, bytes.NewReader(data), int64(len(data))))

	size, err := ReadSize(&stream, 1, 1<<40)
	require.NoError(t, err)
	require.Equal(t, int64(len(data)), size)
	f, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, Receive(t.Context(), f, &stream, size))
	require.NoError(t, End(&stream))
	got, err := os.ReadFile(f.Name())
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}

func TestStreamsThatAreNotWhatTheySay(t *testing.T) {
	_, err := ReadSize(bytes.NewReader(make([]byte, 7)), 0, 10)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = ReadSize(bytes.NewReader(nil), 0, 10)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = ReadSize(bytes.NewReader([]byte{11, 0, 0, 0, 0, 0, 0, 0}), 0, 10)
	require.ErrorIs(t, err, storage.ErrUnsafe)
	_, err = ReadSize(bytes.NewReader(bytes.Repeat([]byte{0xff}, 8)), 0, 1<<62)
	require.ErrorIs(t, err, storage.ErrUnsafe)
	_, err = ReadSize(bytes.NewReader(make([]byte, 8)), 1, 10)
	require.ErrorIs(t, err, storage.ErrUnsafe)
	for _, n := range []int{0, 1, 9} {
		require.ErrorIs(t, Receive(t.Context(), nowhere{}, bytes.NewReader(make([]byte, n)), 10), io.ErrUnexpectedEOF)
		require.ErrorIs(t, Send(t.Context(), io.Discard, bytes.NewReader(make([]byte, n)), 10), io.ErrUnexpectedEOF)
	}
	require.ErrorIs(t, End(bytes.NewReader([]byte{0})), storage.ErrUnsafe)
	reason := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	require.ErrorIs(t, Receive(ctx, nowhere{}, bytes.NewReader(make([]byte, 10)), 10), reason)
	require.ErrorIs(t, Send(ctx, io.Discard, bytes.NewReader(make([]byte, 10)), 10), reason)
}

func TestFormats(t *testing.T) {
	require.NoError(t, Check(storage.StreamRaw, storage.StreamOptions{Snapshot: "one"}))
	for _, o := range []storage.StreamOptions{{Base: "one"}, {Snapshots: true}} {
		require.Empty(t, Formats(o))
		require.ErrorIs(t, Check(storage.StreamRaw, o), errors.ErrUnsupported)
	}
	require.ErrorIs(t, Check(storage.StreamZFS, storage.StreamOptions{}), errors.ErrUnsupported)
}

// nowhere takes everything.
type nowhere struct{}

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
