package proc

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	tail := " S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 4242 1000 10 18446744073709551615"
	for name, comm := range map[string]string{"plain": "qemu", "blanks": "a b", "hostile": ") Z 1 (", "newline": "a\n) R"} {
		t.Run(name, func(t *testing.T) {
			st, err := parseStat([]byte("77 (" + comm + ")" + tail))
			require.NoError(t, err)
			require.Equal(t, stat{state: 'S', start: 4242}, st)
		})
	}
	for _, bad := range []string{"", "77 (x", "77 (x) S 1", "77 (x)" + strings.Replace(tail, "4242", "soon", 1)} {
		_, err := parseStat([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("1 (a b) S 1 7 7 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 4242 1000"))
	f.Fuzz(func(t *testing.T, in []byte) { _, _ = parseStat(in) })
}

func TestParseMounts(t *testing.T) {
	cases := map[string]struct {
		in, unified string
		v1          map[string]string
	}{
		"unified": {"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n", "/sys/fs/cgroup", map[string]string{}},
		"hybrid": {`24 23 0:21 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
25 23 0:22 / /sys/fs/cgroup/cpu\040and rw master:1 - cgroup cgroup rw,cpu,cpuacct
26 23 0:23 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
27 23 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
28 23 0:25 / /proc rw - proc proc rw
`, "/sys/fs/cgroup/unified", map[string]string{"memory": "/sys/fs/cgroup/memory", "cpu": "/sys/fs/cgroup/cpu and"}},
		"none": {"28 23 0:25 / /proc rw - proc proc rw\nnonsense\n - \n", "", map[string]string{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseMounts(strings.NewReader(c.in))
			require.NoError(t, err)
			require.Equal(t, c.unified, got.unified)
			require.Equal(t, c.v1, got.v1)
		})
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add("24 23 0:21 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n")
	f.Fuzz(func(t *testing.T, in string) { _, _ = parseMounts(strings.NewReader(in)) })
}
