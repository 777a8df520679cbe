package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// quote makes a text one word of bash.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// prologue mounts the shares and sets the environment.
func (m *machine) prologue() string {
	var b strings.Builder
	b.WriteString(staticNodes)
	for i, s := range m.shares {
		mode := "ro"
		if s.write {
			mode = "rw"
		}
		fmt.Fprintf(&b, "mkdir -p %s && mount -t 9p -o %s,trans=virtio,version=9p2000.L,msize=512000 share%d %s || exit 125\n", quote(s.path), mode, i, quote(s.path))
	}
	env := []string{"GPVE_LAB=1"}
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "GPVE_") && !strings.HasPrefix(v, "GPVE_LAB") {
			env = append(env, v)
		}
	}
	if m.out != "" {
		env = append(env, "GPVE_LAB_OUT="+m.out)
	}
	slices.Sort(env)
	for _, v := range env {
		fmt.Fprintf(&b, "export %s\n", quote(v))
	}
	return b.String()
}

// Devices whose modules load when they are opened (/dev/net/tun, /dev/fuse). On other systems systemd makes them. See
// kmod-static-nodes: lines of modules.devname are MODULE NAME TMAJOR:MINOR, T being b or c.
const staticNodes = `while read -r module name number; do
	[[ $module == '#' || -e /dev/$name ]] && continue
	mkdir -p "$(dirname "/dev/$name")"
	major=${number:1}
	mknod -m 600 "/dev/$name" "${number:0:1}" "${major%:*}" "${number#*:}"
done < "/lib/modules/$(uname -r)/modules.devname"
`

// oneProgram runs a program in a folder.
func oneProgram(folder string, argv []string) string {
	return fmt.Sprintf("cd %s && exec %s\n", quote(folder), quoteAll(argv))
}

// step is the test binary of one package.
type step struct {
	name    string // of the package
	folder  string
	require string // GPVE_TEST_REQUIRE
	argv    []string
}

// steps runs the steps one after another, each on empty disks. Before and after each it writes a line that starts with mark,
// which [scoreboard] reads. The status is 0 whatever the tests' are: the marks hold them.
func steps(mark string, disks int, list []step) string {
	var b strings.Builder
	fmt.Fprintf(&b, "mark=%s\ndisks=%d\n%s", quote(mark), disks, stepFunction)
	for i, s := range list {
		fmt.Fprintf(&b, "step %d %s %s %s\n", i, quote(s.folder), quote(s.require), quoteAll(s.argv))
	}
	b.WriteString("exit 0\n")
	return b.String()
}

// A disk that is mounted, or part of a pool or a volume group, cannot be opened exclusively, as blkdiscard does.
const stepFunction = `step() {
	local n=$1 folder=$2 status busy= i from
	export GPVE_TEST_REQUIRE=$3
	shift 3
	printf '%s begin %d\n' "$mark" "$n"
	from=${EPOCHREALTIME/./}
	cd "$folder" && "$@"
	status=$?
	udevadm settle -t 10
	for ((i = 0; i < disks; i++)); do
		blkdiscard "/dev/disk/by-id/virtio-lab$i" 2> /dev/null || busy="$busy lab$i"
	done
	printf '%s end %d %d %d%s\n' "$mark" "$n" "$status" $((${EPOCHREALTIME/./} - from)) "$busy"
}
`
