package main

import (
	"encoding/json"
	"fmt"

	"github.com/turtacn/go-proxmox/proxmoxapi/vmconfig"
)

// qemuSuites answers the suites about a VM's configuration.
func qemuSuites() map[string]suiteFunc {
	return map[string]suiteFunc{
		"qemu.parse_config":   parseConfigSuite,
		"qemu.pending":        pendingSuite,
		"qemu.restore_config": restoreConfigSuite,
	}
}

// parseConfigSuite reads a configuration and writes it again.
func parseConfigSuite(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Text   string
		Strict bool
		VMID   int
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	cfg, _, err := vmconfig.Parse(in.Text, vmconfig.ParseOptions{VMID: in.VMID, Strict: in.Strict})
	if err != nil {
		return nil, err
	}
	text, err := cfg.Encode()
	return map[string]string{"text": text}, err
}

// restoreConfigSuite turns the configuration of a backup into that of the restored VM.
func restoreConfigSuite(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Text    string
		Volumes map[string]string `json:"volume_map"`
		Unique  bool
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	text, err := vmconfig.RestoreText(in.Text, vmconfig.RestoreOptions{Volumes: in.Volumes, Unique: in.Unique})
	return map[string]string{"text": text}, err
}

// pendingSuite does one step of the bookkeeping of pending changes.
func pendingSuite(op string, input json.RawMessage) (any, error) {
	var in struct{ Params []json.RawMessage }
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	p := pendingParams(in.Params)
	switch op {
	case "parse_pending_delete":
		text, err := p.text(0)
		return deleteListJSON(vmconfig.ParseDeleteList(text)), err
	case "print_pending_delete":
		var list deleteListJSON
		err := p.decode(0, &list)
		return vmconfig.DeleteList(list).String(), err
	}
	cfg, err := p.config()
	if err != nil {
		return nil, err
	}
	if op == "cleanup_pending" {
		cfg.CleanPending()
		return pendingConfigJSON(cfg), nil
	}
	key, err := p.text(1)
	if err != nil {
		return nil, err
	}
	switch op {
	case "add_to_pending_delete":
		force, err := p.flag(2)
		cfg.DeletePending(key, force)
		return pendingConfigJSON(cfg), err
	case "remove_from_pending_delete":
		cfg.UndeletePending(key)
		return pendingConfigJSON(cfg), nil
	}
	return nil, fmt.Errorf("no such operation: %s", op)
}

type pendingParams []json.RawMessage

// decode reads a parameter; one that is not given leaves into as it is.
func (p pendingParams) decode(i int, into any) error {
	if i >= len(p) {
		return nil
	}
	return json.Unmarshal(p[i], into)
}

func (p pendingParams) text(i int) (string, error) {
	var text string
	return text, p.decode(i, &text)
}

func (p pendingParams) flag(i int) (bool, error) {
	var v any
	err := p.decode(i, &v)
	return v == true || v == 1.0 || v == "1", err
}

// config reads a configuration written as one object, the pending section under its name.
func (p pendingParams) config() (*vmconfig.Config, error) {
	var raw map[string]json.RawMessage
	if err := p.decode(0, &raw); err != nil {
		return nil, err
	}
	cfg := vmconfig.New()
	for key, value := range raw {
		if key != "pending" {
			cfg.Main[key] = scalarText(value)
			continue
		}
		var pending map[string]json.RawMessage
		if err := json.Unmarshal(value, &pending); err != nil {
			return nil, err
		}
		for key, value := range pending {
			cfg.Pending[key] = scalarText(value)
		}
	}
	return cfg, nil
}

// scalarText is the text of a JSON string, or of a number as it is written.
func scalarText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

func pendingConfigJSON(cfg *vmconfig.Config) map[string]any {
	out := map[string]any{"pending": cfg.Pending}
	for key, value := range cfg.Main {
		out[key] = value
	}
	return out
}

// deleteListJSON is a delete list as the suite writes it: {"memory": {"force": 0}}.
type deleteListJSON vmconfig.DeleteList

type deleteEntry struct {
	Force int `json:"force"`
}

func (l deleteListJSON) MarshalJSON() ([]byte, error) {
	out := make(map[string]deleteEntry, len(l))
	for key, force := range l {
		out[key] = deleteEntry{}
		if force {
			out[key] = deleteEntry{Force: 1}
		}
	}
	return json.Marshal(out)
}

func (l *deleteListJSON) UnmarshalJSON(data []byte) error {
	var in map[string]deleteEntry
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*l = deleteListJSON{}
	for key, entry := range in {
		(*l)[key] = entry.Force != 0
	}
	return nil
}
