package repo

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// maxCommit bounds a commit object, in bytes.
const maxCommit = 1 << 20

// commit is a commit as its bytes say.
type commit struct {
	store     storer.EncodedObjectStorer
	root      plumbing.Hash // of its tree
	payload   []byte        // what its signature signs
	signature []byte        // armored; empty where it has none
}

// openCommit reads a commit.
func openCommit(s storer.EncodedObjectStorer, hash string) (*commit, error) {
	o, err := s.EncodedObject(plumbing.CommitObject, plumbing.NewHash(hash))
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", short(hash), err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", short(hash), err)
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, maxCommit+1))
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", short(hash), err)
	}
	c, tree, err := splitCommit(raw)
	if err != nil {
		return nil, &Refusal{hash, whyContent, err}
	}
	c.store, c.root = s, plumbing.NewHash(tree)
	return c, nil
}

const signatureHeader = "gpgsig"

// splitCommit takes a commit object apart into what its signature signs and the signature. It works on the bytes
// themselves, as git does, so that what is verified is what was signed; the tree is the one that the signed bytes name.
func splitCommit(raw []byte) (c *commit, tree string, err error) {
	if len(raw) > maxCommit {
		return nil, "", fmt.Errorf("want a commit of at most %d bytes, got more", maxCommit)
	}
	header, message, ok := bytes.Cut(raw, []byte("\n\n"))
	if !ok {
		header, message = bytes.TrimSuffix(raw, []byte("\n")), nil
	}
	c = &commit{}
	var signed []byte
	trees, inSignature := 0, false
	for _, line := range bytes.Split(header, []byte("\n")) {
		name, value, _ := bytes.Cut(line, []byte(" "))
		switch {
		case inSignature && len(name) == 0: // a header goes on behind a space
			c.signature = append(append(c.signature, value...), '\n')
			continue
		case string(name) == signatureHeader && len(c.signature) > 0:
			return nil, "", errors.New("want one signature, got several")
		case string(name) == signatureHeader:
			c.signature, inSignature = append(append(c.signature, value...), '\n'), true
			continue
		case string(name) == "tree":
			trees++
			tree = string(value)
		}
		inSignature = false
		signed = append(append(signed, line...), '\n')
	}
	if trees != 1 || !wholeCommit.MatchString(tree) {
		return nil, "", errors.New("want a commit of one tree, got other text")
	}
	c.payload = signed
	if ok {
		c.payload = append(append(c.payload, '\n'), message...)
	}
	return c, tree, nil
}
