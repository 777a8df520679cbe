package firewall

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestElementsComeBack: what is written of sets of all shapes reads back as the same.
func TestElementsComeBack(t *testing.T) {
	for seed := range uint64(40) {
		for _, table := range newRandom(seed).world(t).Compile().Tables {
			for _, s := range table.Sets {
				raw := s.kernelElements(s.Elements)
				for i := range raw { // verdicts come back in another form, which needs a kernel
					raw[i].VerdictData = nil
				}
				bare := *s
				bare.Verdicts = false
				got := bare.elementsOf(raw)
				require.Len(t, got, len(s.Elements))
				for i, e := range s.Elements {
					require.Equal(t, e.Key, got[i].Key, "%s", s.Name)
				}
			}
		}
	}
}

func TestNextAndPrevious(t *testing.T) {
	up, ok := next([]byte{1, 0xff})
	require.True(t, ok)
	require.Equal(t, []byte{2, 0}, up)
	require.Equal(t, []byte{1, 0xff}, previous(up))
	_, ok = next([]byte{0xff, 0xff})
	require.False(t, ok)
}
