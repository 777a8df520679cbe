package disks

import "strings"

// commandLine is a command as the log shows it.
func commandLine(name string, args []string) string {
	return strings.Join(append([]string{name}, args...), " ")
}

// lines are the lines of a text that say something.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \r\n"); line != "" {
			out = append(out, line)
		}
	}
	return out
}
