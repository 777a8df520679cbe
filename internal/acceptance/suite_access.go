package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/access/realm"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// treeNode is a node of the tree of access control lists as the suites show it: member → role → propagate.
type treeNode struct {
	Users    map[string]map[string]flag `json:"users,omitempty"`
	Groups   map[string]map[string]flag `json:"groups,omitempty"`
	Tokens   map[string]map[string]flag `json:"tokens,omitempty"`
	Children map[string]*treeNode       `json:"children,omitempty"`
}

// flag is a boolean that the suites write as 0 or 1, number or text.
type flag bool

func (f *flag) UnmarshalJSON(data []byte) error {
	s := strings.Trim(string(data), `"`)
	*f = s != "" && s != "0" && s != "null" && s != "false"
	return nil
}

func (f flag) MarshalJSON() ([]byte, error) {
	if f {
		return []byte("1"), nil
	}
	return []byte("0"), nil
}

// configJSON is a user configuration as the suites show it; what is derived is not read.
type configJSON struct {
	Users  map[string]*userJSON       `json:"users"`
	Groups map[string]*groupJSON      `json:"groups"`
	Pools  map[string]*poolJSON       `json:"pools"`
	Roles  map[string]map[string]flag `json:"roles"`
	ACL    *treeNode                  `json:"acl_root"`
}

type userJSON struct {
	Enable    flag                  `json:"enable"`
	Expire    json.Number           `json:"expire"`
	FirstName string                `json:"firstname"`
	LastName  string                `json:"lastname"`
	Email     string                `json:"email"`
	Comment   string                `json:"comment"`
	Keys      string                `json:"keys"`
	Tokens    map[string]*tokenJSON `json:"tokens"`
}

type tokenJSON struct {
	Expire  json.Number `json:"expire"`
	PrivSep flag        `json:"privsep"`
	Comment string      `json:"comment,omitempty"`
}

type groupJSON struct {
	Users   map[string]flag `json:"users"`
	Comment string          `json:"comment,omitempty"`
}

type poolJSON struct {
	VMs     map[string]flag `json:"vms"`
	Storage map[string]flag `json:"storage"`
	Pools   map[string]flag `json:"pools"`
	Comment string          `json:"comment,omitempty"`
}

func toSet(m map[string]flag) usercfg.Set { return usercfg.SetOf(slices.Collect(maps.Keys(m))...) }

func fromSet(s usercfg.Set) map[string]flag {
	m := map[string]flag{}
	for name := range s {
		m[name] = true
	}
	return m
}

func number(n json.Number) int64 {
	i, _ := n.Int64()
	return i
}

func toGrants(m map[string]map[string]flag) usercfg.Grants {
	g := usercfg.Grants{}
	for member, roles := range m {
		g[member] = map[string]bool{} // also without any role
		for role, propagate := range roles {
			g.Set(member, role, bool(propagate))
		}
	}
	return g
}

func fromGrants(g usercfg.Grants) map[string]map[string]flag {
	m := map[string]map[string]flag{}
	for member, roles := range g {
		m[member] = map[string]flag{}
		for role, propagate := range roles {
			m[member][role] = flag(propagate)
		}
	}
	return m
}

func toTree(t *treeNode) *usercfg.Node {
	n := &usercfg.Node{}
	if t == nil {
		return n
	}
	n.Users, n.Groups, n.Tokens = toGrants(t.Users), toGrants(t.Groups), toGrants(t.Tokens)
	for name, child := range t.Children {
		if n.Children == nil {
			n.Children = map[string]*usercfg.Node{}
		}
		n.Children[name] = toTree(child)
	}
	return n
}

func fromTree(n *usercfg.Node) *treeNode {
	t := &treeNode{Users: fromGrants(n.Users), Groups: fromGrants(n.Groups), Tokens: fromGrants(n.Tokens)}
	for name, child := range n.Children {
		if t.Children == nil {
			t.Children = map[string]*treeNode{}
		}
		t.Children[name] = fromTree(child)
	}
	return t
}

func toConfig(j *configJSON) *usercfg.Config {
	c := usercfg.New()
	clear(c.Users)
	for id, u := range j.Users {
		user := &usercfg.User{
			Enable: bool(u.Enable), Expire: number(u.Expire), FirstName: u.FirstName, LastName: u.LastName,
			Email: u.Email, Comment: u.Comment, Keys: u.Keys, Tokens: map[string]*usercfg.Token{},
		}
		for name, t := range u.Tokens {
			user.Tokens[name] = &usercfg.Token{Expire: number(t.Expire), PrivSep: bool(t.PrivSep), Comment: t.Comment}
		}
		c.Users[id] = user
	}
	for name, g := range j.Groups {
		c.Groups[name] = &usercfg.Group{Members: toSet(g.Users), Comment: g.Comment}
	}
	for name, p := range j.Pools {
		pool := c.AddPool(name)
		pool.VMs, pool.Storages, pool.Comment = toSet(p.VMs), toSet(p.Storage), p.Comment
	}
	for name, privs := range j.Roles {
		c.Roles[name], _ = usercfg.PrivSetOf(slices.Collect(maps.Keys(privs))...)
	}
	c.ACL = toTree(j.ACL)
	return c
}

// fromConfig shows a configuration; zero says whether fields of a user that are zero are shown too.
func fromConfig(c *usercfg.Config, zero bool) map[string]any {
	users, groups, pools, roles, vms := map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}, map[string]string{}
	for id, u := range c.Users {
		users[id] = fromUser(c, id, u, zero)
	}
	for name, g := range c.Groups {
		groups[name] = &groupJSON{Users: fromSet(g.Members), Comment: g.Comment}
	}
	for name, p := range c.Pools {
		pools[name] = &poolJSON{VMs: fromSet(p.VMs), Storage: fromSet(p.Storages), Comment: p.Comment}
		for id := range p.VMs {
			vms[id] = name
		}
	}
	for name, privs := range c.Roles {
		if !usercfg.IsBuiltin(name) {
			roles[name] = fromSet(usercfg.SetOf(privs.List()...))
		}
	}
	j := map[string]any{"users": users, "groups": groups, "pools": pools, "roles": roles, "acl_root": fromTree(c.ACL)}
	if len(vms) > 0 {
		j["vms"] = vms
	}
	return j
}

func fromUser(c *usercfg.Config, id string, u *usercfg.User, zero bool) map[string]any {
	m := map[string]any{}
	if zero || u.Enable {
		m["enable"] = flag(u.Enable)
	}
	if zero || u.Expire != 0 {
		m["expire"] = u.Expire
	}
	for key, text := range map[string]string{
		"firstname": u.FirstName, "lastname": u.LastName, "email": u.Email, "comment": u.Comment, "keys": u.Keys,
	} {
		if text != "" {
			m[key] = text
		}
	}
	tokens, groups := map[string]any{}, map[string]flag{}
	for name, t := range u.Tokens {
		token := map[string]any{"expire": t.Expire, "privsep": flag(t.PrivSep)}
		if t.Comment != "" {
			token["comment"] = t.Comment
		}
		tokens[name] = token
	}
	for _, name := range c.GroupsOf(id) {
		groups[name] = true
	}
	m["tokens"], m["groups"] = tokens, groups
	return m
}

// accessSuites answers the suites on users and permissions.
func accessSuites() map[string]suiteFunc {
	return map[string]suiteFunc{
		"access.acl":             aclCase,
		"access.user_cfg":        userConfigCase,
		"access.api_permissions": permissionsCase,
		"access.realm_sync":      realmSyncCase,
	}
}

func aclCase(op string, input json.RawMessage) (any, error) {
	var in struct {
		UserCfg string `json:"user_cfg"`
		AuthID  string `json:"authid"`
		Path    string `json:"path"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	cfg, _ := usercfg.Parse(in.UserCfg)
	e := usercfg.NewEvaluator(cfg)
	if op == "roles" {
		return slices.AppendSeq([]string{}, maps.Keys(e.Roles(in.AuthID, in.Path))), nil
	}
	return slices.AppendSeq([]string{}, e.Held(in.AuthID, in.Path).Privs.Names()), nil
}

func userConfigCase(op string, input json.RawMessage) (any, error) {
	var in struct {
		Text   string      `json:"text"`
		Config *configJSON `json:"config"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	if op == "write_user_cfg" {
		text, err := toConfig(in.Config).Format()
		return map[string]any{"text": text}, err
	}
	cfg, _ := usercfg.Parse(in.Text)
	if op == "rewrite_user_cfg" {
		text, err := cfg.Format()
		return map[string]any{"text": text}, err
	}
	j := fromConfig(cfg, true)
	if !strings.Contains(in.Text, "user:"+usercfg.Root) {
		delete(j["users"].(map[string]any)[usercfg.Root].(map[string]any), "expire") // added by the parser, not read
	}
	return map[string]any{"config": j}, nil
}

// permissionsCase asks the service as the API would: GET /access/permissions of a caller, on a given user.cfg.
func permissionsCase(_ string, input json.RawMessage) (any, error) {
	var in struct {
		UserCfg string            `json:"user_cfg"`
		As      string            `json:"as"`
		Params  map[string]string `json:"params"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	ctx := context.Background()
	store := memstore.New()
	defer func() { _ = store.Close() }() // nothing was written that anybody wants
	if _, err := store.Txn(ctx, cluster.Put(access.UserKey, []byte(in.UserCfg))); err != nil {
		return nil, err
	}
	service, err := access.New(store, nil)
	if err != nil {
		return nil, err
	}
	var req schema.GetAccessPermissions
	if id, ok := in.Params["userid"]; ok {
		req.Userid = &id
	}
	if path, ok := in.Params["path"]; ok {
		req.Path = &path
	}
	data, err := service.GetAccessPermissions(call.With(ctx, call.Caller{AuthID: in.As}), &req)
	if refusal, ok := errors.AsType[*call.Error](err); ok {
		return map[string]any{"http_status": refusal.Status, "message": refusal.Text}, nil
	}
	return map[string]any{"data": data}, err
}

// realmSyncCase brings a user configuration in line with the answer of a directory.
func realmSyncCase(_ string, input json.RawMessage) (any, error) {
	var in struct {
		Config *configJSON `json:"user_config"`
		Answer struct {
			Users []struct {
				DN         string              `json:"dn"`
				Attributes map[string][]string `json:"attributes"`
			} `json:"user"`
			Groups []struct {
				DN      string   `json:"dn"`
				Members []string `json:"members"`
			} `json:"groups"`
		} `json:"ldap_answer"`
		Params map[string]string `json:"params"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	opts, err := realm.ParseSyncOptions(in.Params, nil)
	if err != nil {
		return nil, err
	}
	var users, groups []realm.Entry
	for _, u := range in.Answer.Users {
		users = append(users, realm.Entry{DN: u.DN, Attributes: u.Attributes})
	}
	for _, g := range in.Answer.Groups {
		groups = append(groups, realm.Entry{DN: g.DN, Members: g.Members})
	}
	cfg := toConfig(in.Config)
	realm.Sync(cfg, realm.Directory{Realm: in.Params["realm"], UserAttr: "uid"}, users, groups, opts)
	out := fromConfig(cfg, false)
	for id, u := range out["users"].(map[string]any) {
		fields := u.(map[string]any)
		fields["username"], _, _ = usercfg.SplitUserID(id)
		delete(fields, "groups") // derived; the suite shows records alone
	}
	return map[string]any{"user_config": out}, nil
}
