package clustertest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLinearizable(t *testing.T) {
	for _, tc := range []struct {
		name    string
		history []call
		want    bool
	}{
		{"empty", nil, true},
		{"sequence", []call{
			{kind: "write", new: "1", begin: 1, end: 2},
			{kind: "read", got: "1", begin: 3, end: 4},
			{kind: "cas", old: "1", new: "2", ok: true, begin: 5, end: 6},
			{kind: "read", got: "2", begin: 7, end: 8},
		}, true},
		{"stale read", []call{
			{kind: "write", new: "1", begin: 1, end: 2},
			{kind: "read", got: "0", begin: 3, end: 4},
		}, false},
		{"a read beside a write may see either", []call{
			{kind: "write", new: "1", begin: 1, end: 6},
			{kind: "read", got: "0", begin: 2, end: 3},
			{kind: "read", got: "1", begin: 4, end: 5},
		}, true},
		{"but not go back", []call{
			{kind: "write", new: "1", begin: 1, end: 6},
			{kind: "read", got: "1", begin: 2, end: 3},
			{kind: "read", got: "0", begin: 4, end: 5},
		}, false},
		{"two swaps of one value", []call{
			{kind: "cas", old: "0", new: "1", ok: true, begin: 1, end: 3},
			{kind: "cas", old: "0", new: "2", ok: true, begin: 2, end: 4},
		}, false},
		{"swap refused without reason", []call{
			{kind: "cas", old: "0", new: "1", ok: false, begin: 1, end: 2},
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, tc.want, linearizable(tc.history, "0"))
		})
	}
}
