package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// Upload streams size bytes of r into a storage as content (iso, vztmpl, import) under the name file, and returns the id
// of the task that puts them in place. Nothing is buffered but the form's few lines.
func (c *Client) Upload(ctx context.Context, node, storage, content, file string, size int64, r io.Reader) (string, error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if err := form.WriteField("content", content); err != nil {
		return "", err
	}
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="filename"; filename="%s"`, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(file)))
	h.Set("Content-Type", "application/octet-stream")
	if _, err := form.CreatePart(h); err != nil {
		return "", err
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	total := int64(head.Len()) + size + int64(len(tail))

	target := c.base + "/api2/json/nodes/" + url.PathEscape(node) + "/storage/" + url.PathEscape(storage) + "/upload"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, io.MultiReader(&head, io.LimitReader(r, size), strings.NewReader(tail)))
	if err != nil {
		return "", fmt.Errorf("client: %w", err)
	}
	req.ContentLength = total
	req.Header.Set("Content-Type", form.FormDataContentType())
	var upid string
	return upid, c.send(req, &upid)
}
