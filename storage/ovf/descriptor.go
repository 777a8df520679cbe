package ovf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/internal/errclass"
	"github.com/turtacn/go-proxmox/storage"
)

var (
	// ErrSyntax is a descriptor or archive that does not follow its format.
	ErrSyntax = errclass.New("appliance not understood", fs.ErrInvalid)
	// ErrDocumentType is XML that declares a document type, where entities come from.
	ErrDocumentType = errclass.New("document type declarations are not allowed in an OVF descriptor", storage.ErrUnsafe)
	// ErrPath is a file name that may lead elsewhere.
	ErrPath = errclass.New("unsafe file name in an appliance", storage.ErrUnsafe)
	// ErrTooLarge is an appliance beyond the limits.
	ErrTooLarge = errclass.New("appliance too large", storage.ErrUnsafe)
)

// MaxDescriptorBytes bounds the text of a descriptor.
const MaxDescriptorBytes = 4 << 20

// maxDepth bounds the nesting of elements.
const maxDepth = 64

// Descriptor is what an appliance says about its one virtual machine.
type Descriptor struct {
	// Name made fit for a guest's name: blanks are dashes, what no host name has is dropped. It may be empty.
	Name string
	// OSType in Proxmox VE's words, "other" if the number is not known.
	OSType string
	// Cores and MemoryMiB as written; empty if not stated.
	Cores, MemoryMiB string
	// EFI says that the firmware is EFI.
	EFI bool
	// Disks that have a controller and a file, in the order of the descriptor.
	Disks []Disk
	// NICs are the models of the network devices.
	NICs []string
}

// Disk is a hard disk of the appliance.
type Disk struct {
	// Address is bus and number, such as scsi0. No two disks have the same.
	Address string
	// File is the bare name of the image: a member of the archive, or a file beside the descriptor.
	File string
	// CapacityBytes is the size that the descriptor states, 0 if it does not. The image may differ.
	CapacityBytes int64
}

// envelope mirrors the elements that matter. Prefixes and versions of the name spaces differ between products, so only
// local names count.
type envelope struct {
	XMLName xml.Name `xml:"Envelope"`
	Files   []struct {
		ID   string `xml:"id,attr"`
		Href string `xml:"href,attr"`
	} `xml:"References>File"`
	Disks []struct {
		ID       string `xml:"diskId,attr"`
		File     string `xml:"fileRef,attr"`
		Capacity string `xml:"capacity,attr"`
		Units    string `xml:"capacityAllocationUnits,attr"`
	} `xml:"DiskSection>Disk"`
	Systems []system `xml:"VirtualSystem"`
}

type system struct {
	ID   string  `xml:"id,attr"`
	Name *string `xml:"Name"`
	OS   *struct {
		ID string `xml:"id,attr"`
	} `xml:"OperatingSystemSection"`
	Items  []item `xml:"VirtualHardwareSection>Item"`
	Config []struct {
		Key   string `xml:"key,attr"`
		Value string `xml:"value,attr"`
	} `xml:"VirtualHardwareSection>Config"`
}

type item struct {
	ID      string `xml:"InstanceID"`
	Type    string `xml:"ResourceType"`
	SubType string `xml:"ResourceSubType"`
	Count   string `xml:"VirtualQuantity"`
	Parent  string `xml:"Parent"`
	Address string `xml:"AddressOnParent"`
	Host    string `xml:"HostResource"`
}

// Parse reads a descriptor. Errors are of class [ErrSyntax], [ErrDocumentType], [ErrPath] or [ErrTooLarge].
func Parse(text []byte) (*Descriptor, error) {
	if len(text) > MaxDescriptorBytes {
		return nil, fmt.Errorf("descriptor of %d bytes: %w", len(text), ErrTooLarge)
	}
	if err := scan(text); err != nil {
		return nil, err
	}
	var e envelope
	if err := xml.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	if len(e.Systems) == 0 {
		return nil, fmt.Errorf("no VirtualSystem: %w", ErrSyntax)
	}
	return e.describe(&e.Systems[0])
}

// scan refuses document types, deep nesting, and more or less than one whole element.
func scan(text []byte) error {
	dec := xml.NewDecoder(bytes.NewReader(text))
	depth, roots := 0, 0
	for {
		tok, err := dec.RawToken()
		if errors.Is(err, io.EOF) && depth == 0 && roots == 1 {
			return nil
		}
		if err != nil && bytes.Contains(text, []byte("<!DOCTYPE")) {
			return ErrDocumentType
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSyntax, err)
		}
		switch tok.(type) {
		case xml.Directive:
			return ErrDocumentType
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			if depth++; depth > maxDepth {
				return fmt.Errorf("elements nested too deep: %w", ErrSyntax)
			}
		case xml.EndElement:
			depth--
		}
	}
}

func (e *envelope) describe(s *system) (*Descriptor, error) {
	d := &Descriptor{Name: guestName(s), OSType: "other"}
	if s.OS != nil {
		d.OSType = osType(s.OS.ID)
	}
	for _, c := range s.Config {
		d.EFI = d.EFI || c.Key == "firmware" && strings.EqualFold(c.Value, "efi")
	}
	for _, it := range s.Items {
		switch strings.TrimSpace(it.Type) {
		case "3":
			d.Cores = count(it.Count)
		case "4":
			d.MemoryMiB = count(it.Count)
		case "10":
			d.NICs = append(d.NICs, nicModel(it.SubType))
		case "17":
			if err := e.addDisk(d, s.Items, it); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

// count returns a positive number as it is written, and nothing for anything else.
func count(s string) string {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseUint(s, 10, 32); err != nil || n == 0 {
		return ""
	}
	return s
}

// guestName is the system's name, or else its id.
func guestName(s *system) string {
	name := s.ID
	if s.Name != nil && strings.TrimSpace(*s.Name) != "" {
		name = strings.TrimSpace(*s.Name)
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '\t' || r == '\n' || r == '\r':
			return '-'
		case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-':
			return r
		}
		return -1
	}, name)
}

func nicModel(subtype string) string {
	switch m := strings.ToLower(strings.TrimSpace(subtype)); m {
	case "e1000", "e1000e", "vmxnet3":
		return m
	}
	return "e1000"
}

// addDisk adds the disk that it describes, unless something is missing: a controller of a known kind, a place on it, a
// file.
func (e *envelope) addDisk(d *Descriptor, all []item, it item) error {
	bus := ""
	for _, c := range all {
		if strings.TrimSpace(c.ID) == strings.TrimSpace(it.Parent) && it.Parent != "" {
			bus = map[string]string{"5": "ide", "6": "scsi", "20": "sata"}[strings.TrimSpace(c.Type)]
		}
	}
	place, err := strconv.ParseUint(strings.TrimSpace(it.Address), 10, 8)
	if bus == "" || err != nil {
		return nil
	}
	id := hostDisk(it.Host)
	for _, disk := range e.Disks {
		if id == "" || disk.ID != id {
			continue
		}
		for _, f := range e.Files {
			if f.ID != disk.File || disk.File == "" {
				continue
			}
			if !SafeName(f.Href) {
				return fmt.Errorf("referenced path '%s' is invalid: %w", f.Href, ErrPath)
			}
			d.Disks = append(d.Disks, Disk{Address: d.freeAddress(bus, int(place)), File: f.Href, CapacityBytes: capacity(disk.Capacity, disk.Units)})
			return nil
		}
	}
	return nil
}

// freeAddress is the wanted place on a bus, or the next one that no disk has: appliances may have several controllers of
// a kind, where a guest here has one.
func (d *Descriptor) freeAddress(bus string, place int) string {
	for {
		a := bus + strconv.Itoa(place)
		taken := false
		for _, other := range d.Disks {
			taken = taken || other.Address == a
		}
		if !taken {
			return a
		}
		place++
	}
}

// hostDisk reads the disk's id out of a reference [ovf:]/SECTION/ID.
func hostDisk(ref string) string {
	ref = strings.TrimPrefix(strings.TrimSpace(ref), "ovf:")
	_, id, ok := strings.Cut(strings.TrimPrefix(ref, "/"), "/")
	if !ok || !strings.HasPrefix(ref, "/") || strings.Contains(id, "/") {
		return ""
	}
	return id
}

// capacity computes a size in bytes; units are "byte * BASE^EXPONENT", or nothing for bytes. 0 is a size that makes no
// sense.
func capacity(text, units string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	factor := int64(1)
	if rest, ok := strings.CutPrefix(strings.Join(strings.Fields(units), ""), "byte"); ok && rest != "" {
		base, exponent, _ := strings.Cut(strings.TrimPrefix(rest, "*"), "^")
		b, errBase := strconv.ParseInt(base, 10, 64)
		x, errExponent := strconv.ParseInt(exponent, 10, 64)
		if exponent == "" {
			x, errExponent = 1, nil
		}
		if errBase != nil || errExponent != nil || b < 1 || b > 1024 || x < 0 || x > 60 {
			return 0
		}
		for range x {
			if factor > math.MaxInt64/b {
				return 0
			}
			factor *= b
		}
	} else if !ok && units != "" {
		return 0
	}
	if n != 0 && factor > math.MaxInt64/n {
		return 0
	}
	return n * factor
}

// SafeName tells whether a name is one of a file beside the descriptor: letters, digits, blanks and ".+=_-", and not a
// folder's.
func SafeName(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte(" .+=_-", c) >= 0) {
			return false
		}
	}
	return true
}
