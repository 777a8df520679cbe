package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/turtacn/go-proxmox/storage"
)

// maxOperations bounds one sequence.
const maxOperations = 40

// Sequences makes n sequences of operations, chosen from a seed, on a driver and on a Memory that claims the same, and
// requires the same answers, lists and content of both.
func Sequences(t *testing.T, c Config, n int) {
	c = c.withDefaults(t)
	for _, format := range c.formats() {
		for seed := range n {
			t.Run(fmt.Sprintf("%s %d", format, seed), func(t *testing.T) {
				ops := make([]byte, 3*maxOperations)
				rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(ops)
				sequence(t, c, format, ops)
			})
		}
	}
}

// FuzzSequences lets the fuzzer choose the operations.
func FuzzSequences(f *testing.F, c Config) {
	f.Add([]byte{0, 0, 0, 9, 0, 1, 3, 0, 0, 9, 0, 2, 4, 0, 0, 6, 0, 0, 7, 0, 2, 1, 0, 0})
	f.Add([]byte{0, 0, 0, 8, 0, 3, 2, 3, 2, 10, 3, 4, 1, 3, 0, 1, 4, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		c := c.withDefaults(t)
		for _, format := range c.formats() {
			sequence(t, c, format, ops[:min(len(ops), 3*maxOperations)])
		}
	})
}

// pair is a driver and its model.
type pair struct {
	*suite
	model *suite
	log   []string
}

func sequence(t *testing.T, c Config, format storage.Format, ops []byte) {
	real := newSuite(t, c, format)
	mc := c
	mc.Content = imageContent{}
	model := &suite{T: t, ctx: t.Context(), c: mc, format: format, claims: real.claims, size: real.size,
		d: NewMemory(t, &MemoryOptions{Type: c.Type, Claims: c.Claims, Granule: c.Granule})}
	p := &pair{suite: real, model: model}
	for ; len(ops) >= 3; ops = ops[3:] {
		p.step(ops[0], ops[1], ops[2])
		require.Equal(t, p.model.lines(), p.lines(), strings.Join(p.log, "\n"))
	}
	if p.claims.Has(Open) {
		for _, v := range model.all(storage.Filter{}) {
			want := model.read(v.ID, v.SizeBytes)
			got := real.read(v.ID, v.SizeBytes)
			if !bytes.Equal(want, got) {
				require.Fail(t, "content differs", "%s: %s\n%s", v.ID, firstDifference(want, got), strings.Join(p.log, "\n"))
			}
		}
	}
	real.clean()
}

// lines is what a list says that a driver and its model must agree on.
func (s *suite) lines() []string {
	s.Helper()
	var lines []string
	for _, v := range s.all(storage.Filter{}) {
		if s.claims.Has(LooseClone) {
			v.Parent = ""
		}
		lines = append(lines, fmt.Sprintf("%s owner %d size %d base %v parent %q", v.ID, v.Owner, v.SizeBytes, v.Base, v.Parent))
	}
	slices.Sort(lines)
	return lines
}

// class is the class of an error that callers branch on.
func class(err error) string {
	for _, c := range []error{
		storage.ErrNotFound, storage.ErrExists, storage.ErrInUse, storage.ErrNoSpace, storage.ErrBadID, errors.ErrUnsupported,
	} {
		if errors.Is(err, c) {
			return c.Error()
		}
	}
	if err != nil {
		return "other error: " + err.Error()
	}
	return "done"
}

// both does the same to the driver and to the model, and requires the same answer.
func (p *pair) both(what string, fn func(s *suite) error) {
	p.Helper()
	want, got := class(fn(p.model)), class(fn(p.suite))
	p.log = append(p.log, what+": "+want)
	require.Equal(p, want, got, strings.Join(p.log, "\n"))
}

// volume chooses a volume that is there, or a name that may not be.
func (p *pair) volume(n byte) (storage.Volume, bool) {
	id := p.id(100+int(n)%3, int(n/3)%2)
	list := p.model.all(storage.Filter{})
	slices.SortFunc(list, func(a, b storage.Volume) int { return strings.Compare(string(a.ID), string(b.ID)) })
	if len(list) > 0 && n%4 != 0 {
		return list[int(n)%len(list)], true
	}
	v, err := p.model.d.Stat(p.ctx, id)
	if err != nil {
		return storage.Volume{ID: id, Format: p.format}, false
	}
	return v, true
}

// step does one operation. What drivers may answer differently (bases that are changed, volumes that are renamed with their
// snapshots) is left out.
func (p *pair) step(op, a, b byte) {
	p.Helper()
	v, there := p.volume(a)
	snap := fmt.Sprintf("s%d", b%3)
	to := p.id(100+int(b)%3, int(b/3)%2)
	claims := p.c.Claims[v.Format]
	var snapshots []string
	if there && claims.Has(Snapshot) && !v.Base {
		sn, _ := storage.As[storage.Snapshotter](p.model.d)
		snapshots = p.model.names(sn, v.ID)
	}
	switch op % 11 {
	case 0:
		p.both(fmt.Sprint("create ", to), func(s *suite) error {
			_, err := s.d.Create(s.ctx, storage.VolumeSpec{ID: to, Format: s.format, SizeBytes: s.size})
			return err
		})
	case 1:
		p.both(fmt.Sprint("delete ", v.ID), func(s *suite) error { return s.d.Delete(s.ctx, v.ID) })
	case 2:
		size := p.size * int64(1+b%3)
		if claims.Has(Resize) && !v.Base {
			p.both(fmt.Sprint("resize ", v.ID, " to ", size), func(s *suite) error {
				r, _ := storage.As[storage.Resizer](s.d)
				_, err := r.Resize(s.ctx, v.ID, size)
				return err
			})
		}
	case 3, 4, 5:
		if claims.Has(Snapshot) && !v.Base {
			p.snapshotStep(op%11, v.ID, snap)
		}
	case 6:
		if claims.Has(Clone) && !v.Base && v.Parent == "" && len(snapshots) == 0 {
			p.both(fmt.Sprint("make base of ", v.ID), func(s *suite) error {
				c, _ := storage.As[storage.Cloner](s.d)
				_, err := c.MakeBase(s.ctx, v.ID)
				return err
			})
		}
	case 7:
		if claims.Has(Clone) && v.Base {
			p.both(fmt.Sprint("clone ", v.ID, " to ", to), func(s *suite) error {
				c, _ := storage.As[storage.Cloner](s.d)
				_, err := c.Clone(s.ctx, v.ID, s.cloneID(c, v.ID, 100+int(b)%3, int(b/3)%2))
				return err
			})
		}
	case 8:
		if claims.Has(Rename) && !v.Base && v.Parent == "" && len(snapshots) == 0 && v.ID != to {
			p.both(fmt.Sprint("rename ", v.ID, " to ", to), func(s *suite) error {
				r, _ := storage.As[storage.Renamer](s.d)
				_, err := r.Rename(s.ctx, v.ID, to)
				return err
			})
		}
	case 9:
		if claims.Has(Open) && there && !v.Base {
			data := pattern(p.size, b)
			p.both(fmt.Sprint("write ", b, " into ", v.ID), func(s *suite) error {
				s.write(v.ID, data)
				return nil
			})
		}
	case 10:
		if claims.Has(Copy) && !v.Base && v.Parent == "" && len(snapshots) == 0 && v.ID != to {
			p.both(fmt.Sprint("copy ", v.ID, " to ", to), func(s *suite) error {
				c, _ := storage.As[storage.Copier](s.d)
				_, err := c.CopyFrom(context.WithoutCancel(s.ctx), storage.VolumeSpec{ID: to, Format: s.format, SizeBytes: v.SizeBytes}, s.d, v.ID, storage.CopyOptions{})
				return err
			})
		}
	}
}

func (p *pair) snapshotStep(op byte, id storage.VolumeID, snap string) {
	p.Helper()
	call := map[byte]func(storage.Snapshotter, context.Context, storage.VolumeID, string) error{
		3: storage.Snapshotter.Snapshot, 4: storage.Snapshotter.Rollback, 5: storage.Snapshotter.DeleteSnapshot,
	}[op]
	p.both(fmt.Sprintf("%s %s of %s", map[byte]string{3: "take", 4: "roll back to", 5: "delete"}[op], snap, id), func(s *suite) error {
		sn, _ := storage.As[storage.Snapshotter](s.d)
		return call(sn, s.ctx, id, snap)
	})
}
