package repo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/memory"
	"golang.org/x/crypto/ssh/knownhosts"

	"signalbox/rules/policy"
)

// remote is the repository elsewhere.
type remote struct {
	url         string
	address     address
	credentials credentials
	ref         string
}

// tip is what a ref stands at.
type tip struct {
	ref  string // its full name; "" where the commit itself was asked for
	hash string // of the commit, or of the annotated tag
}

func newRemote(o Options) (*remote, error) {
	a, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	c := credentials{o.TokenFile, o.SSHKeyFile, o.KnownHosts}
	if err := c.fit(a, len(o.Keys) > 0); err != nil {
		return nil, err
	}
	if _, err := c.method(a); err != nil {
		return nil, err
	}
	if strings.HasPrefix(o.Ref, "-") || strings.ContainsAny(o.Ref, " ~^:?*[\\\x7f") {
		return nil, fmt.Errorf("ref: want a branch, a tag or a whole commit id, got %q", o.Ref)
	}
	return &remote{url: a.text, address: a, credentials: c, ref: o.Ref}, nil
}

func (m *remote) in(s *filesystem.Storage) *git.Remote {
	c := &config.RemoteConfig{Name: "origin", URLs: []string{m.url}}
	if s == nil {
		return git.NewRemote(memory.NewStorage(), c)
	}
	return git.NewRemote(s, c)
}

var (
	wholeCommit = regexp.MustCompile(`^[0-9a-f]{40}$`)
	partCommit  = regexp.MustCompile(`^[0-9a-f]{7,39}$`)
)

// tip is what the ref stands at now. A commit stands where it is: the remote is not asked.
func (m *remote) tip(ctx context.Context, within time.Duration) (tip, error) {
	if wholeCommit.MatchString(m.ref) {
		return tip{hash: m.ref}, nil
	}
	auth, err := m.credentials.method(m.address)
	if err != nil {
		return tip{}, err
	}
	refs, err := m.in(nil).ListContext(ctx, &git.ListOptions{Auth: auth, ProxyOptions: withDeadline(m.address, within)})
	if err != nil {
		return tip{}, m.explain(err)
	}
	return pick(refs, m.ref)
}

// pick finds what was asked for among the refs of a remote.
func pick(refs []*plumbing.Reference, want string) (tip, error) {
	at := map[string]string{}
	for _, r := range refs {
		if r.Type() == plumbing.HashReference {
			at[r.Name().String()] = r.Hash().String()
		}
	}
	if want == "" {
		return pickDefault(refs, at)
	}
	if strings.HasPrefix(want, "refs/") {
		if at[want] == "" {
			return tip{}, noSuchRef(at, want)
		}
		return tip{want, at[want]}, nil
	}
	branch, tag := "refs/heads/"+want, "refs/tags/"+want
	switch {
	case at[branch] != "" && at[tag] != "":
		return tip{}, fmt.Errorf("ref: want one thing, got %q, which is a branch and a tag: say %s or %s", want, branch, tag)
	case at[branch] != "":
		return tip{branch, at[branch]}, nil
	case at[tag] != "":
		return tip{tag, at[tag]}, nil
	}
	return tip{}, noSuchRef(at, want)
}

// pickDefault follows HEAD.
func pickDefault(refs []*plumbing.Reference, at map[string]string) (tip, error) {
	for _, r := range refs {
		if r.Name() != plumbing.HEAD {
			continue
		}
		target := r.Target().String()
		if r.Type() == plumbing.HashReference {
			return tip{"HEAD", r.Hash().String()}, nil
		}
		if at[target] != "" {
			return tip{target, at[target]}, nil
		}
	}
	return tip{}, errors.New("ref: the remote has no default branch: say which branch, tag or commit is meant")
}

func noSuchRef(at map[string]string, want string) error {
	if partCommit.MatchString(want) {
		return fmt.Errorf("ref: want a branch, a tag or a whole commit id of 40 digits, got %q", want)
	}
	var names []string
	for name := range at {
		if !strings.HasPrefix(want, "refs/") {
			name = strings.TrimPrefix(strings.TrimPrefix(name, "refs/heads/"), "refs/tags/")
		}
		names = append(names, name)
	}
	sort.Strings(names)
	meant := ""
	if near := policy.Nearest(want, names); near != "" {
		meant = fmt.Sprintf(" (did you mean %q?)", near)
	}
	return fmt.Errorf("ref: want a branch, a tag or a commit of the repository, got %q%s", want, meant)
}

// keptRef is where a fetched tip stands in the copy.
const keptRef = "refs/signalbox/policy"

// fetch gets what the ref stands at, and no history where the remote can leave it out. It returns the commit, and the
// tip, which may have moved since it was looked at.
func (m *remote) fetch(ctx context.Context, within time.Duration, t tip, to *filesystem.Storage) (commit, at string, err error) {
	src := t.ref
	if src == "" {
		src = t.hash
	}
	err = m.get(ctx, within, to, 1, src+":"+keptRef)
	if t.ref == "" && errors.Is(err, git.ErrExactSHA1NotSupported) {
		err = m.get(ctx, within, to, 0, "refs/heads/*:refs/signalbox/heads/*", "refs/tags/*:refs/signalbox/tags/*")
	}
	if err != nil {
		return "", "", fmt.Errorf("get %s: %w", src, err)
	}
	hash := plumbing.NewHash(t.hash)
	if t.ref != "" {
		r, err := to.Reference(keptRef)
		if err != nil {
			return "", "", err
		}
		hash = r.Hash()
	}
	c, err := peel(to, hash)
	return c, hash.String(), err
}

func (m *remote) get(ctx context.Context, within time.Duration, to *filesystem.Storage, depth int, specs ...string) error {
	auth, err := m.credentials.method(m.address)
	if err != nil {
		return err
	}
	o := &git.FetchOptions{Depth: depth, Auth: auth, Tags: git.NoTags, Force: true, ProxyOptions: withDeadline(m.address, within)}
	for _, s := range specs {
		o.RefSpecs = append(o.RefSpecs, config.RefSpec("+"+s))
	}
	return m.explain(m.in(to).FetchContext(ctx, o))
}

// peel is the commit that a hash stands for: itself, or what a tag says.
func peel(s *filesystem.Storage, hash plumbing.Hash) (string, error) {
	for range 8 { // tags of tags
		o, err := s.EncodedObject(plumbing.AnyObject, hash)
		if err != nil {
			return "", fmt.Errorf("ref: want a commit that a branch or a tag of the repository leads to, got %s: %w", hash, err)
		}
		switch o.Type() {
		case plumbing.CommitObject:
			return hash.String(), nil
		case plumbing.TagObject:
			t, err := object.DecodeTag(s, o)
			if err != nil {
				return "", fmt.Errorf("read tag %s: %w", hash, err)
			}
			hash = t.Target
		default:
			return "", fmt.Errorf("ref: want a commit, got the %s %s", o.Type(), hash)
		}
	}
	return "", fmt.Errorf("ref: want a tag of a commit, got a chain of tags that ends nowhere")
}

// explain says what an error of the transport means to whoever set it up.
func (m *remote) explain(err error) error {
	var host *knownhosts.KeyError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return errors.New("the repository has no commit yet")
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return errors.New("no repository is there, or none that these credentials show")
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed),
		strings.Contains(err.Error(), "ssh: unable to authenticate"): // it has no other mark
		return errors.New("the remote refuses these credentials" + m.whichFile())
	case errors.As(err, &host) && len(host.Want) == 0:
		return fmt.Errorf("the host key of %s is not known: check it, and add it to the known_hosts file", m.address.host)
	case errors.As(err, &host):
		return fmt.Errorf("the host key of %s is another than the known_hosts file says: somebody may stand on the way", m.address.host)
	}
	return err
}

func (m *remote) whichFile() string {
	switch {
	case m.credentials.tokenFile != "":
		return ": see " + m.credentials.tokenFile
	case m.credentials.keyFile != "":
		return ": see " + m.credentials.keyFile
	}
	return ": want a token, got none (token-file)"
}
