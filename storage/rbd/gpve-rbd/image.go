//go:build ceph

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ceph/go-ceph/rbd"
)

// row is an image in a list or alone.
type row struct {
	Image    string   `json:"image,omitempty"`
	Name     string   `json:"name,omitempty"`
	ID       string   `json:"id"`
	Size     uint64   `json:"size"`
	Parent   *parent  `json:"parent,omitempty"`
	Features []string `json:"features,omitempty"`
}

type parent struct {
	Pool      string `json:"pool"`
	Namespace string `json:"pool_namespace"`
	Image     string `json:"image"`
	Snapshot  string `json:"snapshot"`
}

func describe(img *rbd.Image) (row, error) {
	id, err := img.GetId()
	if err != nil {
		return row{}, err
	}
	r := row{ID: id}
	if r.Size, err = img.GetSize(); err != nil {
		return row{}, err
	}
	bits, err := img.GetFeatures()
	if err != nil {
		return row{}, err
	}
	set := rbd.FeatureSet(bits)
	r.Features = set.Names()
	p, err := img.GetParent()
	switch {
	case err == nil:
		r.Parent = &parent{Pool: p.Image.PoolName, Namespace: p.Image.PoolNamespace, Image: p.Image.ImageName, Snapshot: p.Snap.SnapName}
	case !errors.Is(err, rbd.ErrNotFound):
		return row{}, err
	}
	return r, nil
}

func list(s *session) error {
	names, err := rbd.GetImageNames(s.pool)
	if err != nil {
		return err
	}
	if s.option["long"] == "" {
		return s.answer(append([]string{}, names...))
	}
	rows := []row{}
	for _, name := range names {
		img, err := rbd.OpenImageReadOnly(s.pool, name, rbd.NoSnapshot)
		if errors.Is(err, rbd.ErrNotFound) { // removed meanwhile
			continue
		}
		if err != nil {
			return err
		}
		r, err := describe(img)
		if err = errors.Join(err, img.Close()); err != nil {
			return err
		}
		r.Image, r.Features = name, nil
		rows = append(rows, r)
	}
	return s.answer(rows)
}

func info(s *session) error {
	return s.withImage(false, func(img *rbd.Image) error {
		r, err := describe(img)
		if err != nil {
			return err
		}
		r.Name = s.option["image"]
		return s.answer(r)
	})
}

func usage(s *session) error {
	type use struct {
		Name string `json:"name"`
		Used uint64 `json:"used_size"`
	}
	return s.withImage(false, func(img *rbd.Image) error {
		size, err := img.GetSize()
		if err != nil {
			return err
		}
		u := use{Name: s.option["image"]}
		err = img.DiffIterate(rbd.DiffIterateConfig{Length: size, IncludeParent: rbd.ExcludeParent, WholeObject: rbd.EnableWholeObject,
			Callback: func(_, length uint64, exists int, _ any) int {
				if exists != 0 {
					u.Used += length
				}
				return 0
			}})
		if err != nil {
			return err
		}
		return s.answer(map[string]any{"images": []use{u}})
	})
}

func watchers(s *session) error {
	return s.withImage(false, func(img *rbd.Image) error {
		all, err := img.ListWatchers()
		if err != nil {
			return err
		}
		rows := []map[string]string{}
		for _, w := range all {
			rows = append(rows, map[string]string{"address": w.Addr})
		}
		return s.answer(map[string]any{"watchers": rows})
	})
}

func create(s *session) error {
	size, err := s.size()
	if err != nil {
		return err
	}
	o, err := s.options()
	if err != nil {
		return err
	}
	defer o.Destroy()
	return rbd.CreateImage(s.pool, s.option["image"], size, o)
}

func remove(s *session) error { return rbd.RemoveImage(s.pool, s.option["image"]) }

func rename(s *session) error {
	return rbd.GetImage(s.pool, s.option["image"]).Rename(s.option["dest"])
}

func resize(s *session) error {
	size, err := s.size()
	if err != nil {
		return err
	}
	return s.withImage(true, func(img *rbd.Image) error { return img.Resize(size) })
}

func clone(s *session) error {
	to, err := s.destination()
	if err != nil {
		return err
	}
	defer to.Destroy()
	o, err := s.options()
	if err != nil {
		return err
	}
	defer o.Destroy()
	return rbd.CloneImage(s.pool, s.option["image"], s.option["snap"], to, s.option["dest"], o)
}

// block is how much is read and written at once: an object of an image with the default layout.
const block = 4 << 20

// copyImage copies block by block, so that it can say how far it is; blocks of zeros are left out.
func copyImage(s *session) error {
	to, err := s.destination()
	if err != nil {
		return err
	}
	defer to.Destroy()
	o, err := s.options()
	if err != nil {
		return err
	}
	defer o.Destroy()
	return s.withImage(false, func(from *rbd.Image) error {
		size, err := from.GetSize()
		if err != nil {
			return err
		}
		if err := rbd.CreateImage(to, s.option["dest"], size, o); err != nil {
			return err
		}
		img, err := rbd.OpenImage(to, s.option["dest"], rbd.NoSnapshot)
		if err != nil {
			return err
		}
		buf := make([]byte, block)
		for off := uint64(0); off < size && err == nil; off += block {
			b := buf[:min(block, size-off)]
			if _, err = from.ReadAt(b, int64(off)); err == nil && !zero(b) {
				_, err = img.WriteAt(b, int64(off))
			}
			fmt.Fprintf(os.Stderr, "\rImage copy: %d%% complete...", (off+uint64(len(b)))*100/size)
		}
		return errors.Join(err, img.Flush(), img.Close())
	})
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

func export(s *session) error {
	return s.withImage(false, func(img *rbd.Image) error {
		size, err := img.GetSize()
		if err != nil {
			return err
		}
		buf := make([]byte, block)
		for off := uint64(0); off < size; off += block {
			b := buf[:min(block, size-off)]
			if _, err := img.ReadAt(b, int64(off)); err != nil {
				return err
			}
			if _, err := s.out.Write(b); err != nil {
				return err
			}
		}
		return nil
	})
}

func importImage(s *session) error {
	o, err := s.options()
	if err != nil {
		return err
	}
	defer o.Destroy()
	if err := rbd.CreateImage(s.pool, s.option["dest"], block, o); err != nil {
		return err
	}
	img, err := rbd.OpenImage(s.pool, s.option["dest"], rbd.NoSnapshot)
	if err != nil {
		return err
	}
	return errors.Join(fill(img, os.Stdin), img.Flush(), img.Close())
}

// fill writes a stream of unknown length and makes the image as long as it was.
func fill(img *rbd.Image, r io.Reader) error {
	size, room := uint64(0), uint64(block)
	buf := make([]byte, block)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if size+uint64(n) > room {
				room = 2 * (size + uint64(n))
				if err := img.Resize(room); err != nil {
					return err
				}
			}
			if !zero(buf[:n]) {
				if _, err := img.WriteAt(buf[:n], int64(size)); err != nil {
					return err
				}
			}
			size += uint64(n)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return img.Resize(size)
		case err != nil:
			return err
		}
	}
}

func children(s *session) error {
	return s.withImage(false, func(img *rbd.Image) error {
		_, images, err := img.ListChildren()
		if err != nil {
			return err
		}
		return s.answer(append([]string{}, images...))
	})
}

// stamp prints a time as rbd does, in the zone of TZ.
func stamp(t time.Time) string { return t.Format(time.ANSIC) }
