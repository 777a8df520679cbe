package qapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp/qapi/internal/facts"
)

// filler makes random values of the generated types.
type filler struct {
	*rand.Rand
	check *checker
}

var rawMessage = reflect.TypeFor[json.RawMessage]()

func (f *filler) fill(v reflect.Value, depth int) {
	switch {
	case v.Type() == rawMessage:
		v.SetBytes([]byte(`{"any":[1,null]}`))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), depth+1)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), f.IntN(2), 2))
		for i := range v.Len() {
			f.fill(v.Index(i), depth+1)
		}
	case v.Kind() == reflect.String:
		v.SetString(f.text(v.Type().Name()))
	case v.Kind() == reflect.Bool:
		v.SetBool(f.IntN(2) == 1)
	case v.CanInt():
		v.SetInt(int64(f.Uint64() >> f.IntN(64)))
	case v.CanUint():
		v.SetUint(f.Uint64() >> f.IntN(64))
	case v.CanFloat():
		v.SetFloat(f.NormFloat64())
	case v.Kind() == reflect.Struct:
		f.fillStruct(v, depth)
	}
}

func (f *filler) text(typ string) string {
	if t, ok := f.check.typed(typ); ok && len(t.Values) > 0 {
		return t.Values[f.IntN(len(t.Values))].Name
	}
	return []string{"", "text", "ü\"\\\n<&>\u2028", "null"}[f.IntN(4)]
}

// fillStruct fills what must be there, by chance what may, and one branch.
func (f *filler) fillStruct(v reflect.Value, depth int) {
	var branches []int
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		switch kind, ok := tag.Lookup("qapi"); {
		case kind == tagMoved, kind == tagDiscriminator && v.Field(i).Kind() == reflect.Pointer:
		case ok && kind != tagDiscriminator:
			branches = append(branches, i)
		case strings.Contains(tag.Get("json"), "omitzero") && (depth > 4 || f.IntN(2) == 0):
		default:
			f.fill(v.Field(i), depth)
		}
	}
	if len(branches) == 0 {
		return
	}
	i := branches[f.IntN(len(branches))]
	if depth > 4 { // towards an end: the alternate's form without an object, the union's smallest branch is fine either way
		for _, j := range branches {
			if tag := v.Type().Field(j).Tag.Get("qapi"); tag == "string" || tag == "null-co" {
				i = j
			}
		}
	}
	f.fill(v.Field(i), depth)
	for j := range v.NumField() {
		if v.Type().Field(j).Tag.Get("qapi") == tagDiscriminator {
			f.setKind(v.Field(j), v.Type().Field(i).Tag.Get("qapi"))
		}
	}
}

func (f *filler) setKind(v reflect.Value, kind string) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	v.SetString(kind)
}

// TestEveryTypeRoundTrips fills each generated type at random, and holds what it encodes to against the facts.
func TestEveryTypeRoundTrips(t *testing.T) {
	f := &filler{rand.New(rand.NewPCG(1, 2)), newChecker(t)}
	for _, name := range slices.Sorted(maps.Keys(generated)) {
		isType := true
		if _, ok := f.check.typed(name); !ok {
			isType = false // the arguments of a command
		}
		for range 30 {
			v := generated[name]()
			f.fill(reflect.ValueOf(v).Elem(), 0)
			b, err := json.Marshal(v)
			require.NoError(t, err, name)
			back := generated[name]()
			require.NoError(t, json.Unmarshal(b, back), "%s: %s", name, b)
			require.Equal(t, v, back, "%s: %s", name, b)
			if isType {
				dec := json.NewDecoder(bytes.NewReader(b))
				dec.UseNumber()
				var tree any
				require.NoError(t, dec.Decode(&tree))
				require.NoError(t, f.check.check(facts.Ref{Name: name}, tree), "%s", b)
			}
		}
	}
}

// TestNothingIsMissing counts what the generator had to write.
func TestNothingIsMissing(t *testing.T) {
	for _, release := range []string{facts.Old, facts.New} {
		s, err := facts.Load(release)
		require.NoError(t, err)
		for name, typ := range s.Types {
			if typ.Kind != facts.Enum {
				require.True(t, generated[name] != nil || generated[name+"Args"] != nil, name)
			}
		}
		for name := range s.Events {
			require.NotNil(t, newEvent(name), name)
			require.Equal(t, name, newEvent(name).EventName())
		}
	}
	require.Nil(t, newEvent("NO_SUCH_EVENT"))
}

// FuzzDecode feeds JSON to the types that decode by hand: what is accepted is written back, and read again, the same.
func FuzzDecode(f *testing.F) {
	var unions []string
	for name, make := range generated {
		if _, ok := make().(json.Unmarshaler); ok {
			unions = append(unions, name)
		}
	}
	slices.Sort(unions)
	index := func(name string) int { i, _ := slices.BinarySearch(unions, name); return i }
	f.Add(index("BlockdevRef"), []byte(` "node"`))
	f.Add(index("BlockdevRefOrNull"), []byte("null"))
	f.Add(index("BlockdevOptions"), []byte(`{"driver":"qcow2","file":{"driver":"file","filename":"x"},"backing":null}`))
	f.Add(index("StatsValue"), []byte("[1,2]"))
	f.Add(index("SevInfo"), []byte(`{"enabled":true,"policy":1}`))
	f.Add(index("SocketAddress"), []byte(`{"type":"unix","path":"p","Path":"q"}`))
	f.Add(index("MigrationAddress"), []byte(`{"transport":"socket","type":"fd","str":"f"}`))
	f.Fuzz(func(t *testing.T, i int, data []byte) {
		make := generated[unions[uint(i)%uint(len(unions))]]
		first := make()
		if json.Unmarshal(data, first) != nil {
			return
		}
		b, err := json.Marshal(first)
		if errors.Is(err, errUnset) { // a member that must be there was not
			return
		}
		require.NoError(t, err)
		second := make()
		require.NoError(t, json.Unmarshal(b, second), "%s", b)
		again, err := json.Marshal(second)
		require.NoError(t, err)
		require.Equal(t, string(b), string(again))
	})
}
