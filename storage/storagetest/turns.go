package storagetest

import (
	"slices"
	"testing"
	"time"
)

// Way is one way to do something in a benchmark.
type Way struct {
	Name     string
	Do, Undo func() // Undo, if there is one, is not measured
}

// Turns measures several ways to do the same side by side: in turns, so that what else the machine does meets all of them. It
// reports the median of each in milliseconds, and for all but the first how many times as long as the first they take: the
// median over the rounds.
func Turns(b *testing.B, ways ...Way) {
	b.Helper()
	took := make([][]float64, len(ways))
	for b.Loop() {
		for i, w := range ways {
			start := time.Now()
			w.Do()
			took[i] = append(took[i], time.Since(start).Seconds())
			if w.Undo != nil {
				w.Undo()
			}
		}
	}
	for i, w := range ways {
		ratios := make([]float64, len(took[i]))
		for n := range ratios {
			ratios[n] = took[i][n] / took[0][n]
		}
		b.ReportMetric(1000*median(took[i]), w.Name+"-ms")
		if i > 0 {
			b.ReportMetric(median(ratios), w.Name+"/"+ways[0].Name)
		}
	}
}

func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}
