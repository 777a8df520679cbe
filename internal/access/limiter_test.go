package access

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLimiter(t *testing.T) {
	l := newLimiter(3, time.Second)
	now := time.Unix(1_800_000_000, 0)
	for range 3 {
		require.False(t, l.blocked("192.0.2.1", now))
		l.fail("192.0.2.1", now)
	}
	require.True(t, l.blocked("192.0.2.1", now))
	require.True(t, l.blocked("::ffff:192.0.2.1", now), "the same address")
	require.False(t, l.blocked("192.0.2.2", now))
	require.False(t, l.blocked("192.0.2.1", now.Add(time.Second)))
	l.fail("192.0.2.1", now.Add(time.Second))
	require.True(t, l.blocked("192.0.2.1", now.Add(time.Second)))
	require.False(t, l.blocked("192.0.2.1", now.Add(time.Hour)))

	for range 3 {
		l.fail("2001:db8::1", now)
	}
	require.True(t, l.blocked("2001:db8::ffff", now), "the same /64")
	require.False(t, l.blocked("2001:db8:0:1::1", now))
}

func TestThreat35_LimiterIsBounded(t *testing.T) {
	l := newLimiter(1, time.Second)
	now := time.Unix(1_800_000_000, 0)
	for i := range 3 * maxRemotes {
		l.fail(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	require.Len(t, l.byAddr, maxRemotes)
	require.Equal(t, maxRemotes, l.byAge.Len())
}
