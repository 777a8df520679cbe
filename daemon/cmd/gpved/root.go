package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/turtacn/go-proxmox/daemon"
)

func newRoot(in io.Reader, out, errw io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use: "gpved", Short: "Virtual machines behind the Proxmox VE API", Version: daemon.Version(), SilenceUsage: true, SilenceErrors: true,
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errw)
	root.AddCommand(initCmd(), runCmd(), showCmd(), probeCmd())
	return root
}

func initCmd() *cobra.Command {
	var o daemon.InitOptions
	var passwordFile string
	var bridges []string
	cmd := &cobra.Command{
		Use:   "init --data-dir DIR",
		Short: "Make a data directory: certificates, password, storage, configuration",
		Long: `Make a data directory for gpved run: a certificate authority and a certificate for the host's names and addresses, the
password of root@pam, a storage named local, and the configuration file. A directory that is initialized already is refused.

--nat-bridge vmbr0=10.0.0.1/24 notes a bridge with that address and masquerading of its network, which gpved run makes.
Without it, guests use the bridges that the host has.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if passwordFile != "" {
				if o.Password, err = readPassword(passwordFile, cmd.InOrStdin()); err != nil {
					return err
				}
			}
			for _, b := range bridges {
				name, cidr, ok := strings.Cut(b, "=")
				if !ok {
					return fmt.Errorf("--nat-bridge %q is not of the form NAME=ADDRESS/LENGTH", b)
				}
				o.Bridges = append(o.Bridges, daemon.BridgeConfig{Name: name, CIDR: cidr, NAT: true})
			}
			r, err := daemon.Init(cmd.Context(), o)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "node         %s\nCA           %s\n             %s\nfingerprint  %s (of the server's certificate, for clients to pin)\n", r.Node, r.CAFile, r.CAFingerprint, r.Fingerprint)
			for _, b := range r.Bridges {
				fmt.Fprintf(w, "bridge       %s (made by gpved run)\n", b)
			}
			if r.Password != "" {
				fmt.Fprintf(w, "password     %s (of root@pam; it is not shown again)\n", r.Password)
			}
			if r.Warning != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "gpved: warning: %s\n", r.Warning)
			}
			fmt.Fprintf(w, "\nnext: gpved run --data-dir %s\n", o.DataDir)
			return nil
		},
	}
	cmd.Flags().StringVar(&o.DataDir, "data-dir", "", "`folder` for everything that gpved keeps (required)")
	cmd.Flags().StringVar(&o.Node, "node", "", "`name` of this node (default: the host's name)")
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "`file` with the password of root@pam, - for standard input (default: a random one)")
	cmd.Flags().StringArrayVar(&bridges, "nat-bridge", nil, "`NAME=ADDRESS/LENGTH` of a bridge with masquerading")
	required(cmd, "data-dir")
	return cmd
}

func required(cmd *cobra.Command, name string) {
	if err := cmd.MarkFlagRequired(name); err != nil {
		panic(err) // the flag is not there: a fault of this program
	}
}

func readPassword(file string, in io.Reader) (string, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("password: %w", err)
		}
		defer f.Close()
		in = f
	}
	const limit = 4096
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	pw := strings.TrimRight(string(data), "\r\n")
	switch {
	case pw == "":
		return "", fmt.Errorf("password: %s is empty", file)
	case len(data) > limit, strings.ContainsFunc(pw, unicode.IsControl):
		return "", fmt.Errorf("password: %s holds more than one line of text", file)
	}
	return pw, nil
}

func runCmd() *cobra.Command {
	var dataDir, listen, configFile, accel string
	var adopt bool
	cmd := &cobra.Command{
		Use:   "run --data-dir DIR",
		Short: "Answer the API and run guests",
		Long: `Answer the API on port 8006 and run guests, until SIGTERM. Guests run on; the next start finds them again, finishes what
was being done or undoes it. Under systemd, Type=notify and KillMode=process are needed.

The configuration file is DIR/config.yaml:

  apiVersion: gpve.io/v1
  kind: ServerConfiguration
  server:
    address: 0.0.0.0            # IP address to listen on
    port: 8006
    tlsCertFile: …              # default DIR/pki/server.crt
    tlsKeyFile: …               # default DIR/pki/server.key
  agent:
    nodeName: pve1              # the node's name in the API, for good: guests belong to it
    allowHostPower: false       # let the API reboot and power off the host
    runDir: …                   # sockets of guests, at most 72 bytes; default DIR/run
  network:
    interfacesFile: /etc/network/interfaces
    bridges:                    # made at the start
    - name: vmbr0
      cidr: 10.0.0.1/24         # the host's address on it
      nat: true                 # masquerade what leaves its network
  qemu:
    binaryPath: …               # default: qemu-system-ARCH of PATH
    accel: auto                 # auto (KVM where it serves guests, else emulation), kvm, tcg
    uids: {first: 700000, count: 65536}   # users that guests run as
  logging:                      # of gpved; every task has a log of its own
    level: info                 # debug, info, warn, error
    format: text                # text, json
    output: …                   # a file; default standard error

All paths are absolute.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := filepath.Abs(dataDir)
			if err != nil {
				return err
			}
			if configFile == "" {
				configFile = filepath.Join(dir, daemon.ConfigFile)
			}
			cfg, err := daemon.LoadConfig(configFile, dir)
			if errors.Is(err, fs.ErrNotExist) && !cmd.Flags().Changed("config") {
				return fmt.Errorf("%s is not initialized; see gpved init --help", dir)
			}
			if err != nil {
				return err
			}
			if listen != "" {
				if err := cfg.SetListen(listen); err != nil {
					return err
				}
			}
			if accel != "" {
				if err := cfg.SetAccel(accel); err != nil {
					return err
				}
			}
			cfg.AdoptNode = adopt
			cfg.ProbeCommand = []string{"/proc/self/exe", probeWord}
			d, err := daemon.New(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			go daemon.ReturnMemory(cmd.Context()) // ends with the context, or with the program
			stopping := make(chan struct{})
			notified := context.AfterFunc(cmd.Context(), func() {
				defer close(stopping)
				sd.SdNotify(false, sd.SdNotifyStopping)
			})
			defer func() {
				if !notified() {
					<-stopping
				}
			}()
			return d.Run(cmd.Context(), func(addr net.Addr) {
				fmt.Fprintf(cmd.OutOrStdout(), "gpved: node %s is ready at https://%s\n", cfg.Agent.NodeName, addr)
				sd.SdNotify(false, sd.SdNotifyReady) // without systemd it does nothing
			})
		},
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", "`folder` that gpved init made (required)")
	cmd.Flags().StringVar(&listen, "listen", "", "`ADDR:PORT` instead of the configured one")
	cmd.Flags().StringVar(&configFile, "config", "", "configuration `file` (default: config.yaml in the data directory)")
	cmd.Flags().StringVar(&accel, "accel", "", "`accelerator` of guests: auto, kvm, tcg (default: the configured one)")
	cmd.Flags().BoolVar(&adopt, "adopt-node", false, "start even if the state's guests belong to a node of another name than agent.nodeName says")
	required(cmd, "data-dir")
	return cmd
}

// probeWord is the command that gpved runs itself; probeLife ends it where gpved has died before it could.
const (
	probeWord = "probe-storage"
	probeLife = 5 * time.Minute
)

// probeCmd looks at one storage in a process of its own, which gpved kills if the storage does not answer.
func probeCmd() *cobra.Command {
	return &cobra.Command{
		Use: probeWord, Short: "Look at a storage; gpved runs it", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), probeLife)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- daemon.ServeProbe(ctx, cmd.InOrStdin(), cmd.OutOrStdout()) }() // ends with the program at the latest
			select {
			case err := <-done:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	}
}
