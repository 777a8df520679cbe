package password_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/internal/access/password"
)

var cheap = password.Params{Time: 1, MemoryKiB: 64, Threads: 1}

func hasher(t testing.TB, o *password.Options) *password.Hasher {
	h, err := password.New(o)
	require.NoError(t, err)
	return h
}

func TestHashAndVerify(t *testing.T) {
	h := hasher(t, &password.Options{Params: cheap})
	hash, err := h.Hash(t.Context(), "correct horse")
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=64,t=1,p=1\$[^$:]+\$[^$:]+$`, hash)
	again, err := h.Hash(t.Context(), "correct horse")
	require.NoError(t, err)
	require.NotEqual(t, hash, again, "salted")

	ok, stale, err := h.Verify(t.Context(), hash, "correct horse")
	require.NoError(t, err)
	require.True(t, ok)
	require.False(t, stale)
	ok, stale, err = h.Verify(t.Context(), hash, "Correct horse")
	require.NoError(t, err)
	require.False(t, ok)
	require.False(t, stale)

	dearer := hasher(t, &password.Options{Params: password.Params{Time: 2, MemoryKiB: 64, Threads: 1}})
	ok, stale, err = dearer.Verify(t.Context(), hash, "correct horse")
	require.NoError(t, err)
	require.True(t, ok)
	require.True(t, stale, "other costs")
	require.NoError(t, h.Waste(t.Context(), "x"))
}

// The hashes were made by glibc's crypt(3), the last one by libxcrypt.
func TestImportedHashes(t *testing.T) {
	h := hasher(t, &password.Options{Params: cheap})
	long := "a much longer pass phrase that exceeds the block size of the hash, really it does, twice over and over"
	for hash, pw := range map[string]string{
		"$5$abcdefgh$PMzeX.3Tb43iNPh8ENNzPM9M7q/BLyRKM1Djd5s4Nu8":                                                         "pässword",
		"$6$rounds=1400$saltysalt$oL3fK6xKaB6dcknWJC19Hx6ETRoBxmMbC0ut8wyWAoEO591vAiRXwqehXIzifuKWNn0ifxo0fs1whr/zDkBD90": long,
		"$6$0123456789abcdef$8YztVyzwDEH96nI5J4SMvvvaVH43cm6MjQyfl3gZsAa8rZMsHQVTiLQraFpug5a6xlaOJbzt.7jq8UBJs4F7M1":      "x",
		"$5$rounds=77777$s$yZWyAb8SvEqZV0I9DCa.SovxYoeeHEiStufPSEskqqD":                                                   "",
		"$2y$05$abcdefghijklmnopqrstuuZ6QNu0NKXZkZHC5hsQUItfxcGamvB8i":                                                    "hunter22",
	} {
		ok, stale, err := h.Verify(t.Context(), hash, pw)
		require.NoError(t, err)
		require.True(t, ok, hash)
		require.True(t, stale, hash)
		ok, _, err = h.Verify(t.Context(), hash, pw+"!")
		require.NoError(t, err)
		require.False(t, ok, hash)
	}
}

func TestHostileHashes(t *testing.T) {
	h := hasher(t, &password.Options{Params: cheap})
	for _, hash := range []string{
		"", "*", "!", "x", "$1$abc$def", "$y$j9T$abc$def",
		"$6$rounds=999999999$salt$x", "$6$rounds=x$salt$x", "$2y$31$abcdefghijklmnopqrstuu", "$2", "$2y$05$short",
		"$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=64,t=99,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=16$m=64,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=64,t=1,p=1$AAAA$", "$argon2id$", "$argon2id$v=19$m=64,t=1,p=0$AAAA$AAAAAAAAAAAAAAAAAAAAAA",
	} {
		ok, _, err := h.Verify(t.Context(), hash, "x")
		require.False(t, ok, hash)
		if !strings.HasPrefix(hash, "$2y$05") {
			require.ErrorIs(t, err, password.ErrUnsupported, hash)
		}
	}
}

func TestOptions(t *testing.T) {
	_, err := password.New(&password.Options{Params: password.Params{Time: 99, MemoryKiB: 64, Threads: 1}})
	require.Error(t, err)
	_, err = password.New(&password.Options{Concurrent: -1})
	require.Error(t, err)
	_, err = hasher(t, &password.Options{Params: cheap, Rand: strings.NewReader("short")}).Hash(t.Context(), "x")
	require.Error(t, err)
}

func TestThreat34_ComputationsWaitForTheirTurn(t *testing.T) {
	h := hasher(t, &password.Options{Params: cheap, Concurrent: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Hash(ctx, "x")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, h.Waste(ctx, "x"), context.Canceled)
	_, err = h.Hash(t.Context(), "x")
	require.NoError(t, err, "nobody holds the slot")
}

func FuzzVerify(f *testing.F) {
	h := hasher(f, &password.Options{Params: cheap})
	f.Add("$5$abcdefgh$PMzeX.3Tb43iNPh8ENNzPM9M7q", "x")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAA", "x")
	f.Add("$6$rounds=1000$salt$", "")
	f.Fuzz(func(t *testing.T, hash, pw string) {
		if strings.HasPrefix(hash, "$2") || len(hash) > 200 || len(pw) > 100 {
			return // bcrypt's parser is not ours, and costs are bounded by tests above
		}
		if strings.Contains(hash, "rounds=") || strings.HasPrefix(hash, "$argon2id$") && !strings.Contains(hash, "m=64,t=1,p=1") {
			return
		}
		_, _, err := h.Verify(t.Context(), hash, pw)
		if err != nil {
			require.ErrorIs(t, err, password.ErrUnsupported)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	h := hasher(b, nil)
	hash, err := h.Hash(b.Context(), "correct horse")
	require.NoError(b, err)
	for b.Loop() {
		if ok, _, err := h.Verify(b.Context(), hash, "correct horse"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
