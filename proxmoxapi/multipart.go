package proxmoxapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
)

const (
	fileField      = "filename" // name of the part with the file
	maxFormFields  = 16
	maxFieldBytes  = 64 << 10 // of all fields before the file
	maxPartHeader  = 8 << 10
	multipartChunk = 64 << 10
)

// fileForm reads a multipart/form-data body whose last part is the file, without ever holding more than a buffer of it.
// mime/multipart does not tell where in the body it is, which the size of the file is computed from.
type fileForm struct {
	src       *countingReader
	in        *bufio.Reader
	delimiter []byte // CRLF "--" boundary
	clear     int    // bytes at the front of in that are known to be content
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// newFileForm starts on a body; ctype is its Content-Type.
func newFileForm(body io.Reader, ctype string) (*fileForm, error) {
	_, params, err := mime.ParseMediaType(ctype)
	boundary := params["boundary"]
	if err != nil || boundary == "" || len(boundary) > 70 {
		return nil, errors.New("unable to find the boundary of multipart/form-data")
	}
	src := &countingReader{r: body}
	f := &fileForm{src: src, in: bufio.NewReaderSize(src, multipartChunk), delimiter: []byte("\r\n--" + boundary)}
	if line, err := f.line(); err != nil || strings.TrimRight(line, " \t") != "--"+boundary {
		return nil, errors.New("multipart/form-data does not begin with its boundary")
	}
	return f, nil
}

// fields reads parts up to the head of the file. It returns their values and the file's name as sent.
func (f *fileForm) fields() (fields map[string]any, filename string, err error) {
	fields = map[string]any{}
	left := int64(maxFieldBytes)
	for range maxFormFields + 1 {
		name, file, isFile, err := f.partHeader()
		if err != nil {
			return nil, "", err
		}
		if isFile {
			if name != fileField {
				return nil, "", fmt.Errorf("unexpected file in part '%s'", name)
			}
			return fields, file, nil
		}
		value, err := io.ReadAll(io.LimitReader(f, left+1))
		if err != nil {
			return nil, "", err
		}
		if left -= int64(len(value)); left < 0 {
			return nil, "", errors.New("form fields are too large")
		}
		last, err := f.endPart()
		if err != nil {
			return nil, "", err
		}
		if last {
			return nil, "", errors.New("no file in multipart/form-data")
		}
		addValue(fields, name, strings.ToValidUTF8(string(value), "\uFFFD"))
	}
	return nil, "", errors.New("too many form fields")
}

// partHeader reads the header of a part.
func (f *fileForm) partHeader() (name, file string, isFile bool, err error) {
	var disposition string
	for size := 0; ; {
		line, err := f.line()
		if err != nil {
			return "", "", false, err
		}
		if line == "" {
			break
		}
		if size += len(line); size > maxPartHeader {
			return "", "", false, errors.New("header of a form part is too large")
		}
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, "Content-Disposition") {
			disposition = strings.TrimSpace(value)
		}
	}
	kind, params, err := mime.ParseMediaType(disposition)
	if err != nil || kind != "form-data" || params["name"] == "" {
		return "", "", false, errors.New("form part without a name")
	}
	file, isFile = params["filename"]
	return params["name"], file, isFile, nil
}

// line reads up to CRLF, which it drops.
func (f *fileForm) line() (string, error) {
	line, err := f.in.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			return "", errors.New("header of a form part is too large")
		}
		return "", noEOF(err)
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok {
		return "", errors.New("line of multipart/form-data without CRLF")
	}
	return text, nil
}

// position is the number of bytes of the body before the next one that will be read.
func (f *fileForm) position() int64 { return f.src.n - int64(f.in.Buffered()) }

// Read reads content of the part, up to its delimiter.
func (f *fileForm) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if f.clear == 0 {
		end, err := f.scan()
		if err != nil {
			return 0, err
		}
		if end {
			return 0, io.EOF
		}
	}
	n, err := f.in.Read(p[:min(len(p), f.clear)])
	f.clear -= n
	return n, noEOF(err)
}

// scan finds out how many buffered bytes are content: clear > 0 afterwards, or the part ends here.
func (f *fileForm) scan() (end bool, err error) {
	need := len(f.delimiter) + 2
	if window, err := f.in.Peek(need); err != nil && !bytes.HasPrefix(window, f.delimiter) {
		if len(window) == 0 || !errors.Is(err, io.EOF) {
			return false, noEOF(err)
		}
		f.clear = len(window) // too short for a delimiter; the next scan reports the missing one
		return false, nil
	}
	window, _ := f.in.Peek(f.in.Buffered())
	switch i := bytes.Index(window, f.delimiter); {
	case i < 0:
		f.clear = len(window) - len(f.delimiter) + 1
	case i > 0:
		f.clear = i
	case isDelimiterTail(window[len(f.delimiter):]):
		return true, nil
	default:
		f.clear = len(f.delimiter) // a line that only begins like the boundary
	}
	return false, nil
}

func isDelimiterTail(b []byte) bool {
	return bytes.HasPrefix(b, []byte("--")) || bytes.HasPrefix(b, []byte("\r\n")) ||
		len(b) > 0 && (b[0] == ' ' || b[0] == '\t')
}

// endPart passes the delimiter that Read stopped at and tells whether it is the last one of the body.
func (f *fileForm) endPart() (last bool, err error) {
	if _, err := f.in.Discard(len(f.delimiter)); err != nil {
		return false, noEOF(err)
	}
	tail, err := f.in.Peek(2)
	if err != nil {
		return false, noEOF(err)
	}
	if string(tail) == "--" {
		return true, nil
	}
	rest, err := f.line()
	if err != nil {
		return false, err
	}
	if strings.Trim(rest, " \t") != "" {
		return false, errors.New("malformed boundary in multipart/form-data")
	}
	return false, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
