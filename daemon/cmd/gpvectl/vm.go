package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

func (a *app) vmCmd() *cobra.Command {
	cmd := group("vm", "Virtual machines", "qm")
	cmd.AddCommand(a.vmList(), a.vmCreate(), a.vmConfig(), a.vmClone(), a.vmMoveDisk(), a.vmDelete(), a.vmConsole(),
		a.vmPower("start", "Start a VM", nil),
		a.vmPower("stop", "Stop a VM at once, like pulling the plug", nil),
		a.vmPower("shutdown", "Ask the guest to shut down (guest agent or ACPI)", func(c *cobra.Command) {
			c.Flags().Int("timeout", 0, "`seconds` to wait for the guest")
			c.Flags().Bool("force", false, "stop the VM when the guest does not shut down in time")
		}),
		a.vmPower("reboot", "Ask the guest to shut down, then start it with pending changes applied", nil),
		a.vmPower("reset", "Reset a VM, like its reset button", nil))
	return cmd
}

// vmID checks the argument before it becomes part of a path.
func vmID(s string) (string, error) {
	if n, err := strconv.Atoi(s); err != nil || n < 100 || n > 999999999 {
		return "", fmt.Errorf("%q is no VM id (100-999999999)", s)
	}
	return s, nil
}

// onVM returns a client and the VM's path.
func (a *app) onVM(ctx context.Context, arg string) (*client.Client, string, error) {
	id, err := vmID(arg)
	if err != nil {
		return nil, "", err
	}
	c, node, err := a.onNode(ctx)
	return c, node + "/qemu/" + id, err
}

func (a *app) vmList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List VMs", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			var rows []row
			if err := c.Get(cmd.Context(), "/cluster/resources", client.Params{"type": "vm"}, &rows); err != nil {
				return err
			}
			return a.print(rows, text("VMID", "vmid"), text("NAME", "name"), text("STATUS", "status"), text("NODE", "node"),
				text("CPUS", "maxcpu"), size("MEMORY", "maxmem"), size("DISK", "maxdisk"), text("LOCK", "lock"), text("TAGS", "tags"))
		},
	}
}

// options turns KEY=VALUE arguments into parameters.
func options(args []string) (client.Params, error) {
	p := client.Params{}
	for _, arg := range args {
		k, v, ok := strings.Cut(arg, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%q is not of the form OPTION=VALUE", arg)
		}
		p[k] = v
	}
	return p, nil
}

// runTask posts and follows the task, unless --background is set.
func (a *app) runTask(cmd *cobra.Command, c *client.Client, method, path string, p client.Params) error {
	var upid string
	if err := c.Do(cmd.Context(), method, path, p, &upid); err != nil {
		return err
	}
	if bg, _ := cmd.Flags().GetBool("background"); bg {
		_, err := fmt.Fprintln(a.out, upid)
		return err
	}
	return a.follow(cmd.Context(), c, upid)
}

func withBackground(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().Bool("background", false, "print the task's id and do not wait for it")
	return cmd
}

func (a *app) vmCreate() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use:   "create OPTION=VALUE...",
		Short: "Create a VM",
		Long: `Create a VM from the options of a Proxmox VE configuration. Without --id the next free one is taken.

  gpvectl vm create name=web1 memory=1024 cores=2 scsi0=local:8 net0=virtio,bridge=vmbr0 boot=order=scsi0`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := options(args)
			if err != nil {
				return err
			}
			if vmid, ok := p["vmid"]; ok { // as the API has it
				if id != "" {
					return errors.New("the VM's id is given twice: --id and vmid")
				}
				id = fmt.Sprint(vmid)
			}
			c, node, err := a.onNode(cmd.Context())
			if err != nil {
				return err
			}
			if id == "" {
				if err := c.Get(cmd.Context(), "/cluster/nextid", nil, &id); err != nil {
					return err
				}
			}
			p["vmid"] = id
			if err := a.runTask(cmd, c, "POST", node+"/qemu", p); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, id)
			return err
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "the VM's `id`")
	return withBackground(cmd)
}

func (a *app) vmPower(verb, short string, flags func(*cobra.Command)) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " VMID", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, path, err := a.onVM(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p := client.Params{}
			if t, err := cmd.Flags().GetInt("timeout"); err == nil && t > 0 {
				p["timeout"] = t
			}
			if f, err := cmd.Flags().GetBool("force"); err == nil && f {
				p["forceStop"] = true
			}
			return a.runTask(cmd, c, "POST", path+"/status/"+verb, p)
		},
	}
	if flags != nil {
		flags(cmd)
	}
	return withBackground(cmd)
}

func (a *app) vmConfig() *cobra.Command {
	var drop []string
	var current bool
	cmd := &cobra.Command{
		Use:   "config VMID [OPTION=VALUE...]",
		Short: "Show or change a VM's configuration",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := options(args[1:])
			if err != nil {
				return err
			}
			c, path, err := a.onVM(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if len(p) == 0 && len(drop) == 0 {
				var r row
				if err := c.Get(cmd.Context(), path+"/config", client.Params{"current": current}, &r); err != nil {
					return err
				}
				return a.printMap(r)
			}
			if len(drop) > 0 {
				p["delete"] = strings.Join(drop, ",")
			}
			return c.Put(cmd.Context(), path+"/config", p, nil)
		},
	}
	cmd.Flags().StringSliceVar(&drop, "delete", nil, "`options` to unset")
	cmd.Flags().BoolVar(&current, "current", false, "show what is in force, without pending changes")
	return cmd
}

func (a *app) vmClone() *cobra.Command {
	var id, name, storage string
	var full bool
	cmd := &cobra.Command{
		Use: "clone VMID", Short: "Clone a VM or template", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, path, err := a.onVM(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if id == "" {
				if err := c.Get(cmd.Context(), "/cluster/nextid", nil, &id); err != nil {
					return err
				}
			}
			p := client.Params{"newid": id}
			if cmd.Flags().Changed("full") {
				p["full"] = full
			}
			for k, v := range map[string]string{"name": name, "storage": storage} {
				if v != "" {
					p[k] = v
				}
			}
			if err := a.runTask(cmd, c, "POST", path+"/clone", p); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, id)
			return err
		},
	}
	cmd.Flags().StringVar(&id, "id", "", "the clone's `id` (default: the next free one)")
	cmd.Flags().StringVar(&name, "name", "", "the clone's `name`")
	cmd.Flags().StringVar(&storage, "storage", "", "`storage` for the disks of a full clone")
	cmd.Flags().BoolVar(&full, "full", false, "copy the disks (default: of a VM yes, of a template no)")
	return withBackground(cmd)
}

func (a *app) vmDelete() *cobra.Command {
	var purge, unreferenced bool
	cmd := &cobra.Command{
		Use: "delete VMID", Aliases: []string{"rm", "destroy"}, Short: "Delete a stopped VM and its disks", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, path, err := a.onVM(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.runTask(cmd, c, "DELETE", path, client.Params{"purge": purge, "destroy-unreferenced-disks": unreferenced})
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove it from backup jobs, replication and HA too")
	cmd.Flags().BoolVar(&unreferenced, "destroy-unreferenced-disks", false, "delete disks of this id that its configuration does not mention")
	return withBackground(cmd)
}

func (a *app) vmConsole() *cobra.Command {
	return &cobra.Command{
		Use: "console VMID", Short: "Open the VM's serial console (Ctrl-] ends it)", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, path, err := a.onVM(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.console(cmd.Context(), c, path)
		},
	}
}
