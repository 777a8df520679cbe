package volid

import (
	"path"
	"strings"
)

// FromPath finds the volume that a path names: the first storage, in order, whose
// folder for some content holds it. linked, if not nil, completes the name of a disk
// image (to the form with its base) and tells whether there is such an image. A path
// that belongs to no storage gives ok false.
func FromPath(storages []Storage, p string, linked func(Storage, Volume) (Volume, bool)) (ID, Volume, bool) {
	p = path.Clean(p)
	for _, s := range storages {
		if k, ok := KindOf(s.Type); !ok || !k.Path {
			continue
		}
		for _, c := range []Content{Images, ISO, VZTmpl, Backup, Snippets, Import} {
			dir, err := s.Dir(c)
			if err != nil {
				continue
			}
			rest, below := strings.CutPrefix(p, dir+"/")
			if !below {
				continue
			}
			if v, ok := volumeBelow(s, c, rest, linked); ok {
				return ID{Storage: s.ID, Name: v.VolumeName(s.Type)}, v, true
			}
		}
	}
	return ID{}, Volume{}, false
}

func volumeBelow(s Storage, c Content, rest string, linked func(Storage, Volume) (Volume, bool)) (Volume, bool) {
	name := rest
	if c != Images {
		name = string(c) + "/" + rest
	}
	if c == Import && strings.ContainsAny(rest, "/ ") {
		return Volume{}, false
	}
	if s.Type == "btrfs" && c == Images {
		name = strings.TrimSuffix(strings.Replace(name, "/disk.raw", ".raw", 1), "/")
	}
	v, err := s.Parse(name)
	if err != nil || v.Content != c || c == Images && v.Linked() {
		return Volume{}, false
	}
	if c == Images && linked != nil {
		return linked(s, v)
	}
	return v, true
}
