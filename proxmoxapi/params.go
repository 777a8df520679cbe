package proxmoxapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

const formType = "application/x-www-form-urlencoded"

// hasBody tells whether a request may carry parameters in its body.
func hasBody(method string) bool { return method == http.MethodPost || method == http.MethodPut }

// checkBody refuses bodies that no call may have. upload says that the request is for a method that takes a file.
func (h *Handler) checkBody(r *http.Request, upload bool) error {
	if r.ContentLength <= 0 {
		if upload {
			return transportError(http.StatusNotImplemented, "file upload without Content-Length")
		}
		return nil
	}
	if !hasBody(r.Method) {
		return transportError(http.StatusNotImplemented, "Unexpected content for method '"+r.Method+"'")
	}
	ctype := r.Header.Get("Content-Type")
	switch mediaType(ctype) {
	case "", formType, "application/json":
	case "multipart/form-data":
		if upload {
			return nil
		}
		fallthrough
	default:
		return transportError(http.StatusVariantAlsoNegotiates, "upload 'Content-Type '"+ctype+"' not implemented")
	}
	if r.ContentLength > h.opts.MaxBody {
		return transportError(http.StatusNotImplemented, "for data too large")
	}
	return nil
}

func mediaType(ctype string) string {
	ctype, _, _ = strings.Cut(ctype, ";")
	return strings.ToLower(strings.TrimSpace(ctype))
}

// readParams returns the parameters of query and body; the query wins. checkBody has passed.
func readParams(r *http.Request) (map[string]any, error) {
	query := map[string]any{}
	parseForm(r.URL.RawQuery, query)
	if r.ContentLength > 0 && hasBody(r.Method) {
		raw, err := io.ReadAll(r.Body) // net/http ends it after Content-Length bytes, which checkBody has limited
		if err != nil {
			return nil, fmt.Errorf("%w: read body: %w", errGone, err)
		}
		body := map[string]any{}
		if mediaType(r.Header.Get("Content-Type")) == "application/json" {
			if err := parseJSON(raw, body); err != nil {
				return nil, transportError(http.StatusInternalServerError, err.Error())
			}
		} else {
			parseForm(string(raw), body)
		}
		maps.Copy(body, query)
		query = body
	}
	delete(query, "_dc")
	return query, nil
}

// parseJSON adds the members of a JSON object to into, as the form parser would have given them where that is possible:
// numbers as text, null as not given. Booleans, arrays and objects stay what they are.
func parseJSON(raw []byte, into map[string]any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var members map[string]any
	if err := dec.Decode(&members); err != nil {
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			return fmt.Errorf("malformed JSON string, at character offset %d", max(syntax.Offset-1, 0))
		}
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return errors.New("malformed JSON string, an object is expected")
		}
		return errors.New("malformed JSON string, unexpected end of data")
	}
	if members == nil {
		return errors.New("malformed JSON string, an object is expected")
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("malformed JSON string, garbage after JSON object, at character offset %d", dec.InputOffset())
	}
	for k, v := range members {
		if v != nil {
			into[k] = plainJSON(v)
		}
	}
	return nil
}

func plainJSON(v any) any {
	switch v := v.(type) {
	case json.Number:
		return numberText(v.String())
	case []any:
		for i := range v {
			v[i] = plainJSON(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plainJSON(v[k])
		}
	}
	return v
}

// numberText prints a JSON number as Perl would: 1e3 and 1.0 are the integers they stand for, other fractions have up to
// 15 digits.
func numberText(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', 15, 64)
}

// mergeURI adds the parameters bound by the path, which may be repeated elsewhere only with the same value.
func mergeURI(params map[string]any, uri map[string]string) error {
	for name, value := range uri {
		if p := schema.Params(params); p.Has(name) && p.String(name) != value {
			return call.ParamErrors{name: "duplicate parameter (already defined in URI) with conflicting values!"}
		}
		params[name] = value
	}
	return nil
}

// textParams are the parameters as text for permission paths; an array is its elements joined by ','.
func textParams(params map[string]any) map[string]string {
	text := make(map[string]string, len(params))
	for name := range params {
		text[name] = schema.Params(params).String(name)
	}
	return text
}
