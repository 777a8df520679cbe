package vm

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// killingTool is a qemu-img whose conversions kill the daemon, and then go on for long. It gets no environment, so a file for
// its process id and the real program are written into it.
const killingTool = `#!/bin/sh
if [ "$1" = convert ]; then
	echo $$ > '%s'
	kill -9 $PPID
	exec sleep 300
fi
exec '%s' "$@"
`

// A daemon that is killed while qemu-img copies takes qemu-img along, and what that has written is removed.
func TestKilledWhileQEMUImgCopies(t *testing.T) {
	t.Parallel()
	s := newKillSite(t)
	real, err := exec.LookPath("qemu-img")
	require.NoError(t, err)
	tools, pids := filepath.Join(s.dir, "tools"), filepath.Join(s.dir, "pid")
	require.NoError(t, os.Mkdir(tools, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(tools, "qemu-img"), fmt.Appendf(nil, killingTool, pids, real), 0o755))
	image := s.bootImage()
	s.halt()
	job, err := json.Marshal(killJob{Folder: s.dir, Request: "import", Image: image})
	require.NoError(t, err)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVar+"=kill "+string(job), "PATH="+tools+":"+os.Getenv("PATH"))
	out, err := child.CombinedOutput()
	require.Error(t, err, "%s", out)
	require.Equal(t, syscall.SIGKILL, child.ProcessState.Sys().(syscall.WaitStatus).Signal(), "%s", out)
	text, err := os.ReadFile(pids)
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // there only if the test has failed
	s.restart()
	s.eventually("qemu-img has ended", func() bool { return syscall.Kill(pid, 0) != nil })
	s.eventually("nothing is left of the copy", func() bool { return len(s.files()) == 0 })
	require.Empty(t, s.vmids())
	require.Equal(t, []string{interrupted}, s.outcomes())
}
