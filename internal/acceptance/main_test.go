package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	answers := func(suite string, lines ...string) string {
		var out strings.Builder
		require.NoError(t, run([]string{suite}, strings.NewReader(strings.Join(lines, "\n")), &out))
		return out.String()
	}
	require.Equal(t, `{"result":{"value":2048}}`+"\n"+`{"error":"no value given"}`+"\n", answers("common.convert_size",
		`{"name":"a","op":"convert_size","input":{"value":2,"from":"gb","to":"mb"}}`,
		`{"name":"b","op":"convert_size","input":{"value":null,"from":"gb","to":"mb"}}`, ""))
	require.Equal(t, `{"skip":"no such suite here"}`+"\n", answers("nothing", `{"name":"a"}`))
	require.Contains(t, answers("common.format", `{"name":"a"`), "unreadable case")
	require.Contains(t, answers("common.json_schema", `{"name":"a","op":"validate","input":{"schema":{"type":"object","properties":{"n":{"type":"integer","maximum":5}}},"value":{"n":"6"}}}`),
		`"errors":["n"]`)
	require.Contains(t, answers("common.section_config", `{"name":"x","op":"section_config","input":{"text":"two: bb\n\tanother z\n\tfield2 4\n"}}`),
		`"rewritten":"two: bb\n\tanother z\n\tfield2 4\n\n"`)
	require.Error(t, run(nil, strings.NewReader(""), &strings.Builder{}))
}
