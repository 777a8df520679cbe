package jobs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRamp(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		ramp Ramp
		want []time.Duration // in the passes from 1 on
	}{
		{Ramp{Passes: 2}, []time.Duration{0, 0, 0}},
		{Ramp{Start: 100 * ms, Passes: 1}, []time.Duration{100 * ms, 100 * ms, 100 * ms}},
		{Ramp{Start: 100 * ms, Max: 350 * ms, Passes: 1}, []time.Duration{100 * ms, 200 * ms, 350 * ms, 350 * ms}},
		{Ramp{Start: 100 * ms, Max: time.Second, Passes: 2}, []time.Duration{100 * ms, 100 * ms, 200 * ms, 200 * ms, 400 * ms}},
	} {
		for i, want := range tc.want {
			require.Equal(t, want, tc.ramp.limit(i+1), "%+v pass %d", tc.ramp, i+1)
		}
	}
	require.Equal(t, time.Hour, Ramp{Start: ms, Max: time.Hour, Passes: 1}.limit(1<<40), "no overflow")
}
