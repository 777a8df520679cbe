package boltstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/boltstore"
)

// crashVar makes the test binary the process that is killed: it writes to the store at this path.
const crashVar = "GPVE_TEST_CRASH_STORE"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashVar); path != "" {
		writeForever(path)
	}
	os.Exit(m.Run())
}

// writeForever has several writers put numbered keys in pairs, and prints each pair once it is acknowledged.
func writeForever(path string) {
	s, err := boltstore.Open(path, nil)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				value := []byte(strings.Repeat(strconv.Itoa(i), 50))
				rev, err := s.Txn(context.Background(), cluster.Put(fmt.Sprintf("/crash/%d/%08d/a", w, i), value), cluster.Put(fmt.Sprintf("/crash/%d/%08d/b", w, i), value))
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Printf("ack %d %d %d\n", w, i, rev)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "state.db")
	acked := map[string]int64{}
	for round := range 5 {
		if round > 0 { // the keys of the last round make way
			s := open(t, path, nil)
			for key := range acked {
				_, err := s.Txn(t.Context(), cluster.Delete(key+"/a"), cluster.Delete(key+"/b"))
				require.NoError(t, err)
			}
			kvs, _, err := s.List(t.Context(), "/crash/")
			require.NoError(t, err)
			for _, kv := range kvs { // committed, but not told in time
				_, err := s.Txn(t.Context(), cluster.Delete(kv.Key))
				require.NoError(t, err)
			}
			require.NoError(t, s.Close())
			clear(acked)
		}
		child := exec.Command(self)
		child.Env = append(os.Environ(), crashVar+"="+path)
		out, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var w, i int
			var rev int64
			_, err := fmt.Sscanf(lines.Text(), "ack %d %d %d", &w, &i, &rev)
			if len(acked) < 50+37*round {
				require.NoError(t, err, lines.Text())
			} else if len(acked) == 50+37*round {
				require.NoError(t, child.Process.Signal(syscall.SIGKILL))
			}
			if err == nil { // the last line may be cut off
				acked[fmt.Sprintf("/crash/%d/%08d", w, i)] = rev
			}
		}
		require.Error(t, child.Wait(), "killed")

		s := open(t, path, nil)
		kvs, now, err := s.List(t.Context(), "/crash/")
		require.NoError(t, err)
		found := map[string]cluster.KV{}
		for _, kv := range kvs {
			found[kv.Key] = kv
			require.LessOrEqual(t, kv.ModRev, now)
		}
		for key, rev := range acked {
			require.Equal(t, rev, found[key+"/a"].ModRev, key)
		}
		for key, kv := range found { // transactions are whole, told or not
			pair := key[:len(key)-1] + string("ba"[key[len(key)-1]-'a'])
			require.Equal(t, kv.ModRev, found[pair].ModRev, key)
			require.Equal(t, kv.Value, found[pair].Value, key)
		}
		require.NoError(t, s.Close())
	}
}
