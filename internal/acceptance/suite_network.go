package main

import (
	"encoding/json"
	"fmt"

	"github.com/turtacn/go-proxmox/internal/hostnet/interfaces"
)

// networkSuites are the suites about the host's network.
func networkSuites() map[string]suiteFunc {
	return map[string]suiteFunc{"common.network_interfaces": networkInterfaces}
}

// networkInterfaces answers with the text of a file that was read and written again, or of a given configuration.
func networkInterfaces(op string, input json.RawMessage) (any, error) {
	var in struct {
		Text  string `json:"text"`
		Links map[string]struct {
			AltNames []string `json:"altnames"`
			LinkType string   `json:"link_type"`
			LinkInfo struct {
				Kind string `json:"info_kind"`
			} `json:"linkinfo"`
		} `json:"ip_links"`
		Active []string `json:"active"`
		Config struct {
			Ifaces  map[string]interfaces.Entry `json:"ifaces"`
			Options [][2]json.RawMessage        `json:"options"`
		} `json:"config"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	var file *interfaces.File
	switch op {
	case "interfaces_rewrite":
		live := interfaces.Live{Up: in.Active}
		for name, l := range in.Links {
			live.Links = append(live.Links, interfaces.Link{Name: name, AltNames: l.AltNames, Physical: l.LinkType == "ether" && l.LinkInfo.Kind == ""})
		}
		file = interfaces.Parse(in.Text, live)
	case "interfaces_write":
		file = &interfaces.File{Ifaces: in.Config.Ifaces}
		for _, o := range in.Config.Options {
			var line interfaces.Line
			if err := json.Unmarshal(o[0], &line.Priority); err != nil {
				return nil, err
			}
			if err := json.Unmarshal(o[1], &line.Text); err != nil {
				return nil, err
			}
			file.Global = append(file.Global, line)
		}
	default:
		return nil, fmt.Errorf("unknown op %s", op)
	}
	text, err := file.Format()
	if err != nil {
		return nil, err
	}
	return map[string]any{"text": text, "config": file.Ifaces}, nil
}
