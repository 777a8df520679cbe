package main

import (
	"fmt"
	"net/url"
	"path"

	"github.com/spf13/cobra"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

func (a *app) vmMoveDisk() *cobra.Command {
	var storage, format, target, targetDisk string
	var remove bool
	cmd := &cobra.Command{
		Use: "move-disk VMID DISK", Short: "Move a disk to another storage or format, or to another VM", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, vm, err := a.onVM(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			p := client.Params{"disk": args[1]}
			if remove {
				p["delete"] = true
			}
			for k, v := range map[string]string{"storage": storage, "format": format, "target-vmid": target, "target-disk": targetDisk} {
				if v != "" {
					p[k] = v
				}
			}
			return a.runTask(cmd, c, "POST", vm+"/move_disk", p)
		},
	}
	cmd.Flags().StringVar(&storage, "storage", "", "target `storage`")
	cmd.Flags().StringVar(&format, "format", "", "target `format`: raw, qcow2, vmdk (default: as it is, if the storage can)")
	cmd.Flags().BoolVar(&remove, "delete", false, "delete the old volume instead of keeping it as unused disk")
	cmd.Flags().StringVar(&target, "target-vmid", "", "`id` of the VM that gets the disk")
	cmd.Flags().StringVar(&targetDisk, "target-disk", "", "`slot` in that VM (default: the same)")
	return withBackground(cmd)
}

func (a *app) download() *cobra.Command {
	var content, name, sum, algorithm, compression string
	var insecure bool
	cmd := &cobra.Command{
		Use: "download STORAGE URL", Short: "Let the node fetch an ISO image, container template or disk image", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, node, err := a.onNode(cmd.Context())
			if err != nil {
				return err
			}
			if name == "" {
				u, err := url.Parse(args[1])
				if err != nil {
					return fmt.Errorf("%q: not an address", args[1])
				}
				name = path.Base(u.Path)
			}
			if content == "" {
				content = contentOf(name)
			}
			p := client.Params{"url": args[1], "content": content, "filename": name}
			if insecure {
				p["verify-certificates"] = false
			}
			if sum != "" {
				p["checksum"], p["checksum-algorithm"] = sum, algorithm
			}
			if compression != "" {
				p["compression"] = compression
			}
			return a.runTask(cmd, c, "POST", node+"/storage/"+url.PathEscape(args[0])+"/download-url", p)
		},
	}
	cmd.Flags().StringVar(&content, "content", "", "`type`: iso, vztmpl, import (default: by the name)")
	cmd.Flags().StringVar(&name, "name", "", "`name` in the storage (default: the last part of the address)")
	cmd.Flags().StringVar(&sum, "checksum", "", "expected `digest` of what the server sends")
	cmd.Flags().StringVar(&algorithm, "checksum-algorithm", "sha256", "`algorithm` of the digest")
	cmd.Flags().StringVar(&compression, "compression", "", "unpack an image that is packed by `gz, zst or bz2`")
	cmd.Flags().BoolVar(&insecure, "insecure", false, "do not verify the server's certificate")
	return withBackground(cmd)
}
