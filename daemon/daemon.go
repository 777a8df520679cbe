package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/console"
	"github.com/turtacn/go-proxmox/internal/datacenter"
	"github.com/turtacn/go-proxmox/internal/disks"
	"github.com/turtacn/go-proxmox/internal/guestfw"
	"github.com/turtacn/go-proxmox/internal/hostnet"
	"github.com/turtacn/go-proxmox/internal/inventory"
	"github.com/turtacn/go-proxmox/internal/node"
	"github.com/turtacn/go-proxmox/internal/task"
	"github.com/turtacn/go-proxmox/internal/vm"
	"github.com/turtacn/go-proxmox/internal/vm/cloudinit"
	"github.com/turtacn/go-proxmox/internal/volume"
	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/firewall"
	"github.com/turtacn/go-proxmox/netkit/firewall/nflog"
	"github.com/turtacn/go-proxmox/proxmoxapi"
)

// Daemon is a gpved that has opened everything and answers nothing yet. Run makes it answer; Close gives up without running.
type Daemon struct {
	cfg     *Config
	log     *slog.Logger
	logFile io.Closer

	store   cluster.Store
	netConn *netkit.Conn
	netNS   *netkit.NS
	rules   *firewall.Conn
	tasks   *task.Engine
	access  *access.Service
	volumes *volume.Service
	disks   *disks.Service
	net     *hostnet.Service
	guestfw *guestfw.Service
	inv     *inventory.Inventory
	node    *node.Service
	center  *datacenter.Service
	vms     *vm.Service
	console *console.Service
	handler *proxmoxapi.Handler
	cert    *certificate
}

// New opens the state of an initialized data directory and builds the services. It starts nothing.
func New(ctx context.Context, cfg *Config) (*Daemon, error) {
	d := &Daemon{cfg: cfg}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	d.route()
	return d, nil
}

// open opens and builds everything. What it has opened when it fails is in d.
func (d *Daemon) open(ctx context.Context) (err error) {
	cfg := d.cfg
	if d.log, d.logFile, err = newLogger(cfg); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if warning := reachWarning(cfg.DataDir); warning != "" {
		d.log.Warn(warning)
	}
	// Without its state a node would come up empty and forget its guests.
	if _, err := os.Stat(stateFile(cfg.DataDir)); err != nil {
		return fmt.Errorf("the state is missing: %w", err)
	}
	if d.store, err = openState(cfg.DataDir); err != nil {
		return err
	}
	// The state is ours alone by now: another gpved's certificate is not renewed under it.
	if d.cert, err = openCertificate(cfg, d.log, time.Now); err != nil {
		return err
	}
	if err := claimNode(ctx, d.store, cfg.DataDir, cfg.Agent.NodeName, cfg.AdoptNode); err != nil {
		return err
	}
	if _, err := makeDataDir(cfg); err != nil {
		return err
	}
	return d.build(ctx)
}

// build makes the services in the order in which they stand on each other.
func (d *Daemon) build(ctx context.Context) (err error) {
	name := d.cfg.Agent.NodeName
	if d.tasks, err = task.New(d.store, task.Options{Node: name, LogDir: logPath(d.cfg.DataDir), Logger: d.log}); err != nil {
		return err
	}
	if d.access, err = access.New(d.store, &access.Options{
		Logger:          d.log,
		LoggedIn:        func(user string) { d.center.LoggedIn(user) },
		PasswordChanged: func(user string) { d.center.PasswordChanged(user) },
	}); err != nil {
		return err
	}
	d.inv = inventory.New(d.store, d.log)
	reg, err := storageDrivers(d.cfg, d.log)
	if err != nil {
		return err
	}
	probe, err := storageProbe(d.cfg)
	if err != nil {
		return err
	}
	d.volumes, err = volume.New(d.store, d.tasks, d.access, reg, &volume.Options{
		Node: name, LocalPath: localPath(d.cfg.DataDir), PrivDir: privPath(d.cfg.DataDir), Probe: probe, Logger: d.log,
	})
	if err != nil {
		return err
	}
	if d.disks, err = disks.New(d.tasks, d.access, d.volumes, disks.Options{Node: name, Logger: d.log}); err != nil {
		return err
	}
	if err := d.buildNet(ctx); err != nil {
		return err
	}
	host, err := node.NewHost("/")
	if err != nil {
		return err
	}
	d.node, err = node.New(host, node.Options{
		Name: name, Version: Version(), Fingerprint: d.cert.fingerprint, Can: d.access.Can, AllowPower: d.cfg.Agent.AllowHostPower,
		Console: func(ctx context.Context) string { return d.center.Console(ctx) },
	})
	if err != nil {
		return err
	}
	d.center = datacenter.New(datacenter.Options{
		Node: name, Store: d.store, Access: d.access, Inventory: d.inv, Logger: d.log, Address: outboundAddress(),
		NodeRow:  func(ctx context.Context) (datacenter.NodeRow, error) { return d.node.Row(ctx) },
		Storages: d.storageRows,
	})
	facts, err := vm.NewHost(ctx, vm.HostOptions{Node: name, Binary: d.cfg.QEMU.BinaryPath, Accel: d.cfg.QEMU.Accel, DNS: func() cloudinit.DNS { return hostDNS(host) }})
	if err != nil {
		return err
	}
	d.vms = vm.New(vm.Options{
		Node: name, Store: d.store, Tasks: d.tasks, Access: d.access, Volumes: d.volumes, Network: d.net, Inventory: d.inv, Host: facts,
		RunDir: d.cfg.Agent.RunDir, UIDs: d.uids(), Settings: d.center, Logger: d.log,
	})
	d.console = console.New(d.access, d.tasks, d.vms, d.cert.PEM)
	return nil
}

func (d *Daemon) buildNet(ctx context.Context) (err error) {
	if d.netNS, err = netkit.HostNS(); err != nil {
		return err
	}
	if d.netConn, err = netkit.Dial(ctx, d.netNS); err != nil {
		return err
	}
	bridges, err := d.cfg.bridges()
	if err != nil {
		return err
	}
	if d.rules, err = firewall.Dial(ctx, d.netNS); err != nil {
		return err
	}
	d.guestfw = guestfw.New(guestfw.Options{
		Node: d.cfg.Agent.NodeName, Store: d.store, Kernel: d.rules, Facts: guestfw.Facts(d.netNS, outboundAddress), Sysctls: guestfw.Sysctls(d.netNS),
		Packets: func(ctx context.Context) (guestfw.PacketSource, error) { return nflog.Listen(ctx, d.netNS, 0) },
		LogFile: firewallLog(d.cfg.DataDir), Logger: d.log,
	})
	d.net, err = hostnet.New(hostnet.Options{
		Conn: d.netConn, Bridges: bridges, InterfacesFile: d.cfg.Network.InterfacesFile, Node: d.cfg.Agent.NodeName, Access: d.access, Guard: d.guestfw, Boot: hostnet.ThisBoot(),
		Tasks: d.tasks, ConfirmTime: time.Duration(d.cfg.Network.ConfirmSeconds) * time.Second, Logger: d.log,
	})
	return err
}

// uids are the users of guests. Without root, guests run as the daemon's own user.
func (d *Daemon) uids() vm.UIDRange {
	if os.Geteuid() != 0 {
		return vm.UIDRange{}
	}
	return vm.UIDRange{First: d.cfg.QEMU.UIDs.First, Count: d.cfg.QEMU.UIDs.Count}
}

// route registers every room with the API.
func (d *Daemon) route() {
	r := proxmoxapi.NewRegistry()
	proxmoxapi.RegisterAccess(r, d.access)
	proxmoxapi.RegisterDatacenter(r, d.center)
	proxmoxapi.RegisterNodes(r, d.node)
	proxmoxapi.RegisterHostNetwork(r, d.net)
	proxmoxapi.RegisterClusterFirewall(r, d.guestfw)
	proxmoxapi.RegisterNodeFirewall(r, d.guestfw)
	proxmoxapi.RegisterGuestFirewall(r, d.guestfw)
	proxmoxapi.RegisterStorage(r, d.volumes)
	proxmoxapi.RegisterDisks(r, d.disks)
	proxmoxapi.RegisterTasks(r, task.NewAPI(d.tasks, d.access))
	proxmoxapi.RegisterVMs(r, d.vms)
	proxmoxapi.RegisterConsoles(r, d.console)
	d.handler = proxmoxapi.New(r, authenticator{d.access}, &proxmoxapi.Options{
		Node: d.cfg.Agent.NodeName, Logger: d.log, AccessLog: d.logRequest,
	})
}

// Handler returns the API for use without Run's listener. The daemon must be running.
func (d *Daemon) Handler() http.Handler { return d.handler }

// Access returns the users and permissions, for programs that embed the daemon.
func (d *Daemon) Access() *access.Service { return d.access }

// Run answers on the configured address until ctx ends or something fails, then stops in order. Guests go on. ready is
// called once with the listener's address when the API answers; it may be nil.
func (d *Daemon) Run(ctx context.Context, ready func(addr net.Addr)) (err error) {
	defer func() { err = errors.Join(err, d.Close()) }()
	l, err := net.Listen("tcp", d.cfg.Listen()) // before the host is touched: the port may be another server's
	if err != nil {
		return err
	}
	defer l.Close() // for the ways out before Serve, which closes it too
	if err := d.net.CommitAfterBoot(ctx); err != nil {
		d.log.Error("the node starts with the network it had", "err", err)
	}
	if err := d.net.EnsureBridges(ctx); err != nil {
		return err
	}
	// Everything that only reads ends with ctx. What operations write through ends after them.
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBackground()
	back, alive := errgroup.WithContext(background)
	for _, run := range []func(context.Context) error{d.inv.Run, d.access.Run, d.volumes.Run, d.center.Run, d.guestfw.Run, d.cert.Run} {
		back.Go(func() error { return ended(background, run(alive)) })
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(alive, stop)() // one of them has failed
	err = d.work(ctx, l, ready)
	d.vms.Close()
	stopBackground()
	return errors.Join(err, back.Wait())
}

// work finds the guests again, runs operations and answers the API until ctx ends or something fails.
func (d *Daemon) work(ctx context.Context, l net.Listener, ready func(net.Addr)) error {
	select {
	case <-d.inv.Ready():
	case <-ctx.Done():
		return nil
	}
	if err := d.vms.Recover(ctx); err != nil {
		return ended(ctx, err)
	}
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return d.tasks.Run(running) })
	g.Go(func() error { d.vms.Sample(running); return nil })
	g.Go(func() error { return d.serve(running, l, ready) })
	g.Go(func() error { d.startOnBoot(running); return nil })
	return g.Wait()
}

// serve answers the API.
func (d *Daemon) serve(ctx context.Context, l net.Listener, ready func(net.Addr)) error {
	select {
	case <-d.tasks.Ready():
	case <-ctx.Done():
		return nil
	}
	if ready != nil {
		ready(l.Addr())
	}
	return ended(ctx, d.handler.Serve(ctx, l, &tls.Config{GetCertificate: d.cert.GetCertificate, MinVersion: tls.VersionTLS12}))
}

// startOnBoot has the guests started that want it, once after each start of the host.
func (d *Daemon) startOnBoot(ctx context.Context) {
	select {
	case <-d.tasks.Ready():
	case <-ctx.Done():
		return
	}
	boot, ok := newBoot(d.cfg.Agent.RunDir)
	if !ok {
		return
	}
	if err := d.vms.StartOnBoot(ctx); err != nil {
		if ctx.Err() == nil {
			d.log.Error("the start of the guests at boot could not be submitted", "err", err)
		}
		return // the next start of gpved tries again
	}
	if err := boot.done(); err != nil { // the task itself survives gpved
		d.log.Warn("the start of the guests at boot is not noted down", "err", err)
	}
}

// ended passes over the error of something that was told to end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Close releases what New opened. Run does it by itself.
func (d *Daemon) Close() error {
	var errs []error
	if d.rules != nil {
		errs = append(errs, d.rules.Close())
		d.rules = nil
	}
	if d.netConn != nil {
		d.netConn.Close()
		d.netConn = nil
	}
	if d.netNS != nil {
		errs = append(errs, d.netNS.Close())
		d.netNS = nil
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
		d.store = nil
	}
	if d.logFile != nil {
		errs = append(errs, d.logFile.Close())
		d.logFile = nil
	}
	return errors.Join(errs...)
}

// Version is this program's version, as the Go tool recorded it.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
