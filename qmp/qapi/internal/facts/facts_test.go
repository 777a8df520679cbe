package facts

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoad(t *testing.T) {
	for release, commands := range map[string]int{Old: 220, New: 240} {
		s, err := Load(release)
		require.NoError(t, err)
		require.Len(t, s.Commands, commands)
		require.Contains(t, s.QEMU, release)
		for name, c := range s.Commands {
			require.NotEmpty(t, c.Module, name)
		}
	}
	_, err := Load("1.0")
	require.Error(t, err)
}

func TestReferencesResolve(t *testing.T) {
	builtin := map[string]bool{"str": true, "int": true, "number": true, "bool": true, "size": true, "any": true, "null": true,
		"int8": true, "int16": true, "int32": true, "int64": true, "uint8": true, "uint16": true, "uint32": true, "uint64": true}
	for _, release := range []string{Old, New} {
		s, err := Load(release)
		require.NoError(t, err)
		known := func(list []Member) {
			for _, m := range list {
				_, ok := s.Types[m.Type.Name]
				require.True(t, ok || builtin[m.Type.Name], "%s: %s", m.Name, m.Type.Name)
			}
		}
		for name, typ := range s.Types {
			if typ.Kind != Enum {
				known(s.All(name))
				known(typ.Branches)
			}
		}
		for _, c := range s.Commands {
			known(s.Args(c))
		}
	}
}

func TestAllHasBasesFirst(t *testing.T) {
	s, err := Load(New)
	require.NoError(t, err)
	all := s.All("BlockdevOptionsQcow2")
	require.Equal(t, "file", all[0].Name)
	require.Equal(t, "backing", all[1].Name)
	require.True(t, Has(s.Commands["drive-backup"].Features, "deprecated"))
}

func TestRef(t *testing.T) {
	var r Ref
	require.NoError(t, json.Unmarshal([]byte(`"str"`), &r))
	require.Equal(t, Ref{Name: "str"}, r)
	require.NoError(t, json.Unmarshal([]byte(`["str"]`), &r))
	require.Equal(t, Ref{Name: "str", List: true}, r)
	require.Error(t, json.Unmarshal([]byte(`["a","b"]`), &r))
	require.Error(t, json.Unmarshal([]byte(`7`), &r))
}
