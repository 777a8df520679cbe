package storagetest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStepsAreSpreadEvenly(t *testing.T) {
	all := []int{1, 2, 3, 4, 5, 6, 7}
	require.Equal(t, all, Config{}.steps(t, 7))
	require.Equal(t, all, Config{KillSteps: 9}.steps(t, 7))
	require.Equal(t, []int{3, 7, 11}, Config{KillSteps: 3}.steps(t, 12))
	require.Equal(t, []int{4}, Config{KillSteps: 1}.steps(t, 7))
	require.Equal(t, []int{1}, Config{KillSteps: 1}.steps(t, 1))

	t.Setenv(stepsVar, "all")
	require.Equal(t, all, Config{KillSteps: 3}.steps(t, 7))
	t.Setenv(stepsVar, "2")
	require.Equal(t, []int{2, 6}, Config{}.steps(t, 7))
}
