package datacenter_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

func TestAllowsTag(t *testing.T) {
	w := newWorld(t)
	w.file("user.cfg", "user:a@pve:1:\nacl:1:/vms/100:a@pve:PVEAuditor:\n")
	w.guest(100, "tags: seen\n")
	w.guest(101, "tags: hidden\n")
	for access, want := range map[string]string{ // tags that a user may give
		"":                "seen hidden listed new",
		"user-allow=free": "seen hidden listed new",
		"user-allow=existing,user-allow-list=listed": "seen listed",
		"user-allow=list,user-allow-list=listed":     "listed",
		"user-allow=none":                            "",
	} {
		text := "registered-tags: registered\n"
		if access != "" {
			text += "user-tag-access: " + access + "\n"
		}
		w.file("datacenter.cfg", text)
		var may []string
		for _, tag := range []string{"seen", "hidden", "listed", "new", "registered"} {
			ok, err := w.AllowsTag(w.as("a@pve"), tag)
			require.NoError(t, err)
			if ok {
				may = append(may, tag)
			}
			ok, err = w.AllowsTag(w.as(call.Root), tag)
			require.NoError(t, err)
			require.True(t, ok, "%s: %s", access, tag)
		}
		require.Equal(t, want, strings.Join(may, " "), access)
	}
}
