package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTypeName(t *testing.T) {
	for _, tt := range []struct{ method, path, want string }{
		{"GET", "/", "Get"},
		{"GET", "/access/users/{userid}", "GetAccessUsersUserid"},
		{"PUT", "/nodes/{node}/qemu/{vmid}/config", "PutNodesQemuConfig"},
		{"POST", "/nodes/{node}/qemu/{vmid}/move_disk", "PostNodesQemuMoveDisk"},
		{"GET", "/a/b-c/{x-y_z}", "GetABCXYZ"},
	} {
		require.Equal(t, tt.want, (&endpoint{Method: tt.method, Path: tt.path}).typeName())
	}
	require.Equal(t, "X2fa", camel("2fa"))
	n := names{}
	require.NoError(t, n.take("A", "a"))
	require.ErrorContains(t, n.take("A", "b"), "a and b are both named A")
}

func TestSplitRepeat(t *testing.T) {
	for _, tt := range []struct {
		pattern   string
		maxLength int
		want      string
		wantMax   int
	}{
		{"[a-z]{0,4096}", 0, "[a-z]*", 4096},
		{"[a-z]{0,4096}", 100, "[a-z]*", 100},
		{"[a-z]{0,16}", 0, "[a-z]{0,16}", 0},
		{"[a-z]+", 5, "[a-z]+", 5},
	} {
		pattern, maxLength := splitRepeat(tt.pattern, tt.maxLength)
		require.Equal(t, tt.want, pattern)
		require.Equal(t, tt.wantMax, maxLength)
	}
}

func TestCheckLiteral(t *testing.T) {
	got, err := checkLiteral([]any{"or", []any{"perm", "/x/{id}", []any{"A", "B"}, "any", 1.0}, []any{"userid-param", "self"}})
	require.NoError(t, err)
	require.Equal(t, `&Permission{Kind: PermOr, Children: []*Permission{&Permission{Kind: PermPath, Path: "/x/{id}", Privs: []string{"A", "B"}, Any: true}, &Permission{Kind: PermUseridParam, Param: "self"}}}`, got)
	for _, bad := range [][]any{nil, {"xor"}, {"perm", "/"}, {"perm", "/", []any{"A"}, "some", 1.0}, {"and", "x"}, {"userid-group", []any{"A"}, "x", "y"}} {
		_, err := checkLiteral(bad)
		require.ErrorIs(t, err, errCheck, "%v", bad)
	}
}
