package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1)
	}
}

// testCase is a line of input.
type testCase struct {
	Name  string          `json:"name"`
	Op    string          `json:"op"`
	Input json.RawMessage `json:"input"`
}

// run answers the cases of the suite that args names, until in ends.
func run(args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: acceptance SUITE")
	}
	suite, known := find(args[0])
	lines := bufio.NewReader(in)
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if err := answers.Encode(answer(suite, known, line)); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// answer answers one case. A panic of the code under test is the answer of that case alone.
func answer(suite func(string) suiteFunc, known bool, line []byte) (reply map[string]any) {
	defer func() {
		if p := recover(); p != nil {
			reply = map[string]any{"result": fmt.Sprintf("panic: %v", p)}
		}
	}()
	if !known {
		return map[string]any{"skip": "no such suite here"}
	}
	var c testCase
	if err := json.Unmarshal(line, &c); err != nil {
		return map[string]any{"result": "unreadable case: " + err.Error()}
	}
	result, err := suite(c.Name)(c.Op, c.Input)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return map[string]any{"result": result}
}
