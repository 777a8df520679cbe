package volume

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/internal/atomicfile"
	"github.com/turtacn/go-proxmox/internal/pveconf"
	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// The secrets of a storage, such as a password or a Ceph key, never stand in its configuration and are never shown. They lie
// in the store beside it, and, for the programs that reach the storage, in files of mode 0600 below Options.PrivDir that are
// written when the storage is opened.

// secretKey is where a secret option of a storage lies in the store.
func secretKey(id, option string) string { return "/pve/priv/storage/" + id + "." + option }

// secretFile is the file of a secret below PrivDir, named as Proxmox VE does; empty for one that no program reads from a file.
func secretFile(typ, id, option string) string {
	switch {
	case typ == "rbd" && option == "keyring":
		return filepath.Join("ceph", id+".keyring")
	case typ == "cephfs" && option == "keyring":
		return filepath.Join("ceph", id+".secret")
	case option == "password":
		return filepath.Join("storage", id+".pw")
	case option == "encryption-key":
		return filepath.Join("storage", id+".enc")
	case option == "master-pubkey":
		return filepath.Join("storage", id+".master.pem")
	}
	return ""
}

// placeSecrets writes the files of a storage's secrets as the store has them, given those of fresh that are not stored yet,
// and removes files of secrets that are gone.
func (s *Service) placeSecrets(ctx context.Context, typ, id string, fresh map[string]string) error {
	t := storageTypes[typ]
	if s.opts.PrivDir == "" || t == nil {
		return nil
	}
	for _, option := range t.secrets {
		rel := secretFile(typ, id, option)
		if rel == "" {
			continue
		}
		value, ok := fresh[option]
		if !ok {
			kv, err := s.store.Get(ctx, secretKey(id, option))
			switch {
			case err == nil:
				value, ok = string(kv.Value), true
			case !errors.Is(err, cluster.ErrNotFound):
				return err
			}
		}
		if err := placeSecret(filepath.Join(s.opts.PrivDir, rel), fileText(typ, option, value), ok); err != nil {
			return err
		}
	}
	return nil
}

func placeSecret(file, text string, wanted bool) error {
	if !wanted {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if now, err := os.ReadFile(file); err == nil && string(now) == text {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(file, []byte(text), 0o600)
}

// fileText is a secret in the form that its program reads: mount.cifs wants password=….
func fileText(typ, option, value string) string {
	if typ == "cifs" && option == "password" {
		return "password=" + value + "\n"
	}
	return value
}

var (
	encryptionKey = regexp.MustCompile(`(?s)^\s*\{.*"data"\s*:.*\}\s*$`)
	cephKeyring   = regexp.MustCompile(`(?s)^\s*\[[^\]]+\].*\bkey\s*=\s*\S+==\s*`)
	cephSecret    = regexp.MustCompile(`^\s*\S+==\s*$`)
	pemKey        = regexp.MustCompile(`(?s)^\s*-----BEGIN [A-Z ]*PUBLIC KEY-----.*-----END [A-Z ]*PUBLIC KEY-----\s*$`)
)

// maxSecretBytes bounds what is kept as a secret.
const maxSecretBytes = 64 << 10

// takeSecrets takes the secret options out of a section, leaving what Proxmox VE shows in their place, and returns them.
func takeSecrets(t *storageType, sec *pveconf.Section) (map[string]string, error) {
	secrets := map[string]string{}
	for _, k := range t.secrets {
		v := sec.Values[k]
		if v == "" || v == "1" && k != "password" { // not given, or the mark of one that is stored
			continue
		}
		if len(v) > maxSecretBytes {
			return nil, call.Param(k, "value may only be %d characters long", maxSecretBytes)
		}
		shown, err := checkSecret(t.name, k, v)
		if err != nil {
			return nil, err
		}
		if delete(sec.Values, k); shown != "" {
			sec.Values[k] = shown
		}
		secrets[k] = v
	}
	return secrets, nil
}

// checkSecret checks the form of a secret and returns what the configuration has in its place, empty for nothing.
func checkSecret(typ, option, v string) (string, error) {
	switch option {
	case "encryption-key":
		if v == "autogen" {
			return "", call.Param(option, "this version makes no keys: pass one")
		}
		if !encryptionKey.MatchString(v) {
			return "", call.Errorf("Value does not seems like a valid, JSON formatted encryption key!")
		}
		return "1", nil
	case "master-pubkey":
		if !pemKey.MatchString(v) {
			return "", call.Param(option, "not a public key in PEM form")
		}
		return "1", nil
	case "keyring":
		if typ == "rbd" && !cephKeyring.MatchString(v) || typ == "cephfs" && !cephSecret.MatchString(v) {
			return "", call.Param(option, "Not a proper %s authentication file", typ)
		}
	}
	return "", nil
}

// secretParts store secrets.
func secretParts(id string, secrets map[string]string) []cluster.Part {
	var parts []cluster.Part
	for k, v := range secrets {
		parts = append(parts, cluster.Put(secretKey(id, k), []byte(v)))
	}
	return parts
}
