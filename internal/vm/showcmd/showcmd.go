package showcmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/turtacn/go-proxmox/internal/vm/machineconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
	"github.com/turtacn/go-proxmox/qmp/machine"
	"github.com/turtacn/go-proxmox/storage/volid"
)

// Options of the command.
type Options struct {
	// ConfigPath is the guest's configuration file, VMID its number.
	ConfigPath string
	VMID       int
	// Root is the directory with the cluster's files (etc/pve/…). Empty is "/".
	Root string
	// HostFile holds the facts of the host as JSON, see machineconf.HostFile. Empty asks
	// the host that the command runs on.
	HostFile string
	// JSON writes the command line as a list; else it is one line for a shell.
	JSON bool
	// Launch writes what would be started with a stock QEMU, not what Proxmox VE starts.
	Launch bool
	// Snapshot is the section of the configuration to use; empty is the main one.
	Snapshot string
	// LocalPath is the folder of the storage that is there without being configured.
	// Empty is Proxmox VE's.
	LocalPath string
	// RunDir is where the machine's sockets would be, for Launch. Empty is a folder of
	// /run/go-proxmox.
	RunDir string
}

const proxmoxLocalPath = "/var/lib/vz"

// Run writes the command line to stdout and warnings, one a line, to stderr. The error
// is the reason why the guest could not be started.
func Run(ctx context.Context, o Options, stdout, stderr io.Writer) error {
	in, warnings, err := o.input(ctx)
	if err != nil {
		return err
	}
	if err := tell(stderr, warnings); err != nil {
		return err
	}
	res, err := machineconf.Translate(in)
	if err != nil {
		return err
	}
	if err := tell(stderr, res.Warnings); err != nil {
		return err
	}
	argv := res.Argv()
	if o.JSON {
		enc := json.NewEncoder(stdout)
		enc.SetEscapeHTML(false)
		return enc.Encode(argv)
	}
	_, err = fmt.Fprintln(stdout, machine.Quote(argv))
	return err
}

func tell(w io.Writer, warnings []string) error {
	for _, text := range warnings {
		if _, err := fmt.Fprintln(w, text); err != nil {
			return err
		}
	}
	return nil
}

// input gathers everything that the translation depends on.
func (o Options) input(ctx context.Context) (*machineconf.Input, []string, error) {
	root := o.Root
	if root == "" {
		root = "/"
	}
	c, err := readCluster(root)
	if err != nil {
		return nil, nil, err
	}
	host, described, err := o.host(ctx)
	if err != nil {
		return nil, nil, err
	}
	if c.storages == nil {
		c.storages = described
	}
	o.addLocal(c)
	conf, warnings, err := o.config(c)
	if err != nil {
		return nil, nil, err
	}
	in := &machineconf.Input{VMID: o.VMID, Config: conf.Main, Host: host, Storages: c.storages, Mappings: c.mappings, CPUModels: c.models, RunDir: o.RunDir}
	if o.Launch {
		in.Profile = machineconf.Launch
	}
	if in.RunDir == "" {
		in.RunDir = fmt.Sprintf("/run/go-proxmox/vm/%d", o.VMID)
	}
	if o.Snapshot != "" {
		section, ok := conf.Snapshots[o.Snapshot]
		if !ok {
			return nil, nil, fmt.Errorf("snapshot '%s' does not exist", o.Snapshot)
		}
		in.Config, in.Forced = section, machineconf.ForcedOf(section)
	}
	return in, append(c.warnings, warnings...), nil
}

func (o Options) config(c *cluster) (*vmconfig.Config, []string, error) {
	text, err := os.ReadFile(o.ConfigPath)
	if err != nil {
		return nil, nil, err
	}
	conf, problems, err := vmconfig.Parse(string(text), vmconfig.ParseOptions{VMID: o.VMID, CustomCPU: func(name string) bool {
		_, ok := c.models[name]
		return ok
	}})
	if err != nil {
		return nil, nil, err
	}
	var warnings []string
	for _, p := range problems {
		warnings = append(warnings, p.Text)
	}
	return conf, warnings, nil
}

func (o Options) host(ctx context.Context) (*machineconf.Host, map[string]volid.Storage, error) {
	if o.HostFile == "" {
		h, err := machineconf.Probe(ctx)
		return h, nil, err
	}
	text, err := os.ReadFile(o.HostFile)
	if err != nil {
		return nil, nil, err
	}
	return machineconf.ParseHost(text)
}

// addLocal adds the storage that needs no configuration.
func (o Options) addLocal(c *cluster) {
	path := o.LocalPath
	if path == "" {
		path = proxmoxLocalPath
	}
	if c.storages == nil {
		c.storages = map[string]volid.Storage{}
	}
	local, ok := c.storages["local"]
	switch {
	case !ok || local.Type != "dir" || local.Options["path"] != "" && local.Options["path"] != path:
		c.storages["local"] = volid.Local(path)
	case local.Options["path"] == "":
		local.Options["path"] = path
	}
}
