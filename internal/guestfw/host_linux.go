package guestfw

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/turtacn/go-proxmox/netkit"
	"github.com/turtacn/go-proxmox/netkit/firewall"
)

// Facts returns what [Options] take as Facts: the addresses of a namespace, and the network that holds the node's address in
// the cluster, which may be unknown (empty).
func Facts(ns *netkit.NS, address func() string) func(ctx context.Context) (firewall.Node, error) {
	return func(ctx context.Context) (firewall.Node, error) {
		if err := ctx.Err(); err != nil {
			return firewall.Node{}, err
		}
		f, err := os.Open(ns.Path())
		if err != nil {
			return firewall.Node{}, err
		}
		defer f.Close()
		h, err := netlink.NewHandleAt(netns.NsHandle(f.Fd()), unix.NETLINK_ROUTE)
		if err != nil {
			return firewall.Node{}, fmt.Errorf("guestfw: addresses: %w", err)
		}
		defer h.Close()
		return readFacts(h, address())
	}
}

func readFacts(h *netlink.Handle, address string) (firewall.Node, error) {
	node := firewall.Node{AltNames: map[string]string{}}
	links, err := h.LinkList()
	if err != nil {
		return node, fmt.Errorf("guestfw: links: %w", err)
	}
	for _, l := range links {
		for _, alt := range l.Attrs().AltNames {
			node.AltNames[alt] = l.Attrs().Name
		}
	}
	addrs, err := h.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return node, fmt.Errorf("guestfw: addresses: %w", err)
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ones, _ := a.Mask.Size(); ok {
			node.Addrs = append(node.Addrs, netip.PrefixFrom(ip.Unmap(), ones))
		}
	}
	slices.SortFunc(node.Addrs, netip.Prefix.Compare)
	node.Addrs = slices.Compact(node.Addrs)
	node.LocalNetwork = localNetwork(node.Addrs, address)
	return node, nil
}

// Sysctls returns what [Options] take as Sysctls. The table of connections is made larger, never smaller than an administrator
// has made it; its hash is a parameter of the module and is left alone in namespaces other than the host's.
func Sysctls(ns *netkit.NS) func(ctx context.Context, values map[string]string) error {
	return func(ctx context.Context, values map[string]string) error {
		return ns.Do(ctx, func() error {
			var errs []error
			for name, value := range values {
				errs = append(errs, setSysctl(name, value))
			}
			return errors.Join(errs...)
		})
	}
}

const (
	conntrackMax  = "net/netfilter/nf_conntrack_max"
	conntrackHash = "/sys/module/nf_conntrack/parameters/hashsize"
)

// setSysctl writes a value that differs. What is not there belongs to a module that is not loaded, and so limits nothing.
func setSysctl(name, value string) error {
	path := "/proc/sys/" + name
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	have := strings.TrimSpace(string(data))
	if have == value {
		return nil
	}
	if name == conntrackMax {
		old, _ := strconv.Atoi(have)
		wanted, err := strconv.Atoi(value)
		if err != nil || wanted <= old {
			return err
		}
		if err := os.WriteFile(conntrackHash, []byte(strconv.Itoa(wanted/4)), 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, unix.EOPNOTSUPP) {
			return err
		}
	}
	err = os.WriteFile(path, []byte(value), 0o600)
	if errors.Is(err, fs.ErrPermission) && name == conntrackMax {
		return nil // the host's namespace alone may set it
	}
	return err
}
