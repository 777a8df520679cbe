package client

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// TaskStatus is what the server says of a task.
type TaskStatus struct {
	UPID       string
	Node       string
	Type       string
	ID         string
	User       string
	Status     string // running or stopped
	ExitStatus string // only of a stopped one: OK, WARNINGS: N, or the error
}

// Failed reports whether the task ended with an error. Warnings are no error.
func (s TaskStatus) Failed() bool {
	return s.Status == "stopped" && s.ExitStatus != "OK" && !strings.HasPrefix(s.ExitStatus, "WARNINGS: ")
}

// TaskError is the end of a task that failed.
type TaskError struct {
	UPID, ExitStatus string
}

func (e *TaskError) Error() string { return e.ExitStatus }

// TaskLine is one line of a task's log, counted from 1.
type TaskLine struct {
	N int
	T string
}

func taskPath(upid string) (string, error) {
	fields := strings.Split(upid, ":")
	if len(fields) != 9 || fields[0] != "UPID" {
		return "", fmt.Errorf("client: %q is no task id", upid)
	}
	return "/nodes/" + url.PathEscape(fields[1]) + "/tasks/" + url.PathEscape(upid), nil
}

// TaskStatus asks once.
func (c *Client) TaskStatus(ctx context.Context, upid string) (TaskStatus, error) {
	var st TaskStatus
	path, err := taskPath(upid)
	if err != nil {
		return st, err
	}
	return st, c.Get(ctx, path+"/status", nil, &st)
}

// TaskLog returns up to limit lines from line start on (0 is the first; limit 0 is all).
func (c *Client) TaskLog(ctx context.Context, upid string, start, limit int) ([]TaskLine, error) {
	path, err := taskPath(upid)
	if err != nil {
		return nil, err
	}
	var lines []TaskLine
	return lines, c.Get(ctx, path+"/log", Params{"start": start, "limit": limit}, &lines)
}

// noContent is the only row of an empty log, in place of a first line that may still come.
const noContent = "no content"

// WaitTask polls until the task has ended, calling line for each line of its log in order (nil: none). A task that failed
// is a [*TaskError]; ctx ending does not stop the task.
func (c *Client) WaitTask(ctx context.Context, upid string, line func(TaskLine)) (TaskStatus, error) {
	seen := 0
	for wait := 50 * time.Millisecond; ; wait = min(wait*3/2, time.Second) {
		st, err := c.TaskStatus(ctx, upid)
		if err != nil {
			return st, err
		}
		if line != nil { // after the status, so that the log of an ended task is whole
			lines, err := c.TaskLog(ctx, upid, seen, 0)
			if err != nil {
				return st, err
			}
			for _, l := range lines {
				if l.N > seen && !(l.N == 1 && len(lines) == 1 && l.T == noContent) {
					line(l)
					seen = l.N
				}
			}
		}
		if st.Failed() {
			return st, &TaskError{UPID: upid, ExitStatus: st.ExitStatus}
		}
		if st.Status == "stopped" {
			return st, nil
		}
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-time.After(wait):
		}
	}
}
