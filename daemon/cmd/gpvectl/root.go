package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/turtacn/go-proxmox/proxmoxapi/client"
)

// app is what every command shares: its streams, the flags of the root and the login they name.
type app struct {
	in       io.Reader
	out, err io.Writer

	profile string // folder of the login; empty: the user's configuration folder
	node    string // empty: the node of the login's server
	output  string // table, json, yaml
}

func newRoot(in io.Reader, out, errw io.Writer) *cobra.Command {
	a := &app{in: in, out: out, err: errw}
	root := &cobra.Command{
		Use:           "gpvectl",
		Short:         "Drive gpved: virtual machines, tasks, storage",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return checkOutput(a.output)
		},
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	root.PersistentFlags().StringVar(&a.profile, "profile", "", "`folder` of the stored login (default: gpve in the user's configuration folder)")
	root.PersistentFlags().StringVar(&a.node, "node", "", "`name` of the node (default: the server's own)")
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "`form` of the output: table, json, yaml")
	must(root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp)))
	root.AddCommand(a.loginCmd(), a.logoutCmd(), a.vmCmd(), a.taskCmd(), a.storageCmd())
	return root
}

// group is a command that has others, and says so when it gets none of them.
func group(name, short string, aliases ...string) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Aliases: aliases, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
}

// must is for faults of this program's own tables.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// connect returns a client with the stored login.
func (a *app) connect() (*client.Client, error) {
	l, err := a.loadLogin()
	if err != nil {
		return nil, err
	}
	return l.client()
}

// onNode returns a client and the path of the node in question, /nodes/NAME.
func (a *app) onNode(ctx context.Context) (*client.Client, string, error) {
	c, err := a.connect()
	if err != nil {
		return nil, "", err
	}
	node := a.node
	if node == "" {
		node = "localhost" // the API's name for the node that is asked
	}
	return c, "/nodes/" + node, nil
}

// follow shows a task until it ends. Ctrl-C stops watching, not the task.
func (a *app) follow(ctx context.Context, c *client.Client, upid string) error {
	p := newProgress(a.err)
	_, err := c.WaitTask(ctx, upid, func(l client.TaskLine) { p.line(l.T) })
	p.done()
	if ctx.Err() != nil {
		return fmt.Errorf("stopped watching; the task goes on: gpvectl task wait '%s'", upid)
	}
	return err
}
