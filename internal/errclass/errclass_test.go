package errclass_test

import (
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/errclass"
)

func TestNew(t *testing.T) {
	err := errclass.New("volume not found", fs.ErrNotExist)
	require.Equal(t, "volume not found", err.Error())
	wrapped := fmt.Errorf("storage: stat: %w", err)
	require.ErrorIs(t, wrapped, err)
	require.ErrorIs(t, wrapped, fs.ErrNotExist)
	require.NotErrorIs(t, wrapped, fs.ErrExist)
}
