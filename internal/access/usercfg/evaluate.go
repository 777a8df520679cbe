package usercfg

import (
	"maps"
	"slices"
	"strings"
)

// Held is what somebody may do at a path.
type Held struct {
	Privs      PrivSet // the privileges held
	Propagated PrivSet // those among them that also hold below the path; matters for handing roles out
}

// Map returns privilege → propagate, the form of GET /access/permissions. It is empty rather than nil.
func (h Held) Map() map[string]bool {
	m := map[string]bool{}
	for name := range h.Privs.Names() {
		p, _ := Privilege(name)
		m[name] = h.Propagated.Has(p)
	}
	return m
}

// grant is what one member's entry at one node comes to.
type grant struct {
	Held
	none  bool // NoAccess is among the roles
	roles map[string]bool
}

// spot is a compiled node: for each member the grant when the path ends here, and the one when it goes on.
type spot struct {
	users, groups, tokens map[string]*entry
	children              map[string]*spot
}

type entry struct{ end, inner *grant } // nil: no role counts

// Evaluator answers who may do what. It is immutable and safe for concurrent use.
type Evaluator struct {
	cfg          *Config
	root         *spot
	groupsOf     map[string][]string
	vmPool       map[string]string
	storagePools map[string][]string
}

// NewEvaluator compiles a configuration, which must not change afterwards.
func NewEvaluator(cfg *Config) *Evaluator {
	e := &Evaluator{cfg: cfg, groupsOf: map[string][]string{}, vmPool: map[string]string{}, storagePools: map[string][]string{}}
	e.root = e.compile(cfg.ACL)
	for _, name := range slices.Sorted(maps.Keys(cfg.Groups)) {
		for user := range cfg.Groups[name].Members {
			e.groupsOf[user] = append(e.groupsOf[user], name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Pools)) {
		for id := range cfg.Pools[name].VMs {
			e.vmPool[id] = name
		}
		for id := range cfg.Pools[name].Storages {
			e.storagePools[id] = append(e.storagePools[id], name)
		}
	}
	return e
}

// Config returns the configuration that the evaluator was made of. It is shared: read only.
func (e *Evaluator) Config() *Config { return e.cfg }

// GroupsOf returns the groups that list the user, sorted. The slice is shared: read only.
func (e *Evaluator) GroupsOf(user string) []string { return e.groupsOf[user] }

// PoolOf returns the name of the pool that the guest is in, "" if it is in none.
func (e *Evaluator) PoolOf(vmid string) string { return e.vmPool[vmid] }

func (e *Evaluator) compile(n *Node) *spot {
	s := &spot{users: e.entries(n.Users), groups: e.entries(n.Groups), tokens: e.entries(n.Tokens)}
	if len(n.Children) > 0 {
		s.children = make(map[string]*spot, len(n.Children))
		for name, child := range n.Children {
			s.children[name] = e.compile(child)
		}
	}
	return s
}

func (e *Evaluator) entries(g Grants) map[string]*entry {
	m := make(map[string]*entry, len(g))
	for member, roles := range g {
		m[member] = &entry{end: e.grant(roles, false), inner: e.grant(roles, true)}
	}
	return m
}

func (e *Evaluator) grant(roles map[string]bool, onlyPropagating bool) *grant {
	g := &grant{roles: map[string]bool{}}
	for role, propagate := range roles {
		privs, known := e.cfg.Roles[role]
		if !known || onlyPropagating && !propagate {
			continue
		}
		g.roles[role] = propagate
		g.none = g.none || role == RoleNoAccess
		g.Privs |= privs
		if propagate {
			g.Propagated |= privs
		}
	}
	if len(g.roles) == 0 {
		return nil
	}
	return g
}

// at picks the grant that counts: at the end of the path or on the way to it.
func (en *entry) at(end bool) *grant {
	switch {
	case en == nil:
		return nil
	case end:
		return en.end
	}
	return en.inner
}

// subject is an auth id, resolved: whose entries count.
type subject struct {
	user   string
	token  string // full id of a token with privilege separation, else empty
	groups []string
}

// result collects grants; the ones of the deepest node that has any replace those before.
type result struct {
	grant
	collect bool // also the names of the roles
}

func (r *result) reset() {
	r.Held, r.none = Held{}, false
	clear(r.roles)
}

func (r *result) add(g *grant) {
	r.Privs |= g.Privs
	r.Propagated |= g.Propagated
	r.none = r.none || g.none
	if r.collect {
		for role, propagate := range g.roles {
			r.roles[role] = r.roles[role] || propagate
		}
	}
}

func (s *spot) visit(who *subject, end bool, r *result) {
	if who.token != "" {
		if g := s.tokens[who.token].at(end); g != nil {
			r.reset()
			r.add(g)
		}
		return
	}
	if g := s.users[who.user].at(end); g != nil {
		r.reset()
		r.add(g)
		return
	}
	if len(s.groups) == 0 {
		return
	}
	first := true
	for _, name := range who.groups {
		g := s.groups[name].at(end)
		if g == nil {
			continue
		}
		if first {
			r.reset()
			first = false
		}
		r.add(g)
	}
}

// walk evaluates the lists along a normalised path.
func (e *Evaluator) walk(who *subject, path string, r *result) {
	if path == "" {
		return
	}
	s := e.root
	for rest := path[1:]; ; {
		s.visit(who, rest == "", r)
		if rest == "" {
			return
		}
		var seg string
		seg, rest, _ = strings.Cut(rest, "/")
		if s = s.children[seg]; s == nil {
			return
		}
	}
}

// heldBy evaluates the lists and the pools for one subject.
func (e *Evaluator) heldBy(who *subject, path string) Held {
	if who.user == Root && who.token == "" {
		return Held{Privs: AllPrivileges(), Propagated: AllPrivileges()}
	}
	var r result
	e.walk(who, path, &r)
	if r.none {
		return Held{}
	}
	pool, pools := e.poolsAt(path)
	if pool != "" {
		pools = []string{pool}
	}
	for _, name := range pools {
		var p result
		e.walk(who, "/pool/"+name, &p)
		if p.none {
			return Held{}
		}
		r.Privs |= p.Privs // without propagation: a pool grants at the member's own path alone
	}
	return r.Held
}

// poolsAt names the pools whose members include the object of the path.
func (e *Evaluator) poolsAt(path string) (pool string, pools []string) {
	if id, ok := strings.CutPrefix(path, "/vms/"); ok {
		return e.vmPool[id], nil
	}
	if id, ok := strings.CutPrefix(path, "/storage/"); ok {
		return "", e.storagePools[id]
	}
	return "", nil
}

// subjects resolves an auth id: the subject itself and, for a token with privilege separation, the user that bounds it.
// ok is false for a token that does not exist.
func (e *Evaluator) subjects(authID string) (who subject, bound *subject, ok bool) {
	user, name, isToken := SplitTokenID(authID)
	if !isToken {
		return subject{user: authID, groups: e.groupsOf[authID]}, nil, true
	}
	u := e.cfg.Users[user]
	if u == nil || u.Tokens[name] == nil {
		return subject{}, nil, false
	}
	owner := subject{user: user, groups: e.groupsOf[user]}
	if !u.Tokens[name].PrivSep {
		return owner, nil, true
	}
	return subject{user: user, token: authID}, &owner, true
}

// Held returns what an auth id (user@realm or user@realm!token) may do at a normalised path. Whether the account is
// enabled plays no part: that is checked at login and with every use of a ticket or token.
func (e *Evaluator) Held(authID, path string) Held {
	who, bound, ok := e.subjects(authID)
	if !ok {
		return Held{}
	}
	h := e.heldBy(&who, path)
	if bound == nil || bound.user == Root {
		return h
	}
	b := e.heldBy(bound, path)
	return Held{Privs: h.Privs & b.Privs, Propagated: h.Propagated & b.Propagated}
}

// Roles returns role → propagate for an auth id at a normalised path as the lists alone say it: without pools, and for a
// token with privilege separation without the bound by its user.
func (e *Evaluator) Roles(authID, path string) map[string]bool {
	if authID == Root {
		return map[string]bool{RoleAdministrator: true}
	}
	who, _, ok := e.subjects(authID)
	if !ok {
		return map[string]bool{}
	}
	if who.user == Root && who.token == "" {
		return map[string]bool{RoleAdministrator: true}
	}
	r := result{collect: true, grant: grant{roles: map[string]bool{}}}
	e.walk(&who, path, &r)
	if r.none {
		return map[string]bool{RoleNoAccess: r.roles[RoleNoAccess]}
	}
	return r.roles
}
