package cluster

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of a transaction, the same on every store.
const (
	MaxKeySize   = 512     // bytes of a key
	MaxValueSize = 1 << 20 // bytes of a value
	MaxTxnSize   = 5 << 18 // bytes of all keys and values of a transaction
	MaxTxnParts  = 128     // conditions and writes of a transaction
)

// Part is one ingredient of a transaction: conditions ([If]) or a write ([Put], [Delete]). Order does not matter, except
// that the first condition that fails is the one reported.
type Part interface{ addTo(*Tx) }

// Tx is a transaction as a store executes it: checked against the limits, its values the store's own. No key is written twice.
type Tx struct {
	Conds  []Cond
	Writes []Write
}

// Write puts Value at Key, or deletes Key.
type Write struct {
	Key    string
	Value  []byte
	Delete bool
}

// Compile checks the parts and merges them; ErrInvalid says what is wrong. It is for implementations of Store.
func Compile(parts []Part) (*Tx, error) {
	tx := &Tx{}
	for _, p := range parts {
		if p == nil {
			return nil, invalid("txn", "", "nil part")
		}
		p.addTo(tx)
	}
	if n := len(tx.Conds) + len(tx.Writes); n > MaxTxnParts {
		return nil, invalid("txn", "", "%d parts, at most %d", n, MaxTxnParts)
	}
	size := 0
	for _, c := range tx.Conds {
		if err := CheckKey("txn", c.Key); err != nil {
			return nil, err
		}
		size += len(c.Key) + len(c.Value)
	}
	seen := make(map[string]bool, len(tx.Writes))
	for _, w := range tx.Writes {
		if err := CheckKey("txn", w.Key); err != nil {
			return nil, err
		}
		if seen[w.Key] {
			return nil, invalid("txn", w.Key, "written twice")
		}
		if len(w.Value) > MaxValueSize {
			return nil, invalid("txn", w.Key, "value of %d bytes, at most %d", len(w.Value), MaxValueSize)
		}
		seen[w.Key] = true
		size += len(w.Key) + len(w.Value)
	}
	if size > MaxTxnSize {
		return nil, invalid("txn", "", "%d bytes, at most %d", size, MaxTxnSize)
	}
	return tx, nil
}

// CheckKey returns ErrInvalid unless key begins with "/", ends otherwise, is valid UTF-8 without NUL and within MaxKeySize.
func CheckKey(op, key string) error {
	if len(key) < 2 || len(key) > MaxKeySize || key[0] != '/' || strings.HasSuffix(key, "/") || strings.IndexByte(key, 0) >= 0 || !utf8.ValidString(key) {
		return invalid(op, key, "malformed key")
	}
	return nil
}

// CheckPrefix returns ErrInvalid unless prefix can begin a key.
func CheckPrefix(op, prefix string) error {
	if len(prefix) == 0 || len(prefix) > MaxKeySize || prefix[0] != '/' || strings.IndexByte(prefix, 0) >= 0 || !utf8.ValidString(prefix) {
		return invalid(op, prefix, "malformed prefix")
	}
	return nil
}

func invalid(op, key, format string, args ...any) error {
	return &OpError{Op: op, Key: key, Err: fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)}
}

type put struct {
	key   string
	value []byte
}

// Put writes value at key, whether it exists or not.
func Put(key string, value []byte) Part { return put{key, slices.Clone(value)} }

func (p put) addTo(tx *Tx) { tx.Writes = append(tx.Writes, Write{Key: p.key, Value: p.value}) }

type del string

// Delete removes key; an absent key is no error.
func Delete(key string) Part { return del(key) }

func (d del) addTo(tx *Tx) { tx.Writes = append(tx.Writes, Write{Key: string(d), Delete: true}) }

type conds []Cond

// If makes the transaction depend on all of cs.
func If(cs ...Cond) Part { return conds(cs) }

func (cs conds) addTo(tx *Tx) { tx.Conds = append(tx.Conds, cs...) }

// CondKind is what a condition compares.
type CondKind int

// The kinds of conditions.
const (
	CondExists    CondKind = iota + 1
	CondModRev             // with Rev; 0 means absent
	CondCreateRev          // with Rev; 0 means absent
	CondValue              // with Value; an absent key has none
)

// Cond is a condition about one key. Make it with [Exists], [Absent], [ModRev], [CreateRev] or [ValueEquals].
type Cond struct {
	Kind  CondKind
	Key   string
	Rev   int64
	Value []byte
}

// Exists holds if the key is there.
func Exists(key string) Cond { return Cond{Kind: CondExists, Key: key} }

// Absent holds if the key is not there.
func Absent(key string) Cond { return Cond{Kind: CondModRev, Key: key} }

// ModRev holds if the key was last written by revision rev, so that it is what the caller has read. 0 means absent.
func ModRev(key string, rev int64) Cond { return Cond{Kind: CondModRev, Key: key, Rev: rev} }

// CreateRev holds if the key was made by revision rev and never deleted since, whatever was written to it. 0 means absent.
func CreateRev(key string, rev int64) Cond { return Cond{Kind: CondCreateRev, Key: key, Rev: rev} }

// ValueEquals holds if the key is there with exactly this value.
func ValueEquals(key string, value []byte) Cond {
	return Cond{Kind: CondValue, Key: key, Value: slices.Clone(value)}
}

// Holds tells whether the condition is met by the key's state; found is false for an absent key. It is for implementations of Store.
func (c Cond) Holds(kv KV, found bool) bool {
	if !found {
		kv = KV{}
	}
	switch c.Kind {
	case CondExists:
		return found
	case CondModRev:
		return kv.ModRev == c.Rev
	case CondCreateRev:
		return kv.CreateRev == c.Rev
	case CondValue:
		return found && bytes.Equal(kv.Value, c.Value)
	default:
		return false
	}
}

func (c Cond) String() string {
	switch {
	case c.Kind == CondExists:
		return c.Key + " exists"
	case c.Kind == CondValue:
		return c.Key + " has an expected value"
	case c.Rev == 0:
		return c.Key + " is absent"
	case c.Kind == CondCreateRev:
		return fmt.Sprintf("%s was made at revision %d", c.Key, c.Rev)
	default:
		return fmt.Sprintf("%s is at revision %d", c.Key, c.Rev)
	}
}
