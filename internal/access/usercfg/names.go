package usercfg

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a user id, in characters, realm included.
const (
	minUserID = 3
	maxUserID = 64
)

func isAlpha(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
func isAlnum(b byte) bool { return isAlpha(b) || b >= '0' && b <= '9' }

// isWord reports whether s is not empty and has only letters, digits and - . _
func isWord(s string) bool {
	for i := range len(s) {
		if b := s[i]; !isAlnum(b) && b != '-' && b != '.' && b != '_' {
			return false
		}
	}
	return s != ""
}

// isName reports whether s is a word of at least two characters that begins with a letter: a realm or the name of a token.
func isName(s string) bool { return len(s) >= 2 && isAlpha(s[0]) && isWord(s) }

// ValidGroup reports whether name can name a group.
func ValidGroup(name string) bool { return isWord(name) }

// ValidRole reports whether name can name a role.
func ValidRole(name string) bool { return isWord(name) }

// ValidToken reports whether name can be the part of a token id after the exclamation mark.
func ValidToken(name string) bool { return isName(name) }

// ValidPool reports whether name can name a pool: up to three words joined by slashes.
func ValidPool(name string) bool {
	parts := strings.Split(name, "/")
	if len(parts) > 3 {
		return false
	}
	for _, p := range parts {
		if !isWord(p) {
			return false
		}
	}
	return true
}

// validStorage is the format pve-storage-id.
func validStorage(id string) bool {
	return len(id) >= 2 && isAlpha(id[0]) && isAlnum(id[len(id)-1]) && isWord(id)
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// SplitUserID splits user@realm at the last @ and checks the form. Names may hold nearly every character, @ and ! among
// them; a realm cannot, so that the split is unambiguous, and no user id is a token id or the other way round.
func SplitUserID(id string) (name, realm string, ok bool) {
	if n := utf8.RuneCountInString(id); n < minUserID || n > maxUserID {
		return "", "", false
	}
	return splitUser(id)
}

func splitUser(id string) (name, realm string, ok bool) {
	i := strings.LastIndexByte(id, '@')
	if i < 1 || !isName(id[i+1:]) || !utf8.ValidString(id) {
		return "", "", false
	}
	name, realm = id[:i], id[i+1:]
	bad := func(r rune) bool { return r == ':' || r == '/' || unicode.IsSpace(r) || unicode.IsControl(r) }
	if strings.IndexFunc(name, bad) >= 0 {
		return "", "", false
	}
	return name, realm, true
}

// SplitTokenID splits user@realm!name and checks the form.
func SplitTokenID(id string) (user, token string, ok bool) {
	i := strings.LastIndexByte(id, '!')
	if i < 0 || !isName(id[i+1:]) {
		return "", "", false
	}
	if _, _, ok := splitUser(id[:i]); !ok {
		return "", "", false
	}
	return id[:i], id[i+1:], true
}

// UserOf returns the user of an auth id, which is a user id or a token id.
func UserOf(authID string) string {
	if user, _, ok := SplitTokenID(authID); ok {
		return user
	}
	return authID
}

// SafeUserID reports whether a new user may have this id. Stricter than the file format: a comma or semicolon would
// break the lists that name the user apart, and an exclamation mark makes it look like a token of another user.
func SafeUserID(id string) bool {
	_, _, ok := SplitUserID(id)
	return ok && !strings.ContainsAny(id, ",;!")
}

// SplitList splits a list of Proxmox VE: separators are comma, semicolon, blanks and NUL, empty elements do not count.
// No element ever holds a separator.
func SplitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ';' || r == 0 || unicode.IsSpace(r) })
}
