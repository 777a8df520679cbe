package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// FormatKey holds the number of the layout of all keys.
const FormatKey = "/meta/format"

// Format is the newest layout of keys that this program knows.
const Format = 1

// CheckFormat marks a new store with the format known, and refuses one of a newer format with ErrNewerFormat. It returns
// the format found; one older than known is the caller's to migrate.
func CheckFormat(ctx context.Context, s Store, known int) (int, error) {
	_, err := s.Txn(ctx, If(Absent(FormatKey)), Put(FormatKey, []byte(strconv.Itoa(known))))
	if err == nil {
		return known, nil
	}
	if !errors.Is(err, ErrConflict) {
		return 0, err
	}
	kv, err := s.Get(ctx, FormatKey)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(kv.Value))
	if err != nil || n < 1 {
		return 0, &OpError{Op: "format", Key: FormatKey, Err: fmt.Errorf("%w: %q", ErrInvalid, kv.Value)}
	}
	if n > known {
		return n, &OpError{Op: "format", Key: FormatKey, Err: fmt.Errorf("%w: %d, this program knows %d", ErrNewerFormat, n, known)}
	}
	return n, nil
}
