package realm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/access/realm"
)

const domains = `pam: pam
	comment Linux%3A the machine's own

ldap: corp
	base_dn dc=example,dc=org
	server1 ldap.example.org
	user_attr uid
	comment Firma M%C3%BCller
	default 1
	port 636
	secure 1
	tfa step=60,type=oath

openid: sso
	client-id abc
	issuer-url https://id.example.org
	default 1
	username-claim email

pve: pve
	comment Proxmox VE authentication server

`

func TestParseAndFormat(t *testing.T) {
	c, warnings := realm.Parse(domains)
	require.Empty(t, warnings)
	corp := c.Get("corp")
	require.Equal(t, "Firma Müller", corp.Options["comment"])
	require.Equal(t, map[string]any{
		"type": "ldap", "base_dn": "dc=example,dc=org", "server1": "ldap.example.org", "user_attr": "uid", "comment": "Firma Müller",
		"default": int64(1), "port": int64(636), "secure": int64(1), "tfa": "step=60,type=oath",
	}, corp.Typed())
	require.Equal(t, "oath", c.TFA("ann@corp"))
	require.Empty(t, c.TFA("ann@pve"))
	require.Empty(t, c.TFA("nobody"))
	require.NotContains(t, c.Get("sso").Options, "default", "one default is kept")
	require.Equal(t, "Linux: the machine's own", c.Get("pam").Options["comment"])

	text, err := c.Format()
	require.NoError(t, err)
	again, warnings := realm.Parse(text)
	require.Empty(t, warnings)
	require.Equal(t, c.All(), again.All())
	twice, err := again.Format()
	require.NoError(t, err)
	require.Equal(t, text, twice)
}

func TestBuiltinRealmsAlwaysExist(t *testing.T) {
	c, warnings := realm.Parse("")
	require.Empty(t, warnings)
	require.Len(t, c.All(), 2)
	require.Equal(t, "Linux PAM standard authentication", c.Get("pam").Options["comment"])
	require.True(t, c.KeepsPasswords("pve"))
	require.False(t, c.KeepsPasswords("pam"))

	forged, _ := realm.Parse("ldap: pve\n\tserver1 evil.example.org\n\tbase_dn x\n\tuser_attr uid\n\tcomment mine\n")
	require.Equal(t, "pve", forged.Get("pve").Type)
	require.Equal(t, map[string]string{"comment": "mine"}, forged.Get("pve").Options)

	require.NoError(t, c.Update("pam", map[string]string{"comment": "x"}, nil))
	require.True(t, c.Delete("pam"))
	require.Equal(t, "Linux PAM standard authentication", c.Get("pam").Options["comment"])
	require.False(t, c.Delete("none"))
}

func TestAddAndUpdate(t *testing.T) {
	c, _ := realm.Parse(domains)
	require.EqualError(t, c.Add(realm.LDAP, "x1", map[string]string{"server1": "a"}), "missing value for required option 'base_dn'")
	require.EqualError(t, c.Add(realm.OpenID, "x1", map[string]string{"issuer-url": "a", "client-id": "b", "port": "1"}), "unexpected property 'port'")
	require.Nil(t, c.Get("x1"))
	require.NoError(t, c.Add(realm.AD, "x1", map[string]string{"server1": "a", "domain": "b", "default": "1", "case-sensitive": "0"}))
	require.NotContains(t, c.Get("corp").Options, "default")
	require.True(t, c.FoldsCase("u@x1"))
	require.False(t, c.FoldsCase("u@corp"))

	require.EqualError(t, c.Update("none", nil, nil), "domain 'none' does not exist")
	require.EqualError(t, c.Update("corp", nil, []string{"server1"}), "unable to delete required option 'server1'")
	require.ErrorContains(t, c.Update("corp", nil, []string{"nope"}), "unknown option 'nope'")
	require.ErrorContains(t, c.Update("corp", map[string]string{"port": "1"}, []string{"port"}), "at the same time")
	require.EqualError(t, c.Update("sso", map[string]string{"username-claim": "upn"}, nil), "can't change value of fixed parameter 'username-claim'")
	require.NoError(t, c.Update("corp", map[string]string{"default": "1"}, []string{"port", "comment"}))
	require.NotContains(t, c.Get("x1").Options, "default")
	require.NotContains(t, c.Get("corp").Options, "port")
}

func TestThreat21_OptionsStayOnTheirLine(t *testing.T) {
	c, _ := realm.Parse("")
	require.NoError(t, c.Add(realm.LDAP, "x1", map[string]string{"server1": "a", "base_dn": "b\n\nldap: x2", "user_attr": "uid"}))
	_, err := c.Format()
	require.Error(t, err)
	c, _ = realm.Parse("")
	require.NoError(t, c.Update("pam", map[string]string{"comment": "a\n\nldap: x2"}, nil))
	text, err := c.Format()
	require.NoError(t, err)
	again, _ := realm.Parse(text)
	require.Len(t, again.All(), 2)
	require.Equal(t, "a\n\nldap: x2", again.Get("pam").Options["comment"])
}

func FuzzParse(f *testing.F) {
	f.Add(domains)
	f.Add("ldap: pam\n\tcomment %0a\n\nad:x\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, _ := realm.Parse(text)
		once, err := c.Format()
		if err != nil {
			return // a section may lack what it needs; it is refused, not written
		}
		again, _ := realm.Parse(once)
		twice, err := again.Format()
		require.NoError(t, err)
		require.Equal(t, once, twice)
	})
}

func ExampleParse() {
	c, _ := realm.Parse("ldap: corp\n\tserver1 ldap.example.org\n\tbase_dn dc=example\n\tuser_attr uid\n")
	for _, r := range c.All() {
		fmt.Println(r.ID, r.Type)
	}
	// Output:
	// corp ldap
	// pam pam
	// pve pve
}
