package pveconf

import "strings"

// class is a set of ASCII characters.
type class func(c byte) bool

func digit(c byte) bool { return c >= '0' && c <= '9' }
func lower(c byte) bool { return c >= 'a' && c <= 'z' }
func alpha(c byte) bool { return lower(c | 0x20) }
func alnum(c byte) bool { return alpha(c) || digit(c) }
func word(c byte) bool  { return alnum(c) || c == '_' }
func hexit(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// graphic is \S for ASCII; bytes above are taken for parts of letters.
func graphic(c byte) bool { return c > ' ' && c != 0x7f }

// and adds characters to a class.
func (k class) and(chars string) class {
	return func(c byte) bool { return k(c) || strings.IndexByte(chars, c) >= 0 }
}

// all tells whether v is not empty and has only characters of k.
func (k class) all(v string) bool {
	for i := range len(v) {
		if !k(v[i]) {
			return false
		}
	}
	return v != ""
}

// framed tells whether v begins with a character of first, ends with one of last, and has only characters of middle
// between. At least two characters are needed.
func framed(v string, first, middle, last class) bool {
	n := len(v)
	return n >= 2 && first(v[0]) && last(v[n-1]) && (n == 2 || middle.all(v[1:n-1]))
}

// led tells whether v begins with a character of first and has one or more of rest after it.
func led(v string, first, rest class) bool { return len(v) >= 2 && first(v[0]) && rest.all(v[1:]) }

// label tells whether v is a label of a host name: letters, digits and inner hyphens, of any length.
func label(v string) bool {
	return len(v) == 1 && alnum(v[0]) || framed(v, alnum, class(alnum).and("-"), alnum)
}

// each tells whether every part of v between separators satisfies ok.
func each(v, separator string, ok func(string) bool) bool {
	for part := range strings.SplitSeq(v, separator) {
		if !ok(part) {
			return false
		}
	}
	return true
}

// small reads a decimal number of at most max; ok is false for anything else.
func small(v string, max int) (n int, ok bool) {
	if !class(digit).all(v) {
		return 0, false
	}
	for i := range len(v) {
		if n = n*10 + int(v[i]-'0'); n > max {
			return 0, false
		}
	}
	return n, true
}
