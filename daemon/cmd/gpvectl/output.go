package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"gopkg.in/yaml.v3"
)

func checkOutput(form string) error {
	if !slices.Contains([]string{"table", "json", "yaml"}, form) {
		return fmt.Errorf("--output %q is none of table, json, yaml", form)
	}
	return nil
}

// row is one object of an answer, as the server sent it.
type row map[string]any

// column is one column of a table: its head and how to print a row's cell.
type column struct {
	head string
	cell func(row) string
}

func text(head, key string) column {
	return column{head, func(r row) string { return cell(r[key]) }}
}

func size(head, key string) column {
	return column{head, func(r row) string {
		if n, ok := r[key].(float64); ok {
			return bytesText(n)
		}
		return ""
	}}
}

// cell prints a JSON value: whole numbers without exponent.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return strconv.FormatInt(int64(v), 10)
		}
		return strconv.FormatFloat(v, 'g', 6, 64)
	default:
		return fmt.Sprint(v)
	}
}

// bytesText prints a size in binary units, 1.5 GiB.
func bytesText(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for ; n >= 1024 && i < len(units)-1; i++ {
		n /= 1024
	}
	return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) + " " + units[i]
}

// print writes rows in the chosen form; columns are for the table.
func (a *app) print(rows []row, columns ...column) error {
	if a.output != "table" {
		return a.encode(rows)
	}
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.head
	}
	fmt.Fprintln(w, strings.Join(heads, "\t"))
	for _, r := range rows {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = printable(c.cell(r))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	return w.Flush()
}

// printMap writes one object: key and value a line in a table.
func (a *app) printMap(r row) error {
	if a.output != "table" {
		return a.encode(r)
	}
	for _, k := range slices.Sorted(maps.Keys(r)) {
		if _, err := fmt.Fprintf(a.out, "%s: %s\n", printable(k), printable(cell(r[k]))); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) encode(v any) error {
	if a.output == "yaml" {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		var plain any // read as YAML, which JSON is: whole numbers are integers, and are written without an exponent
		if err := yaml.Unmarshal(text, &plain); err != nil {
			return err
		}
		return yaml.NewEncoder(a.out).Encode(plain)
	}
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printable keeps control characters of names and logs, which others wrote, from the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}

// progress shows a task's log: lines as they come, and on a terminal those that end in a percentage as a bar in place.
type progress struct {
	w   io.Writer
	tty bool
	bar bool // the cursor is behind a bar
}

func newProgress(w io.Writer) *progress { return &progress{w: w, tty: isTerminal(w)} }

const barWidth = 30

func (p *progress) line(t string) {
	t = printable(t)
	if pct, ok := percent(t); ok && p.tty {
		full := int(pct / 100 * barWidth)
		fmt.Fprintf(p.w, "\r[%s%s] %5.1f%%\x1b[K", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), pct)
		p.bar = true
		return
	}
	p.done()
	fmt.Fprintln(p.w, t)
}

func (p *progress) done() {
	if p.bar {
		fmt.Fprintln(p.w)
		p.bar = false
	}
}

// percent finds the figure in lines such as "transferred 1.0 GiB of 4.0 GiB (25.00%)".
func percent(t string) (float64, bool) {
	i := strings.LastIndexByte(t, '(')
	if i < 0 || !strings.HasSuffix(t, "%)") {
		return 0, false
	}
	v, err := strconv.ParseFloat(t[i+1:len(t)-2], 64)
	return v, err == nil && v >= 0 && v <= 100
}
