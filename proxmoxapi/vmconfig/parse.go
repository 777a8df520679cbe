package vmconfig

import (
	"fmt"
	"regexp"
	"strings"
)

// ParseOptions says how a configuration is read.
type ParseOptions struct {
	VMID   int  // names the VM in warnings
	Strict bool // the first problem is an error; otherwise it is a warning and its line or section is skipped
	// CustomCPU tells whether a custom CPU model (the name without custom-) exists. Nil accepts every name.
	CustomCPU func(name string) bool
}

// Warning is one problem of a configuration that was skipped, in Proxmox VE's words.
type Warning struct {
	Line int    // number of the line, from 1
	Text string // "vm 100 - unable to parse value of 'cores' - type check ('integer') failed - got 'x'"
}

func (w Warning) String() string { return w.Text }

// SyntaxError is the first problem of a configuration that is read strictly.
type SyntaxError struct{ Warning }

func (e *SyntaxError) Error() string { return e.Text }

var (
	headLine     = regexp.MustCompile(`^\[(.*)\][ \t\r\f\v]*$`)
	snapshotName = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_-]+$`)
	optionLine   = regexp.MustCompile(`^([a-z][a-z_-]*[0-9]*):(.*)$`)
)

// Parse reads a configuration. Lenient reading never fails; see ParseOptions.
func Parse(text string, opt ParseOptions) (*Config, []Warning, error) {
	p := &parser{opt: opt, cfg: New()}
	p.cfg.Digest = Digest(text)
	p.enter(p.cfg.Main, kindMain)
	for line := range strings.SplitSeq(text, "\n") {
		p.line++
		if strings.Trim(line, blanks) == "" {
			continue
		}
		if problem := p.parseLine(line); problem != "" {
			w := Warning{Line: p.line, Text: fmt.Sprintf("vm %d - %s", opt.VMID, problem)}
			if opt.Strict {
				return nil, nil, &SyntaxError{w}
			}
			p.warnings = append(p.warnings, w)
		}
	}
	p.leave()
	return p.cfg, p.warnings, nil
}

type sectionKind int

const (
	kindMain sectionKind = iota
	kindPending
	kindSpecial
	kindSnapshot
	kindUnknown // its lines are skipped
)

type parser struct {
	opt      ParseOptions
	cfg      *Config
	line     int
	warnings []Warning

	section     Section
	kind        sectionKind
	description []string // comment lines of the section; nil: none
	sawPending  bool
}

func (p *parser) enter(s Section, kind sectionKind) {
	p.leave()
	p.section, p.kind, p.description = s, kind, nil
}

func (p *parser) leave() {
	if p.section != nil && p.description != nil && p.kind != kindUnknown {
		p.section["description"] = trimRight(strings.Join(p.description, "\n"))
	}
}

// parseLine handles one line that is not blank and returns what is wrong with it.
func (p *parser) parseLine(line string) (problem string) {
	if m := headLine.FindStringSubmatch(line); m != nil {
		return p.parseHead(m[1])
	}
	if p.kind == kindUnknown {
		return ""
	}
	if comment, ok := strings.CutPrefix(line, "#"); ok {
		p.description = append(p.description, decodeComment(comment))
		return ""
	}
	m := optionLine.FindStringSubmatch(line)
	if m == nil {
		return "unable to parse config: " + line
	}
	key, value := m[1], m[2]
	if value == "" {
		return "unable to parse config: " + line
	}
	if value = strings.Trim(value, blanks); value == "" {
		value = m[2][len(m[2])-1:] // an empty value is written as one blank and read back as one
	}
	return p.parseOption(key, value)
}

// parseHead enters the section of a head line. A duplicate replaces the first of its name.
func (p *parser) parseHead(name string) (problem string) {
	lower := strings.ToLower(name)
	special, isSpecial := strings.CutPrefix(lower, "special:")
	switch {
	case lower == "pending":
		if p.sawPending {
			problem = "duplicate section: pending"
		}
		p.sawPending = true
		p.cfg.Pending = Section{}
		p.enter(p.cfg.Pending, kindPending)
	case isSpecial && (special == SpecialCloudInit || special == SpecialFleecing):
		if _, ok := p.cfg.Special[special]; ok {
			problem = "duplicate special section: " + special
		}
		p.cfg.Special[special] = Section{}
		p.enter(p.cfg.Special[special], kindSpecial)
	case snapshotName.MatchString(name):
		if _, ok := p.cfg.Snapshots[name]; ok {
			problem = "duplicate snapshot section: " + name
		}
		p.cfg.Snapshots[name] = Section{}
		p.enter(p.cfg.Snapshots[name], kindSnapshot)
	default:
		p.enter(nil, kindUnknown)
		problem = fmt.Sprintf("skipping unknown section: '%s'", name)
	}
	return problem
}

func (p *parser) parseOption(key, value string) (problem string) {
	if key == "description" {
		p.description = append(p.description, decodeComment(value))
		return ""
	}
	if err := checkOneLine(value); err != nil {
		return fmt.Sprintf("unable to parse value of '%s' - %v", key, err)
	}
	switch {
	case p.kind == kindSpecial || key == "args":
		p.section[key] = value
		return ""
	case key == "snapstate":
		if value != "prepare" && value != "delete" {
			return fmt.Sprintf("unable to parse value of '%s' - %v '%s'", key, ErrUnknownOption, key)
		}
		p.section[key] = value
		return ""
	case key == "delete":
		if p.kind != kindPending {
			return "property 'delete' is only allowed in [PENDING]"
		}
		p.cfg.setDeletes(ParseDeleteList(value))
		return ""
	case key == "cdrom":
		key, value = "ide2", oldCDROM(value)
	}
	value, err := Normalize(key, value)
	if err == nil && key == "cpu" && p.opt.CustomCPU != nil {
		err = CheckCPU(value, p.opt.CustomCPU)
	}
	if err != nil {
		return fmt.Sprintf("unable to parse value of '%s' - %v", key, trimRight(err.Error()))
	}
	p.section[key] = value
	return ""
}

// oldCDROM turns the value of the old key cdrom into one of ide2: a bare file name is an ISO image of storage local.
func oldCDROM(value string) string {
	file, rest, _ := strings.Cut(value, ",")
	if file != "none" && file != "cdrom" && !strings.ContainsAny(file, ":/=") {
		file = "local:iso/" + file
	}
	if rest != "" {
		file += "," + rest
	}
	d, err := ParseDrive("ide2", file)
	if err != nil {
		return file // Normalize says what is wrong
	}
	if d.Media == "" {
		d.Media = "cdrom"
	}
	return d.String()
}
