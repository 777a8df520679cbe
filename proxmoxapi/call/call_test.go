package call_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

func TestCaller(t *testing.T) {
	token := call.Caller{AuthID: "root@pam!ci"}
	require.Equal(t, "root@pam", token.User())
	require.Equal(t, "ci", token.Token())
	require.False(t, token.IsRoot(), "a token of root is not root")
	require.True(t, call.Caller{AuthID: call.Root}.IsRoot())

	odd := call.Caller{AuthID: "root@pam!x@pve"}
	require.Equal(t, "root@pam!x@pve", odd.User(), "a user whose name looks like a token of root")
	require.Empty(t, odd.Token())

	ctx := call.With(t.Context(), token)
	require.Equal(t, token, call.From(ctx))
	require.Equal(t, call.Caller{}, call.From(t.Context()))
}

func TestErrorfKeepsTheCause(t *testing.T) {
	err := call.Errorf("volume %s: %w", "local:1", fs.ErrNotExist)
	require.ErrorIs(t, err, fs.ErrNotExist)
	e, ok := errors.AsType[*call.Error](err)
	require.True(t, ok)
	require.Equal(t, 500, e.Status)
	require.Equal(t, "volume local:1: file does not exist", e.Text)
}

func TestRefusals(t *testing.T) {
	require.EqualError(t, call.Forbidden("/vms/100, VM.Audit"), "Permission check failed (/vms/100, VM.Audit)")
	require.EqualError(t, call.Forbidden(""), "Permission check failed")
	err := call.ParamErrors{"b": "two", "a": "one"}
	require.EqualError(t, err, "parameter verification failed: a: one; b: two")
	require.Equal(t, call.ParamErrors{"vmid": "bad 7"}, call.Param("vmid", "bad %d", 7))
}
