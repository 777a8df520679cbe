package realm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/access/realm"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
)

const before = `user:ann@corp:0:7:Ann::old@example.org::k:
token:ann@corp!ci:0:1::
user:bob@corp:1:0::::::
user:root@pam:1:0::::::

group:local:ann@corp,bob@corp::
group:ops-corp:bob@corp:the operators:
group:gone-corp:bob@corp::



acl:1:/:@gone-corp,bob@corp:PVEAuditor:
`

var directory = realm.Directory{Realm: "corp", UserAttr: "uid", Attributes: map[string]string{"firstname": "givenName", "email": "mail"}}

var people = []realm.Entry{
	{DN: "uid=ann,ou=People", Attributes: map[string][]string{"UID": {"ann"}, "givenname": {"Anna"}, "mail": {"not an address"}}},
	{DN: "uid=cid,ou=People", Attributes: map[string][]string{"uid": {"cid"}, "mail": {"cid@example.org"}}},
	{DN: "uid=x,ou=People", Attributes: map[string][]string{"uid": {"x,root@pam"}}},
	{DN: "uid=y,ou=People", Attributes: map[string][]string{"cn": {"y"}}},
}

var teams = []realm.Entry{
	{DN: "cn=ops,ou=Groups", Members: []string{"UID=Ann,OU=people", "uid=nobody,ou=People"}},
	{DN: "cn=new,ou=Groups", Members: []string{"uid=cid,ou=People"}},
	{DN: "cn=bad name,ou=Groups"},
}

func run(t *testing.T, o realm.SyncOptions) *usercfg.Config {
	cfg, _ := usercfg.Parse(before)
	log := realm.Sync(cfg, directory, people, teams, o)
	require.NotEmpty(t, log)
	_, err := cfg.Format()
	require.NoError(t, err)
	return cfg
}

func TestSyncUpdates(t *testing.T) {
	cfg := run(t, realm.SyncOptions{Users: true, Groups: true, EnableNew: true})
	ann := cfg.Users["ann@corp"]
	require.False(t, ann.Enable)
	require.Equal(t, []any{"Anna", "old@example.org", "k", int64(7)}, []any{ann.FirstName, ann.Email, ann.Keys, ann.Expire})
	require.Len(t, ann.Tokens, 1)
	require.Contains(t, cfg.Users, "bob@corp")
	require.Equal(t, "cid@example.org", cfg.Users["cid@corp"].Email)
	require.True(t, cfg.Users["cid@corp"].Enable)
	require.Len(t, cfg.Users, 4)
	require.Equal(t, []string{"ann@corp"}, cfg.Groups["ops-corp"].Members.Sorted())
	require.Equal(t, "the operators", cfg.Groups["ops-corp"].Comment)
	require.Equal(t, []string{"cid@corp"}, cfg.Groups["new-corp"].Members.Sorted())
	require.Contains(t, cfg.Groups, "gone-corp")
	require.NotEmpty(t, cfg.ACL.Users)
}

func TestSyncRemoves(t *testing.T) {
	cfg := run(t, realm.SyncOptions{Users: true, Groups: true, RemoveEntries: true, RemoveProperties: true, RemoveACL: true})
	ann := cfg.Users["ann@corp"]
	require.False(t, ann.Enable)
	require.Equal(t, []any{"Anna", "", "", int64(0)}, []any{ann.FirstName, ann.Email, ann.Keys, ann.Expire})
	require.Len(t, ann.Tokens, 1, "tokens are kept")
	require.NotContains(t, cfg.Users, "bob@corp")
	require.False(t, cfg.Users["cid@corp"].Enable)
	require.Empty(t, cfg.Groups["ops-corp"].Comment)
	require.NotContains(t, cfg.Groups, "gone-corp")
	require.Empty(t, cfg.ACL.Users)
	require.Empty(t, cfg.ACL.Groups)
	require.True(t, cfg.Groups["local"].Members.Has("bob@corp"), "groups of nobody's realm are left alone")
}

func TestSyncScope(t *testing.T) {
	cfg := run(t, realm.SyncOptions{Groups: true, RemoveEntries: true, RemoveACL: true})
	require.Contains(t, cfg.Users, "bob@corp")
	require.NotContains(t, cfg.Users, "cid@corp")
	require.NotEmpty(t, cfg.ACL.Users)
	cfg = run(t, realm.SyncOptions{Users: true, RemoveEntries: true})
	require.Contains(t, cfg.Groups, "gone-corp")
	require.NotContains(t, cfg.Groups, "new-corp")
}

func TestThreat32_SyncTouchesItsRealmAlone(t *testing.T) {
	cfg, _ := usercfg.Parse(before)
	realm.Sync(cfg, directory, nil, nil, realm.SyncOptions{Users: true, Groups: true, RemoveEntries: true, RemoveACL: true})
	require.Contains(t, cfg.Users, "root@pam")
	require.Contains(t, cfg.Groups, "local")
	require.Len(t, cfg.Users, 1)
}

func TestParseSyncOptions(t *testing.T) {
	_, err := realm.ParseSyncOptions(nil, nil)
	require.ErrorContains(t, err, "scope")
	o, err := realm.ParseSyncOptions(map[string]string{"scope": "both"}, map[string]string{"scope": "users", "enable-new": "0", "remove-vanished": "acl;entry"})
	require.NoError(t, err)
	require.Equal(t, realm.SyncOptions{Users: true, Groups: true, RemoveEntries: true, RemoveACL: true}, o)
	o, err = realm.ParseSyncOptions(map[string]string{"scope": "groups", "full": "1", "purge": "1"}, nil)
	require.NoError(t, err)
	require.Equal(t, realm.SyncOptions{Groups: true, EnableNew: true, RemoveEntries: true, RemoveProperties: true, RemoveACL: true}, o)
	o, err = realm.ParseSyncOptions(map[string]string{"remove-vanished": "none"}, map[string]string{"scope": "users", "full": "1"})
	require.NoError(t, err)
	require.Equal(t, realm.SyncOptions{Users: true, EnableNew: true}, o)
}
