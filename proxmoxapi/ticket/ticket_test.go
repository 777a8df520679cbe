package ticket_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/proxmoxapi/ticket"
)

var start = time.Unix(1_800_000_000, 0)

func keys(t testing.TB) *ticket.Keys {
	k, err := ticket.Generate(rand.Reader, start)
	require.NoError(t, err)
	return k
}

func TestLogin(t *testing.T) {
	k := keys(t)
	text := k.Login("ops@pve", start)
	require.Regexp(t, `^PVE:ops@pve:6B49D200::[A-Za-z0-9+/]+=*$`, text)
	user, issued, err := k.VerifyLogin(text, start.Add(ticket.Life))
	require.NoError(t, err)
	require.Equal(t, "ops@pve", user)
	require.True(t, issued.Equal(start))
	require.True(t, ticket.IsLogin(text))
}

func TestThreat28_LoginTicketForgeryAndReplay(t *testing.T) {
	k, other := keys(t), keys(t)
	good := k.Login("ops@pve", start)
	head, sig, _ := strings.Cut(good, "::")
	cases := map[string]struct {
		text string
		at   time.Duration
		want error
	}{
		"expired":              {good, ticket.Life + time.Second, ticket.ErrExpired},
		"from the future":      {k.Login("ops@pve", start.Add(ticket.Skew+time.Second)), 0, ticket.ErrFuture},
		"another cluster":      {other.Login("ops@pve", start), 0, ticket.ErrSignature},
		"another user":         {"PVE:root@pam:6B49D200::" + sig, 0, ticket.ErrSignature},
		"another realm":        {"PVE:ops@pam:6B49D200::" + sig, 0, ticket.ErrSignature},
		"another time":         {"PVE:ops@pve:6B49D201::" + sig, 0, ticket.ErrSignature},
		"lower-case time":      {"PVE:ops@pve:6b49d200::" + sig, 0, ticket.ErrMalformed},
		"no signature":         {head + "::", 0, ticket.ErrMalformed},
		"no signature at all":  {head, 0, ticket.ErrMalformed},
		"short signature":      {good[:len(good)-4], 0, ticket.ErrMalformed},
		"long signature":       {good + "AAAA", 0, ticket.ErrMalformed},
		"line feed":            {good + "\n", 0, ticket.ErrMalformed},
		"not canonical base64": {good[:len(good)-3] + "/==", 0, ticket.ErrMalformed},
		"empty":                {"", 0, ticket.ErrMalformed},
		"nobody":               {"PVE::6B49D200::" + sig, 0, ticket.ErrMalformed},
		"huge":                 {"PVE:" + strings.Repeat("a", 1<<20) + good, 0, ticket.ErrMalformed},
		"colon in the name":    {"PVE:root@pam:ops@pve:6B49D200::" + sig, 0, ticket.ErrMalformed},
		"console ticket":       {k.Console(ticket.Console{AuthID: "ops@pve", Path: "/"}, "", start), 0, ticket.ErrMalformed},
		"waits for a factor":   {k.Challenge("ops@pve", `{"totp":true}`, start), 0, ticket.ErrPartial},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			user, _, err := k.VerifyLogin(c.text, start.Add(c.at))
			require.ErrorIs(t, err, c.want)
			require.Empty(t, user)
		})
	}
}

func TestThreat28_KeyRotation(t *testing.T) {
	k := keys(t)
	require.False(t, k.Due(start.Add(ticket.RotateAfter-time.Second)))
	at := start.Add(ticket.RotateAfter)
	require.True(t, k.Due(at))
	before := k.Login("ops@pve", at)
	second, err := k.Rotate(rand.Reader, at)
	require.NoError(t, err)
	require.False(t, second.Due(at))

	_, _, err = second.VerifyLogin(before, at.Add(time.Hour))
	require.NoError(t, err, "signed before the rotation")
	late := k.Login("ops@pve", at.Add(ticket.Skew+time.Second))
	_, _, err = second.VerifyLogin(late, at.Add(ticket.Skew+time.Second))
	require.ErrorIs(t, err, ticket.ErrSignature, "the old key signs nothing new")
	third, err := second.Rotate(rand.Reader, at.Add(time.Minute))
	require.NoError(t, err)
	_, _, err = third.VerifyLogin(before, at.Add(time.Minute))
	require.ErrorIs(t, err, ticket.ErrSignature, "two rotations later the key is gone")

	csrf := k.CSRF("ops@pve", at)
	require.NoError(t, third.VerifyCSRF(csrf, "ops@pve", at), "CSRF tokens outlive rotations")
}

func TestKeysAreStored(t *testing.T) {
	k, err := keys(t).Rotate(rand.Reader, start.Add(time.Hour))
	require.NoError(t, err)
	data, err := json.Marshal(k)
	require.NoError(t, err)
	var again ticket.Keys
	require.NoError(t, json.Unmarshal(data, &again))
	_, _, err = again.VerifyLogin(k.Login("a@pve", start), start)
	require.NoError(t, err)
	require.NoError(t, again.VerifyCSRF(k.CSRF("a@pve", start), "a@pve", start))
	for _, bad := range []string{`{}`, `{"mac":"AA==","signing":[]}`, `[]`} {
		require.Error(t, json.Unmarshal([]byte(bad), new(ticket.Keys)), bad)
	}
	_, err = ticket.Generate(bytes.NewReader(nil), start)
	require.Error(t, err)
}

func TestChallenge(t *testing.T) {
	k := keys(t)
	text := k.Challenge("ops@pve", `{"totp":true}`, start)
	require.Contains(t, text, `PVE:!tfa!{"totp"%3Atrue}:`)
	data, err := k.VerifyChallenge(text, "ops@pve", start.Add(ticket.ChallengeLife))
	require.NoError(t, err)
	require.Equal(t, `{"totp":true}`, data)
	_, err = k.VerifyChallenge(text, "root@pam", start)
	require.ErrorIs(t, err, ticket.ErrSignature)
	_, err = k.VerifyChallenge(text, "ops@pve", start.Add(ticket.ChallengeLife+time.Second))
	require.ErrorIs(t, err, ticket.ErrExpired)
	_, err = k.VerifyChallenge(k.Login("ops@pve", start), "ops@pve", start)
	require.ErrorIs(t, err, ticket.ErrMalformed)
}

func TestThreat44_ConsoleTicketIsBound(t *testing.T) {
	k := keys(t)
	c := ticket.Console{AuthID: "ops@pve!ci", Path: "/vms/100", Port: 5900}
	text := k.Console(c, "s3cr3tpw", start)
	require.Regexp(t, `^s3cr3tpw:PVEVNC:6B49D200::`, text)
	password, err := k.VerifyConsole(text, c, start.Add(ticket.ConsoleLife))
	require.NoError(t, err)
	require.Equal(t, "s3cr3tpw", password)

	plain := k.Console(c, "", start)
	password, err = k.VerifyConsole(plain, c, start)
	require.NoError(t, err)
	require.Empty(t, password)

	_, err = k.VerifyConsole(text, c, start.Add(ticket.ConsoleLife+time.Second))
	require.ErrorIs(t, err, ticket.ErrExpired)
	for name, other := range map[string]ticket.Console{
		"user": {AuthID: "ops@pve", Path: c.Path, Port: c.Port},
		"path": {AuthID: c.AuthID, Path: "/vms/101", Port: c.Port},
		"port": {AuthID: c.AuthID, Path: c.Path, Port: 5901},
		"none": {AuthID: c.AuthID, Path: c.Path},
	} {
		_, err = k.VerifyConsole(text, other, start)
		require.ErrorIs(t, err, ticket.ErrSignature, name)
	}
	_, err = k.VerifyConsole("0"+text[1:], c, start)
	require.ErrorIs(t, err, ticket.ErrSignature, "the password is signed")
	_, err = k.VerifyConsole(text[len("s3cr3tpw:"):], c, start)
	require.ErrorIs(t, err, ticket.ErrSignature, "the password belongs to it")
	_, err = k.VerifyConsole(k.Login("ops@pve", start), c, start)
	require.ErrorIs(t, err, ticket.ErrMalformed)
}

func TestThreat29_CSRF(t *testing.T) {
	k := keys(t)
	token := k.CSRF("ops@pve", start)
	require.Regexp(t, `^6B49D200:[A-Za-z0-9+/]{43}$`, token)
	require.NoError(t, k.VerifyCSRF(token, "ops@pve", start.Add(ticket.Life)))
	for name, err := range map[string]error{
		"another user":    k.VerifyCSRF(token, "root@pam", start),
		"another cluster": keys(t).VerifyCSRF(token, "ops@pve", start),
		"expired":         k.VerifyCSRF(token, "ops@pve", start.Add(ticket.Life+time.Second)),
		"future":          k.VerifyCSRF(token, "ops@pve", start.Add(-ticket.Skew-time.Second)),
		"empty":           k.VerifyCSRF("", "ops@pve", start),
		"other time":      k.VerifyCSRF("6B49D201"+token[8:], "ops@pve", start),
		"cut":             k.VerifyCSRF(token[:20], "ops@pve", start),
		"padded":          k.VerifyCSRF(token+"=", "ops@pve", start),
	} {
		require.Error(t, err, name)
	}
}

func FuzzVerify(f *testing.F) {
	k := keys(f)
	c := ticket.Console{AuthID: "a@pve", Path: "/vms/100", Port: 5900}
	f.Add(k.Login("a@pve", start))
	f.Add(k.Challenge("a@pve", "{}", start))
	f.Add(k.Console(c, "12345678", start))
	f.Add(k.CSRF("a@pve", start))
	f.Add("PVE:a@pve:00000000::")
	signer := keys(f)
	f.Fuzz(func(t *testing.T, text string) {
		// keys of another cluster: nothing may pass
		if _, _, err := signer.VerifyLogin(text, start); err == nil {
			t.Fatal("accepted")
		}
		_, err := signer.VerifyChallenge(text, "a@pve", start)
		require.Error(t, err)
		_, err = signer.VerifyConsole(text, c, start)
		require.Error(t, err)
		require.Error(t, signer.VerifyCSRF(text, "a@pve", start))
	})
}

func BenchmarkVerifyLogin(b *testing.B) {
	k := keys(b)
	text := k.Login("ops@pve", start)
	for b.Loop() {
		if _, _, err := k.VerifyLogin(text, start); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleKeys_VerifyLogin() {
	now := time.Unix(1_800_000_000, 0)
	keys, err := ticket.Generate(rand.Reader, now)
	if err != nil {
		panic(err)
	}
	text := keys.Login("ops@pve", now)
	user, _, err := keys.VerifyLogin(text, now.Add(time.Hour))
	fmt.Println(user, err)
	_, _, err = keys.VerifyLogin(text, now.Add(3*time.Hour))
	fmt.Println(errors.Is(err, ticket.ErrExpired))
	// Output:
	// ops@pve <nil>
	// true
}
