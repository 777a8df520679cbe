package clustertest

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/cluster"
)

func testGetAndList(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	_, err := s.Get(ctx, "/x/none")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, k := range []string{"/x/b", "/x/a", "/x/a/deep", "/xy", "/x/ä", "/x/UPID:n:1:root@pam!t:"} {
		mustPut(t, s, k, "v")
	}
	kvs, rev, err := s.List(ctx, "/x/")
	require.NoError(t, err)
	require.Equal(t, "/x/UPID:n:1:root@pam!t:=v /x/a=v /x/a/deep=v /x/b=v /x/ä=v ", values(kvs), "byte order, this prefix only")
	kv, err := s.Get(ctx, "/x/UPID:n:1:root@pam!t:")
	require.NoError(t, err)
	require.Equal(t, rev, kv.ModRev, "the last write")
	kvs, _, err = s.List(ctx, "/nothing/")
	require.NoError(t, err)
	require.Empty(t, kvs)
}

func testTxnIsAllOrNothing(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	rev := mustPut(t, s, "/t/a", "1")
	_, err := s.Txn(ctx, cluster.If(cluster.Exists("/t/a"), cluster.Absent("/t/a")), cluster.Put("/t/b", nil), cluster.Delete("/t/a"))
	require.ErrorIs(t, err, cluster.ErrConflict)
	require.True(t, cluster.ConflictOn(err, "/t/a"))
	conflict, ok := errors.AsType[*cluster.ConflictError](err)
	require.True(t, ok)
	require.Equal(t, cluster.Absent("/t/a"), conflict.Cond, "the condition that failed")
	kvs, now, err := s.List(ctx, "/t/")
	require.NoError(t, err)
	require.Equal(t, "/t/a=1 ", values(kvs))
	require.Equal(t, rev, now)

	next, err := s.Txn(ctx, cluster.Put("/t/b", []byte("2")), cluster.Delete("/t/a"), cluster.Put("/t/c", []byte("3")))
	require.NoError(t, err)
	require.Equal(t, rev+1, next, "one transaction, one revision")
	kvs, _, err = s.List(ctx, "/t/")
	require.NoError(t, err)
	require.Equal(t, "/t/b=2 /t/c=3 ", values(kvs))
}

func testConditions(t *testing.T, s cluster.Store) {
	made := mustPut(t, s, "/c/k", "old")
	mod := mustPut(t, s, "/c/k", "new")
	for _, tc := range []struct {
		name  string
		cond  cluster.Cond
		holds bool
	}{
		{"exists", cluster.Exists("/c/k"), true},
		{"exists absent", cluster.Exists("/c/none"), false},
		{"absent", cluster.Absent("/c/none"), true},
		{"absent exists", cluster.Absent("/c/k"), false},
		{"modrev", cluster.ModRev("/c/k", mod), true},
		{"modrev stale", cluster.ModRev("/c/k", made), false},
		{"modrev zero", cluster.ModRev("/c/none", 0), true},
		{"modrev of absent", cluster.ModRev("/c/none", mod), false},
		{"createrev", cluster.CreateRev("/c/k", made), true},
		{"createrev other", cluster.CreateRev("/c/k", mod), false},
		{"createrev zero", cluster.CreateRev("/c/none", 0), true},
		{"value", cluster.ValueEquals("/c/k", []byte("new")), true},
		{"value other", cluster.ValueEquals("/c/k", []byte("old")), false},
		{"value of absent", cluster.ValueEquals("/c/none", nil), false},
		{"unknown kind", cluster.Cond{Key: "/c/k"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rev, err := s.Txn(deadline(t), cluster.If(tc.cond))
			if tc.holds {
				require.NoError(t, err)
				require.Equal(t, mod, rev)
			} else {
				require.ErrorIs(t, err, cluster.ErrConflict)
				require.True(t, cluster.ConflictOn(err, tc.cond.Key))
			}
		})
	}
}

func testRevisions(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	first := mustPut(t, s, "/v/k", "1")
	require.Equal(t, first+1, mustPut(t, s, "/v/k", "1"), "the same value again is a change")
	rev, err := s.Txn(ctx, cluster.Delete("/v/none"))
	require.NoError(t, err)
	require.Equal(t, first+1, rev, "nothing changed")
	rev, err = s.Txn(ctx)
	require.NoError(t, err)
	require.Equal(t, first+1, rev)
	kv, err := s.Get(ctx, "/v/k")
	require.NoError(t, err)
	require.Equal(t, cluster.KV{Key: "/v/k", Value: []byte("1"), CreateRev: first, ModRev: first + 1}, kv)
	_, err = s.Txn(ctx, cluster.Delete("/v/k"))
	require.NoError(t, err)
	again := mustPut(t, s, "/v/k", "2")
	require.Equal(t, first+3, again)
	kv, err = s.Get(ctx, "/v/k")
	require.NoError(t, err)
	require.Equal(t, again, kv.CreateRev, "made anew")
}

func testLimits(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	big := make([]byte, cluster.MaxValueSize+1)
	many := make([]cluster.Part, cluster.MaxTxnParts+1)
	for i := range many {
		many[i] = cluster.If(cluster.Absent("/l/none"))
	}
	long := "/" + strings.Repeat("x", cluster.MaxKeySize-1)
	for name, parts := range map[string][]cluster.Part{
		"no slash":       {cluster.Put("l", nil)},
		"empty key":      {cluster.Delete("")},
		"folder":         {cluster.Put("/l/", nil)},
		"nul":            {cluster.Put("/l\x00", nil)},
		"not utf-8":      {cluster.Put("/l\xff", nil)},
		"long key":       {cluster.Put(long+"x", nil)},
		"bad condition":  {cluster.If(cluster.Exists("l")), cluster.Put("/l/k", nil)},
		"twice":          {cluster.Put("/l/k", nil), cluster.Delete("/l/k")},
		"large value":    {cluster.Put("/l/k", big)},
		"large together": {cluster.Put("/l/a", big[:700<<10]), cluster.Put("/l/b", big[:700<<10])},
		"many parts":     many,
		"nil part":       {nil},
	} {
		_, err := s.Txn(ctx, parts...)
		require.ErrorIs(t, err, cluster.ErrInvalid, name)
	}
	_, err := s.Get(ctx, "l")
	require.ErrorIs(t, err, cluster.ErrInvalid)
	_, _, err = s.List(ctx, "")
	require.ErrorIs(t, err, cluster.ErrInvalid)
	_, err = s.Txn(ctx, append(many[:cluster.MaxTxnParts-1], cluster.Put(long, big[:cluster.MaxValueSize]))...)
	require.NoError(t, err, "at the limit")
	kv, err := s.Get(ctx, long)
	require.NoError(t, err)
	require.Len(t, kv.Value, cluster.MaxValueSize)
}

func testValuesAreCopies(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	mine := []byte("value")
	part := cluster.Put("/y/k", mine)
	mine[0] = 'X'
	_, err := s.Txn(ctx, part)
	require.NoError(t, err)
	for range 2 {
		kv, err := s.Get(ctx, "/y/k")
		require.NoError(t, err)
		require.Equal(t, "value", string(kv.Value))
		kv.Value[0] = 'Y'
		kvs, _, err := s.List(ctx, "/y/")
		require.NoError(t, err)
		require.Equal(t, "value", string(kvs[0].Value))
		kvs[0].Value[0] = 'Z'
	}
}

func testCancelledContext(t *testing.T, s cluster.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, "/z/k")
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = s.List(ctx, "/z/")
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Txn(ctx, cluster.Put("/z/k", nil))
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.Get(deadline(t), "/z/k")
	require.ErrorIs(t, err, cluster.ErrNotFound, "it did not happen")
}

func testClosed(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	mustPut(t, s, "/z/k", "1")
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "again")
	_, err := s.Get(ctx, "/z/k")
	require.ErrorIs(t, err, cluster.ErrClosed)
	_, _, err = s.List(ctx, "/z/")
	require.ErrorIs(t, err, cluster.ErrClosed)
	_, err = s.Txn(ctx, cluster.Put("/z/k", nil))
	require.ErrorIs(t, err, cluster.ErrClosed)
	for _, err := range s.Watch(ctx, "/z/", 0) {
		require.ErrorIs(t, err, cluster.ErrClosed)
	}
}

func testFormat(t *testing.T, s cluster.Store) {
	ctx := deadline(t)
	kv, err := s.Get(ctx, cluster.FormatKey)
	require.NoError(t, err, "a new store is marked")
	require.Equal(t, "1", string(kv.Value))
	n, err := cluster.CheckFormat(ctx, s, cluster.Format+1)
	require.NoError(t, err)
	require.Equal(t, cluster.Format, n, "an older one is told to the caller")
	mustPut(t, s, cluster.FormatKey, "2")
	_, err = cluster.CheckFormat(ctx, s, cluster.Format)
	require.ErrorIs(t, err, cluster.ErrNewerFormat)
	mustPut(t, s, cluster.FormatKey, "x")
	_, err = cluster.CheckFormat(ctx, s, cluster.Format)
	require.ErrorIs(t, err, cluster.ErrInvalid)
}
