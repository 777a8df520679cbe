package pveconf

import (
	"errors"
	"strings"
)

// ruleError fills the value into a text.
func ruleError(text, value string) error { return errors.New(strings.ReplaceAll(text, "{v}", value)) }

// simple is a rule with one text.
func simple(ok func(string) bool, text string) func(string) error {
	return func(v string) error {
		if ok(v) {
			return nil
		}
		return ruleError(text, v)
	}
}

// builtinRule returns the check of a scalar rule, nil if there is none of that name. The names, rules and texts are those
// of PVE's registered formats; patterns match the whole value, a line break at its end does not pass. Not here
// are the rules that stand on tables of the API: pve-priv and pve-fw-icmp-type-spec.
func builtinRule(name string) func(string) error {
	for _, group := range [...]func(string) func(string) error{identifierRule, networkRule, storageRule, guestRule, firewallRule, sdnRule, textRule} {
		if fn := group(name); fn != nil {
			return fn
		}
	}
	return nil
}

// identifierRule has the names of things.
func identifierRule(name string) func(string) error {
	switch name {
	case "pve-configid":
		return simple(isConfigID, "invalid configuration ID '{v}'")
	case "pve-node":
		return simple(label, "value does not look like a valid node name")
	case "pve-vmid":
		return simple(isVMID, "value does not look like a valid VM ID")
	case "pve-poolid":
		return checkPoolID
	case "pve-groupid":
		return simple(isName, "group name '{v}' contains invalid characters")
	case "pve-roleid":
		return simple(isName, "role name '{v}' contains invalid characters")
	case "pve-realm":
		return simple(isRealm, "value does not look like a valid realm")
	case "pve-userid":
		return checkUserID
	case "pve-tokenid":
		return simple(isTokenID, "value '{v}' does not look like a valid token ID")
	case "acme-plugin-id":
		return checkACMEPlugin
	case "pve-tag":
		return simple(isTag, "invalid characters in tag")
	case "pve-ha-node":
		return simple(isHANode, "value does not look like a valid ha node")
	case "pve-ha-resource-id":
		return simple(isHAResource, "value does not look like a valid ha resource id")
	case "pve-ha-resource-or-vm-id":
		return simple(func(v string) bool { return class(digit).all(v) || isHAResource(v) }, "value does not look like a valid ha resource id")
	case "pve-replication-job-id":
		return checkReplicationJob
	case "ldap-simple-attr":
		return simple(class(alnum).all, "value '{v}' does not look like a simple ldap attribute name")
	}
	return nil
}

func isConfigID(v string) bool { return led(v, alpha, class(word).and("-")) }

func isVMID(v string) bool {
	return len(v) >= 3 && len(v) <= 9 && v[0] != '0' && class(digit).all(v)
}

func isName(v string) bool { return class(alnum).and(".-_").all(v) }

func isRealm(v string) bool { return led(v, alpha, class(alnum).and(".-_")) }

func isTag(v string) bool {
	return v != "" && word(v[0]) && (len(v) == 1 || class(word).and("-+.").all(v[1:]))
}

func isHANode(v string) bool {
	node, priority, given := strings.Cut(v, ":")
	return label(node) && (!given || class(digit).all(priority))
}

func isHAResource(v string) bool {
	kind, id, ok := strings.Cut(v, ":")
	return ok && class(lower).all(kind) && class(graphic).all(id)
}

// isUser tells whether v is name@realm with name of at least one character; the last '@' parts them.
func isUser(v string) bool {
	at := strings.LastIndexByte(v, '@')
	if at < 1 {
		return false
	}
	name := func(c byte) bool { return graphic(c) && c != ':' && c != '/' }
	return class(name).all(v[:at]) && isRealm(v[at+1:])
}

func checkUserID(v string) error {
	switch n := len([]rune(v)); {
	case n < 3:
		return ruleError("user name '{v}' is too short", v)
	case n > 64:
		return ruleError("user name '{v}' is too long ("+number(float64(n))+" > 64)", v)
	case !isUser(v):
		return ruleError("value '{v}' does not look like a valid user name", v)
	}
	return nil
}

func isTokenID(v string) bool {
	i := strings.LastIndexByte(v, '!')
	return i > 0 && isUser(v[:i]) && isRealm(v[i+1:])
}

func checkPoolID(v string) error {
	switch {
	case strings.Count(v, "/") > 2:
		return ruleError("pool name '{v}' nested too deeply (max levels = 3)", v)
	case !each(v, "/", isName):
		return ruleError("pool name '{v}' contains invalid characters", v)
	}
	return nil
}

func checkACMEPlugin(v string) error {
	switch {
	case len(v) < 2:
		return ruleError("ACME plugin ID '{v}' cannot be shorter than 2 characters", v)
	case !framed(v, alpha, class(alnum).and("-_."), alnum):
		return ruleError("ACME plugin ID '{v}' contains illegal characters", v)
	}
	return nil
}

func checkReplicationJob(v string) error {
	guest, job, ok := strings.Cut(v, "-")
	if !ok || !class(digit).all(guest) || !class(digit).all(job) {
		return ruleError("invalid replication job id '{v}'", v)
	}
	if guest = strings.TrimLeft(guest, "0"); len(guest) < 3 {
		return ruleError("invalid replication job id '{v}' (guest IDs < 100 are reserved)", v)
	}
	return nil
}
