package password

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// SHA crypt as specified by Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", version 0.6: the numbers in comments
// are the steps of that text.

const (
	defaultRounds = 5000
	minRounds     = 1000
	maxSaltSize   = 16
	cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// shaSettings are the parts of a hash before its checksum.
type shaSettings struct {
	new    func() hash.Hash
	prefix string // "$5$" or "$6$"
	rounds int
	shown  bool // the hash names its rounds
	salt   string
	order  [][3]int // which bytes make up which characters of the checksum
}

func parseSettings(text string) (s shaSettings, err error) {
	s = shaSettings{new: sha256.New, prefix: text[:3], rounds: defaultRounds, order: order256}
	if s.prefix == "$6$" {
		s.new, s.order = sha512.New, order512
	}
	rest := text[3:]
	if spec, after, ok := strings.Cut(rest, "$"); ok && strings.HasPrefix(spec, "rounds=") {
		n, err := strconv.Atoi(spec[len("rounds="):])
		if err != nil || n > maxRounds {
			return s, ErrUnsupported
		}
		s.rounds, s.shown, rest = max(n, minRounds), true, after
	}
	s.salt, _, _ = strings.Cut(rest, "$")
	s.salt = s.salt[:min(len(s.salt), maxSaltSize)]
	return s, nil
}

// shaCrypt computes the hash of a password with the settings of another hash. The context is looked at now and then.
func shaCrypt(ctx context.Context, settings, password string) (string, error) {
	s, err := parseSettings(settings)
	if err != nil {
		return "", err
	}
	pw, salt := []byte(password), []byte(s.salt)

	b := s.new() // 4-8
	b.Write(pw)
	b.Write(salt)
	b.Write(pw)
	sumB := b.Sum(nil)

	a := s.new() // 1-3
	a.Write(pw)
	a.Write(salt)
	a.Write(repeat(sumB, len(pw))) // 9-10
	for n := len(pw); n > 0; n >>= 1 {
		if n&1 != 0 { // 11
			a.Write(sumB)
		} else {
			a.Write(pw)
		}
	}
	sum := a.Sum(nil) // 12

	dp := s.new() // 13-16
	for range len(pw) {
		dp.Write(pw)
	}
	p := repeat(dp.Sum(nil), len(pw))

	ds := s.new() // 17-20
	for range 16 + int(sum[0]) {
		ds.Write(salt)
	}
	saltSeq := repeat(ds.Sum(nil), len(salt))

	c := s.new()
	for i := range s.rounds { // 21
		if i%4096 == 0 && ctx.Err() != nil {
			return "", ctx.Err()
		}
		c.Reset()
		c.Write(pick(i&1 != 0, p, sum))
		if i%3 != 0 {
			c.Write(saltSeq)
		}
		if i%7 != 0 {
			c.Write(p)
		}
		c.Write(pick(i&1 != 0, sum, p))
		sum = c.Sum(sum[:0])
	}
	return s.text(sum), nil
}

func pick(cond bool, a, b []byte) []byte {
	if cond {
		return a
	}
	return b
}

// repeat returns n bytes of sum, repeated as often as needed.
func repeat(sum []byte, n int) []byte {
	out := make([]byte, 0, n+len(sum))
	for len(out) < n {
		out = append(out, sum...)
	}
	return out[:n]
}

func (s *shaSettings) text(sum []byte) string {
	var b strings.Builder
	b.WriteString(s.prefix)
	if s.shown {
		fmt.Fprintf(&b, "rounds=%d$", s.rounds)
	}
	b.WriteString(s.salt)
	b.WriteByte('$')
	for _, t := range s.order { // 22
		chars, v := 4, 0 // four characters for three bytes, three for two, two for one
		for _, i := range t {
			v <<= 8
			if i >= 0 {
				v |= int(sum[i])
			} else {
				chars--
			}
		}
		for range chars {
			b.WriteByte(cryptAlphabet[v&63])
			v >>= 6
		}
	}
	return b.String()
}

// order256 and order512 list, most significant first, the bytes of each group; -1 is no byte.
var (
	order256 = [][3]int{
		{0, 10, 20}, {21, 1, 11}, {12, 22, 2}, {3, 13, 23}, {24, 4, 14}, {15, 25, 5}, {6, 16, 26}, {27, 7, 17}, {18, 28, 8},
		{9, 19, 29}, {-1, 31, 30},
	}
	order512 = [][3]int{
		{0, 21, 42}, {22, 43, 1}, {44, 2, 23}, {3, 24, 45}, {25, 46, 4}, {47, 5, 26}, {6, 27, 48}, {28, 49, 7}, {50, 8, 29},
		{9, 30, 51}, {31, 52, 10}, {53, 11, 32}, {12, 33, 54}, {34, 55, 13}, {56, 14, 35}, {15, 36, 57}, {37, 58, 16},
		{59, 17, 38}, {18, 39, 60}, {40, 61, 19}, {62, 20, 41}, {-1, -1, 63},
	}
)
