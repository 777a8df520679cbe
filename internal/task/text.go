package task

import (
	"fmt"
	"strings"
	"unicode"
)

// Limits of texts, in bytes.
const (
	maxLine   = 8 << 10
	maxStatus = 1 << 10
)

// Outcomes in the words of Proxmox VE.
const (
	statusOK         = "OK"
	statusUnexpected = "unexpected status"
)

// clean makes one harmless line of text: no control characters, which a terminal might obey, at most limit bytes.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r == '\t' || !unicode.IsControl(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
	text = strings.TrimRight(text, " \t")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// exitText returns the outcome of an operation as lists show it.
func exitText(err error, warnings int) string {
	switch {
	case err != nil:
		text := strings.TrimSpace(clean(err.Error(), maxStatus))
		if text == "" || text == statusOK || strings.HasPrefix(text, "WARNINGS: ") { // not to be taken for success
			return "error: " + text
		}
		return text
	case warnings > 0:
		return fmt.Sprintf("WARNINGS: %d", warnings)
	default:
		return statusOK
	}
}

// lastLine returns the line that ends the log of a task with this outcome.
func lastLine(status string) string {
	if status == statusOK || strings.HasPrefix(status, "WARNINGS: ") {
		return "TASK " + status
	}
	return "TASK ERROR: " + status
}

// StatusFromLog returns the outcome that the last line of a task's log tells: "OK", "WARNINGS: n", the text of the
// error, or "unexpected status" if the log does not end as a finished task's does.
func StatusFromLog(log string) string {
	log = strings.TrimSuffix(log, "\n")
	line := log[strings.LastIndexByte(log, '\n')+1:]
	switch text, isTask := strings.CutPrefix(line, "TASK "); {
	case !isTask:
	case text == statusOK:
		return statusOK
	case strings.HasPrefix(text, "ERROR: ") && len(text) > len("ERROR: "):
		return text[len("ERROR: "):]
	default:
		if n, ok := strings.CutPrefix(text, "WARNINGS: "); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			return text
		}
	}
	return statusUnexpected
}

// statusClass sorts an outcome into the classes of the API's statusfilter. Empty stands for a running task.
func statusClass(status string) string {
	switch n, warnings := strings.CutPrefix(status, "WARNINGS: "); {
	case status == statusOK:
		return "ok"
	case warnings && n != "" && strings.Trim(n, "0123456789") == "":
		return "warning"
	case status == "" || status == statusUnexpected || status == statusRunning:
		return "unknown"
	default:
		return "error"
	}
}
