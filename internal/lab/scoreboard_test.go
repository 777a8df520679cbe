package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const testMark = "\x1eWORD"

func TestScoreboardPassesTextAndScoresMarks(t *testing.T) {
	const said = "hello\n" +
		testMark + " begin 0\nfirst line\nno newline at the end" +
		testMark + " end 0 0 1500000\n" +
		testMark + " begin 1\n\x1e not a mark\n\x1eWOR" + "\n" +
		testMark + " end 1 1 2000 lab0 lab2\n" +
		testMark + " begin 2\n" +
		testMark + " end 2 0 1000 lab1\nbye"
	const want = "hello\nfirst line\nno newline at the end\nok  \ta\t1.500s\n" +
		"\x1e not a mark\n\x1eWOR\nleft in use: lab0, lab2\nFAIL\tb\t0.002s\n" +
		"left in use: lab1\nFAIL\tc\t0.001s\nbye"
	list := []step{{name: "a"}, {name: "b"}, {name: "c"}}
	for size := range len(said) {
		var out bytes.Buffer
		s := newScoreboard(&out, testMark, list)
		for rest := []byte(said); len(rest) > 0; {
			n := min(size+1, len(rest))
			_, err := s.Write(rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.Equal(t, 2, s.finish(false))
		require.Equal(t, want, out.String(), "in pieces of %d bytes", size+1)
	}
}

func TestScoreboardDoesNotHoldBackText(t *testing.T) {
	var out bytes.Buffer
	s := newScoreboard(&out, testMark, nil)
	_, err := s.Write([]byte("waiting… "))
	require.NoError(t, err)
	require.Equal(t, "waiting… ", out.String(), "before its line ends")
}

func TestWhatDidNotRunHasFailed(t *testing.T) {
	var out bytes.Buffer
	s := newScoreboard(&out, testMark, []step{{name: "a"}, {name: "b"}, {name: "c"}})
	_, err := s.Write([]byte(testMark + " begin 0\n" + testMark + " end 0 0 1\n" + testMark + " begin 1\nhalf"))
	require.NoError(t, err)
	require.Equal(t, 2, s.finish(true))
	require.Contains(t, out.String(), "half")
	require.Contains(t, out.String(), "FAIL\tb\t(the lab ended while it ran)")
}

func TestScoreboardRefusesNonsense(t *testing.T) {
	for _, words := range []string{"", "begin", "begin x", "begin 7", "end 0", "end 0 x 1", "end 0 0 x", "end -1 0 0"} {
		s := newScoreboard(&bytes.Buffer{}, testMark, []step{{name: "a"}})
		_, err := s.Write([]byte(testMark + " " + words + "\n"))
		require.Error(t, err, words)
	}
}

func TestSectionShowsTheEnd(t *testing.T) {
	require.Empty(t, section("x", []byte(" \n")))
	long := strings.Repeat("line\n", 1000) + "last\r\n"
	got := section("end of its console", []byte(long))
	require.True(t, strings.HasPrefix(got, "\nend of its console:\n"))
	require.True(t, strings.HasSuffix(got, "  last"))
	require.LessOrEqual(t, strings.Count(got, "\n"), consoleLines+1)
}
