package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster/boltstore"
	"github.com/turtacn/go-proxmox/internal/need"
	"github.com/turtacn/go-proxmox/proxmoxapi/client"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
	"github.com/turtacn/go-proxmox/qmp"
)

// asDaemon makes this test binary be a daemon on the folder that it names: memory and latency are those of a process alone.
const asDaemon = "GPVE_BENCH_DAEMON"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asDaemon); dir != "" {
		if err := beDaemon(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func beDaemon(dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	data := filepath.Join(dir, "data")
	cfg, err := LoadConfig(filepath.Join(data, ConfigFile), data)
	if err != nil {
		return err
	}
	if err := errors.Join(cfg.SetListen("127.0.0.1:0"), cfg.SetAccel("tcg")); err != nil {
		return err
	}
	d, err := New(ctx, cfg)
	if err != nil {
		return err
	}
	go ReturnMemory(ctx) // as gpved does
	return d.Run(ctx, func(a net.Addr) { fmt.Println(a) })
}

// wait waits for a task without the polling of a client.
func (h *house) wait(b *testing.B, text string) {
	id, err := upid.Parse(text)
	require.NoError(b, err)
	st, err := h.d.tasks.Wait(b.Context(), id)
	require.NoError(b, err)
	require.Equal(b, "OK", st.Exit)
}

// BenchmarkCreateDelete makes VMs without disks and removes them: one transaction each way and its task, over HTTPS.
func BenchmarkCreateDelete(b *testing.B) {
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			h := newHouse(b)
			store := h.d.store.(*boltstore.Store)
			before := store.Stats()
			var next, creating atomic.Int64 // the next id; transactions of creating, exact with one client
			next.Store(100)
			b.ResetTimer()
			var wg sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			for range clients {
				wg.Go(func() {
					c, err := client.New("https://"+h.addr, &client.Options{Transport: &http.Transport{TLSClientConfig: h.http.Transport.(*http.Transport).TLSClientConfig, MaxIdleConnsPerHost: 1}})
					if err != nil {
						b.Error(err)
						return
					}
					c.SetCredentials(h.root.Credentials())
					for left.Add(-1) >= 0 {
						id := next.Add(1)
						at := store.Stats().Txns
						var task string
						if err := c.Post(b.Context(), pathOfVM, client.Params{"vmid": id, "memory": 512}, &task); err != nil {
							b.Error(err)
							return
						}
						h.wait(b, task)
						creating.Add(store.Stats().Txns - at)
						if err := c.Delete(b.Context(), fmt.Sprintf("%s/%d", pathOfVM, id), nil, &task); err != nil {
							b.Error(err)
							return
						}
						h.wait(b, task)
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			after := store.Stats()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "VMs/s")
			b.ReportMetric(float64(after.Txns-before.Txns)/float64(b.N), "txns/VM")
			if clients == 1 {
				b.ReportMetric(float64(creating.Load())/float64(b.N), "txns/create")
			}
			b.ReportMetric(float64(after.Commits-before.Commits)/float64(b.N), "commits/VM")
		})
	}
}

// BenchmarkStart brings VMs from nothing to a running QEMU: through gpved, over HTTPS, and with the same command line by hand.
func BenchmarkStart(b *testing.B) {
	need.Root(b)
	params := client.Params{"vmid": 100, "memory": 16, "vga": "none", "serial0": "socket"}
	b.Run("gpved", func(b *testing.B) {
		h := newHouse(b)
		b.Cleanup(h.stopGuests)
		for range b.N {
			var task string
			require.NoError(b, h.root.Post(b.Context(), pathOfVM, params, &task))
			h.wait(b, task)
			require.NoError(b, h.root.Post(b.Context(), pathOfVM+"/100/status/start", nil, &task))
			h.wait(b, task)
			b.StopTimer()
			require.NoError(b, h.root.Post(b.Context(), pathOfVM+"/100/status/stop", nil, &task))
			h.wait(b, task)
			require.NoError(b, h.root.Delete(b.Context(), pathOfVM+"/100", nil, &task))
			h.wait(b, task)
			b.StartTimer()
		}
	})
	b.Run("by-hand", func(b *testing.B) {
		argv := guestArgs(b, params)
		for range b.N {
			b.StopTimer()
			dir := b.TempDir()
			socket := filepath.Join(dir, "qmp")
			b.StartTimer()
			cmd := exec.Command(argv[0], append(slices.Clone(argv[1:]), "-qmp", "unix:"+socket+",server=on,wait=off", "-chardev", "socket,id=serial0,path="+filepath.Join(dir, "s")+",server=on,wait=off")...)
			require.NoError(b, cmd.Start())
			awaitRunning(b, socket)
			b.StopTimer()
			require.NoError(b, cmd.Process.Kill())
			cmd.Wait()
			b.StartTimer()
		}
	})
}

// guestArgs is the command line of a guest that gpved runs, without what only gpved's own descriptors and folders serve.
func guestArgs(b *testing.B, params client.Params) []string {
	h := newHouse(b)
	b.Cleanup(h.stopGuests)
	h.vm(h.root, params)
	require.NoError(b, h.task(h.root, "POST", pathOfVM+"/100/status/start", nil))
	var st struct{ PID int }
	require.NoError(b, h.root.Get(b.Context(), pathOfVM+"/100/status/current", nil, &st))
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(st.PID), "cmdline"))
	require.NoError(b, err)
	require.NoError(b, h.stop())
	all := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	out := all[:1:1]
	for i := 1; i < len(all); i++ {
		if (all[i] == "-chardev" || all[i] == "-mon") && i+1 < len(all) {
			i++
			continue
		}
		out = append(out, all[i])
	}
	return out
}

func awaitRunning(b *testing.B, socket string) {
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	for {
		c, err := qmp.Dial(ctx, socket, nil)
		if err == nil {
			var st struct{ Status string }
			require.NoError(b, c.Do(ctx, "query-status", nil, &st))
			require.Equal(b, "running", st.Status)
			require.NoError(b, c.Close())
			return
		}
		require.NoError(b, ctx.Err())
		time.Sleep(time.Millisecond)
	}
}

// BenchmarkLists asks a daemon with 1000 VMs for lists, 200 times a second, and tells its memory.
func BenchmarkLists(b *testing.B) {
	const vms, rate = 1000, 200
	dir := newDataDir(b)
	fill(b, dir, vms)
	self, err := os.Executable()
	require.NoError(b, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asDaemon+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	buf := make([]byte, 100)
	n, err := out.Read(buf)
	require.NoError(b, err)
	addr := strings.TrimSpace(string(buf[:n]))
	print, err := fingerprint(filepath.Join(dir, "data", "pki", "server.crt"))
	require.NoError(b, err)
	root, err := client.New("https://"+addr, &client.Options{Fingerprint: print})
	require.NoError(b, err)
	require.NoError(b, root.Login(b.Context(), "root@pam", rootPassword))
	var rows []struct{ Name string }
	require.NoError(b, root.Get(b.Context(), pathOfVM, nil, &rows))
	require.Len(b, rows, vms)

	for _, path := range []string{"/cluster/resources", pathOfVM} {
		for _, gzip := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/gzip=%v", path[strings.LastIndex(path, "/")+1:], gzip), func(b *testing.B) {
				took, size := pace(b, rate, "https://"+addr+"/api2/json"+path, auth(root, false), gzip)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(ms(took[len(took)/2]), "p50-ms")
				b.ReportMetric(ms(took[len(took)*99/100]), "p99-ms")
				b.ReportMetric(float64(size)/1024, "KiB/answer")
				b.ReportMetric(float64(rss(b, cmd.Process.Pid))/(1<<20), "MiB-RSS")
			})
		}
	}
	b.Run("rest", func(b *testing.B) {
		b.ReportMetric(0, "ns/op")
		time.Sleep(12 * time.Second) // what a burst has left is given back within seconds
		b.ReportMetric(float64(rss(b, cmd.Process.Pid))/(1<<20), "MiB-RSS")
	})
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// fill makes VMs as a tool would, and stops the daemon again.
func fill(b *testing.B, dir string, n int) {
	h := openHouse(b, dir)
	together(n, func(i int) {
		var task string
		p := client.Params{
			"vmid": 100 + i, "name": fmt.Sprintf("bench-%d", i), "memory": 2048, "cores": 2, "ostype": "l26", "agent": 1, "scsihw": "virtio-scsi-single",
			"net0": "virtio,bridge=vmbr0", "ipconfig0": fmt.Sprintf("ip=10.0.%d.%d/16,gw=10.0.0.1", i/250, i%250+2), "tags": "bench;test", "onboot": 0,
			"description": "a VM of a benchmark",
		}
		if err := h.root.Post(b.Context(), pathOfVM, p, &task); err != nil {
			b.Error(err)
			return
		}
		h.wait(b, task)
	})
	require.NoError(b, h.stop())
}

// pace sends b.N requests at a rate, late ones at once, and returns the sorted times from when each was due to the end of its answer.
func pace(b *testing.B, rate int, url string, headers http.Header, gzip bool) (took []time.Duration, size int64) {
	transport := &http.Transport{TLSClientConfig: insecure(), DisableCompression: true, MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	headers = headers.Clone()
	if gzip {
		headers.Set("Accept-Encoding", "gzip")
	}
	took = make([]time.Duration, b.N)
	ask := func() (int64, error) {
		req, err := http.NewRequestWithContext(b.Context(), "GET", url, nil)
		if err != nil {
			return 0, err
		}
		req.Header = headers
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		n, err := io.Copy(io.Discard, resp.Body)
		if err == nil && (resp.StatusCode != 200 || gzip != (resp.Header.Get("Content-Encoding") == "gzip")) {
			err = fmt.Errorf("answer %s, encoding %q", resp.Status, resp.Header.Get("Content-Encoding"))
		}
		return n, err
	}
	for range 20 {
		n, err := ask()
		require.NoError(b, err)
		size = n
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	began := time.Now()
	for i := range took {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		wg.Go(func() {
			if _, err := ask(); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	return took, size
}

// rss is the resident memory of a process in bytes.
func rss(b *testing.B, pid int) int64 {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	require.NoError(b, err)
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			require.NoError(b, err)
			return kib << 10
		}
	}
	require.Fail(b, "no VmRSS")
	return 0
}
