package task

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/turtacn/go-proxmox/cluster"
	"github.com/turtacn/go-proxmox/proxmoxapi/upid"
)

// maxUPID keeps a UPID within a file name.
const maxUPID = 240

// Record is an operation as submitted. It never changes.
type Record struct {
	UPID   upid.UPID       `json:"upid"`
	Queue  string          `json:"queue,omitempty"`
	Hidden bool            `json:"hidden,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Undo   []Step          `json:"undo,omitempty"` // of what was committed with it
}

// Step is an entry of the journal: the kind of the undo and its data.
type Step struct {
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data,omitempty"`
}

// journal is what an operation has done so far. Once Failed is set, it only gets undone.
type journal struct {
	Steps  []Step          `json:"steps,omitempty"`
	Saved  json.RawMessage `json:"saved,omitempty"`
	Failed string          `json:"failed,omitempty"`
}

// Finished is an entry of the archive.
type Finished struct {
	UPID   upid.UPID `json:"upid"`
	End    int64     `json:"end"` // Unix time
	Status string    `json:"status"`
}

var (
	recordSchema   = cluster.Schema[Record]{Kind: "operation", Version: 1}
	journalSchema  = cluster.Schema[journal]{Kind: "journal", Version: 1}
	finishedSchema = cluster.Schema[Finished]{Kind: "task", Version: 1}
)

// OpPrefix is the prefix of the keys of a node's operations; ParseKey takes them apart.
func OpPrefix(node string) string { return "/op/" + node + "/" }

// ArchivePrefix is the prefix of the keys of a node's finished tasks, the oldest first.
func ArchivePrefix(node string) string { return "/task/" + node + "/" }

func opKey(id upid.UPID) string      { return OpPrefix(id.Node) + id.String() }
func journalKey(id upid.UPID) string { return opKey(id) + "/journal" }
func cancelKey(id upid.UPID) string  { return opKey(id) + "/cancel" }

func archiveKey(node string, seq uint64) string {
	return fmt.Sprintf("%s%016x", ArchivePrefix(node), seq)
}

// ParseKey tells which operation a key below /op/ belongs to, and which part of it: "" for the operation itself,
// "journal" or "cancel".
func ParseKey(key string) (id upid.UPID, part string, ok bool) {
	rest, ok := strings.CutPrefix(key, "/op/")
	if !ok {
		return upid.UPID{}, "", false
	}
	node, rest, _ := strings.Cut(rest, "/")
	text, part, _ := strings.Cut(rest, "/")
	id, err := upid.Parse(text)
	return id, part, err == nil && id.Node == node
}

// DecodeFinished reads the value of a key below ArchivePrefix.
func DecodeFinished(value []byte) (Finished, error) { return finishedSchema.Decode(value) }

// DecodeRecord reads the value of an operation's key.
func DecodeRecord(value []byte) (Record, error) { return recordSchema.Decode(value) }

// encodeJSON returns nil for nil.
func encodeJSON(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}
