package storagetest

import (
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// hostile returns ids that no driver may accept: paths that lead out, bytes that end strings and lines, options for tools,
// and names without end; plain ones and variants of a good id.
func hostile(good storage.VolumeID) []storage.VolumeID {
	ids := []storage.VolumeID{
		"", "/", ".", "..", "../x", "/etc/passwd", "100/../../etc/shadow", "\x00", "-", "--help", "-rf", "%2e%2e/x", "*", "@", "#",
		"\u2215etc\u2215shadow", "\xff\xfe", storage.VolumeID(strings.Repeat("a", 1<<16)), storage.VolumeID(strings.Repeat("../", 1000)),
	}
	for _, edit := range []func(string) string{
		func(s string) string { return "../" + s },
		func(s string) string { return "./" + s },
		func(s string) string { return "/" + s },
		func(s string) string { return "//" + s },
		func(s string) string { return s + "/" },
		func(s string) string { return s + "/.." },
		func(s string) string { return s + "/../../x" },
		func(s string) string { return s + "\x00" },
		func(s string) string { return "\x00" + s },
		func(s string) string { return s + "\n" },
		func(s string) string { return "\n" + s },
		func(s string) string { return s + "\r\n" },
		func(s string) string { return s + " " },
		func(s string) string { return "-" + s },
		func(s string) string { return "--" + s },
		func(s string) string { return s + "@snap/x" },
		func(s string) string { return strings.Replace(s, "disk", "disk\x00", 1) },
		func(s string) string { return strings.Replace(s, "disk", "disk\n", 1) },
		func(s string) string { return strings.Replace(s, "disk", "disk --force", 1) },
		func(s string) string { return strings.Replace(s, "disk", "../disk", 1) },
		func(s string) string { return strings.Replace(s, "disk", "disk"+strings.Repeat("a", 5000), 1) },
	} {
		if id := storage.VolumeID(edit(string(good))); id != good { // not every id has a disk in it
			ids = append(ids, id)
		}
	}
	return ids
}

func (s *suite) hostileNames() {
	v := s.create(100, 0)
	for _, id := range append(hostile(s.id(100, 1)), s.c.Bad...) {
		what := id
		if len(what) > 80 {
			what = what[:80] + "…"
		}
		for call, err := range s.everyCall(id) {
			require.ErrorIs(s, err, storage.ErrBadID, "%s %q", call, what)
			s.fails(err, storage.ErrBadID)
		}
	}
	s.only(v.ID)
}

// everyCall makes every call that takes an id.
func (s *suite) everyCall(id storage.VolumeID) map[string]error {
	calls := map[string]error{}
	_, calls["create"] = s.d.Create(s.ctx, storage.VolumeSpec{ID: id, SizeBytes: s.size})
	_, calls["stat"] = s.d.Stat(s.ctx, id)
	_, calls["attach"] = s.d.Attach(s.ctx, id, storage.AttachOptions{})
	calls["detach"] = s.d.Detach(s.ctx, id)
	calls["delete"] = s.d.Delete(s.ctx, id)
	if x, ok := storage.As[storage.Resizer](s.d); ok {
		_, calls["resize"] = x.Resize(s.ctx, id, 2*s.size)
	}
	if x, ok := storage.As[storage.Snapshotter](s.d); ok {
		calls["snapshot"] = x.Snapshot(s.ctx, id, "snap")
		calls["rollback"] = x.Rollback(s.ctx, id, "snap")
		calls["delete snapshot"] = x.DeleteSnapshot(s.ctx, id, "snap")
		_, calls["snapshots"] = x.Snapshots(s.ctx, id)
	}
	if x, ok := storage.As[storage.Cloner](s.d); ok {
		_, calls["base id"] = x.BaseID(id)
		_, calls["make base"] = x.MakeBase(s.ctx, id)
		_, calls["clone id"] = x.CloneID(id, 100, "x")
		_, calls["clone"] = x.Clone(s.ctx, id, id)
	}
	if x, ok := storage.As[storage.Renamer](s.d); ok {
		_, calls["rename from"] = x.Rename(s.ctx, id, s.id(101, 0))
		if s.claims.Has(Rename) {
			_, calls["rename to"] = x.Rename(s.ctx, s.id(100, 0), id)
		}
	}
	if x, ok := storage.As[storage.Opener](s.d); ok {
		_, calls["open"] = x.Open(s.ctx, id, false)
	}
	if x, ok := storage.As[storage.SnapshotOpener](s.d); ok {
		_, calls["open snapshot"] = x.OpenSnapshot(s.ctx, id, "snap")
	}
	if x, ok := storage.As[storage.Filler](s.d); ok {
		_, calls["fill"] = x.CreateFilled(s.ctx, storage.VolumeSpec{ID: id, SizeBytes: s.size}, nil)
	}
	if x, ok := storage.As[storage.Pather](s.d); ok {
		_, calls["path"] = x.Path(id)
	}
	if x, ok := storage.As[storage.Streamer](s.d); ok {
		_, calls["import"] = x.Import(s.ctx, strings.NewReader(""), id, storage.StreamRaw, storage.StreamOptions{})
	}
	return calls
}
