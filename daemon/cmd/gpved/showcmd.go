package main

import (
	"github.com/spf13/cobra"

	"github.com/turtacn/go-proxmox/internal/vm/showcmd"
)

func showCmd() *cobra.Command {
	var o showcmd.Options
	cmd := &cobra.Command{
		Use:   "showcmd --config FILE --vmid N",
		Short: "Print QEMU's command line for a Proxmox VM configuration",
		Long: `Print the command line with which Proxmox VE would start the VM of a configuration file. Neither the host nor the state
is touched.

--root is a folder with etc/pve/storage.cfg, etc/pve/mapping/pci.cfg and etc/pve/virtual-guest/cpu-models.conf. --host is a
file with the facts of a host, in place of this one's. --launch prints what would really be started here.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return showcmd.Run(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&o.ConfigPath, "config", "", "configuration `file` of the VM (required)")
	cmd.Flags().IntVar(&o.VMID, "vmid", 0, "`id` of the VM (required)")
	cmd.Flags().StringVar(&o.Root, "root", "", "`folder` with the cluster's configuration")
	cmd.Flags().StringVar(&o.HostFile, "host", "", "`file` with the facts of the host")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "print a JSON list instead of a shell line")
	cmd.Flags().BoolVar(&o.Launch, "launch", false, "print what would really be started on this host (taps and sockets by name: the daemon hands them over as open descriptors)")
	required(cmd, "config")
	required(cmd, "vmid")
	return cmd
}
