package usercfg

import (
	"math"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// blanks are what Perl's \s matches in bytes.
const blanks = " \t\n\r\f\v"

// parser reads user.cfg line by line. Nothing stops it: what it cannot use is dropped with a warning.
type parser struct {
	cfg      *Config
	vmPool   map[string]string
	warnings []string
}

// Parse reads user.cfg. The warnings say what was left out; they are complete sentences for the log.
func Parse(text string) (*Config, []string) {
	p := &parser{cfg: New(), vmPool: map[string]string{}}
	delete(p.cfg.Users, Root) // a line may disable it
	for line := range strings.Lines(text) {
		if line = strings.Trim(line, blanks); line != "" {
			p.record(line)
		}
	}
	for name, privs := range privileges().builtin {
		p.cfg.Roles[name] = privs
	}
	p.cfg.ensureRoot()
	return p.cfg, p.warnings
}

// fields are the trimmed fields of a record; a missing one is empty.
type fields []string

func (f fields) at(i int) string {
	if i < len(f) {
		return f[i]
	}
	return ""
}

func (f fields) flag(i int) bool { s := f.at(i); return s != "" && s != "0" }

func (p *parser) warn(parts ...string) {
	p.warnings = append(p.warnings, "user config - "+strings.Join(parts, ""))
}

func (p *parser) record(line string) {
	f := fields(strings.Split(line, ":"))
	for i := range f {
		f[i] = strings.Trim(f[i], blanks)
	}
	switch f[0] {
	case "user":
		p.user(f)
	case "token":
		p.token(f)
	case "group":
		p.group(f)
	case "role":
		p.role(f)
	case "acl":
		p.acl(f)
	case "pool":
		p.pool(f)
	default:
		p.warn("ignore config line: ", line)
	}
}

// parseExpire reads a time in Unix seconds; one beyond the range of the type is as good as the end of it.
func parseExpire(s string) (int64, bool) {
	if s == "" {
		return 0, true
	}
	if !isDigits(s) {
		return 0, false
	}
	t, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t = math.MaxInt64
	}
	return t, true
}

func (p *parser) user(f fields) {
	id := f.at(1)
	if _, _, ok := SplitUserID(id); !ok {
		p.warn("ignore user '", id, "' - invalid user name")
		return
	}
	expire, ok := parseExpire(f.at(3))
	if !ok {
		p.warn("ignore user '", id, "' - (illegal characters in expire '", f.at(3), "')")
		return
	}
	p.cfg.Users[id] = &User{
		Enable: f.flag(2), Expire: expire,
		FirstName: decodeText(f.at(4)), LastName: decodeText(f.at(5)),
		Email: f.at(6), Comment: decodeText(f.at(7)), Keys: f.at(8),
		Tokens: map[string]*Token{},
	}
}

func (p *parser) token(f fields) {
	id := f.at(1)
	user, name, ok := SplitTokenID(id)
	if !ok {
		p.warn("ignore invalid tokenid '", id, "'")
		return
	}
	expire, ok := parseExpire(f.at(2))
	if !ok {
		p.warn("ignore token '", id, "' - (illegal characters in expire '", f.at(2), "')")
		return
	}
	if p.cfg.Users[user] == nil {
		p.warn("ignore token '", id, "' - user does not exist")
		return
	}
	p.cfg.Users[user].Tokens[name] = &Token{Expire: expire, PrivSep: f.flag(3), Comment: decodeText(f.at(4))}
}

func (p *parser) group(f fields) {
	name := f.at(1)
	if !ValidGroup(name) {
		p.warn("ignore group '", name, "' - invalid characters in group name")
		return
	}
	g := p.cfg.Groups[name]
	if g == nil {
		g = &Group{Members: Set{}}
		p.cfg.Groups[name] = g
	}
	if comment := f.at(3); comment != "" {
		g.Comment = decodeText(comment)
	}
	for _, user := range SplitList(f.at(2)) {
		_, _, wellFormed := SplitUserID(user)
		if wellFormed {
			g.Members.Add(user)
		}
		if p.cfg.Users[user] == nil {
			p.warn("ignore invalid group member '", user, "'")
		}
	}
}

func (p *parser) role(f fields) {
	name := f.at(1)
	if !ValidRole(name) {
		p.warn("ignore role '", name, "' - invalid characters in role name")
		return
	}
	privs, bad := PrivSetOf(SplitList(f.at(2))...)
	p.cfg.Roles[name] |= privs
	for _, priv := range bad {
		p.warn("ignore invalid privilege '", priv, "'")
	}
}

func (p *parser) pool(f fields) {
	name := f.at(1)
	if !ValidPool(name) {
		p.warn("ignore pool '", name, "' - invalid characters in pool name")
		return
	}
	pool := p.cfg.AddPool(name)
	if comment := f.at(2); comment != "" {
		pool.Comment = decodeText(comment)
	}
	for _, id := range SplitList(f.at(3)) {
		switch {
		case !isDigits(id):
			p.warn("ignore invalid vmid '", id, "' in pool '", name, "'")
		case p.vmPool[id] != "":
			p.warn("ignore duplicate vmid '", id, "' in pool '", name, "'")
		default:
			p.vmPool[id] = name
			pool.VMs.Add(id)
		}
	}
	for _, id := range SplitList(f.at(4)) {
		if !validStorage(id) {
			p.warn("ignore invalid storage '", id, "' in pool '", name, "'")
			continue
		}
		pool.Storages.Add(id)
	}
}

func (p *parser) acl(f fields) {
	path, ok := NormalizePath(f.at(2))
	if !ok {
		p.warn("ignore invalid path in acl '", f.at(2), "'")
		return
	}
	for _, role := range SplitList(f.at(4)) {
		if !ValidRole(role) {
			p.warn("ignore invalid role name '", role, "' in acl")
			continue
		}
		if _, known := p.cfg.Roles[role]; !known {
			p.warn("ignore invalid acl role '", role, "'")
			continue
		}
		for _, member := range SplitList(f.at(3)) {
			p.grant(path, member, role, f.flag(1))
		}
	}
}

// grant adds one member to the list of a path. Dangling users and groups are kept: they may come back.
func (p *parser) grant(path, member, role string, propagate bool) {
	if group, ok := strings.CutPrefix(member, "@"); ok && ValidGroup(group) {
		if p.cfg.Groups[group] == nil {
			p.warn("ignore invalid acl group '", group, "'")
		}
		p.cfg.ACL.At(path).Groups.Set(group, role, propagate)
		return
	}
	if _, _, ok := SplitUserID(member); ok {
		if p.cfg.Users[member] == nil {
			p.warn("ignore invalid acl member '", member, "'")
		}
		p.cfg.ACL.At(path).Users.Set(member, role, propagate)
		return
	}
	if _, _, ok := SplitTokenID(member); ok {
		if p.cfg.Token(member) == nil {
			p.warn("ignore invalid acl token '", member, "'")
			return
		}
		p.cfg.ACL.At(path).Tokens.Set(member, role, propagate)
		return
	}
	p.warn("invalid user/group '", member, "' in acl")
}

// decodeText reads a name or comment; what is not UTF-8 in it is replaced.
func decodeText(s string) string { return strings.ToValidUTF8(pveconf.DecodeText(s), "\uFFFD") }
