package usercfg_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/access/usercfg"
)

func parse(t testing.TB, text string) *usercfg.Config {
	cfg, warnings := usercfg.Parse(text)
	require.Empty(t, warnings)
	return cfg
}

func format(t testing.TB, cfg *usercfg.Config) string {
	text, err := cfg.Format()
	require.NoError(t, err)
	return text
}

const company = `user:boss@corp:1:0:Ada:B%C3%A4r:ada@example.org:runs 100%25 of it::
token:boss@corp!ci:0:1:pipeline:
token:boss@corp!me:1700000000:0::
user:dev@corp:1:0::::::
user:guest@pve:0:1800000000::::::
user:old@corp:1:1600000000:::::x:
user:root@pam:1:0::::::

group:devs:boss@corp,dev@corp:who build it:
group:idle:::

pool:prod:the real one:101,102:fast:
pool:prod/eu::103::

role:Starter:VM.Audit,VM.PowerMgmt:

acl:0:/:boss@corp:PVEAuditor:
acl:1:/pool/prod:@devs:PVEVMUser:
acl:1:/storage:@devs:PVEDatastoreUser:
acl:0:/storage/slow:dev@corp:PVEDatastoreAdmin:
acl:1:/vms:@devs,boss@corp!ci:Starter:
acl:1:/vms/200:dev@corp:NoAccess:
`

func TestParseAndFormat(t *testing.T) {
	cfg := parse(t, company)
	require.Equal(t, "Bär", cfg.Users["boss@corp"].LastName)
	require.Equal(t, "runs 100% of it", cfg.Users["boss@corp"].Comment)
	require.Equal(t, []string{"devs"}, cfg.GroupsOf("dev@corp"))
	require.Equal(t, "prod/eu", cfg.PoolOf("103"))
	require.True(t, cfg.Token("boss@corp!ci").PrivSep)
	require.Nil(t, cfg.Token("boss@corp!gone"))
	require.Equal(t, company, format(t, cfg))
	require.Equal(t, "user:root@pam:1:0::::::\n\n\n\n\n", format(t, usercfg.New()))
}

func TestParseDropsWithWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		line, warning string
		kept          string // line of the rewritten text, if any
	}{
		"first word":      {"vm:100:", "ignore config line: vm:100:", ""},
		"user id":         {"user:nobody:1:", "ignore user 'nobody' - invalid user name", ""},
		"user expire":     {"user:a@pve:1:soon:", "ignore user 'a@pve' - (illegal characters in expire 'soon')", ""},
		"token id":        {"token:root@pam:0:", "ignore invalid tokenid 'root@pam'", ""},
		"token expire":    {"token:root@pam!tok:x:", "ignore token 'root@pam!tok' - (illegal characters in expire 'x')", ""},
		"token user":      {"token:who@pve!tok:0:", "ignore token 'who@pve!tok' - user does not exist", ""},
		"group name":      {"group:a b::", "ignore group 'a b' - invalid characters in group name", ""},
		"member":          {"group:g1:joe::", "ignore invalid group member 'joe'", "group:g1:::"},
		"dangling member": {"group:g1:joe@pve::", "ignore invalid group member 'joe@pve'", "group:g1:joe@pve::"},
		"role name":       {"role:a/b::", "ignore role 'a/b' - invalid characters in role name", ""},
		"privilege":       {"role:r1:VM.Fly VM.Audit:", "ignore invalid privilege 'VM.Fly'", "role:r1:VM.Audit:"},
		"path":            {"acl:1:/v m:root@pam:NoAccess:", "ignore invalid path in acl '/v m'", ""},
		"role in acl":     {"acl:1:/vms:@g:a/b:", "ignore invalid role name 'a/b' in acl", ""},
		"unknown role":    {"acl:1:/vms:@g:R:", "ignore invalid acl role 'R'", ""},
		"unknown group":   {"acl:1:/vms:@g:NoAccess:", "ignore invalid acl group 'g'", "acl:1:/vms:@g:NoAccess:"},
		"unknown user":    {"acl:1:/vms:u@pve:NoAccess:", "ignore invalid acl member 'u@pve'", "acl:1:/vms:u@pve:NoAccess:"},
		"unknown token":   {"acl:1:/vms:root@pam!tt:NoAccess:", "ignore invalid acl token 'root@pam!tt'", ""},
		"nobody":          {"acl:1:/vms:me:NoAccess:", "", ""},
		"pool name":       {"pool:a/b/c/d:::", "ignore pool 'a/b/c/d' - invalid characters in pool name", ""},
		"vmid":            {"pool:p::x1::", "ignore invalid vmid 'x1' in pool 'p'", "pool:p::::"},
		"vmid twice":      {"pool:p::100,100::", "ignore duplicate vmid '100' in pool 'p'", "pool:p::100::"},
		"storage":         {"pool:p:::1st:", "ignore invalid storage '1st' in pool 'p'", "pool:p::::"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, warnings := usercfg.Parse(c.line)
			if c.warning == "" {
				c.warning = "invalid user/group 'me' in acl"
			}
			require.Equal(t, []string{"user config - " + c.warning}, warnings)
			lines := strings.Fields(strings.ReplaceAll(format(t, cfg), "user:root@pam:1:0::::::", ""))
			if c.kept == "" {
				require.Empty(t, lines)
			} else {
				require.Equal(t, []string{c.kept}, lines)
			}
		})
	}
}

func TestParseJoinsAndReplaces(t *testing.T) {
	cfg := parse(t, `
user:root@pam:1:
user:a@pve:1:5:
token:a@pve!one:
group:g:a@pve:first:
role:r:VM.Audit:
role:Administrator:VM.Audit:
pool:x/y/z::100::
acl:0:vms//100/:a@pve:r:
 acl : 1 : /vms/100 : a@pve ; @g : r :
user:a@pve:0:
group:g:root@pam:
role:r:VM.Console:
`)
	require.False(t, cfg.Users["a@pve"].Enable)
	require.Empty(t, cfg.Users["a@pve"].Tokens, "the later line replaces user and tokens")
	require.Equal(t, []string{"a@pve", "root@pam"}, cfg.Groups["g"].Members.Sorted())
	require.Equal(t, "first", cfg.Groups["g"].Comment)
	require.Equal(t, []string{"VM.Audit", "VM.Console"}, cfg.Roles["r"].List())
	require.Equal(t, usercfg.AllPrivileges(), cfg.Roles["Administrator"])
	require.Contains(t, cfg.Pools, "x")
	require.Contains(t, cfg.Pools, "x/y")
	require.Contains(t, format(t, cfg), "\nacl:1:/vms/100:@g,a@pve:r:\n")
}

func TestThreat21_ValuesCannotBecomeRecords(t *testing.T) {
	for name, spoil := range map[string]func(*usercfg.Config){
		"email":        func(c *usercfg.Config) { c.Users["root@pam"].Email = "a@b\nuser:evil@pve:1" },
		"email colon":  func(c *usercfg.Config) { c.Users["root@pam"].Email = "a:b" },
		"keys":         func(c *usercfg.Config) { c.Users["root@pam"].Keys = "x\r" },
		"user":         func(c *usercfg.Config) { c.Users["a:b@pve"] = usercfg.NewUser() },
		"token":        func(c *usercfg.Config) { c.Users["root@pam"].Tokens["a:b"] = &usercfg.Token{} },
		"group":        func(c *usercfg.Config) { c.Groups["a b"] = &usercfg.Group{} },
		"member":       func(c *usercfg.Config) { c.Groups["g"] = &usercfg.Group{Members: usercfg.SetOf("x,root@pam")} },
		"pool":         func(c *usercfg.Config) { c.AddPool("a:b") },
		"pool member":  func(c *usercfg.Config) { c.AddPool("a").VMs.Add("1,2") },
		"pool storage": func(c *usercfg.Config) { c.AddPool("a").Storages.Add("x:y") },
		"role":         func(c *usercfg.Config) { c.Roles["a,b"] = 0 },
		"acl path":     func(c *usercfg.Config) { c.ACL.At("/v:m").Users.Set("a@pve", "NoAccess", true) },
		"acl role":     func(c *usercfg.Config) { c.ACL.At("/vms").Users.Set("a@pve", "a b", true) },
		"acl member":   func(c *usercfg.Config) { c.ACL.At("/vms").Users.Set("x,root@pam", "NoAccess", true) },
		"acl group":    func(c *usercfg.Config) { c.ACL.At("/vms").Groups.Set("", "NoAccess", true) },
	} {
		cfg := usercfg.New()
		spoil(cfg)
		_, err := cfg.Format()
		_, ok := errors.AsType[*usercfg.FormatError](err)
		require.True(t, ok, name)
	}
}

func TestThreat38_IDsAreNotMistaken(t *testing.T) {
	user, token, ok := usercfg.SplitTokenID("root@pam!x@pve")
	require.False(t, ok, "it is the user 'root@pam!x' of realm pve, not a token of root: %s %s", user, token)
	require.Equal(t, "root@pam!x@pve", usercfg.UserOf("root@pam!x@pve"))
	name, realm, ok := usercfg.SplitUserID("a@b@pve")
	require.True(t, ok)
	require.Equal(t, []string{"a@b", "pve"}, []string{name, realm})
	_, _, ok = usercfg.SplitUserID("ops@pve!ci")
	require.False(t, ok)
	for _, id := range []string{"root@pam!x@pve", "a,root@pam", "a;b@pve", "a b@pve", "a\u00a0b@pve", "a\nb@pve", "a/b@pve", "@pve", "a@p", "a@1pve", "a@", "\xff@pve", strings.Repeat("a", 61) + "@pve"} {
		require.False(t, usercfg.SafeUserID(id), "%q", id)
	}
	require.True(t, usercfg.SafeUserID("jörg+test=1@corp.example"))

	e := usercfg.NewEvaluator(parse(t, "user:root@pam!x@pve:1:\nacl:1:/:root@pam!x@pve:PVEAuditor:\n"))
	require.False(t, e.Held("root@pam!x@pve", "/").Privs == usercfg.AllPrivileges())
}

func TestRoles(t *testing.T) {
	e := usercfg.NewEvaluator(parse(t, company))
	for _, c := range []struct{ who, path, want string }{
		{"root@pam", "/any/thing", "Administrator"},
		{"boss@corp", "/", "PVEAuditor"},
		{"boss@corp", "/nodes", ""},
		{"boss@corp", "/vms", "Starter"},
		{"boss@corp", "/vms/100/deeper", "Starter"},
		{"dev@corp", "/vms/200", "NoAccess"},
		{"dev@corp", "/vms/200/x", "NoAccess"},
		{"dev@corp", "/storage/slow", "PVEDatastoreAdmin"},
		{"dev@corp", "/storage/slow/x", "PVEDatastoreUser"},
		{"guest@pve", "/vms/100", ""},
		{"boss@corp!ci", "/vms/100", "Starter"},
		{"boss@corp!ci", "/", ""},
		{"boss@corp!me", "/", "PVEAuditor"},
		{"boss@corp!gone", "/", ""},
		{"ghost@corp", "/vms", ""},
		{"dev@corp", "", ""},
	} {
		var names []string
		for role := range e.Roles(c.who, c.path) {
			names = append(names, role)
		}
		slices.Sort(names)
		require.Equal(t, c.want, strings.Join(names, ","), "%s at %s", c.who, c.path)
	}
}

func TestHeld(t *testing.T) {
	e := usercfg.NewEvaluator(parse(t, company))
	has := func(who, path, priv string) bool {
		p, ok := usercfg.Privilege(priv)
		require.True(t, ok, priv)
		return e.Held(who, path).Privs.Has(p)
	}
	require.True(t, has("dev@corp", "/vms/101", "VM.Console"), "through the pool")
	require.True(t, has("dev@corp", "/vms/103", "VM.Console"), "through a nested pool")
	require.False(t, has("dev@corp", "/vms/104", "VM.Console"))
	require.True(t, has("dev@corp", "/storage/fast", "VM.Console"), "a pool's role holds for its storages")
	require.False(t, has("dev@corp", "/vms/200", "VM.Audit"), "NoAccess")
	require.True(t, has("boss@corp!ci", "/vms/101", "VM.PowerMgmt"))
	require.False(t, has("boss@corp!ci", "/vms/101", "VM.Console"), "a token does not get the pool's roles of its user")
	require.True(t, has("boss@corp!me", "/vms/101", "VM.Console"))

	vms := e.Held("dev@corp", "/vms/101")
	audit, _ := usercfg.Privilege("VM.PowerMgmt")
	console, _ := usercfg.Privilege("VM.Console")
	require.True(t, vms.Propagated.Has(audit))
	require.False(t, vms.Propagated.Has(console), "a pool grants without propagation")
	require.False(t, vms.Map()["VM.Console"])
	require.Contains(t, vms.Map(), "VM.Console")
}

func TestThreat30_TokenIsBoundedByItsUser(t *testing.T) {
	base := "user:u@pve:1:\ntoken:u@pve!sep:0:1:\ntoken:u@pve!all:0:0:\ntoken:root@pam!sep:0:1:\ntoken:root@pam!all:0:0:\n"
	e := usercfg.NewEvaluator(parse(t, "user:root@pam:1:\n"+base+
		"acl:1:/:u@pve!sep,u@pve!all,root@pam!sep:PVEAdmin:\nacl:0:/vms/100:u@pve:PVEVMUser:\nacl:1:/vms/101:u@pve:NoAccess:\n"))
	require.Zero(t, e.Held("u@pve!sep", "/").Privs)
	require.Equal(t, e.Held("u@pve", "/vms/100").Privs, e.Held("u@pve!sep", "/vms/100").Privs)
	require.Zero(t, e.Held("u@pve!sep", "/vms/100").Propagated, "flag of both")
	require.Zero(t, e.Held("u@pve!sep", "/vms/101").Privs)
	require.Zero(t, e.Held("u@pve!all", "/").Privs, "its own entries do not count without privilege separation")
	require.Equal(t, usercfg.AllPrivileges(), e.Held("root@pam!all", "/x").Privs)
	modify, _ := usercfg.Privilege("Permissions.Modify")
	require.False(t, e.Held("root@pam!sep", "/").Privs.Has(modify))
	require.NotZero(t, e.Held("root@pam!sep", "/").Privs)
}

func TestEffectiveAndCapabilities(t *testing.T) {
	e := usercfg.NewEvaluator(parse(t, company))
	got := e.Effective("dev@corp")
	require.ElementsMatch(t, []string{"/pool/prod", "/storage", "/storage/fast", "/storage/slow", "/vms", "/vms/101", "/vms/102", "/vms/103"}, slices.Collect(keys(got)))
	require.Empty(t, e.Effective("guest@pve"))

	caps := e.Capabilities("dev@corp")
	require.Len(t, caps, 7)
	require.True(t, caps["vms"]["VM.Console"], "from the pool")
	require.True(t, caps["storage"]["Datastore.AllocateSpace"])
	require.Empty(t, caps["dc"])
	require.True(t, e.Capabilities("boss@corp")["dc"]["Sys.Audit"])
	root := e.Capabilities("root@pam")
	require.True(t, root["nodes"]["Permissions.Modify"])
	require.False(t, root["dc"]["Sys.Console"])
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestPaths(t *testing.T) {
	for in, want := range map[string]string{"/": "/", "//": "/", "vms": "/vms", "/vms//100/": "/vms/100", "": "", "/v ms": "", "/vms/\n": ""} {
		got, ok := usercfg.NormalizePath(in)
		require.Equal(t, want, got, "%q", in)
		require.Equal(t, want != "", ok, "%q", in)
	}
	for _, good := range []string{"/", "/access", "/access/groups/g", "/access/realm/pam", "/nodes/n1", "/pool/a/b/c", "/storage/s", "/vms/100", "/mapping/pci/x", "/sdn", "/sdn/zones/z/v/4000", "/sdn/controllers/c_1", "/sdn/dns/d1", "/sdn/fabrics"} {
		require.True(t, usercfg.ValidPath(good), good)
	}
	for _, bad := range []string{"", "/users", "/access/users", "/nodes/a/b", "/pool/a/b/c/d", "/vms/99", "/vms/100/x", "/sdn/zones/z/v/0", "/sdn/zones/z/v/10000", "/sdn/dns/d-1", "/sdn/vnets"} {
		require.False(t, usercfg.ValidPath(bad), bad)
	}
}

func TestDrop(t *testing.T) {
	cfg := parse(t, company)
	cfg.ACL.At("/vms/101").Groups.Set("devs", "NoAccess", true)
	cfg.DropGuest("101")
	cfg.DropUser("boss@corp")
	cfg.DropGroup("idle")
	text := format(t, cfg)
	require.NotContains(t, text, "101")
	require.NotContains(t, text, "boss@corp")
	require.NotContains(t, text, "idle")
	cfg = parse(t, company)
	cfg.DropToken("boss@corp!ci")
	cfg.DropGroup("devs")
	text = format(t, cfg)
	require.NotContains(t, text, "!ci")
	require.NotContains(t, text, "devs")
}

func TestCheckAuthID(t *testing.T) {
	cfg := parse(t, company)
	now := time.Unix(1_750_000_000, 0)
	for id, want := range map[string]string{
		"boss@corp":      "",
		"boss@corp!ci":   "",
		"boss@corp!me":   "token 'me' access expired",
		"boss@corp!gone": "no such token 'gone' for user 'boss@corp'",
		"guest@pve":      "user 'guest@pve' is disabled",
		"old@corp":       "user 'old@corp' access expired",
		"ghost@pve":      "no such user ('ghost@pve')",
		"ghost@pve!tok":  "no such user ('ghost@pve')",
		"":               "no such user ('')",
	} {
		err := cfg.CheckAuthID(id, now)
		if want == "" {
			require.NoError(t, err, id)
		} else {
			require.EqualError(t, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(company)
	f.Add("user:a@pve\ntoken:a@pve!tt\nacl::/:a@pve!tt,@g:NoAccess")
	f.Add("pool:a/b:%zz:1,1:aa\n:::\nuser:\x00@pve::99999999999999999999:%ff")
	f.Fuzz(func(t *testing.T, text string) {
		cfg, _ := usercfg.Parse(text)
		once, err := cfg.Format()
		require.NoError(t, err, "what was read can be written")
		again, _ := usercfg.Parse(once)
		twice, err := again.Format()
		require.NoError(t, err)
		require.Equal(t, once, twice)
		e := usercfg.NewEvaluator(again)
		for id := range again.Users {
			e.Effective(id)
		}
	})
}

// big is a configuration of 300 users, 40 groups, 60 pools and 2000 lists.
func big() *usercfg.Config {
	cfg := usercfg.New()
	for i := range 300 {
		cfg.Users[fmt.Sprintf("u%d@corp", i)] = usercfg.NewUser()
	}
	for i := range 40 {
		g := &usercfg.Group{Members: usercfg.Set{}}
		for j := range 30 {
			g.Members.Add(fmt.Sprintf("u%d@corp", (i*7+j)%300))
		}
		cfg.Groups[fmt.Sprintf("g%d", i)] = g
	}
	for i := range 60 {
		p := cfg.AddPool(fmt.Sprintf("p%d", i))
		for j := range 10 {
			p.VMs.Add(fmt.Sprint(100 + i*10 + j))
		}
		cfg.ACL.At(fmt.Sprintf("/pool/p%d", i)).Groups.Set(fmt.Sprintf("g%d", i%40), "PVEVMUser", true)
	}
	for i := range 2000 {
		cfg.ACL.At(fmt.Sprintf("/vms/%d", 100+i)).Users.Set(fmt.Sprintf("u%d@corp", i%300), "PVEVMAdmin", true)
	}
	cfg.Users["u5@corp"].Tokens["ci"] = &usercfg.Token{PrivSep: true}
	cfg.ACL.At("/vms").Tokens.Set("u5@corp!ci", "PVEVMUser", true)
	return cfg
}

func BenchmarkHeld(b *testing.B) {
	e := usercfg.NewEvaluator(big())
	for _, who := range []string{"u5@corp", "u5@corp!ci", "root@pam"} {
		b.Run(who, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				e.Held(who, "/vms/105")
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	text, err := big().Format()
	require.NoError(b, err)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		cfg, _ := usercfg.Parse(text)
		usercfg.NewEvaluator(cfg)
	}
}

func ExampleEvaluator_Held() {
	cfg, _ := usercfg.Parse("user:ops@pve:1:\nacl:1:/vms:ops@pve:PVETemplateUser:\n")
	held := usercfg.NewEvaluator(cfg).Held("ops@pve", "/vms/100")
	fmt.Println(held.Privs.List())
	// Output: [VM.Audit VM.Clone]
}
