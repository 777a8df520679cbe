package daemon

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/datacenter"
	"github.com/turtacn/go-proxmox/internal/node"
	"github.com/turtacn/go-proxmox/internal/vm/cloudinit"
	"github.com/turtacn/go-proxmox/proxmoxapi"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// newLogger makes the daemon's log and returns what to close at the end, nil for standard error.
func newLogger(cfg *Config) (*slog.Logger, io.Closer, error) {
	var out io.Writer = os.Stderr
	var file io.Closer
	if cfg.Logging.Output != "" {
		f, err := os.OpenFile(cfg.Logging.Output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, nil, err
		}
		out, file = f, f
	}
	o := &slog.HandlerOptions{Level: cfg.level()}
	if cfg.Logging.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, o)), file, nil
	}
	return slog.New(slog.NewTextHandler(out, o)), file, nil
}

// logRequest notes down a request, for those who look for a fault. The query is not there: it may hold secrets. One of a
// known caller shows that the node's network works.
func (d *Daemon) logRequest(e proxmoxapi.AccessEntry) {
	d.log.LogAttrs(context.Background(), slog.LevelDebug, "request", slog.String("remote", e.Remote), slog.String("user", e.AuthID),
		slog.String("method", e.Method), slog.String("uri", e.URI), slog.Int("status", e.Status), slog.Int64("bytes", e.Bytes),
		slog.Duration("took", e.Duration))
	if e.AuthID != "" && e.Status >= 200 && e.Status < 400 {
		d.net.Confirm(time.Now().Add(-e.Duration), e.Remote)
	}
}

// storageRows are the enabled storages of this node for the list of resources.
func (d *Daemon) storageRows(ctx context.Context) ([]datacenter.StorageRow, error) {
	configs, _, err := d.volumes.Storages(ctx)
	if err != nil {
		return nil, err
	}
	var rows []datacenter.StorageRow
	for _, c := range configs {
		if !c.EnabledOn(d.cfg.Agent.NodeName) {
			continue
		}
		usage, active := d.volumes.Usage(ctx, &c)
		rows = append(rows, datacenter.StorageRow{
			Storage: c.ID, Node: d.cfg.Agent.NodeName, Type: c.Type, Content: strings.Join(c.Contents, ","), Shared: c.Shared,
			Active: active, Total: usage.TotalBytes, Used: usage.UsedBytes,
		})
	}
	return rows, nil
}

func hostDNS(h *node.Host) cloudinit.DNS {
	d, err := h.DNS()
	if err != nil {
		return cloudinit.DNS{}
	}
	dns := cloudinit.DNS{Servers: d.Servers}
	if d.Search != "" {
		dns.Search = []string{d.Search}
	}
	return dns
}

// outboundAddress is the address of the host that others see, empty if it has none but loopback. Nothing is sent.
func outboundAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			return n.IP.String()
		}
	}
	return ""
}

// boot is a start of the host.
type boot struct {
	id   []byte
	file string // holds the id of the boot whose guests are started
}

// newBoot reports whether the guests of the host's present boot are yet to be started.
func newBoot(runDir string) (*boot, bool) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, false
	}
	b := &boot{id, filepath.Join(runDir, "boot-id")}
	last, err := os.ReadFile(b.file)
	return b, err != nil || !bytes.Equal(last, id)
}

// done notes down that the guests are started.
func (b *boot) done() error { return atomicfile.Write(b.file, b.id, 0o600) }

// authenticator speaks the API's word for credentials.
type authenticator struct{ *access.Service }

func (a authenticator) Authenticate(ctx context.Context, c proxmoxapi.Credentials) (call.Caller, error) {
	return a.Service.Authenticate(ctx, access.Credentials(c))
}
