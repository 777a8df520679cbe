package hostnet

import (
	"fmt"
	"strings"
)

// contextLines is how much of what is the same is shown around a change.
const contextLines = 3

// unifiedDiff shows how b differs from a, line by line, as diff -u -b does: lines that differ in the amount of blanks alone
// are the same. It is empty if nothing differs.
func unifiedDiff(headA, headB, a, b string) string {
	edits := compareLines(splitLines(a), splitLines(b))
	var out strings.Builder
	for start := 0; start < len(edits); {
		for start < len(edits) && edits[start].op == ' ' {
			start++
		}
		if start == len(edits) {
			break
		}
		// A hunk ends where more is the same than the contexts of two hunks.
		end, same := start, 0
		for i := start; i < len(edits) && same <= 2*contextLines; i++ {
			if edits[i].op == ' ' {
				same++
			} else {
				same, end = 0, i+1
			}
		}
		if out.Len() == 0 {
			fmt.Fprintf(&out, "--- %s\n+++ %s\n", headA, headB)
		}
		writeHunk(&out, edits[max(start-contextLines, 0):min(end+contextLines, len(edits))])
		start = end
	}
	return out.String()
}

// edit is one line of a comparison: ' ' in both, '-' in the first, '+' in the second. a and b are the lines before it.
type edit struct {
	op   byte
	text string
	a, b int
}

func writeHunk(out *strings.Builder, edits []edit) {
	var na, nb int
	for _, e := range edits {
		if e.op != '+' {
			na++
		}
		if e.op != '-' {
			nb++
		}
	}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", hunkRange(edits[0].a, na), hunkRange(edits[0].b, nb))
	for _, e := range edits {
		out.WriteByte(e.op)
		out.WriteString(strings.TrimSuffix(e.text, "\n") + "\n")
		if !strings.HasSuffix(e.text, "\n") {
			out.WriteString("\\ No newline at end of file\n")
		}
	}
}

func hunkRange(before, n int) string {
	switch n {
	case 0:
		return fmt.Sprintf("%d,0", before)
	case 1:
		return fmt.Sprint(before + 1)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}

func splitLines(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		out = append(out, l)
	}
	return out
}

// compareLines finds a longest common subsequence. Interfaces files have some hundred lines; the table is for what lies
// between the common beginning and end.
func compareLines(a, b []string) []edit {
	keyA, keyB := keys(a), keys(b)
	head := 0
	for head < len(a) && head < len(b) && keyA[head] == keyB[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && keyA[len(a)-1-tail] == keyB[len(b)-1-tail] {
		tail++
	}
	n, m := len(a)-head-tail, len(b)-head-tail
	longest := make([][]int32, n+1)
	for i := range longest {
		longest[i] = make([]int32, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if keyA[head+i] == keyB[head+j] {
				longest[i][j] = longest[i+1][j+1] + 1
			} else {
				longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			}
		}
	}
	var out []edit
	i, j := 0, 0
	add := func(op byte, text string) {
		out = append(out, edit{op, text, i, j})
		if op != '+' {
			i++
		}
		if op != '-' {
			j++
		}
	}
	for i < len(a) || j < len(b) {
		x, y := i-head, j-head
		switch {
		case x < 0 || x >= n && y >= m: // the common beginning and end
			add(' ', a[i])
		case y >= m:
			add('-', a[i])
		case x >= n:
			add('+', b[j])
		case keyA[i] == keyB[j]:
			add(' ', a[i])
		case longest[x+1][y] >= longest[x][y+1]:
			add('-', a[i])
		default:
			add('+', b[j])
		}
	}
	return out
}

// keys are the lines with every run of blanks as one, and none at the end.
func keys(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		key := strings.Join(strings.Fields(l), " ")
		if key != "" && strings.ContainsRune(" \t", rune(l[0])) {
			key = " " + key
		}
		out[i] = key
	}
	return out
}
