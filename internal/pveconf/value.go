package pveconf

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// value checks one value and returns it normalised.
func (c *check) value(v any, p *Property, path string) any {
	switch {
	case p.isObject():
		m, ok := v.(map[string]any)
		if !ok {
			c.fail(path, "type check ('object') failed")
			return nil
		}
		return c.root(m, p, path, false)
	case p.Type == "array":
		return c.array(v, p, path)
	case p.Type == "any" || p.Type == "":
		return v
	}
	text, ok := scalarText(v)
	if !ok {
		c.fail(path, "type check ('"+p.Type+"') failed - got "+reference(v))
		return nil
	}
	norm, err := scalar(text, p, c.formats)
	if err != nil {
		c.fail(path, c.describe(err, path))
		return nil
	}
	return norm
}

func (c *check) array(v any, p *Property, path string) any {
	list, ok := asList(v)
	if !ok {
		c.fail(path, "type check ('array') failed")
		return nil
	}
	norm := make([]any, len(list))
	for i := range list {
		norm[i] = list[i]
		if p.Items != nil {
			norm[i] = c.value(list[i], p.Items, path+"["+strconv.Itoa(i)+"]")
		}
	}
	return norm
}

// describe prints the error of a scalar. The lines of a property string name the whole path of each key.
func (c *check) describe(err error, path string) string {
	invalid, ok := errors.AsType[*formatFailure](err)
	if !ok {
		return err.Error()
	}
	if fe, ok := errors.AsType[*FormatError](invalid.err); ok {
		return "invalid format - " + fe.Text(path)
	}
	return "invalid format - " + invalid.err.Error() + "\n"
}

// formatFailure tells a violated format from other failures.
type formatFailure struct{ err error }

func (f *formatFailure) Error() string { return "invalid format - " + f.err.Error() }
func (f *formatFailure) Unwrap() error { return f.err }

// scalar checks text against p and returns it in the declared type. What is looked at, and in which order, decides which
// of several errors the user sees.
func scalar(text string, p *Property, f Formats) (any, error) {
	norm, err := typed(text, p)
	if err != nil {
		return nil, err
	}
	if p.Format != "" {
		if err := checkFormat(f, p.Format, text); err != nil {
			return nil, &formatFailure{err}
		}
	}
	if p.Pattern != "" {
		re, err := f.Pattern(p.Pattern)
		if err != nil {
			return nil, err
		}
		if !re.MatchString(text) {
			return nil, errors.New("value does not match the regex pattern")
		}
	}
	if err := bounds(text, p); err != nil {
		return nil, err
	}
	if len(p.Enum) > 0 && !slices.Contains(p.Enum, text) {
		return nil, errors.New("value '" + text + "' does not have a value in the enumeration '" + strings.Join(p.Enum, ", ") + "'")
	}
	return norm, nil
}

// bounds checks length and size.
func bounds(text string, p *Property) error {
	if p.MaxLength > 0 || p.MinLength > 0 {
		n := utf8.RuneCountInString(text)
		if p.MaxLength > 0 && n > p.MaxLength {
			return errors.New("value may only be " + strconv.Itoa(p.MaxLength) + " characters long")
		}
		if n < p.MinLength {
			return errors.New("value must be at least " + strconv.Itoa(p.MinLength) + " characters long")
		}
	}
	if p.Maximum == nil && p.Minimum == nil || !isNumber(text) {
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(n, 0) {
		return nil
	}
	if p.Maximum != nil && n > *p.Maximum {
		return errors.New("value must have a maximum value of " + number(*p.Maximum))
	}
	if p.Minimum != nil && n < *p.Minimum {
		return errors.New("value must have a minimum value of " + number(*p.Minimum))
	}
	return nil
}

// typed converts text to the declared type. Integers that int64 cannot hold are refused, which PVE, counting in floats
// then, would not do.
func typed(text string, p *Property) (any, error) {
	switch p.Type {
	case "integer":
		if isInteger(text) {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				return n, nil
			}
			if p.Maximum != nil || p.Minimum != nil {
				if err := bounds(text, p); err != nil {
					return nil, err
				}
			}
		}
	case "number":
		if isNumber(text) {
			if n, err := strconv.ParseFloat(text, 64); err == nil {
				return n, nil
			}
		}
	case "boolean":
		switch text {
		case "1":
			return true, nil
		case "0":
			return false, nil
		}
	case "null":
		if text == "" {
			return nil, nil
		}
	default:
		return text, nil
	}
	return nil, errors.New("type check ('" + p.Type + "') failed - got '" + text + "'")
}

// number prints a bound the way PVE does: whole numbers without a point.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// isInteger tells whether text is an integer with an optional sign.
func isInteger(text string) bool {
	text = text[len(signOf(text)):]
	return text != "" && digits(text) == len(text)
}

// isNumber tells whether text is a decimal number: 1, 1., .5, 1.5, each with sign and exponent.
func isNumber(text string) bool {
	text = text[len(signOf(text)):]
	whole := digits(text)
	text = text[whole:]
	fraction := 0
	if strings.HasPrefix(text, ".") {
		fraction = digits(text[1:])
		text = text[1+fraction:]
	}
	if whole+fraction == 0 {
		return false
	}
	if text == "" {
		return true
	}
	if text[0] != 'e' && text[0] != 'E' {
		return false
	}
	return isInteger(text[1:])
}

func signOf(text string) string {
	if text != "" && (text[0] == '+' || text[0] == '-') {
		return text[:1]
	}
	return ""
}

// digits counts the leading digits.
func digits(text string) int {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return n
}

// scalarText returns a scalar as text, booleans as 1 and 0.
func scalarText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case bool:
		if v {
			return "1", true
		}
		return "0", true
	case json.Number:
		return v.String(), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', 15, 64), true
	}
	return "", false
}

// asList returns an array of any kind that decoders make.
func asList(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case []string:
		list := make([]any, len(v))
		for i := range v {
			list[i] = v[i]
		}
		return list, true
	}
	return nil, false
}

// reference names a value that is no scalar, in PVE's words.
func reference(v any) string {
	switch v.(type) {
	case []any, []string:
		return "ARRAY"
	case map[string]any:
		return "HASH"
	}
	return "''"
}
