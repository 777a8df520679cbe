package pveconf

import (
	"regexp"
	"strings"
	"sync"
)

// Formats is what Validate knows about names of formats.
type Formats interface {
	// Rule returns the check of a named scalar rule, without the suffixes -list and -opt.
	Rule(name string) (func(string) error, bool)
	// PropertyString returns the keys of a property-string format.
	PropertyString(name string) (*Property, bool)
	// Pattern compiles a pattern of a schema, anchored at both ends.
	Pattern(expr string) (*regexp.Regexp, error)
}

// Registry holds formats: the scalar rules of this package, and what is added. Add everything first; after that it may be
// used by any number of goroutines.
type Registry struct {
	rules    map[string]func(string) error
	strings  map[string]*Property
	patterns sync.Map // expression → *regexp.Regexp; compiling costs a hundred times what matching does
}

// NewRegistry returns a registry that knows the scalar rules of this package and no property string.
func NewRegistry() *Registry { return &Registry{} }

// AddPropertyString makes a property-string format known.
func (r *Registry) AddPropertyString(name string, p *Property) {
	if r.strings == nil {
		r.strings = map[string]*Property{}
	}
	r.strings[name] = p
}

// AddRule makes a scalar rule known, or replaces one of this package. The error is the user's text.
func (r *Registry) AddRule(name string, rule func(value string) error) {
	if r.rules == nil {
		r.rules = map[string]func(string) error{}
	}
	r.rules[name] = rule
}

// Rule implements Formats.
func (r *Registry) Rule(name string) (func(string) error, bool) {
	if fn, ok := r.rules[name]; ok {
		return fn, true
	}
	fn := builtinRule(name)
	return fn, fn != nil
}

// PropertyString implements Formats.
func (r *Registry) PropertyString(name string) (*Property, bool) {
	p, ok := r.strings[name]
	return p, ok
}

// Pattern implements Formats. Each expression is compiled once.
func (r *Registry) Pattern(expr string) (*regexp.Regexp, error) {
	if re, ok := r.patterns.Load(expr); ok {
		return re.(*regexp.Regexp), nil
	}
	re, err := compilePattern(expr)
	if err != nil {
		return nil, err
	}
	r.patterns.Store(expr, re)
	return re, nil
}

// compilePattern anchors a pattern of a schema. Other than Perl's $, the end is the very end: a value may not end in a
// newline that the pattern does not ask for, since values become lines of configuration files.
func compilePattern(expr string) (*regexp.Regexp, error) {
	// Perl takes {,n} for {0,n}, RE2 takes it literally.
	return regexp.Compile(`^(?:` + strings.ReplaceAll(expr, "{,", "{0,") + `)\z`)
}

// CheckFormat checks value against one of the scalar rules of this package; a suffix -list or -opt is understood. A rule
// that does not exist is an error too.
func CheckFormat(name, value string) error {
	return checkFormat((*Registry)(nil).orEmpty(), name, value)
}

func (r *Registry) orEmpty() *Registry {
	if r == nil {
		return NewRegistry()
	}
	return r
}

// checkFormat checks a value against a rule or a property string, with the suffixes -list and -opt.
func checkFormat(f Formats, name, value string) error {
	if name == "regex" {
		return nil
	}
	if base, ok := strings.CutSuffix(name, "-list"); ok {
		for _, element := range SplitList(value) {
			if err := checkElement(f, base, element); err != nil {
				return err
			}
		}
		return nil
	}
	if base, ok := strings.CutSuffix(name, "-opt"); ok && !known(f, name) {
		if value == "" || value == "0" {
			return nil
		}
		name = base
	}
	return checkElement(f, name, value)
}

func known(f Formats, name string) bool {
	if _, ok := f.Rule(name); ok {
		return true
	}
	_, ok := f.PropertyString(name)
	return ok
}

func checkElement(f Formats, name, value string) error {
	if rule, ok := f.Rule(name); ok {
		return rule(value)
	}
	if p, ok := f.PropertyString(name); ok {
		_, err := ParsePropertyString(value, p, f)
		return err
	}
	return ruleError("undefined format '{v}'", name)
}

// SplitList splits the value of a list format: at NUL characters if it has any, otherwise at ',', ';' and white space.
// Empty elements at the ends are dropped.
func SplitList(value string) []string {
	if strings.Contains(value, "\x00") {
		list := strings.Split(value, "\x00")
		for len(list) > 0 && list[len(list)-1] == "" {
			list = list[:len(list)-1]
		}
		return list
	}
	return strings.FieldsFunc(value, func(r rune) bool {
		return r == ',' || r == ';' || r == ' ' || r >= '\t' && r <= '\r'
	})
}
