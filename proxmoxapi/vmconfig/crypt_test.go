package vmconfig

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// The vectors are those published with the specification of the SHA-crypt methods.
func TestSHA256Crypt(t *testing.T) {
	for _, c := range []struct {
		salt     string
		rounds   int
		password string
		want     string
	}{
		{"saltstring", 0, "Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
		{"saltstringsaltstring", 10000, "Hello world!", "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"},
		{"toolongsaltstring", 5000, "This is just a test", "$5$rounds=5000$toolongsaltstrin$Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"},
		{"anotherlongsaltstring", 1400,
			"a very much longer text to encrypt.  This one even stretches over morethan one line.",
			"$5$rounds=1400$anotherlongsalts$Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1"},
		{"short", 77777, "we have a short salt string but not a short password",
			"$5$rounds=77777$short$JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/"},
		{"roundstoolow", 10, "the minimum number is still observed",
			"$5$rounds=1000$roundstoolow$"},
	} {
		got := sha256Crypt(c.password, c.salt, c.rounds)
		require.Equal(t, c.want, got[:len(c.want)], c.password)
	}
}

func TestHashPassword(t *testing.T) {
	hash, err := HashPassword("secret", bytes.NewReader(make([]byte, 8)))
	require.NoError(t, err)
	require.Regexp(t, `^\$5\$\.{8}\$[./0-9A-Za-z]{43}$`, hash)
	require.True(t, IsHashedPassword(hash))
	require.False(t, IsHashedPassword("secret"))
	require.False(t, IsHashedPassword("$9$x"))

	_, err = HashPassword("secret", bytes.NewReader(nil))
	require.Error(t, err)
}
