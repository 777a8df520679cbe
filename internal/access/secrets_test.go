package access

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsAsText(t *testing.T) {
	sec, warnings := parseSecrets("ann:$5$a$b:\n\nbad line\n:x:\nbob:h:rest\ncid::\n zoe:h:\n")
	require.Equal(t, secrets{"ann": "$5$a$b", "zoe": "h"}, sec)
	require.Equal(t, []string{
		"pve shadow password: ignore invalid line 3", "pve shadow password: ignore invalid line 4",
		"pve shadow password: ignore invalid line 5", "pve shadow password: ignore invalid line 6",
	}, warnings)
	text, err := sec.format()
	require.NoError(t, err)
	require.Equal(t, "ann:$5$a$b:\nzoe:h:\n", text)
	for _, name := range []string{"", "a:b", "a\nroot", "a b"} {
		_, err := secrets{name: "h"}.format()
		require.Error(t, err, "%q", name)
	}
}

func TestTokenSecretsAsText(t *testing.T) {
	const plain = "0f8fad5b-d9cb-469f-a165-70867728950e"
	tokens, warnings := parseTokenSecrets("ann@pve!ci " + plain + "\nann@pve " + plain + "\nbob@pve!tt not-a-uuid\nbob@pve!tt sha256:00\njunk\n\n")
	require.Len(t, tokens, 1)
	require.Len(t, warnings, 4)
	require.True(t, tokens.verify("ann@pve!ci", plain))
	require.False(t, tokens.verify("ann@pve!ci", strings.ToUpper(plain)))
	require.False(t, tokens.verify("bob@pve!tt", ""), "an unknown token has no secret, not the empty one")
	text, err := tokens.format()
	require.NoError(t, err)
	require.NotContains(t, text, plain)
	again, warnings := parseTokenSecrets(text)
	require.Empty(t, warnings)
	require.Equal(t, tokens, again)
	require.False(t, again.verify("ann@pve!ci", strings.Fields(text)[1]), "the digest is not the secret")
}

func FuzzSecrets(f *testing.F) {
	f.Add("ann:$5$a$b:\n", "ann@pve!ci 0f8fad5b-d9cb-469f-a165-70867728950e\n")
	f.Add(":::\n\x00", "a@b!cc sha256:zz")
	f.Fuzz(func(t *testing.T, shadow, token string) {
		sec, _ := parseSecrets(shadow)
		text, err := sec.format()
		require.NoError(t, err, "what was read can be written")
		sec2, warnings := parseSecrets(text)
		require.Empty(t, warnings)
		require.Equal(t, sec, sec2)
		tokens, _ := parseTokenSecrets(token)
		text, err = tokens.format()
		require.NoError(t, err)
		again, _ := parseTokenSecrets(text)
		require.Equal(t, tokens, again)
	})
}
