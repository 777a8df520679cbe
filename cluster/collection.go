package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Schema says how values of T are written: as {"kind": Kind, "v": Version, "data": …}, so that a value tells by itself
// what it is, and an old one can be read by a newer program.
type Schema[T any] struct {
	Kind    string
	Version int // 1 or higher
	// Upgrade reads the data of an older version. Nil: there is none.
	Upgrade func(version int, data json.RawMessage) (T, error)
}

type envelope struct {
	Kind string          `json:"kind"`
	V    int             `json:"v"`
	Data json.RawMessage `json:"data"`
}

// Encode returns the value to store.
func (s Schema[T]) Encode(v T) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("cluster: encode %s: %w", s.Kind, err)
	}
	return json.Marshal(envelope{s.Kind, s.Version, data})
}

// Decode reads a stored value. Another kind is ErrInvalid, a newer version ErrNewerFormat.
func (s Schema[T]) Decode(value []byte) (T, error) {
	var v T
	var e envelope
	if err := json.Unmarshal(value, &e); err != nil {
		return v, fmt.Errorf("cluster: decode %s: %w: %w", s.Kind, ErrInvalid, err)
	}
	switch {
	case e.Kind != s.Kind:
		return v, fmt.Errorf("cluster: decode %s: %w: value is of kind %q", s.Kind, ErrInvalid, e.Kind)
	case e.V > s.Version:
		return v, fmt.Errorf("cluster: decode %s: %w: version %d, this program knows %d", s.Kind, ErrNewerFormat, e.V, s.Version)
	case e.V < s.Version && s.Upgrade != nil:
		return s.Upgrade(e.V, e.Data)
	case e.V < s.Version:
		return v, fmt.Errorf("cluster: decode %s: %w: version %d", s.Kind, ErrInvalid, e.V)
	}
	if err := json.Unmarshal(e.Data, &v); err != nil {
		return v, fmt.Errorf("cluster: decode %s: %w: %w", s.Kind, ErrInvalid, err)
	}
	return v, nil
}

// Collection is typed access to the keys below a prefix. Names may contain slashes. It holds no state of its own.
type Collection[T any] struct {
	store  Store
	prefix string
	schema Schema[T]
}

// Item is a value with its name below the collection's prefix.
type Item[T any] struct {
	Name              string
	Value             T
	CreateRev, ModRev int64
}

// NewCollection returns the collection of the keys below prefix, which ends with "/".
func NewCollection[T any](s Store, prefix string, schema Schema[T]) *Collection[T] {
	return &Collection[T]{store: s, prefix: strings.TrimSuffix(prefix, "/") + "/", schema: schema}
}

// Key returns the key of name.
func (c *Collection[T]) Key(name string) string { return c.prefix + name }

// Item decodes a key of the collection, as from List or Watch.
func (c *Collection[T]) Item(kv KV) (Item[T], error) {
	v, err := c.schema.Decode(kv.Value)
	if err != nil {
		return Item[T]{}, &OpError{Op: "decode", Key: kv.Key, Err: err}
	}
	return Item[T]{Name: strings.TrimPrefix(kv.Key, c.prefix), Value: v, CreateRev: kv.CreateRev, ModRev: kv.ModRev}, nil
}

// Get returns the named item, or ErrNotFound.
func (c *Collection[T]) Get(ctx context.Context, name string) (Item[T], error) {
	kv, err := c.store.Get(ctx, c.Key(name))
	if err != nil {
		return Item[T]{}, err
	}
	return c.Item(kv)
}

// List returns all items by name, and the revision they are of.
func (c *Collection[T]) List(ctx context.Context) ([]Item[T], int64, error) {
	kvs, rev, err := c.store.List(ctx, c.prefix)
	if err != nil {
		return nil, 0, err
	}
	items := make([]Item[T], 0, len(kvs))
	for _, kv := range kvs {
		item, err := c.Item(kv)
		if err != nil {
			return nil, 0, err
		}
		items = append(items, item)
	}
	return items, rev, nil
}

// Put returns the write of v at name, for a transaction of the caller's.
func (c *Collection[T]) Put(name string, v T) (Part, error) {
	value, err := c.schema.Encode(v)
	if err != nil {
		return nil, err
	}
	return put{c.Key(name), value}, nil
}

// Create writes a new item, together with more. A name that is taken is a conflict on its key.
func (c *Collection[T]) Create(ctx context.Context, name string, v T, more ...Part) (int64, error) {
	p, err := c.Put(name, v)
	if err != nil {
		return 0, err
	}
	return c.store.Txn(ctx, append([]Part{If(Absent(c.Key(name))), p}, more...)...)
}

// Update changes an item by fn, guarded by what fn was given: if somebody else was faster, it reads again and calls fn
// again. fn must have no other effect. An error of fn is returned as it is. The write goes together with more; their
// conflicts are returned.
func (c *Collection[T]) Update(ctx context.Context, name string, fn func(*T) error, more ...Part) (int64, error) {
	for {
		item, err := c.Get(ctx, name)
		if err != nil {
			return 0, err
		}
		if err := fn(&item.Value); err != nil {
			return 0, err
		}
		p, err := c.Put(name, item.Value)
		if err != nil {
			return 0, err
		}
		rev, err := c.store.Txn(ctx, append([]Part{If(ModRev(c.Key(name), item.ModRev)), p}, more...)...)
		if err == nil || !ConflictOn(err, c.Key(name)) {
			return rev, err
		}
	}
}

// Delete removes an item that is still as of ModRev rev, together with more. Rev 0 removes it as it is; absent is ErrNotFound.
func (c *Collection[T]) Delete(ctx context.Context, name string, rev int64, more ...Part) error {
	cond := Exists(c.Key(name))
	if rev != 0 {
		cond = ModRev(c.Key(name), rev)
	}
	_, err := c.store.Txn(ctx, append([]Part{If(cond), Delete(c.Key(name))}, more...)...)
	if rev == 0 && errors.Is(err, ErrConflict) && ConflictOn(err, c.Key(name)) {
		return &OpError{Op: "delete", Key: c.Key(name), Err: ErrNotFound}
	}
	return err
}
