package vmconfig

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/pveconf"
)

// OptionType is how an option's value is stored and shown.
type OptionType string

// The types of options. Boolean and integer options are JSON numbers in replies, all others strings.
const (
	TypeBoolean OptionType = "boolean" // 1 or 0
	TypeInteger OptionType = "integer"
	TypeNumber  OptionType = "number" // kept as text
	TypeString  OptionType = "string"
)

// Option is a known option of a VM's configuration.
type Option struct {
	Type   OptionType
	Format string // name of the format a string has to pass, "" for none
}

// ErrUnknownOption is part of every error about an option that does not exist.
var ErrUnknownOption = errors.New("unknown setting")

// LookupOption returns the option with that key, such as memory or net0. Options that exist only in requests (cdrom
// excepted, which old configs hold) are not known.
func LookupOption(key string) (Option, bool) {
	return optionSchema(key)
}

var (
	integerText = regexp.MustCompile(`^\d+$`)
	numberText  = regexp.MustCompile(`^\d+(\.\d+)?$`)
)

// Normalize checks a value by the option's type and format and returns the form in which it is stored. Limits, enums
// and patterns are not looked at: the API checks those, a config file may differ. The error's text is the reason
// that Proxmox VE gives.
func Normalize(key, value string) (string, error) {
	o, ok := LookupOption(key)
	if !ok {
		return "", fmt.Errorf("%w '%s'", ErrUnknownOption, key)
	}
	if err := checkOneLine(value); err != nil {
		return "", err
	}
	switch o.Type {
	case TypeBoolean:
		if b, ok := pveconf.ParseBool(value); ok {
			return printScalar(b), nil
		}
	case TypeInteger:
		if integerText.MatchString(value) {
			value = strings.TrimLeft(value, "0")
			if value == "" {
				value = "0"
			}
			return value, nil
		}
	case TypeNumber:
		if numberText.MatchString(value) {
			return value, nil
		}
	default:
		return normalizeString(value, o.Format)
	}
	return "", fmt.Errorf("type check ('%s') failed - got '%s'", o.Type, value)
}

// checkOneLine refuses what cannot stand in a line of a configuration, and NUL, which ends strings elsewhere.
func checkOneLine(value string) error {
	switch {
	case strings.ContainsAny(value, "\n\r"):
		return errors.New("property contains a line feed")
	case strings.Contains(value, "\x00"):
		return errors.New("property contains a NUL character")
	}
	return nil
}

func normalizeString(value, format string) (string, error) {
	if format == "" {
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		return value, nil
	}
	if err := checkFormat(format, value); err != nil {
		return "", err
	}
	return value, nil
}

// WireValue returns an option's value as it stands in replies: boolean and integer options as int64, everything else
// as string.
func WireValue(key, value string) any {
	o, ok := LookupOption(key)
	if !ok || o.Type != TypeBoolean && o.Type != TypeInteger {
		return value
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return value
	}
	return n
}
