package netkit

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Action is what one step of a plan does.
type Action string

// The actions.
const (
	ActCreate  Action = "create"
	ActDelete  Action = "delete"
	ActMTU     Action = "mtu"
	ActMAC     Action = "mac"
	ActMaster  Action = "master"
	ActBridge  Action = "bridge"  // properties of a bridge
	ActBond    Action = "bond"    // properties of a bond
	ActPort    Action = "port"    // what a port of a bridge does beside VLANs
	ActVLANDel Action = "no-vlan" // takes VLANs from a port, or from a bridge itself
	ActVLANAdd Action = "vlan"    // gives VLANs to a port, tagged, or to a bridge itself
	ActPVID    Action = "pvid"    // the VLAN of untagged frames
	ActFDBDel  Action = "no-fdb"  // takes static addresses from a port
	ActFDBAdd  Action = "fdb"     // gives static addresses to a port
	ActRemote  Action = "remote"  // adds a host to a VXLAN
	ActNoHost  Action = "no-remote"
	ActRate    Action = "rate"
	ActAddr    Action = "address"
	ActNoAddr  Action = "no-address"
	ActAltName Action = "altname"
	ActNoIPv6  Action = "no-ipv6"
	ActUp      Action = "up"
	ActDown    Action = "down"

	ActRoute       Action = "route"
	ActNoRoute     Action = "no-route"
	ActRule        Action = "rule"
	ActNoRule      Action = "no-rule"
	ActNeighbour   Action = "neighbour"
	ActNoNeighbour Action = "no-neighbour"
)

// Step is one change; Link holds the wanted values of the link that it is about. The other fields belong to the actions
// that are named like them.
type Step struct {
	Action    Action
	Link      Link
	Addr      netip.Prefix       // ActAddr, ActNoAddr
	VLANs     []VLANRange        // ActVLANAdd, ActVLANDel
	PVID      uint16             // ActPVID, ActVLANDel of the former one
	MACs      []net.HardwareAddr // ActFDBAdd, ActFDBDel
	Host      netip.Addr         // ActRemote, ActNoHost
	AltName   string
	Route     Route
	Rule      Rule
	Neighbour Neighbour
}

func (s Step) String() string {
	l := s.Link
	switch s.Action {
	case ActCreate:
		return createText(l)
	case ActMTU:
		return fmt.Sprintf("%s mtu %d", l.Name, l.MTU)
	case ActMAC:
		return fmt.Sprintf("%s mac %s", l.Name, l.MAC)
	case ActMaster:
		if l.Master == "" {
			return l.Name + " nomaster"
		}
		return l.Name + " master " + l.Master
	case ActBridge:
		return fmt.Sprintf("%s bridge vlan-aware=%t pvid=%d stp=%t forward-delay=%v", l.Name, l.Bridge.VLANAware, l.Bridge.PVID, l.Bridge.STP, l.Bridge.ForwardDelay)
	case ActBond:
		return fmt.Sprintf("%s bond miimon=%v xmit-hash=%s lacp-rate=%s primary=%s", l.Name, l.Bond.MIIMon, l.Bond.XmitHash, l.Bond.LACPRate, l.Bond.Primary)
	case ActPort:
		return l.Name + " port " + l.Port.flags()
	case ActVLANAdd, ActVLANDel:
		return fmt.Sprintf("%s %s %s", l.Name, s.Action, rangesText(s.VLANs))
	case ActPVID:
		return fmt.Sprintf("%s pvid %d", l.Name, s.PVID)
	case ActFDBAdd, ActFDBDel:
		return fmt.Sprintf("%s %s %s", l.Name, s.Action, macsText(s.MACs))
	case ActRemote, ActNoHost:
		return fmt.Sprintf("%s %s %s", l.Name, s.Action, s.Host)
	case ActRate:
		return fmt.Sprintf("%s rate out=%d in=%d", l.Name, l.Rate.Out, l.Rate.In)
	case ActAddr, ActNoAddr:
		return fmt.Sprintf("%s %s %s", l.Name, s.Action, s.Addr)
	case ActAltName:
		return l.Name + " altname " + s.AltName
	case ActRoute, ActNoRoute:
		return fmt.Sprintf("%s %s", s.Action, s.Route)
	case ActRule, ActNoRule:
		return fmt.Sprintf("%s %s", s.Action, s.Rule)
	case ActNeighbour, ActNoNeighbour:
		return fmt.Sprintf("%s %s", s.Action, s.Neighbour)
	}
	return l.Name + " " + string(s.Action)
}

// subject is what an error of the step names.
func (s Step) subject() string {
	switch s.Action {
	case ActRoute, ActNoRoute:
		return s.Route.String()
	case ActRule, ActNoRule:
		return s.Rule.String()
	case ActNeighbour, ActNoNeighbour:
		return s.Neighbour.String()
	}
	return s.Link.Name
}

func createText(l Link) string {
	out := fmt.Sprintf("create %s %s", l.Kind, l.Name)
	switch {
	case l.VLAN != nil:
		out += fmt.Sprintf(" on %s id %d %s", l.Parent, l.VLAN.ID, l.VLAN.protocol())
	case l.VXLAN != nil:
		out += fmt.Sprintf(" id %d port %d", l.VXLAN.ID, l.VXLAN.port())
	case l.Bond != nil:
		out += " mode " + string(l.Bond.mode())
	case l.Parent != "":
		out += " on " + l.Parent
	}
	return out
}

func macsText(list []net.HardwareAddr) string {
	var out []string
	for _, m := range list {
		out = append(out, m.String())
	}
	return strings.Join(out, ",")
}

// Steps is a plan, in the order in which it is applied.
type Steps []Step

func (s Steps) String() string {
	lines := make([]string, len(s))
	for i, step := range s {
		lines[i] = step.String()
	}
	return strings.Join(lines, "\n")
}
