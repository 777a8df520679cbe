package vm

import (
	"context"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/turtacn/go-proxmox/proxmoxapi/call"
	"github.com/turtacn/go-proxmox/proxmoxapi/schema"
)

// Limits of files that are read and of what is passed to programs, in bytes.
const (
	readMax   = 16 << 20
	readPiece = 1 << 20
	inputMax  = 64 << 10
)

// PostNodesQemuAgentExec starts a program in the guest and returns its pid for exec-status.
func (s *Service) PostNodesQemuAgentExec(ctx context.Context, req *schema.PostNodesQemuAgentExec) (any, error) {
	args := map[string]any{"capture-output": true}
	switch {
	case len(req.Command) > 0:
		args["path"], args["arg"] = req.Command[0], req.Command[1:]
	case req.InputData == nil:
		return nil, call.Errorf("command or input-data (or both) required")
	}
	if req.InputData != nil {
		if len(*req.InputData) > inputMax {
			return nil, call.Param("input-data", "value may only be %d bytes long", inputMax)
		}
		args["input-data"] = base64.StdEncoding.EncodeToString([]byte(*req.InputData))
	}
	var out schema.PostNodesQemuAgentExecReply
	err := s.withAgent(ctx, int(req.Vmid), agentTimeout, func(ctx context.Context, a agent) error {
		return a.Do(ctx, "guest-exec", args, &out)
	})
	if err != nil {
		return nil, refused(err)
	}
	return out, nil
}

// GetNodesQemuAgentExecStatus tells what became of a program that exec has started.
func (s *Service) GetNodesQemuAgentExecStatus(ctx context.Context, req *schema.GetNodesQemuAgentExecStatus) (any, error) {
	var st struct {
		Exited       bool   `json:"exited"`
		Exitcode     *int64 `json:"exitcode"`
		Signal       *int64 `json:"signal"`
		OutData      string `json:"out-data"`
		ErrData      string `json:"err-data"`
		OutTruncated bool   `json:"out-truncated"`
		ErrTruncated bool   `json:"err-truncated"`
	}
	err := s.withAgent(ctx, int(req.Vmid), agentTimeout, func(ctx context.Context, a agent) error {
		return a.Do(ctx, "guest-exec-status", map[string]any{"pid": req.Pid}, &st)
	})
	if err != nil {
		return nil, refused(err)
	}
	out := schema.GetNodesQemuAgentExecStatusReply{
		Exited: schema.Bool(st.Exited), Exitcode: st.Exitcode, Signal: st.Signal,
		OutTruncated: flag(st.OutTruncated), ErrTruncated: flag(st.ErrTruncated),
	}
	if out.OutData, err = optionalText(st.OutData); err != nil {
		return nil, err
	}
	if out.ErrData, err = optionalText(st.ErrData); err != nil {
		return nil, err
	}
	return out, nil
}

// GetNodesQemuAgentFileRead returns the content of a file of the guest.
func (s *Service) GetNodesQemuAgentFileRead(ctx context.Context, req *schema.GetNodesQemuAgentFileRead) (any, error) {
	limit := int64(readMax)
	if req.Count != nil && *req.Count > 0 {
		limit = min(*req.Count, readMax)
	}
	var content []byte
	var more bool
	err := s.withAgent(ctx, int(req.Vmid), thawTimeout, func(ctx context.Context, a agent) error {
		return a.withFile(ctx, req.File, "r", func(handle int64) (err error) {
			if req.Offset != nil && *req.Offset > 0 {
				seek := map[string]any{"handle": handle, "offset": *req.Offset, "whence": "set"}
				if err := a.Do(ctx, "guest-file-seek", seek, nil); err != nil {
					return err
				}
			}
			content, more, err = a.readFile(ctx, handle, limit)
			return err
		})
	})
	if err != nil {
		return nil, refused(err)
	}
	text := decodeText(content)
	if req.Decode != nil && !*req.Decode {
		text = base64.StdEncoding.EncodeToString(content)
	}
	out := map[string]any{"content": text, "bytes-read": len(content)}
	if more {
		out["truncated"] = 1
	}
	return out, nil
}

// withFile opens a file of the guest for as long as use runs.
func (a agent) withFile(ctx context.Context, path, mode string, use func(handle int64) error) error {
	var handle int64
	if err := a.Do(ctx, "guest-file-open", map[string]any{"path": path, "mode": mode}, &handle); err != nil {
		return err
	}
	err := use(handle)
	if closing := a.Do(ctx, "guest-file-close", map[string]any{"handle": handle}, nil); err == nil {
		err = closing
	}
	return err
}

// readFile reads an open file piece by piece. more: the limit came before its end. The agent says how much it read; only
// what really came counts.
func (a agent) readFile(ctx context.Context, handle, limit int64) (content []byte, more bool, err error) {
	for {
		var piece struct {
			Data string `json:"buf-b64"`
			EOF  bool   `json:"eof"`
		}
		want := min(limit-int64(len(content)), readPiece)
		if err := a.Do(ctx, "guest-file-read", map[string]any{"handle": handle, "count": want}, &piece); err != nil {
			return nil, false, err
		}
		data, err := base64.StdEncoding.DecodeString(piece.Data)
		if err != nil || int64(len(data)) > want {
			return nil, false, call.Errorf("VM %d qga command 'guest-file-read' failed - bad reply", a.id)
		}
		content = append(content, data...)
		switch {
		case piece.EOF:
			return content, false, nil
		case int64(len(content)) >= limit:
			return content, true, nil
		case len(data) == 0:
			return nil, false, call.Errorf("VM %d qga command 'guest-file-read' failed - bad reply", a.id)
		}
	}
}

// PostNodesQemuAgentFileWrite replaces the content of a file of the guest.
func (s *Service) PostNodesQemuAgentFileWrite(ctx context.Context, req *schema.PostNodesQemuAgentFileWrite) (any, error) {
	content := req.Content
	if req.Encode == nil || *req.Encode {
		content = base64.StdEncoding.EncodeToString([]byte(content))
	}
	err := s.withAgent(ctx, int(req.Vmid), thawTimeout, func(ctx context.Context, a agent) error {
		return a.withFile(ctx, req.File, "wb", func(handle int64) error {
			return a.Do(ctx, "guest-file-write", map[string]any{"handle": handle, "buf-b64": content}, nil)
		})
	})
	return nil, refused(err)
}

// PostNodesQemuAgentSetUserPassword sets the password of a user of the guest.
func (s *Service) PostNodesQemuAgentSetUserPassword(ctx context.Context, req *schema.PostNodesQemuAgentSetUserPassword) (any, error) {
	args := map[string]any{
		"username": req.Username, "password": base64.StdEncoding.EncodeToString([]byte(req.Password)), "crypted": isTrue(req.Crypted),
	}
	err := s.withAgent(ctx, int(req.Vmid), agentTimeout, func(ctx context.Context, a agent) error {
		return a.Do(ctx, "guest-set-user-password", args, nil)
	})
	if err != nil {
		return nil, refused(err)
	}
	return agentResult{struct{}{}}, nil
}

func optionalText(encoded string) (*string, error) {
	if encoded == "" {
		return nil, nil
	}
	data, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, call.Errorf("Agent error: output is not base64")
	}
	out := decodeText(data)
	return &out, nil
}

// decodeText makes a text of bytes: UTF-8 as it is, anything else byte by byte, so that nothing is lost in JSON.
func decodeText(data []byte) string {
	if utf8.Valid(data) {
		return string(data)
	}
	var b strings.Builder
	for _, c := range data {
		b.WriteRune(rune(c))
	}
	return b.String()
}
