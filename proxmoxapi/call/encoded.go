package call

import (
	"bytes"
	"encoding/json"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// CompressAbove is the length in bytes above which a body is compressed for clients that take it.
const CompressAbove = 1024

// Encoded is an answer whose JSON was made before: lists that many callers ask for again and again. It is immutable, so
// one value may be the answer of any number of requests. Make it with an [Encoder].
type Encoded struct {
	body []byte // {"data":VALUE}
	gzip []byte // body compressed, nil when it is short
}

const (
	envelopeHead = `{"data":`
	envelopeTail = `}`
)

// Value returns the JSON value alone. The caller must not change it.
func (e *Encoded) Value() []byte { return e.body[len(envelopeHead) : len(e.body)-len(envelopeTail)] }

// Body returns the whole body of format json, {"data":VALUE}. The caller must not change it.
func (e *Encoded) Body() []byte { return e.body }

// Gzip returns the compressed body, nil when it is too short to be compressed. The caller must not change it.
func (e *Encoded) Gzip() []byte { return e.gzip }

// MarshalJSON returns the value, so that an Encoded can also be a part of another answer.
func (e *Encoded) MarshalJSON() ([]byte, error) { return e.Value(), nil }

// Encoder makes Encoded answers and keeps compressors between them. The zero value is ready; it may be used concurrently.
type Encoder struct {
	writers sync.Pool // *gzip.Writer
}

// Encode prints v as the API does (UTF-8 and '<' stay as they are) and compresses it at level 1, the fastest.
func (e *Encoder) Encode(v any) (*Encoded, error) {
	var body bytes.Buffer
	body.WriteString(envelopeHead)
	if err := WriteJSON(&body, v); err != nil {
		return nil, err
	}
	body.WriteString(envelopeTail)
	out := &Encoded{body: body.Bytes()}
	if len(out.body) > CompressAbove {
		var packed bytes.Buffer
		if err := e.compress(&packed, out.body); err != nil {
			return nil, err
		}
		out.gzip = packed.Bytes()
	}
	return out, nil
}

func (e *Encoder) compress(to *bytes.Buffer, body []byte) error {
	w, ok := e.writers.Get().(*gzip.Writer)
	if !ok {
		var err error
		if w, err = gzip.NewWriterLevel(to, gzip.BestSpeed); err != nil {
			return err
		}
	} else {
		w.Reset(to)
	}
	defer e.writers.Put(w)
	if _, err := w.Write(body); err != nil {
		return err
	}
	return w.Close()
}

// WriteJSON appends v to b as the API prints JSON: no escapes for '<', '>', '&', no line feed at the end.
func WriteJSON(b *bytes.Buffer, v any) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}
