package qapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/qmp/qapi"
)

// A small schema with everything that can be looked through, and a loop.
const small = `[
	{"name":"open","meta-type":"command","arg-type":"1","ret-type":"7","features":["deprecated"]},
	{"name":"query","meta-type":"command","arg-type":"0","ret-type":"4"},
	{"name":"GONE","meta-type":"event","arg-type":"1"},
	{"name":"0","meta-type":"object","members":[]},
	{"name":"1","meta-type":"object","members":[{"name":"driver","type":"2"},{"name":"file","type":"3"}],"tag":"driver",
	 "variants":[{"case":"a","type":"5"},{"case":"b","type":"0"},{"case":"c","type":"1"}]},
	{"name":"2","meta-type":"enum","members":[{"name":"a"},{"name":"b"}],"values":["a","b"]},
	{"name":"3","meta-type":"alternate","members":[{"type":"str"},{"type":"1"},{"type":"3"}]},
	{"name":"4","meta-type":"array","element-type":"5"},
	{"name":"5","meta-type":"object","members":[{"name":"sizes","type":"6"},{"name":"mode","type":"8"}]},
	{"name":"6","meta-type":"array","element-type":"str"},
	{"name":"8","meta-type":"enum","values":["old"],"members":[]},
	{"name":"str","meta-type":"builtin","json-type":"string"},
	{"name":"9","meta-type":"thing of the future"}
]`

func TestSchema(t *testing.T) {
	s, err := qapi.Probe(t.Context(), &recorder{replies: map[string]string{"query-qmp-schema": small}})
	require.NoError(t, err)
	require.True(t, s.HasCommand("open"))
	require.False(t, s.HasCommand("close"))
	require.True(t, s.HasEvent("GONE"))
	require.False(t, s.HasEvent("open"))
	require.True(t, s.HasFeature("open", "deprecated"))
	require.False(t, s.HasFeature("open", "unstable"))
	require.False(t, s.HasFeature("close", "deprecated"))

	for path, want := range map[string]bool{
		"": true, "driver": true, "sizes": true, "file/driver": true, "file/file/mode": true, "file/file/nothing": false,
		"nothing": false, "driver/a": false, "sizes/x": false,
	} {
		var parts []string
		if path != "" {
			parts = strings.Split(path, "/")
		}
		require.Equal(t, want, s.HasArgument("open", parts...), path)
	}
	require.False(t, s.HasArgument("close"))
	require.True(t, s.HasArgumentValue("open", "b", "driver"))
	require.True(t, s.HasArgumentValue("open", "old", "mode"))
	require.False(t, s.HasArgumentValue("open", "c", "driver"))
	require.False(t, s.HasArgumentValue("open", "a", "file"), "a member of an alternative is no value of it")
	require.True(t, s.HasEventMember("GONE", "file"))
	require.False(t, s.HasEventMember("GONE", "nothing"))
	require.False(t, s.HasEventMember("OTHER", "file"))
	require.True(t, s.HasResult("query", "sizes"))
	require.False(t, s.HasResult("query", "driver"))
	require.False(t, s.HasResult("open", "sizes"))

	_, err = qapi.Probe(t.Context(), &recorder{})
	require.ErrorContains(t, err, "refused")
}
