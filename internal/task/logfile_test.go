package task

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

func TestThreat43_LogLinesAreHarmless(t *testing.T) {
	l := &logFile{path: filepath.Join(t.TempDir(), "a", "log"), max: 1 << 20}
	l.line("plain\r\ntwo\x1b[2J\x00\u009bm \xff\ttab\n\n<b>TASK OK</b>\nTASK OK\n")
	l.line(strings.Repeat("x", maxLine+100))
	l.end("failed")
	l.line("late")
	b, err := os.ReadFile(l.path)
	require.NoError(t, err)
	require.Equal(t, "plain\ntwo [2J  m ?\ttab\n\n<b>TASK OK</b>\nTASK OK\n"+strings.Repeat("x", maxLine)+"…\nTASK ERROR: failed\n", string(b))
	require.NoError(t, l.failure())
	require.Equal(t, "failed", StatusFromLog(string(b)), "only the last line counts")

	lines, total, err := readLog(l.path, 1, 2)
	require.NoError(t, err)
	require.Equal(t, 7, total)
	require.Equal(t, []LogLine{{2, "two [2J  m ?\ttab"}, {3, ""}}, lines)
	lines, _, err = readLog(l.path, 0, 0)
	require.NoError(t, err)
	require.Len(t, lines, 7)
	lines, total, err = readLog(l.path, 50, 50)
	require.NoError(t, err)
	require.Equal(t, []LogLine{}, lines)
	require.Equal(t, 7, total)
}

func TestLogIsBounded(t *testing.T) {
	l := &logFile{path: filepath.Join(t.TempDir(), "log"), max: 100}
	for range 100 {
		l.line("0123456789")
	}
	l.end(statusOK)
	b, err := os.ReadFile(l.path)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("0123456789\n", 10)+"log is full, what follows is not kept\nTASK OK\n", string(b))
}

func TestThreat43_LogDoesNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("precious"), 0o600))
	require.NoError(t, os.Symlink(target, filepath.Join(dir, "log")))
	l := &logFile{path: filepath.Join(dir, "log"), max: 100}
	l.line("x")
	require.Error(t, l.failure())
	b, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "precious", string(b))
}

func TestLogPath(t *testing.T) {
	id := upid.UPID{Node: "n", PID: 1, PStart: 2, Start: 0xABC, Type: "..", ID: "..", User: ".."}
	require.Equal(t, "/log/tasks/C/UPID:n:00000001:00000002:00000ABC:..:..:..:", logPath("/log", id))
}

func TestStatusFromLog(t *testing.T) {
	for log, want := range map[string]string{
		"TASK OK":                             "OK",
		"a\nTASK OK\n":                        "OK",
		"TASK OK\nmore\n":                     statusUnexpected,
		"a\nTASK ERROR: no such volume 'x'\n": "no such volume 'x'",
		"TASK ERROR: ":                        statusUnexpected,
		"TASK WARNINGS: 3\n":                  "WARNINGS: 3",
		"TASK WARNINGS: many\n":               statusUnexpected,
		"TASK WARNINGS: \n":                   statusUnexpected,
		"TASK DONE\n":                         statusUnexpected,
		"a\n\n":                               statusUnexpected,
		"\n":                                  statusUnexpected,
	} {
		require.Equal(t, want, StatusFromLog(log), "%q", log)
	}
}

func TestStatusClass(t *testing.T) {
	for status, want := range map[string]string{
		"OK": "ok", "WARNINGS: 12": "warning", "": "unknown", "RUNNING": "unknown", "unexpected status": "unknown",
		"no space": "error", "WARNINGS: x": "error", "error: OK": "error",
	} {
		require.Equal(t, want, statusClass(status), status)
	}
}
