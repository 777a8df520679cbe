package call_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

func TestEncoder(t *testing.T) {
	var enc call.Encoder
	short, err := enc.Encode([]string{"<a>", "é"})
	require.NoError(t, err)
	require.Equal(t, `{"data":["<a>","é"]}`, string(short.Body()))
	require.Equal(t, `["<a>","é"]`, string(short.Value()))
	require.Nil(t, short.Gzip())
	whole, err := json.Marshal(map[string]any{"rows": short})
	require.NoError(t, err)
	require.JSONEq(t, `{"rows":["<a>","é"]}`, string(whole))

	_, err = enc.Encode(make(chan int))
	require.Error(t, err)
}

func TestEncoderConcurrently(t *testing.T) {
	var enc call.Encoder
	var all sync.WaitGroup
	for _, c := range "abcdef" {
		all.Go(func() {
			for range 20 {
				want := strings.Repeat(string(c), 5000)
				e, err := enc.Encode(want)
				if err != nil {
					t.Error(err)
					return
				}
				r, err := gzip.NewReader(bytes.NewReader(e.Gzip()))
				if err != nil {
					t.Error(err)
					return
				}
				if plain, err := io.ReadAll(r); err != nil || !bytes.Equal(plain, e.Body()) {
					t.Errorf("unpacked %d bytes, %v", len(plain), err)
				}
			}
		})
	}
	all.Wait()
}
