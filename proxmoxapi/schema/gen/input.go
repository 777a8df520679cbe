package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// prop is a node of the pinned schema. A keyword that is not listed here makes the generator fail, so none is lost silently.
type prop struct {
	Type                 string           `json:"type"`
	Format               string           `json:"format"`
	Enum                 []any            `json:"enum"`
	Default              json.RawMessage  `json:"default"`
	Minimum              *float64         `json:"minimum"`
	Maximum              *float64         `json:"maximum"`
	MinLength            int              `json:"minLength"`
	MaxLength            int              `json:"maxLength"`
	Pattern              string           `json:"pattern"`
	Optional             int              `json:"optional"`
	Requires             string           `json:"requires"`
	Items                *prop            `json:"items"`
	Properties           map[string]*prop `json:"properties"`
	AdditionalProperties json.RawMessage  `json:"additionalProperties"`
	OneOf                []*prop          `json:"oneOf"`
	InstanceTypes        []string         `json:"instance-types"`
	TypeProperty         string           `json:"type-property"`
	RequiredFor          []string         `json:"requiredFor"`
	DefaultKey           int              `json:"default_key"`
	Alias                string           `json:"alias"`
	KeyAlias             string           `json:"keyAlias"`
	Count                int              `json:"count"`
	ChildHref            string           `json:"childHref"`
	Min                  json.RawMessage  `json:"min"` // misspelt upstream, without effect
	Max                  json.RawMessage  `json:"max"`
}

type permissions struct {
	User  string `json:"user"`
	Check []any  `json:"check"`
}

type task struct {
	Returns string   `json:"returns"`
	Types   []string `json:"types"`
}

type endpoint struct {
	Method               string           `json:"method"`
	Path                 string           `json:"path"`
	Name                 string           `json:"name"`
	Module               string           `json:"module"`
	Source               string           `json:"source"`
	PathParams           []string         `json:"pathParams"`
	RestParam            string           `json:"restParam"`
	Protected            int              `json:"protected"`
	ProxyTo              string           `json:"proxyto"`
	ProxyToCallback      int              `json:"proxytoCallback"`
	AllowToken           int              `json:"allowtoken"`
	DownloadAllowed      int              `json:"download_allowed"`
	ExposeCredentials    int              `json:"expose_credentials"`
	Permissions          *permissions     `json:"permissions"`
	Task                 *task            `json:"task"`
	AdditionalProperties json.RawMessage  `json:"additionalProperties"`
	Params               map[string]*prop `json:"params"`
	Returns              *prop            `json:"returns"`
}

type schemaFile struct {
	Formats   map[string]map[string]*prop `json:"formats"`
	Endpoints []*endpoint                 `json:"endpoints"`
}

// tablesFile is the part of formats.json that becomes tables. The rules in it are prose for the hand-written checks of
// package pveconf, whose test reads them.
type tablesFile struct {
	Tables struct {
		Privileges       []string            `json:"privileges"`
		BuiltinRoles     map[string][]string `json:"builtinRoles"`
		CPUModelsBuiltin []string            `json:"cpuModelsBuiltin"`
		CPUModelsAll     []string            `json:"cpuModelsAll"`
		CPUFlagsVM       []string            `json:"cpuFlagsVm"`
		ICMPTypes4       []string            `json:"icmpTypes4"`
		ICMPTypes6       []string            `json:"icmpTypes6"`
	} `json:"tables"`
}

func readSchema(path string) (*schemaFile, error) {
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	s := new(schemaFile)
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func readTables(path string) (*tablesFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := new(tablesFile)
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}
