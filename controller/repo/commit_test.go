package repo

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
	"pgregory.net/rapid"
)

const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// read is the text of an object.
func read(t *rapid.T, o plumbing.EncodedObject) []byte {
	r, err := o.Reader()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestASignedCommitIsTheUnsignedOneAndItsSignature(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		who := object.Signature{Name: "Ada", Email: "ada@example.org", When: time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "when"), 0).UTC()}
		c := object.Commit{Author: who, Committer: who, TreeHash: plumbing.NewHash(emptyTree), Message: rapid.String().Draw(t, "message")}
		if rapid.Bool().Draw(t, "child") {
			c.ParentHashes = []plumbing.Hash{plumbing.NewHash(emptyTree)}
		}
		s := memory.NewStorage()
		plain, signed := s.NewEncodedObject(), s.NewEncodedObject()
		if err := c.Encode(plain); err != nil {
			t.Fatal(err)
		}
		c.PGPSignature = "-----BEGIN SSH SIGNATURE-----\n" + rapid.StringMatching(`([a-zA-Z0-9+/=]{1,70}\n){0,5}`).Draw(t, "signature") + "-----END SSH SIGNATURE-----\n"
		if err := c.Encode(signed); err != nil {
			t.Fatal(err)
		}
		got, tree, err := splitCommit(read(t, signed))
		if err != nil || tree != emptyTree {
			t.Fatalf("got tree %q and %v", tree, err)
		}
		if want := read(t, plain); !bytes.Equal(got.payload, want) {
			t.Errorf("got the payload %q, want %q", got.payload, want)
		}
		if strings.TrimSpace(string(got.signature)) != strings.TrimSpace(c.PGPSignature) {
			t.Errorf("got the signature %q, want %q", got.signature, c.PGPSignature)
		}
		if bare, _, err := splitCommit(read(t, plain)); err != nil || len(bare.signature) > 0 || !bytes.Equal(bare.payload, got.payload) {
			t.Errorf("got %q signed by %q and %v of the unsigned commit", bare.payload, bare.signature, err)
		}
	})
}

func TestCommitsThatSayTwoThings(t *testing.T) {
	const rest = "author Ada <a@b> 1 +0000\ncommitter Ada <a@b> 1 +0000\n"
	const sig = "gpgsig -----BEGIN SSH SIGNATURE-----\n AAAA\n -----END SSH SIGNATURE-----\n"
	for name, raw := range map[string]string{
		"two trees":                  "tree " + emptyTree + "\ntree " + emptyTree + "\n" + rest + "\nx",
		"two signatures":             "tree " + emptyTree + "\n" + rest + sig + sig + "\nx",
		"two signatures, far apart":  "tree " + emptyTree + "\n" + sig + rest + sig + "\nx",
		"no tree":                    rest + "\nx",
		"a tree that is none":        "tree " + emptyTree[1:] + "\n" + rest + "\nx",
		"a tree only in the message": rest + "\ntree " + emptyTree + "\n",
		"nothing":                    "",
		"too much":                   "tree " + emptyTree + "\n" + rest + "\n" + strings.Repeat("x", maxCommit),
	} {
		if c, _, err := splitCommit([]byte(raw)); err == nil {
			t.Errorf("%s: got %q signed by %q, want an error", name, c.payload, c.signature)
		}
	}
}

func FuzzSplitCommit(f *testing.F) {
	f.Add([]byte("tree " + emptyTree + "\nauthor Ada <a@b> 1 +0000\ngpgsig x\n y\nmergetag object z\n tree q\n\nmessage"))
	f.Add([]byte("tree " + emptyTree + "\ngpgsig-sha256 x\n y\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, tree, err := splitCommit(raw)
		if err != nil {
			return
		}
		again, sameTree, err := splitCommit(c.payload)
		if err != nil || sameTree != tree || len(again.signature) > 0 {
			t.Fatalf("the payload %q has the tree %s, the signature %q and the error %v; want %s, none and none", c.payload, sameTree, again.signature, err, tree)
		}
		if len(c.payload) > len(raw)+1 {
			t.Errorf("got a payload of %d bytes of a commit of %d", len(c.payload), len(raw))
		}
	})
}
