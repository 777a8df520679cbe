package firewall

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ruleTags reads the tags of the rules of a table by their chains, of one chain alone if it is named. The kernel lists the rules of
// a table at once, and nothing of them but the tags is decoded: of thousands of chains each, the library would ask for each, and
// decode it all.
func (c *Conn) ruleTags(family nftables.TableFamily, table, chain string) (map[string][]string, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: int(c.ns.Fd())})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := largeDumps(conn); err != nil {
		return nil, err
	}
	names := []netlink.Attribute{{Type: unix.NFTA_RULE_TABLE, Data: []byte(table + "\x00")}}
	if chain != "" {
		names = append(names, netlink.Attribute{Type: unix.NFTA_RULE_CHAIN, Data: []byte(chain + "\x00")})
	}
	attributes, err := netlink.MarshalAttributes(names)
	if err != nil {
		return nil, err
	}
	request := netlink.Message{
		Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE, Flags: netlink.Request | netlink.Dump},
		Data:   append([]byte{byte(family), unix.NFNETLINK_V0, 0, 0}, attributes...), // struct nfgenmsg
	}
	answers, err := conn.Execute(request)
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, m := range answers {
		if m.Header.Flags&netlink.DumpInterrupted != 0 {
			return nil, unix.EINTR
		}
		if err := addTag(out, m.Data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// addTag reads the chain and the tag of a rule.
func addTag(out map[string][]string, message []byte) error {
	const header = 4 // struct nfgenmsg
	if len(message) < header {
		return errors.New("a short message of a rule")
	}
	var chain, tag string
	for rest := message[header:]; len(rest) >= unix.NLA_HDRLEN; {
		n, typ := int(binary.NativeEndian.Uint16(rest)), binary.NativeEndian.Uint16(rest[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)
		if n < unix.NLA_HDRLEN || n > len(rest) {
			return errors.New("a broken message of a rule")
		}
		switch body := rest[unix.NLA_HDRLEN:n]; typ {
		case unix.NFTA_RULE_CHAIN:
			chain = unix.ByteSliceToString(body)
		case unix.NFTA_RULE_USERDATA:
			comment, _ := userdata.GetString(body, userdata.TypeComment)
			tag, _ = strings.CutPrefix(comment, commentPrefix)
		}
		rest = rest[min((n+3)/4*4, len(rest)):]
	}
	out[chain] = append(out[chain], tag)
	return nil
}
