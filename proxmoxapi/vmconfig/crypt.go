package vmconfig

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

const (
	cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	cryptPrefix   = "$5$"
	cryptRounds   = 5000
)

var hashedPassword = regexp.MustCompile(`^\$(?:1|5|6|2a|2y)\$`)

// IsHashedPassword reports whether a cipassword already is a hash (of the kinds Proxmox VE leaves alone).
func IsHashedPassword(password string) bool { return hashedPassword.MatchString(password) }

// HashPassword returns the SHA-256 crypt(3) hash of a password, "$5$SALT$HASH", with a salt from random (nil:
// crypto/rand).
func HashPassword(password string, random io.Reader) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	var salt [8]byte
	if _, err := io.ReadFull(random, salt[:]); err != nil {
		return "", fmt.Errorf("password salt: %w", err)
	}
	for i, b := range salt {
		salt[i] = cryptAlphabet[b&63]
	}
	return sha256Crypt(password, string(salt[:]), 0), nil
}

// sha256Crypt is crypt(3)'s $5$ method. rounds 0 is the default, which is then not named in the result.
// See "Unix crypt using SHA-256 and SHA-512" (Drepper), steps 1 to 22.
func sha256Crypt(password, salt string, rounds int) string {
	prefix := cryptPrefix
	if rounds != 0 {
		rounds = min(max(rounds, 1000), 999_999_999)
		prefix += "rounds=" + strconv.Itoa(rounds) + "$"
	} else {
		rounds = cryptRounds
	}
	salt = salt[:min(len(salt), 16)]
	key := []byte(password)

	alternate := sha256.Sum256([]byte(password + salt + password))
	h := sha256.New()
	h.Write(key)
	h.Write([]byte(salt))
	h.Write(stretch(alternate[:], len(key)))
	for n := len(key); n > 0; n >>= 1 {
		if n&1 != 0 {
			h.Write(alternate[:])
		} else {
			h.Write(key)
		}
	}
	sum := h.Sum(nil)

	p := stretch(repeatSum(key, len(key)), len(key))
	s := stretch(repeatSum([]byte(salt), 16+int(sum[0])), len(salt))
	for i := range rounds {
		h.Reset()
		if i&1 != 0 {
			h.Write(p)
		} else {
			h.Write(sum)
		}
		if i%3 != 0 {
			h.Write(s)
		}
		if i%7 != 0 {
			h.Write(p)
		}
		if i&1 != 0 {
			h.Write(sum)
		} else {
			h.Write(p)
		}
		sum = h.Sum(sum[:0])
	}
	return prefix + salt + "$" + cryptEncode(sum)
}

// stretch repeats data until it is n bytes long.
func stretch(data []byte, n int) []byte {
	out := make([]byte, 0, n+len(data))
	for len(out) < n {
		out = append(out, data...)
	}
	return out[:n]
}

func repeatSum(data []byte, times int) []byte {
	h := sha256.New()
	for range times {
		h.Write(data)
	}
	return h.Sum(nil)
}

// cryptEncode prints a digest in the byte order and alphabet of the method.
func cryptEncode(sum []byte) string {
	var b strings.Builder
	put := func(hi, mid, lo byte, chars int) {
		v := uint(hi)<<16 | uint(mid)<<8 | uint(lo)
		for range chars {
			b.WriteByte(cryptAlphabet[v&63])
			v >>= 6
		}
	}
	i, j, k := 0, 10, 20
	for range 10 {
		put(sum[i], sum[j], sum[k], 4)
		i, j, k = k+1, i+1, j+1
	}
	put(0, sum[31], sum[30], 3)
	return b.String()
}
