package storage_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// TestInterceptorKnowsEveryCapability: one that is missing in Capability would be reached past whoever stands before it.
func TestInterceptorKnowsEveryCapability(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "capability.go", nil, 0)
	require.NoError(t, err)
	source, err := os.ReadFile("intercept.go")
	require.NoError(t, err)
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if _, ok := spec.Type.(*ast.InterfaceType); ok && spec.Name.Name != "Pather" && spec.Name.Name != "Stage" {
			require.True(t, strings.Contains(string(source), "case *"+spec.Name.Name+":"), spec.Name.Name)
			seen++
		}
		return true
	})
	require.Greater(t, seen, 10)
}

// able is a driver with a capability or two.
type able struct{ storage.Driver }

func (able) Stat(context.Context, storage.VolumeID) (storage.Volume, error) {
	return storage.Volume{ID: "x"}, nil
}

func (able) Activate(context.Context) error { return nil }

func (able) Open(context.Context, storage.VolumeID, bool) (*storage.Image, error) {
	return &storage.Image{}, nil
}

func TestIntercept(t *testing.T) {
	var calls []storage.Call
	refused := errors.New("not today")
	var answer error
	i := storage.Intercept(able{}, func(ctx context.Context, c storage.Call, do func(context.Context) error) error {
		calls = append(calls, c)
		if answer != nil {
			return answer
		}
		return do(ctx)
	})
	v, err := i.Stat(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, storage.VolumeID("x"), v.ID)
	a, ok := storage.As[storage.Activator](i)
	require.True(t, ok)
	require.NoError(t, a.Activate(t.Context()))
	answer = refused
	require.ErrorIs(t, a.Activate(t.Context()), refused)
	o, ok := storage.As[storage.Opener](wrapper{i})
	require.True(t, ok, "through another wrapper")
	img, err := o.Open(t.Context(), "x", false)
	require.ErrorIs(t, err, refused)
	require.Nil(t, img)
	require.Equal(t, []storage.Call{{Op: "stat", ID: "x"}, {Op: "activate"}, {Op: "activate"}, {Op: "open", ID: "x"}}, calls)
	_, ok = storage.As[storage.Resizer](i)
	require.False(t, ok, "what is not behind it is not before it")
	_, ok = storage.As[able](i)
	require.True(t, ok)
}
