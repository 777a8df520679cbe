package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) storageCmd() *cobra.Command {
	cmd := group("storage", "Storages and what they hold")
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the node's storages", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, node, err := a.onNode(cmd.Context())
			if err != nil {
				return err
			}
			var rows []row
			if err := c.Get(cmd.Context(), node+"/storage", nil, &rows); err != nil {
				return err
			}
			return a.print(rows, text("STORAGE", "storage"), text("TYPE", "type"), text("ACTIVE", "active"), text("CONTENT", "content"),
				size("TOTAL", "total"), size("USED", "used"), size("AVAILABLE", "avail"))
		},
	}
	content := &cobra.Command{
		Use: "content STORAGE", Short: "List volumes", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, node, err := a.onNode(cmd.Context())
			if err != nil {
				return err
			}
			var rows []row
			if err := c.Get(cmd.Context(), node+"/storage/"+url.PathEscape(args[0])+"/content", nil, &rows); err != nil {
				return err
			}
			return a.print(rows, text("VOLUME", "volid"), text("CONTENT", "content"), text("FORMAT", "format"), size("SIZE", "size"), text("VMID", "vmid"))
		},
	}
	cmd.AddCommand(list, content, a.upload(), a.download())
	return cmd
}

func (a *app) upload() *cobra.Command {
	var content, name string
	cmd := &cobra.Command{
		Use:   "upload STORAGE FILE",
		Short: "Upload an ISO image, container template or disk image",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[1])
			if err != nil {
				return err
			}
			defer f.Close()
			st, err := f.Stat()
			if err != nil {
				return err
			}
			if name == "" {
				name = filepath.Base(args[1])
			}
			if content == "" {
				content = contentOf(name)
			}
			c, node, err := a.onNode(cmd.Context())
			if err != nil {
				return err
			}
			p := newProgress(a.err)
			r := &countingReader{r: f, size: st.Size(), p: p}
			upid, err := c.Upload(cmd.Context(), strings.TrimPrefix(node, "/nodes/"), args[0], content, name, st.Size(), r)
			p.done()
			if err != nil {
				return err
			}
			if err := a.follow(cmd.Context(), c, upid); err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "%s:%s/%s\n", args[0], content, name)
			return err
		},
	}
	cmd.Flags().StringVar(&content, "content", "", "`type`: iso, vztmpl, import (default: by the name)")
	cmd.Flags().StringVar(&name, "name", "", "`name` in the storage (default: the file's)")
	return cmd
}

// contentOf guesses the content type as Proxmox VE's name rules have it.
func contentOf(name string) string {
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".iso", ".img":
		return "iso"
	case ".ova", ".ovf", ".qcow2", ".raw", ".vmdk":
		return "import"
	default:
		return "vztmpl"
	}
}

// countingReader draws the bar of an upload; on anything but a terminal it is silent.
type countingReader struct {
	r    io.Reader
	n    int64
	size int64
	last int64 // permille at the last drawing
	p    *progress
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if permille := c.n * 1000 / max(c.size, 1); c.p.tty && permille != c.last {
		c.last = permille
		c.p.line(fmt.Sprintf("uploaded (%.1f%%)", float64(permille)/10))
	}
	return n, err
}
