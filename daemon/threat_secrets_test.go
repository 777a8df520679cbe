package daemon

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// watchProcesses collects command lines and environments of all processes until ctx ends.
func watchProcesses(ctx context.Context) (seen func() []byte) {
	var mu sync.Mutex
	var all bytes.Buffer
	known := map[string]bool{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is sound
			for _, f := range files {
				for _, name := range []string{"cmdline", "environ"} {
					text, err := os.ReadFile(filepath.Join(filepath.Dir(f), name))
					if err != nil || known[string(text)] {
						continue
					}
					known[string(text)] = true
					mu.Lock()
					all.Write(text)
					mu.Unlock()
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Millisecond): // processes that live shorter than that are missed
			}
		}
	}()
	return func() []byte {
		<-done
		mu.Lock()
		defer mu.Unlock()
		return all.Bytes()
	}
}

func TestThreat27_SecretsStayWhereTheyBelong(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	watching, endWatch := context.WithCancel(ctx)
	seen := watchProcesses(watching)
	const userPassword, guestPassword = "canary-user-W3k", "canary-guest-Z9p"
	user := h.as("u@pve", "/", "Administrator")
	require.NoError(t, h.root.Put(ctx, "/access/password", client.Params{"userid": "u@pve", "password": userPassword, "confirmation-password": rootPassword}, nil))
	h.login("u@pve", userPassword)
	h.login("root@pam", "canary-typo-B5t")
	h.guest(user, 100)
	require.NoError(t, h.task(user, "POST", pathOfVM+"/100/status/stop", nil))
	require.NoError(t, h.attempt(user, "PUT", pathOfVM+"/100/config", client.Params{"ide2": "local:cloudinit", "ciuser": "u", "cipassword": guestPassword}))
	require.NoError(t, h.task(user, "POST", pathOfVM+"/100/status/start", nil))
	var term struct{ Ticket string }
	require.NoError(t, user.Post(ctx, pathOfVM+"/100/termproxy", nil, &term))
	require.Error(t, h.attempt(user, "PUT", pathOfVM+"/100/config", client.Params{"cipassword": guestPassword, "ciuser": strings.Repeat("x", 5000), "bogus": 1}))
	require.NoError(t, h.task(user, "POST", pathOfVM+"/100/status/stop", nil))

	_, secret, _ := strings.Cut(user.Credentials().Token, "=")
	ticket := h.root.Credentials().Ticket
	secrets := map[string]string{
		"password of root": rootPassword, "password of a user": userPassword, "password of a guest": guestPassword, "mistyped password": "canary-typo-B5t",
		"secret of a token": secret, "ticket": ticket[strings.LastIndex(ticket, ":")+1:], "CSRF token": strings.SplitN(h.root.Credentials().CSRF, ":", 2)[1],
		"console ticket": term.Ticket[strings.LastIndex(term.Ticket, ":")+1:],
	}
	var answers strings.Builder
	for _, path := range []string{
		pathOfVM + "/100/config", pathOfVM + "/100/pending", pathOfVM + "/100/status/current", "/cluster/log", "/cluster/tasks", "/cluster/resources",
		"/nodes/" + testNode + "/tasks", "/access/users?full=1", "/access/users/u@pve", "/access/users/u@pve/token", "/access/users/u@pve/token/all", "/access/domains",
		"/nodes/" + testNode + "/syslog", "/nodes/" + testNode + "/journal", pathOfVM + "/100/cloudinit", pathOfVM + "/100/cloudinit/dump?type=user",
	} {
		r := h.raw("GET", "/api2/json"+path, auth(h.root, false), "")
		fmt.Fprintf(&answers, "%s %s\n", r.Reason, r.Body)
	}
	require.NoError(t, h.stop())
	endWatch()
	places := map[string][]byte{"answers": []byte(answers.String()), "/proc": seen()}
	require.NoError(t, filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			places[path], err = os.ReadFile(path)
		}
		return err
	}))
	require.Contains(t, places, filepath.Join(h.dir, "gpved.log"))
	require.Contains(t, string(places[filepath.Join(h.dir, "gpved.log")]), "uri=", "the log has requests")
	for place, text := range places {
		for what, secret := range secrets {
			require.NotEmpty(t, secret)
			require.False(t, bytes.Contains(text, []byte(secret)), "%s is in %s", what, place)
		}
	}
	// What the guest is given holds the hash of its password: nobody else may read it.
	require.NoError(t, filepath.WalkDir(h.data(), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		st, err := e.Info()
		if err == nil && bytes.Contains(places[path], []byte("$5$")) || strings.Contains(path, "/state/") || strings.Contains(path, "cloudinit") {
			require.Zero(t, st.Mode().Perm()&0o007, "%s can be read by others", path)
		}
		return err
	}))
}
