package datacenter

import (
	"context"
	"slices"
)

// AllowsTag reports whether the caller may give a tag to a guest or take it away, apart from privileges on the guest:
// registered tags need Sys.Modify on /, the others are ruled by the option user-tag-access.
func (s *Service) AllowsTag(ctx context.Context, tag string) (bool, error) {
	viewer, err := s.o.Access.Viewer(ctx)
	if err != nil {
		return false, err
	}
	if viewer.Can("/", "Sys.Modify") {
		return true, nil
	}
	o, _, err := s.load(ctx)
	if err != nil {
		return false, err
	}
	if slices.Contains(tagList(o["registered-tags"]), tag) {
		return false, nil
	}
	if allow := o.sub("user-tag-access")["user-allow"]; allow == "" || allow == "free" {
		return true, nil
	}
	allowed, err := s.allowedTags(ctx, o)
	return slices.Contains(allowed, tag), err
}
