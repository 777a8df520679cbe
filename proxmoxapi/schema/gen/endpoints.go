package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// writeEndpoints prints the table of endpoints.
func writeEndpoints(b *bytes.Buffer, s *schemaFile, l *pool) error {
	fmt.Fprintf(b, "// endpoints are all methods, sorted by path.\nvar endpoints = [%d]Endpoint{\n", len(s.Endpoints))
	for _, e := range s.Endpoints {
		literal, err := endpointLiteral(e, l)
		if err != nil {
			return fmt.Errorf("%s %s: %w", e.Method, e.Path, err)
		}
		b.WriteString("{" + literal + "},\n")
	}
	b.WriteString("}\n")
	return nil
}

func endpointLiteral(e *endpoint, l *pool) (string, error) {
	var f []string
	add := func(name, value string) { f = append(f, name+": "+value) }
	flag := func(name string, v int) {
		if v != 0 {
			add(name, "true")
		}
	}
	add("Method", strconv.Quote(e.Method))
	add("Path", strconv.Quote(e.Path))
	add("Name", strconv.Quote(e.Name))
	if len(e.PathParams) > 0 {
		add("PathParams", stringSlice(e.PathParams))
	}
	if e.RestParam != "" {
		add("RestParam", strconv.Quote(e.RestParam))
	}
	flag("Protected", e.Protected)
	if e.ProxyTo != "" {
		add("ProxyTo", strconv.Quote(e.ProxyTo))
	}
	flag("ProxyToCallback", e.ProxyToCallback)
	flag("AllowToken", e.AllowToken)
	flag("DownloadAllowed", e.DownloadAllowed)
	if e.Permissions != nil {
		perm, err := permissionLiteral(e.Permissions)
		if err != nil {
			return "", err
		}
		add("Permission", perm)
	}
	if e.Task != nil {
		add("TaskReturns", strconv.Quote(e.Task.Returns))
		add("TaskTypes", stringSlice(e.Task.Types))
	}
	if href := e.childHref(); href != "" {
		add("ChildHref", strconv.Quote(href))
	}
	params, err := l.property(&prop{Type: "object", Properties: e.Params, AdditionalProperties: e.AdditionalProperties})
	if err != nil {
		return "", err
	}
	add("Params", "&"+params)
	if e.Returns != nil {
		returns, err := l.property(e.Returns)
		if err != nil {
			return "", err
		}
		add("Returns", "&"+returns)
	}
	return strings.Join(f, ", "), nil
}

func (e *endpoint) childHref() string {
	if e.Returns == nil {
		return ""
	}
	if e.Returns.ChildHref != "" || e.Returns.Items == nil {
		return e.Returns.ChildHref
	}
	return e.Returns.Items.ChildHref
}

// permissionLiteral prints a permission expression. A method open to every login has no check, whatever else it says.
func permissionLiteral(p *permissions) (string, error) {
	switch {
	case p.User == "world":
		return "&Permission{Kind: PermWorld}", nil
	case p.User == "all":
		return "&Permission{Kind: PermAll}", nil
	case p.User != "":
		return "", fmt.Errorf("unknown user %q in permissions", p.User)
	}
	return checkLiteral(p.Check)
}

var errCheck = errors.New("permission check of unknown form")

func checkLiteral(c []any) (string, error) {
	if len(c) == 0 {
		return "", errCheck
	}
	op, _ := c[0].(string)
	args := c[1:]
	switch op {
	case "and", "or":
		kind := map[string]string{"and": "PermAnd", "or": "PermOr"}[op]
		children := make([]string, len(args))
		for i, a := range args {
			sub, ok := a.([]any)
			if !ok {
				return "", errCheck
			}
			lit, err := checkLiteral(sub)
			if err != nil {
				return "", err
			}
			children[i] = lit
		}
		return fmt.Sprintf("&Permission{Kind: %s, Children: []*Permission{%s}}", kind, strings.Join(children, ", ")), nil
	case "perm":
		return permLiteral(args)
	case "userid-group":
		return groupLiteral(args)
	case "userid-param":
		if len(args) == 1 {
			return fmt.Sprintf("&Permission{Kind: PermUseridParam, Param: %q}", args[0]), nil
		}
	case "perm-modify":
		if len(args) == 1 {
			return fmt.Sprintf("&Permission{Kind: PermModify, Path: %q}", args[0]), nil
		}
	}
	return "", fmt.Errorf("%w: %v", errCheck, c)
}

func permLiteral(args []any) (string, error) {
	if len(args) < 2 || len(args)%2 != 0 {
		return "", fmt.Errorf("%w: perm %v", errCheck, args)
	}
	privs, err := textList(args[1])
	if err != nil {
		return "", err
	}
	lit := fmt.Sprintf("Kind: PermPath, Path: %q, Privs: %s", args[0], stringSlice(privs))
	for i := 2; i < len(args); i += 2 {
		switch args[i] {
		case "any":
			lit += ", Any: true"
		case "require_param":
			lit += fmt.Sprintf(", RequireParam: %q", args[i+1])
		default:
			return "", fmt.Errorf("%w: perm %v", errCheck, args)
		}
	}
	return "&Permission{" + lit + "}", nil
}

func groupLiteral(args []any) (string, error) {
	if len(args) != 1 && len(args) != 3 {
		return "", fmt.Errorf("%w: userid-group %v", errCheck, args)
	}
	privs, err := textList(args[0])
	if err != nil {
		return "", err
	}
	lit := "Kind: PermUseridGroup, Privs: " + stringSlice(privs)
	if len(args) == 3 {
		if args[1] != "groups_param" {
			return "", fmt.Errorf("%w: userid-group %v", errCheck, args)
		}
		lit += fmt.Sprintf(", GroupsParam: %q", args[2])
	}
	return "&Permission{" + lit + "}", nil
}

func textList(v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, errCheck
	}
	texts := make([]string, len(list))
	for i := range list {
		if texts[i], ok = list[i].(string); !ok {
			return nil, errCheck
		}
	}
	return texts, nil
}
