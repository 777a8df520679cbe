package proxmoxapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
)

// errGone ends a request whose client cannot be answered any more; the connection is closed without a reply.
var errGone = errors.New("client is gone")

// refusal is an answer from before the API proper: a real HTTP error in every format, with a body of plain text or none.
type refusal struct {
	status int
	reason string
	body   string
}

func (e *refusal) Error() string { return e.reason }

// transportError is a refusal that also carries its reason as body.
func transportError(status int, text string) error {
	return &refusal{status: status, reason: text, body: text}
}

// fault is an error as clients of the API see it.
type fault struct {
	status  int
	message string // for the body, with the line feed that PVE's exceptions have
	errors  map[string]string
}

func notImplemented(method, rel string) error {
	return &fault{status: http.StatusNotImplemented, message: fmt.Sprintf("Method '%s %s' not implemented", method, rel)}
}

func (f *fault) Error() string { return f.message }

// publicFault turns the error of a check or function into what the client may see. What is no error of package call is
// internal: it is logged under an id, and the client gets the id.
func (x *exchange) publicFault(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	if params, ok := errors.AsType[call.ParamErrors](err); ok {
		return &fault{status: http.StatusBadRequest, message: "Parameter verification failed.\n", errors: params}
	}
	if e, ok := errors.AsType[*call.Error](err); ok {
		status := e.Status
		if status < 400 || status > 599 {
			status = http.StatusInternalServerError
		}
		return &fault{status: status, message: withLineFeed(e.Text)}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return &fault{status: http.StatusInternalServerError, message: "got timeout\n"}
	}
	id := x.h.opts.ErrorID()
	x.h.opts.Logger.LogAttrs(x.r.Context(), slog.LevelError, "internal error",
		slog.String("id", id), slog.String("method", x.r.Method), slog.String("path", x.r.URL.Path),
		slog.String("caller", x.caller.AuthID), slog.Any("error", err))
	return &fault{status: http.StatusInternalServerError, message: "internal error (id " + id + ")\n"}
}

func withLineFeed(s string) string {
	if strings.HasSuffix(s, "\n") {
		return s
	}
	return s + "\n"
}

// maxReason bounds the reason phrase in bytes; the body has the whole text.
const maxReason = 512

// reasonPhrase makes the first line of message fit for a status line: nothing in it can end the line or steer a terminal.
// An empty one becomes the standard phrase.
func reasonPhrase(status int, message string) string {
	line, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n")
	line = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, line)
	line = strings.TrimSpace(line)
	if len(line) > maxReason {
		cut := maxReason
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		line = line[:cut]
	}
	if line == "" {
		if line = http.StatusText(status); line == "" {
			line = "error"
		}
	}
	return line
}
