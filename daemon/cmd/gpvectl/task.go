package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

func (a *app) taskCmd() *cobra.Command {
	cmd := group("task", "Tasks")
	list := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List recent tasks", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, node, err := a.onNode(cmd.Context())
			if err != nil {
				return err
			}
			var rows []row
			if err := c.Get(cmd.Context(), node+"/tasks", client.Params{"source": "all"}, &rows); err != nil {
				return err
			}
			return a.print(rows, text("TYPE", "type"), text("ID", "id"), text("USER", "user"), text("STATUS", "status"), text("UPID", "upid"))
		},
	}
	wait := &cobra.Command{
		Use: "wait UPID", Short: "Wait for a task to end; fails if it failed", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			return a.follow(cmd.Context(), c, args[0])
		},
	}
	log := &cobra.Command{
		Use: "log UPID", Short: "Show a task's log", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			lines, err := c.TaskLog(cmd.Context(), args[0], 0, 0)
			if err != nil {
				return err
			}
			for _, l := range lines {
				fmt.Fprintln(a.out, printable(l.T))
			}
			return nil
		},
	}
	cmd.AddCommand(list, wait, log)
	return cmd
}
