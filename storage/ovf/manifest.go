package ovf

import (
	"context"
	"crypto/sha1" // manifests of OVF 1 have no other; it guards against damage, not against an attacker
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// maxManifest bounds the text of a manifest.
const maxManifest = 1 << 20

// ErrChecksum is a member that is not what the manifest says.
var ErrChecksum = errors.New("checksum mismatch")

// digest is a line of a manifest.
type digest struct {
	file, algorithm string
	sum             []byte
}

// Verify compares the members with the archive's manifest (the first member that ends in .mf), reading them whole. It
// returns how many were compared: 0 without a manifest. A manifest that names a file which is not there, or that is not
// understood, is an error. Cancelling ctx ends it between two blocks.
//
// A manifest comes with the archive and is no proof of its origin: signatures (.cert) are not looked at.
func (a *Archive) Verify(ctx context.Context) (int, error) {
	m, ok := a.firstWith(".mf")
	if !ok {
		return 0, nil
	}
	text, err := a.read(m, maxManifest)
	if err != nil {
		return 0, err
	}
	list, err := parseManifest(string(text))
	if err != nil {
		return 0, err
	}
	for i, d := range list {
		if err := a.verify(ctx, d); err != nil {
			return i, err
		}
	}
	return len(list), nil
}

func (a *Archive) verify(ctx context.Context, d digest) error {
	r, err := a.Open(d.file)
	if err != nil {
		return err
	}
	h, _ := newHash(d.algorithm)
	buf := make([]byte, 256<<10)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if got := h.Sum(nil); string(got) != string(d.sum) {
		return fmt.Errorf("member '%s': got '%x' != expect '%x': %w", d.file, got, d.sum, ErrChecksum)
	}
	return nil
}

func newHash(algorithm string) (hash.Hash, bool) {
	switch strings.ReplaceAll(strings.ToUpper(algorithm), "-", "") {
	case "SHA1":
		return sha1.New(), true
	case "SHA256":
		return sha256.New(), true
	case "SHA512":
		return sha512.New(), true
	}
	return nil, false
}

// parseManifest reads lines "ALGORITHM(FILE)= HEX".
func parseManifest(text string) ([]digest, error) {
	var list []digest
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		head, sum, ok := strings.Cut(line, ")=")
		algorithm, file, okHead := strings.Cut(head, "(")
		h, known := newHash(strings.TrimSpace(algorithm))
		raw, err := hex.DecodeString(strings.TrimSpace(sum))
		if !ok || !okHead || !known || err != nil || len(raw) != h.Size() {
			return nil, fmt.Errorf("manifest line %q: %w", line[:min(len(line), 80)], ErrSyntax)
		}
		if len(list) == 4096 {
			return nil, fmt.Errorf("manifest: %w", ErrTooLarge)
		}
		list = append(list, digest{file: strings.TrimSpace(file), algorithm: strings.TrimSpace(algorithm), sum: raw})
	}
	return list, nil
}
