package pveconf

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// Unit is a unit of size, a power of 1024 bytes: "b", "kb", "mb", "gb", "tb" or "pb".
type Unit string

// The units of size.
const (
	Byte Unit = "b"
	KiB  Unit = "kb"
	MiB  Unit = "mb"
	GiB  Unit = "gb"
	TiB  Unit = "tb"
	PiB  Unit = "pb"
)

// exponent is the power of 1024.
func (u Unit) exponent() (int, bool) {
	switch u {
	case Byte:
		return 0, true
	case KiB:
		return 1, true
	case MiB:
		return 2, true
	case GiB:
		return 3, true
	case TiB:
		return 4, true
	case PiB:
		return 5, true
	}
	return 0, false
}

// ConvertSize converts a positive decimal number of one unit into another. What is left over is rounded up, or dropped if
// down is set. The arithmetic is exact; a result that int64 cannot hold is an error.
func ConvertSize(value string, from, to Unit, down bool) (int64, error) {
	if value == "" {
		return 0, errors.New("no value given")
	}
	have, ok := from.exponent()
	want, ok2 := to.exponent()
	if !ok || !ok2 {
		return 0, errors.New("unknown 'from' and/or 'to' units (" + string(from) + " => " + string(to) + ")")
	}
	n, ok := decimal(value)
	if !ok {
		return 0, errors.New("value '" + value + "' is not a valid, positive number")
	}
	scale := new(big.Rat).SetInt(new(big.Int).Lsh(big.NewInt(1), uint(10*max(have-want, want-have))))
	if have >= want {
		n.Mul(n, scale)
	} else {
		n.Quo(n, scale)
	}
	size, rest := new(big.Int).QuoRem(n.Num(), n.Denom(), new(big.Int))
	if rest.Sign() != 0 && !down {
		size.Add(size, big.NewInt(1))
	}
	if !size.IsInt64() {
		return 0, errors.New("value '" + value + "' is too large")
	}
	return size.Int64(), nil
}

// maxDecimal is the length of numbers that ConvertSize and ParseSize still read; more digits have no use as a size.
const maxDecimal = 64

// decimal reads digits with at most one point, a digit on one side of it at least.
func decimal(value string) (*big.Rat, bool) {
	whole, fraction, _ := strings.Cut(value, ".")
	if len(value) > maxDecimal || !class(digit).all(whole+fraction) {
		return nil, false
	}
	return new(big.Rat).SetString("0" + whole + "." + fraction + "0")
}

// ParseSize reads the size of a disk as configurations write it: a decimal number with one of the units K, M, G and T,
// KiB, MiB, GiB and TiB, or none for bytes. Parts of a byte are dropped.
func ParseSize(text string) (sizeBytes int64, err error) {
	if !isDiskSize(text) {
		return 0, ruleError("value does not look like a valid disk size: {v}", text)
	}
	unit := Byte
	number := strings.TrimSuffix(text, "iB")
	if last := len(number) - 1; !digit(number[last]) {
		unit = Unit(strings.ToLower(number[last:]) + "b")
		number = number[:last]
	}
	return ConvertSize(number, unit, Byte, true)
}

// FormatSize writes a size in bytes with the largest unit that divides it, as configurations have it: 4M, 32G, 1537.
func FormatSize(sizeBytes int64) string {
	units := [...]string{"", "K", "M", "G", "T"}
	i := 0
	for i < len(units)-1 && sizeBytes != 0 && sizeBytes%1024 == 0 {
		sizeBytes /= 1024
		i++
	}
	return strconv.FormatInt(sizeBytes, 10) + units[i]
}
