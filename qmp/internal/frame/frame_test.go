package frame_test

import (
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp/internal/frame"
)

func TestNextCutsAnyShape(t *testing.T) {
	stream := "\r\n{\"a\": \"}{\\\"\\\\\"}{}\n{\n  \"b\": [ {\"c\": [1, 2]} ]\n}\r\n"
	want := []string{`{"a": "}{\"\\"}`, `{}`, "{\n  \"b\": [ {\"c\": [1, 2]} ]\n}"}
	sources := map[string]func() io.Reader{
		"whole":    func() io.Reader { return strings.NewReader(stream) },
		"by byte":  func() io.Reader { return iotest.OneByteReader(strings.NewReader(stream)) },
		"by half":  func() io.Reader { return iotest.HalfReader(strings.NewReader(stream)) },
		"with EOF": func() io.Reader { return iotest.DataErrReader(strings.NewReader(stream)) },
	}
	for name, src := range sources {
		t.Run(name, func(t *testing.T) {
			r := frame.NewReader(src(), 1<<10, 8)
			for _, w := range want {
				got, err := r.Next()
				require.NoError(t, err)
				require.Equal(t, w, string(got))
			}
			_, err := r.Next()
			require.ErrorIs(t, err, io.EOF)
		})
	}
}

func TestNextRefuses(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 9)
	cases := map[string]struct {
		in   string
		want error
	}{
		"text":          {"hello", frame.ErrSyntax},
		"array":         {"[1]", frame.ErrSyntax},
		"number":        {"1", frame.ErrSyntax},
		"mark between":  {"\xff{}", frame.ErrSyntax},
		"mark inside":   {"{\"a\":\"\xff\"}", frame.ErrSyntax},
		"half":          {`{"a":`, io.ErrUnexpectedEOF},
		"half string":   {`{"a":"\`, io.ErrUnexpectedEOF},
		"deep":          {deep, frame.ErrTooDeep},
		"large":         {`{"a":"` + strings.Repeat("x", 1<<10) + `"}`, frame.ErrTooLarge},
		"large, no end": {`{"a":"` + strings.Repeat("x", 1<<16), frame.ErrTooLarge},
		"nothing":       {"", io.EOF},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := frame.NewReader(strings.NewReader(c.in), 1<<10, 8).Next()
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestLimitIsExact(t *testing.T) {
	msg := `{"a":"` + strings.Repeat("x", 100) + `"}`
	_, err := frame.NewReader(strings.NewReader(msg), len(msg), 1).Next()
	require.NoError(t, err)
	_, err = frame.NewReader(strings.NewReader(msg), len(msg)-1, 1).Next()
	require.ErrorIs(t, err, frame.ErrTooLarge)
}

// endless gives the same byte for ever, after a first one.
type endless struct{ first, rest byte }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.rest
	}
	if e.first != 0 {
		p[0], e.first = e.first, 0
	}
	return len(p), nil
}

func TestThreat24_EndlessMessageNeedsBoundedMemory(t *testing.T) {
	const limit = 1 << 20
	for name, src := range map[string]*endless{"depth": {0, '{'}, "blanks": {'{', ' '}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := frame.NewReader(src, limit, 64).Next()
		runtime.ReadMemStats(&after)
		require.True(t, errors.Is(err, frame.ErrTooLarge) || errors.Is(err, frame.ErrTooDeep), err)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(6*limit), name)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestNoProgress(t *testing.T) {
	_, err := frame.NewReader(stuck{}, 10, 10).Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

func TestSkipPast(t *testing.T) {
	in := strings.Repeat("old reply ", 10_000) + "\xff{\"a\":1}"
	r := frame.NewReader(strings.NewReader(in), 64, 4)
	_, err := r.Next()
	require.ErrorIs(t, err, frame.ErrSyntax)
	require.NoError(t, r.SkipPast(0xff))
	got, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, `{"a":1}`, string(got))
	require.ErrorIs(t, r.SkipPast(0xff), io.EOF)
}

func FuzzNext(f *testing.F) {
	for _, s := range []string{`{"return": {}, "id": 1}`, "{}{}", `{"a":[{"b":"\""}]}`, "\xff{", `{"a":"\\\"}`, " \r\n{]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit, depth = 256, 16
		read := func(src io.Reader) (out []string, err error) {
			r := frame.NewReader(src, limit, depth)
			for {
				msg, err := r.Next()
				if err != nil {
					return out, err
				}
				require.LessOrEqual(t, len(msg), limit)
				require.Equal(t, byte('{'), msg[0])
				out = append(out, string(msg))
			}
		}
		whole, err1 := read(strings.NewReader(string(in)))
		pieces, err2 := read(iotest.OneByteReader(strings.NewReader(string(in))))
		require.Equal(t, whole, pieces) // how the bytes arrive must not matter
		require.Equal(t, err1, err2)
		// Whatever is one JSON object, small and flat enough, must be cut out as it is.
		if s := strings.Trim(string(in), " \t\r\n"); json.Valid(in) && s[0] == '{' && len(s) <= limit && !errors.Is(err1, frame.ErrTooDeep) && !errors.Is(err1, frame.ErrSyntax) {
			require.Equal(t, []string{s}, whole)
		}
	})
}
