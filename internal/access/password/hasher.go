package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// ErrUnsupported is a hash of a kind or cost that is not computed here.
var ErrUnsupported = errors.New("password: unsupported hash")

// Params are the costs of argon2id.
type Params struct {
	Time      uint32 // passes over the memory
	MemoryKiB uint32
	Threads   uint8
}

// Limits of stored hashes: beyond them a check would be an attack on the machine.
const (
	maxTime       = 16
	maxMemoryKiB  = 256 << 10
	maxThreads    = 16
	maxBcryptCost = 15
	maxRounds     = 1_000_000 // of SHA crypt
	saltSize      = 16
	keySize       = 32
)

// Options of [New]. Nil works.
type Options struct {
	Params     Params    // of new hashes; default 3 passes over 64 MiB with one thread
	Concurrent int       // computations at a time; default 2
	Rand       io.Reader // default crypto/rand
}

// Hasher makes and checks hashes.
type Hasher struct {
	params Params
	rand   io.Reader
	slots  chan struct{}
	dummy  string // what to compute for users that do not exist
}

// New returns a Hasher.
func New(o *Options) (*Hasher, error) {
	if o == nil {
		o = &Options{}
	}
	h := &Hasher{params: o.Params, rand: o.Rand}
	if h.params == (Params{}) {
		h.params = Params{Time: 3, MemoryKiB: 64 << 10, Threads: 1}
	}
	if !h.params.sound() {
		return nil, fmt.Errorf("password: costs %+v out of range", h.params)
	}
	if h.rand == nil {
		h.rand = rand.Reader
	}
	n := o.Concurrent
	if n == 0 {
		n = 2
	}
	if n < 1 {
		return nil, fmt.Errorf("password: %d computations at a time", n)
	}
	h.slots = make(chan struct{}, n)
	h.dummy = encode(h.params, make([]byte, saltSize), make([]byte, keySize))
	return h, nil
}

func (p Params) sound() bool {
	return p.Time >= 1 && p.Time <= maxTime && p.MemoryKiB >= 8 && p.MemoryKiB <= maxMemoryKiB && p.Threads >= 1 && p.Threads <= maxThreads
}

// acquire waits for a slot.
func (h *Hasher) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hasher) release() { <-h.slots }

// Hash returns a fresh hash of the password, text without colon. Errors are the context's and those of randomness.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(h.rand, salt); err != nil {
		return "", fmt.Errorf("password: salt: %w", err)
	}
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	return encode(h.params, salt, h.params.key(password, salt, keySize)), nil
}

func (p Params) key(password string, salt []byte, size uint32) []byte {
	return argon2.IDKey([]byte(password), salt, p.Time, p.MemoryKiB, p.Threads, size)
}

// Verify reports whether the password is the hash's. stale says that it is and that the hash should be made anew: it came
// from crypt(3) or from other costs. A hash that cannot be computed is [ErrUnsupported].
func (h *Hasher) Verify(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer h.release()
	switch {
	case strings.HasPrefix(hash, argonPrefix):
		p, salt, key, err := decode(hash)
		if err != nil {
			return false, false, err
		}
		ok = subtle.ConstantTimeCompare(p.key(password, salt, uint32(len(key))), key) == 1
		return ok, ok && p != h.params, nil
	case strings.HasPrefix(hash, "$5$"), strings.HasPrefix(hash, "$6$"):
		want, err := shaCrypt(ctx, hash, password)
		if err != nil {
			return false, false, err
		}
		ok = subtle.ConstantTimeCompare([]byte(want), []byte(hash)) == 1
		return ok, ok, nil
	case strings.HasPrefix(hash, "$2"):
		if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost > maxBcryptCost {
			return false, false, ErrUnsupported
		}
		ok = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil
		return ok, ok, nil
	}
	return false, false, ErrUnsupported
}

// Waste takes as long as Verify does for a hash that Hash has made, so that the time of an answer does not tell whether
// a user exists.
func (h *Hasher) Waste(ctx context.Context, password string) error {
	_, _, err := h.Verify(ctx, h.dummy, password)
	return err
}

const argonPrefix = "$argon2id$"

var b64 = base64.RawStdEncoding.Strict()

// encode prints a hash in the usual form, $argon2id$v=19$m=…,t=…,p=…$SALT$KEY.
func encode(p Params, salt, key []byte) string {
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", argonPrefix, argon2.Version, p.MemoryKiB, p.Time, p.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

func decode(hash string) (p Params, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 {
		return p, nil, nil, ErrUnsupported
	}
	var version int
	if n, err := fmt.Sscanf(parts[2], "v=%d", &version); n != 1 || err != nil || version != argon2.Version {
		return p, nil, nil, ErrUnsupported
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.MemoryKiB, &p.Time, &p.Threads); n != 3 || err != nil || !p.sound() {
		return p, nil, nil, ErrUnsupported
	}
	salt, err1 := b64.DecodeString(parts[4])
	key, err2 := b64.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(key) < 16 || len(key) > 128 || len(salt) > 128 {
		return p, nil, nil, ErrUnsupported
	}
	return p, salt, key, nil
}
