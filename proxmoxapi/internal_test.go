package proxmoxapi

import (
	"bytes"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

func TestParseForm(t *testing.T) {
	for s, want := range map[string]map[string]any{
		"":                     {},
		"a=1&b=2;c=3":          {"a": "1", "b": "2", "c": "3"},
		"a=1&a=2&a=3":          {"a": []any{"1", "2", "3"}},
		"a&b=&=c&&;":           {"b": "", "": "c"},
		"a=x+y%20z%2B":         {"a": "x y z+"},
		"%61+b=1":              {"a b": "1"},
		"a=%zz%4&b=%":          {"a": "%zz%4", "b": "%"},
		"a=b=c":                {"a": "b=c"},
		"a=%C3%A9&b=%ff&c=%00": {"a": "é", "b": "\uFFFD", "c": "\x00"},
		"a=%2526":              {"a": "%26"},
	} {
		got := map[string]any{}
		parseForm(s, got)
		require.Equal(t, want, got, s)
	}
}

func TestParseJSONNumbers(t *testing.T) {
	got := map[string]any{}
	require.NoError(t, parseJSON([]byte(`{"a":1,"b":1e3,"c":2.0,"d":0.1,"e":-5,"f":12345678901234567890,"g":true,"h":["x",1,null],"i":{"j":1.5e0},"k":1e400}`), got))
	require.Equal(t, map[string]any{"a": "1", "b": "1000", "c": "2", "d": "0.1", "e": "-5", "f": "12345678901234567890",
		"g": true, "h": []any{"x", "1", nil}, "i": map[string]any{"j": "1.5"}, "k": "1e400"}, got)
}

func TestReasonPhrase(t *testing.T) {
	for message, want := range map[string]string{
		"a\nb":                      "a",
		"\nb":                       "b",
		"a\r\nX: y":                 "a",
		"a\rb\x00\x7f\u0085\u2028c": "a b    c",
		"bad \xff":                  "bad \uFFFD",
		" \t ":                      "Internal Server Error",
	} {
		require.Equal(t, want, reasonPhrase(500, message))
	}
	require.Equal(t, "error", reasonPhrase(599, ""))
}

func TestAbsentAnswersAreOfTheSchema(t *testing.T) {
	index := newIndexes()
	for path := range absentAnswers() {
		e := schema.Find("GET", path)
		require.NotNil(t, e, path)
		require.Empty(t, index[e], "%s is an index", path)
	}
	require.Greater(t, len(index), 30)
	for e, rows := range index {
		require.Equal(t, "array", e.Returns.Type, e.Path)
		require.NotEmpty(t, rows)
	}
}

func FuzzParseForm(f *testing.F) {
	f.Add("a=1&b=%20;c&a=2")
	f.Fuzz(func(t *testing.T, s string) {
		got := map[string]any{}
		parseForm(s, got)
		for key, value := range got {
			require.True(t, utf8.ValidString(key))
			switch v := value.(type) {
			case string:
				require.True(t, utf8.ValidString(v))
			case []any:
				require.Greater(t, len(v), 1)
			default:
				t.Fatalf("%T", v)
			}
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}],"c":1e9}`)
	f.Fuzz(func(t *testing.T, s string) {
		got := map[string]any{}
		if err := parseJSON([]byte(s), got); err != nil {
			require.NotContains(t, reasonPhrase(500, err.Error()), "\n")
		}
	})
}

func FuzzPath(f *testing.F) {
	f.Add("/api2/json/nodes//localhost/qemu/")
	f.Fuzz(func(t *testing.T, path string) {
		format, rel, api := splitURI(path)
		if !api {
			return
		}
		require.True(t, format == "" || isFormat(format))
		require.True(t, strings.HasPrefix(rel, "/"))
		if e, params, ok := schema.Lookup("GET", rel); ok {
			require.Len(t, params, len(e.PathParams))
		}
		reason := reasonPhrase(501, notImplemented("GET", rel).Error())
		require.NotContains(t, reason, "\r")
		require.NotContains(t, reason, "\n")
		require.LessOrEqual(t, len(reason), maxReason)
	})
}

// FuzzMultipart compares the streaming reader with the one of the standard library, where that takes the body at all.
func FuzzMultipart(f *testing.F) {
	f.Add("--x\r\nContent-Disposition: form-data; name=\"content\"\r\n\r\niso\r\n--x\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"a\"\r\n\r\nabc\r\n--x--\r\n")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := newFileForm(strings.NewReader(body), "multipart/form-data; boundary=x")
		if err != nil {
			return
		}
		fields, _, err := form.fields()
		if err != nil {
			return
		}
		part := &filePart{form: form, done: func() {}}
		content, err := io.ReadAll(part)
		if err != nil {
			return
		}
		std := multipart.NewReader(strings.NewReader(body), "x")
		for {
			p, err := std.NextRawPart()
			if err != nil {
				return // stricter than we are
			}
			raw, err := io.ReadAll(p)
			if err != nil {
				return
			}
			if p.FileName() != "" && p.FormName() == fileField {
				require.True(t, bytes.Equal(content, raw), "%q and %q", content, raw)
				return
			}
			if value, ok := fields[p.FormName()].(string); ok {
				require.Equal(t, value, strings.ToValidUTF8(string(raw), "\uFFFD"))
			}
		}
	})
}
