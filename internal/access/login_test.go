package access_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/cluster/memstore"
	"github.com/turtacn/go-proxmox/internal/access"
	"github.com/turtacn/go-proxmox/internal/access/usercfg"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

// withUser adds a user of realm pve with a password.
func (w *world) withUser(id, pw string) {
	ctx := w.as("root@pam")
	_, err := w.PostAccessUsers(ctx, &schema.PostAccessUsers{Userid: id, Password: &pw})
	require.NoError(w.t, err)
}

func TestLogin(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.SetRootPassword(t.Context(), "let me in"))
	out, err := w.login("root@pam", "let me in")
	require.NoError(t, err)
	require.Equal(t, "root@pam", out.Username)
	require.Regexp(t, `^PVE:root@pam:6B49D200::`, *out.Ticket)
	require.Equal(t, "lab", *out.Clustername)
	require.True(t, bool(out.Cap["nodes"]["Sys.Modify"]))
	require.Zero(t, w.clock.slept)

	c, err := w.Authenticate(t.Context(), access.Credentials{Ticket: *out.Ticket, Remote: "192.0.2.1"})
	require.NoError(t, err)
	require.Equal(t, call.Caller{AuthID: "root@pam", Remote: "192.0.2.1", Ticket: true}, c)
	require.NoError(t, w.VerifyCSRF(t.Context(), c, *out.CSRFPreventionToken))

	realm := "pam"
	split, err := w.PostAccessTicket(w.as(""), &schema.PostAccessTicket{Username: "root", Realm: &realm, Password: "let me in"})
	require.NoError(t, err)
	require.Equal(t, "root@pam", split.(*access.Login).Username)

	w.clock.advance(time.Hour)
	renewed, err := w.login("root@pam", *out.Ticket)
	require.NoError(t, err)
	require.NotEqual(t, *out.Ticket, *renewed.Ticket)

	w.withUser("ops@pve", "long enough")
	other, err := w.login("ops@pve", *renewed.Ticket)
	require.NoError(t, err, "root may get tickets of others")
	require.Equal(t, "ops@pve", other.Username)
	require.Nil(t, other.Clustername)
	_, err = w.login("root@pam", *other.Ticket)
	refused(t, err, 401, "authentication failure")
}

func TestLoginRefusals(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t)
	s, err := access.New(w.store, &access.Options{Clock: w.clock, Passwords: cheap, Burst: 1000, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	w.Service = s
	w.withUser("ops@pve", "long enough")
	w.withUser("off@pve", "long enough")
	w.withUser("old@pve", "long enough")
	w.withUser("tfa@pve", "long enough")
	require.NoError(t, w.Update(t.Context(), func(c *access.UserConfig) error {
		c.Users["off@pve"].Enable = false
		c.Users["old@pve"].Expire = 1
		c.Users["none@pve"] = usercfg.NewUser()
		c.Users["far@corp"] = usercfg.NewUser()
		c.Users["who@gone"] = usercfg.NewUser()
		c.Users["ops@pve"].Tokens["ci"] = &usercfg.Token{}
		c.Users["root@pam!x@pve"] = usercfg.NewUser()
		return nil
	}))
	_, err = w.store.Txn(t.Context(),
		cluster.Put("/pve/domains.cfg", []byte("ldap: corp\n\tserver1 a\n\tbase_dn b\n\tuser_attr uid\n\nopenid: sso\n\tissuer-url u\n\tclient-id c\n")),
		cluster.Put("/pve/priv/tfa.cfg", []byte(`{"users":{"tfa@pve":{"totp":[{"id":"1","description":"phone","created":5,"enable":true,"entry":"x"}]}}}`)))
	require.NoError(t, err)
	ticketOf := func(user string) string {
		out, err := w.login(user, "long enough")
		require.NoError(t, err)
		return *out.Ticket
	}
	opsTicket := ticketOf("ops@pve")

	for name, c := range map[string]struct{ user, pw, msg string }{
		"wrong":          {"ops@pve", "long enough!", "invalid credentials"},
		"empty":          {"ops@pve", "", "no password"},
		"unknown":        {"nobody@pve", "long enough", "no such user ('nobody@pve')"},
		"no realm":       {"ops", "long enough", "no such user ('ops')"},
		"disabled":       {"off@pve", "long enough", "user 'off@pve' is disabled"},
		"expired":        {"old@pve", "long enough", "user 'old@pve' access expired"},
		"no password":    {"none@pve", "long enough", "no password set"},
		"token":          {"ops@pve!ci", "long enough", "no such user ('ops@pve!ci')"},
		"looks like one": {"root@pam!x@pve", "long enough", "user name cannot be used to log in"},
		"ldap":           {"far@corp", "long enough", "logins to realms of this type are not supported"},
		"realm gone":     {"who@gone", "long enough", "auth domain does not exist"},
		"second factor":  {"tfa@pve", "long enough", "failed 2nd factor"},
		"other's ticket": {"none@pve", opsTicket, "no password set"},
		"huge":           {"ops@pve", strings.Repeat("x", 1<<20), "invalid credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			log.Reset()
			before := w.clock.Now()
			_, err := w.login(c.user, c.pw)
			refused(t, err, 401, "authentication failure")
			require.Equal(t, 3*time.Second, w.clock.Now().Sub(before))
			require.Contains(t, strings.ReplaceAll(log.String(), `\"`, `"`), c.msg)
			require.NotContains(t, log.String(), "long enough", "no password in the log")
		})
	}
	otp, challenge := "totp:1", "PVE:!tfa!{}:00000000::x"
	_, err = w.PostAccessTicket(w.as(""), &schema.PostAccessTicket{Username: "ops@pve", Password: "long enough", Otp: &otp, TfaChallenge: &challenge})
	refused(t, err, 401, "authentication failure")
	_, err = w.PostAccessTicket(w.as(""), &schema.PostAccessTicket{Username: "ops@pve", Password: "totp:1", TfaChallenge: &challenge})
	refused(t, err, 401, "authentication failure")
}

func TestLoginOfRealmsThatFoldCase(t *testing.T) {
	w := newWorld(t)
	_, err := w.store.Txn(t.Context(), cluster.Put("/pve/domains.cfg", []byte("ad: corp\n\tserver1 a\n\tdomain d\n\tcase-sensitive 0\n")))
	require.NoError(t, err)
	require.NoError(t, w.Update(t.Context(), func(c *access.UserConfig) error { c.Users["Ann@corp"] = usercfg.NewUser(); return nil }))
	_, err = w.PostAccessUsers(w.as("root@pam"), &schema.PostAccessUsers{Userid: "ANN@corp"})
	refused(t, err, 500, "create user failed: user 'ANN@corp' already exists")
	require.NoError(t, w.Update(t.Context(), func(c *access.UserConfig) error { c.Users["ANN@corp"] = usercfg.NewUser(); return nil }))
	_, err = w.login("ann@corp", "x")
	refused(t, err, 500, "ambiguous case insensitive match of username 'ann@corp', cannot safely grant access!")
}

func TestVerifyMode(t *testing.T) {
	w := newWorld(t)
	w.withUser("ops@pve", "long enough")
	require.NoError(t, w.Update(t.Context(), func(c *access.UserConfig) error {
		c.ACL.At("/vms/100").Users.Set("ops@pve", "PVEVMUser", true)
		return nil
	}))
	verify := func(pw, path, privs string) error {
		out, err := w.PostAccessTicket(w.as(""), &schema.PostAccessTicket{Username: "ops@pve", Password: pw, Path: &path, Privs: &privs})
		if err == nil {
			require.Nil(t, out.(*access.Login).Ticket)
			require.NotEmpty(t, out.(*access.Login).Cap)
		}
		return err
	}
	require.NoError(t, verify("long enough", "/vms/100", "VM.Console,VM.Audit"))
	refused(t, verify("long enough", "/vms/100", "VM.Allocate"), 401, "authentication failure")
	refused(t, verify("long enough", "/vms/ 100", "VM.Audit"), 401, "authentication failure")
	refused(t, verify("wrong wrong", "/vms/100", "VM.Audit"), 401, "authentication failure")
	console, err := w.SignConsole(t.Context(), ticket.Console{AuthID: "ops@pve", Path: "/vms/100"}, "")
	require.NoError(t, err)
	require.NoError(t, verify(console, "/vms/100", "VM.Audit"))
	refused(t, verify(console, "/vms/101", "VM.Audit"), 401, "authentication failure")
	out, err := w.login("ops@pve", "long enough")
	require.NoError(t, err)
	require.NoError(t, verify(*out.Ticket, "/vms/100", "VM.Audit"))
}

func TestThreat44_ConsoleTickets(t *testing.T) {
	w := newWorld(t)
	w.config(team)
	pw, err := w.ConsolePassword()
	require.NoError(t, err)
	require.Len(t, pw, 8)
	grant := ticket.Console{AuthID: "dev@pve", Path: "/vms/100", Port: 5900}
	text, err := w.SignConsole(t.Context(), grant, pw)
	require.NoError(t, err)
	got, err := w.VerifyConsole(t.Context(), text, grant)
	require.NoError(t, err)
	require.Equal(t, pw, got)

	port := int64(5900)
	req := schema.PostAccessVncticket{Authid: "dev@pve", Path: "/vms/100/", Port: &port, Privs: "VM.Console", Vncticket: text}
	_, err = w.PostAccessVncticket(w.as(""), &req)
	require.NoError(t, err)
	for name, spoil := range map[string]func(*schema.PostAccessVncticket){
		"another user": func(r *schema.PostAccessVncticket) { r.Authid = "ops@pve" },
		"another path": func(r *schema.PostAccessVncticket) { r.Path = "/vms/101" },
		"no path":      func(r *schema.PostAccessVncticket) { r.Path = "?" },
		"no port":      func(r *schema.PostAccessVncticket) { r.Port = nil },
		"privilege":    func(r *schema.PostAccessVncticket) { r.Privs = "VM.Allocate" },
		"nothing":      func(r *schema.PostAccessVncticket) { r.Privs = "" },
		"text":         func(r *schema.PostAccessVncticket) { r.Vncticket = "PVEVNC:00000000::x" },
	} {
		bad := req
		spoil(&bad)
		_, err := w.PostAccessVncticket(w.as(""), &bad)
		e := err
		require.Error(t, e, name)
		refused(t, err, 401, "authentication failure")
		w.clock.now = w.clock.now.Add(-3 * time.Second) // the delay would make the ticket old
	}
	require.NoError(t, w.Update(t.Context(), func(c *access.UserConfig) error { c.Users["dev@pve"].Enable = false; return nil }))
	_, err = w.VerifyConsole(t.Context(), text, grant)
	require.ErrorContains(t, err, "disabled")
}

func TestThreat28_Tickets(t *testing.T) {
	w := newWorld(t)
	auth := func(text string) error {
		_, err := w.Authenticate(t.Context(), access.Credentials{Ticket: text})
		return err
	}
	const bad = "permission denied - invalid PVE ticket"
	refused(t, auth("PVE:root@pam:6B49D200::QUJD"), 401, bad) // before any key exists
	w.withUser("ops@pve", "long enough")
	out, err := w.login("ops@pve", "long enough")
	require.NoError(t, err)
	good := *out.Ticket
	require.NoError(t, auth(good))

	before := w.clock.Now()
	refused(t, auth(strings.Replace(good, "ops@pve", "root@pam", 1)), 401, bad)
	require.Equal(t, 3*time.Second, w.clock.Now().Sub(before), "answered late")
	refused(t, auth(good+"\n"), 401, bad)
	refused(t, auth("PVE:!tfa!{}:6B49D200::"+strings.Repeat("A", 86)+"=="), 401, "No ticket")
	_, err = w.Authenticate(t.Context(), access.Credentials{})
	refused(t, err, 401, "No ticket")

	w.clock.advance(ticket.Life - 30*time.Second)
	require.NoError(t, auth(good))
	w.clock.advance(time.Minute)
	refused(t, auth(good), 401, bad)

	elsewhere := newWorld(t)
	elsewhere.withUser("ops@pve", "long enough")
	foreign, err := elsewhere.login("ops@pve", "long enough")
	require.NoError(t, err)
	refused(t, auth(*foreign.Ticket), 401, bad)
}

func TestThreat28_KeysRotate(t *testing.T) {
	w := newWorld(t)
	w.withUser("ops@pve", "long enough")
	_, err := w.login("ops@pve", "long enough")
	require.NoError(t, err)
	first := w.file("priv/authkey")
	w.clock.advance(ticket.RotateAfter - time.Hour)
	out, err := w.login("ops@pve", "long enough")
	require.NoError(t, err)
	require.Equal(t, first, w.file("priv/authkey"))
	w.clock.advance(time.Hour)
	_, err = w.login("ops@pve", "long enough")
	require.NoError(t, err)
	require.NotEqual(t, first, w.file("priv/authkey"))
	_, err = w.Authenticate(t.Context(), access.Credentials{Ticket: *out.Ticket})
	require.NoError(t, err, "signed before the rotation")

	second, err := access.New(w.store, &access.Options{Clock: w.clock, Passwords: cheap})
	require.NoError(t, err)
	_, err = second.Authenticate(t.Context(), access.Credentials{Ticket: *out.Ticket})
	require.NoError(t, err, "any node of the cluster knows the ticket")
}

func TestThreat28_DisabledUsersLoseTheirTickets(t *testing.T) {
	w := newWorld(t)
	w.withUser("ops@pve", "long enough")
	out, err := w.login("ops@pve", "long enough")
	require.NoError(t, err)
	off := false
	_, err = w.PutAccessUsersUserid(w.as("root@pam"), &schema.PutAccessUsersUserid{Userid: "ops@pve", Enable: &off})
	require.NoError(t, err)
	_, err = w.Authenticate(t.Context(), access.Credentials{Ticket: *out.Ticket})
	refused(t, err, 401, "Authentication failed!")
	_, err = w.login("ops@pve", *out.Ticket)
	refused(t, err, 401, "authentication failure")
}

func TestThreat29_CSRFIsBoundToTheUser(t *testing.T) {
	w := newWorld(t)
	c := call.Caller{AuthID: "ops@pve", Ticket: true}
	refused(t, w.VerifyCSRF(t.Context(), c, "00000000:x"), 401, "Permission denied - invalid csrf token")
	w.withUser("ops@pve", "long enough")
	w.withUser("dev@pve", "long enough")
	out, err := w.login("ops@pve", "long enough")
	require.NoError(t, err)
	other, err := w.login("dev@pve", "long enough")
	require.NoError(t, err)
	require.NoError(t, w.VerifyCSRF(t.Context(), c, *out.CSRFPreventionToken))
	for _, token := range []string{"", *other.CSRFPreventionToken, *out.Ticket, (*out.CSRFPreventionToken)[:30]} {
		refused(t, w.VerifyCSRF(t.Context(), c, token), 401, "Permission denied - invalid csrf token")
	}
}

func TestThreat34_UnknownUsersTakeAsLong(t *testing.T) {
	w := newWorld(t)
	w.withUser("ops@pve", "long enough")
	took := func(user string) time.Duration {
		before := w.clock.Now()
		_, err := w.login(user, "wrong")
		refused(t, err, 401, "authentication failure")
		return w.clock.Now().Sub(before)
	}
	require.Equal(t, took("ops@pve"), took("nobody@pve"))
	for _, id := range []string{"a b@pve", "a\nb@pve", "root@pam\x00", "", "@", "root@pam:", strings.Repeat("x", 5000) + "@pve"} {
		require.Equal(t, 3*time.Second, took(id), "%q", id)
	}
}

func TestThreat35_FailuresFromOneAddressAreLimited(t *testing.T) {
	w := newWorld(t)
	w.withUser("ops@pve", "long enough")
	for range 40 {
		_, err := w.login("ops@pve", "wrong")
		refused(t, err, 401, "authentication failure")
		w.clock.mu.Lock()
		w.clock.now = w.clock.now.Add(-3 * time.Second) // as if all were tried at once
		w.clock.mu.Unlock()
	}
	_, err := w.login("ops@pve", "long enough")
	refused(t, err, 401, "authentication failure")
	elsewhere := call.With(t.Context(), call.Caller{Remote: "2001:db8::1"})
	_, err = w.PostAccessTicket(elsewhere, &schema.PostAccessTicket{Username: "ops@pve", Password: "long enough"})
	require.NoError(t, err, "other addresses are not concerned")
	w.clock.advance(3 * time.Second)
	_, err = w.login("ops@pve", "long enough")
	require.NoError(t, err, "one attempt each refill")
}

func TestDelaysAreBounded(t *testing.T) {
	c := &clock{now: time.Unix(1_800_000_000, 0)}
	s, err := access.New(memstore.New(), &access.Options{Clock: c, Passwords: cheap, FailureDelay: -1})
	require.NoError(t, err)
	_, err = s.Authenticate(t.Context(), access.Credentials{Token: "a@pve!tt=x"})
	refused(t, err, 401, "Authentication failed!")
	require.Zero(t, c.slept)
}

func TestImportedPasswordsAreRehashed(t *testing.T) {
	w := newWorld(t)
	w.config("user:ops@pve:1:\nuser:odd@pve:1:\n")
	_, err := w.store.Txn(t.Context(), cluster.Put("/pve/priv/shadow.cfg", []byte("ops:$5$abcdefgh$PMzeX.3Tb43iNPh8ENNzPM9M7q/BLyRKM1Djd5s4Nu8:\nodd:$y$j9T$a$b:\n")))
	require.NoError(t, err)
	_, err = w.login("ops@pve", "wrong")
	require.Error(t, err)
	require.Contains(t, w.file("priv/shadow.cfg"), "ops:$5$")
	_, err = w.login("ops@pve", "pässword")
	require.NoError(t, err)
	require.Contains(t, w.file("priv/shadow.cfg"), "ops:$argon2id$")
	require.Contains(t, w.file("priv/shadow.cfg"), "odd:$y$")
	_, err = w.login("ops@pve", "pässword")
	require.NoError(t, err)
	_, err = w.login("odd@pve", "x")
	refused(t, err, 401, "authentication failure")
}
