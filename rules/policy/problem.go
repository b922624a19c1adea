package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a policy, and where.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`    // from 1
	Column  int    `json:"column"`  // from 1, in characters
	Path    string `json:"path"`    // such as lanes[0].order[2]; lists are counted within their file
	Message string `json:"message"` // in the form "want …, got …"
}

// Advice is something that is allowed and probably not meant. It has the same shape as a Problem.
type Advice = Problem

// String is the problem in the form "file:line:column: path: want …, got …".
func (p Problem) String() string {
	s := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Message
}

// Problems are all problems of a policy by file, line and column.
type Problems []Problem

// Error is one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders by place and drops what was said twice.
func sorted(p []Problem) []Problem {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(p)
}

// place is where something stands in the files.
type place struct {
	file         string
	line, column int
	path         string
}

func (p place) problem(message string) Problem {
	return Problem{File: p.file, Line: p.line, Column: p.column, Path: p.path, Message: message}
}

// String is the place without its path, to name it from elsewhere.
func (p place) String() string { return fmt.Sprintf("%s:%d:%d", p.file, p.line, p.column) }
