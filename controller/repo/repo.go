// Package repo reads the policy out of a git repository: it asks the remote what its ref stands at, fetches the commit,
// has its signature verified where keys are given, and keeps the last good one, so that a restart does not need the
// remote.
package repo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signalbox/rules/policy"
)

// Options of a Repo. URL, Dir and Changed are required; other zero fields mean the documented default.
type Options struct {
	URL        string        // https://, ssh://, user@host:path or file://; never with a password
	Ref        string        // a branch, a tag, a full ref or a whole commit id; default: the remote's default branch
	Path       string        // a folder or a file in the repository; default: its root
	Dir        string        // where the last good copy is kept; made where there is none
	Keys       []string      // files of the keys that may sign commits; none: signatures are not asked for
	TokenFile  string        // for https: a file that holds a token, or NAME:PASSWORD; read anew at each fetch
	SSHKeyFile string        // for ssh: a file that holds a private key without a passphrase; read anew at each fetch
	KnownHosts string        // for ssh: the file of the host's key; default: those that ssh itself would read
	Interval   time.Duration // between looks at the remote, give or take a tenth; 1s to 24h; default 1m
	Timeout    time.Duration // of one look; a fetch may take fetchTimes as long; default 30s

	Wanted     func(name string) bool      // whether a file in the folder is part of the policy; default: all are
	Changed    func(context.Context) error // told that the remote stands elsewhere; whoever is told calls Load
	Logger     *slog.Logger                // default slog.Default()
	Registerer prometheus.Registerer       // default: metrics are not registered
}

const (
	minInterval     = time.Second
	maxInterval     = 24 * time.Hour
	defaultInterval = time.Minute
	defaultTimeout  = 30 * time.Second
	fetchTimes      = 4
	maxBackOff      = 5 * time.Minute // between looks at a remote that fails, where the interval is shorter
)

// Repo is a policy in a git repository.
type Repo struct {
	o       Options
	log     *slog.Logger
	metrics *metrics
	remote  *remote
	kept    *keeper
	jitter  func() float64 // 0 to 1
	turn    chan struct{}  // held by whoever looks at the remote and the copy

	mu     sync.Mutex // guards what follows
	status Status
	tried  string // the commit, or the tag, that was last read
	good   bool   // and it was good
	owed   bool   // the last load did not end as the remote stands: load again at the next look
	began  bool   // a policy has been given out
}

// New checks the options, and that the keys can be read. It does not ask the remote.
func New(o Options) (*Repo, error) {
	if o.Dir == "" || o.Changed == nil {
		return nil, errors.New("new repo: want a folder for the copy, and somebody to tell of changes")
	}
	if err := setDefaults(&o); err != nil {
		return nil, err
	}
	r := &Repo{o: o, log: o.Logger, jitter: rand.Float64, turn: make(chan struct{}, 1)}
	var err error
	if r.remote, err = newRemote(o); err != nil {
		return nil, err
	}
	if _, err := readKeys(o.Keys); err != nil {
		return nil, err
	}
	r.kept = &keeper{dir: o.Dir, url: r.remote.url, ref: o.Ref, most: maxCopy, log: o.Logger}
	r.status = Status{URL: r.remote.url, Ref: o.Ref, Path: o.Path}
	r.metrics = newMetrics(o.Registerer)
	return r, nil
}

func setDefaults(o *Options) error {
	var err error
	if o.Path, err = cleanPath(o.Path); err != nil {
		return err
	}
	if o.Interval == 0 {
		o.Interval = defaultInterval
	}
	if o.Interval < minInterval || o.Interval > maxInterval {
		return fmt.Errorf("interval: want %s to %s, got %s", minInterval, maxInterval, o.Interval)
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Wanted == nil {
		o.Wanted = func(string) bool { return true }
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// cleanPath is a path below the root of the repository, "" for the root itself.
func cleanPath(p string) (string, error) {
	clean := path.Clean(p)
	if path.IsAbs(p) || clean == ".." || len(clean) > 2 && clean[:3] == "../" {
		return "", fmt.Errorf("path: want a folder or file within the repository, such as policy, got %q", p)
	}
	if clean == "." {
		return "", nil
	}
	return clean, nil
}

// Load returns the policy at the commit that the remote's ref stands at, after having fetched it. Where nothing has been
// given out yet, it falls back on the copy that the last run kept; later its error is why the remote's commit cannot be
// used, a *Refusal or the fetch's, and whoever has the last policy keeps it.
func (r *Repo) Load(ctx context.Context) (*policy.Policy, error) {
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	defer r.release()
	p, err := r.newest(ctx)
	if err != nil && !r.hasBegun() {
		p, err = r.fallBack(err)
	}
	if err == nil {
		r.mu.Lock()
		r.began = true
		r.mu.Unlock()
	}
	return p, err
}

func (r *Repo) take(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the fetch under way: %w", ctx.Err())
	}
}

func (r *Repo) release() { <-r.turn }

// newest is the policy as the remote has it.
func (r *Repo) newest(ctx context.Context) (*policy.Policy, error) {
	t, err := r.look(ctx)
	if err != nil {
		r.setOwed(true)
		return nil, err
	}
	if known := r.kept.record(); known != nil && known.Tip == t.hash {
		p, err := r.read(known)
		if err == nil || isRefusal(err) {
			return p, r.settle(known, err)
		}
		r.log.Warn("kept copy unreadable", "file", r.kept.path(known), "err", err)
	}
	got, err := r.fetch(ctx, t)
	if err != nil {
		r.setOwed(true)
		return nil, err
	}
	p, err := r.read(got)
	if err != nil {
		r.kept.discard(got)
		return nil, r.settle(got, err)
	}
	if err := r.kept.adopt(got); err != nil {
		r.log.Warn("copy not kept", "policy", revision(got.Commit), "err", err) // a restart will need the remote
	}
	return p, r.settle(got, nil)
}

// settle remembers what was read and what came of it, and returns err.
func (r *Repo) settle(c *copied, err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tried, r.good, r.owed = c.Tip, err == nil, err != nil && !isRefusal(err) // keys that cannot be read may be mended
	if err == nil {
		r.status.inForce(c)
		r.status.RefusedCommit, r.status.RefusedWhy = "", ""
		return nil
	}
	r.status.refused(c, err)
	r.metrics.refuse(err)
	return err
}

// fallBack is the policy of the copy that the last run kept. It comes no younger than it is: the log and the status say
// when the remote last confirmed it.
func (r *Repo) fallBack(cause error) (*policy.Policy, error) {
	known := r.kept.record()
	if known == nil {
		return nil, cause
	}
	p, err := r.read(known)
	if err != nil {
		return nil, fmt.Errorf("%w; the copy kept in %s cannot be used either: %w", cause, r.o.Dir, err)
	}
	r.mu.Lock()
	r.status.inForce(known)
	r.metrics.success.Set(float64(known.CheckedAt.Unix()))
	r.owed = isRefusal(cause) // so that the refusal is told of once somebody is there to hear it
	r.mu.Unlock()
	age := time.Since(known.CheckedAt).Round(time.Second)
	r.log.Warn("policy taken from the kept copy", "policy", p.Revision, "reason", fmt.Sprintf("the remote last confirmed it %s ago", age), "err", cause)
	return p, nil
}

// read verifies a copy and parses the policy in it. Its error is a *Refusal where the commit is at fault.
func (r *Repo) read(c *copied) (*policy.Policy, error) {
	keys, err := readKeys(r.o.Keys)
	if err != nil {
		return nil, err
	}
	t, err := openCommit(r.kept.storage(c), c.Commit)
	if err != nil {
		return nil, err
	}
	if len(r.o.Keys) > 0 {
		if c.signer, err = keys.verify(t.payload, t.signature); err != nil {
			return nil, &Refusal{c.Commit, whySignature, err}
		}
	}
	files, ignored, err := t.files(r.o.Path, r.o.Wanted)
	if err != nil {
		return nil, refuse(c.Commit, err)
	}
	if c.ignored = ignored; len(ignored) > 0 {
		r.log.Warn("submodules ignored", "policy", revision(c.Commit), "file", ignored)
	}
	p, err := policy.Parse(files)
	if err != nil {
		return nil, &Refusal{c.Commit, whyPolicy, err}
	}
	p.Revision = revision(c.Commit)
	return p, nil
}

func (r *Repo) hasBegun() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.began
}

func (r *Repo) setOwed(owed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owed = owed
}

// revision is how decisions and tables name a commit.
func revision(commit string) string { return "git:" + short(commit) }

func short(commit string) string { return commit[:min(12, len(commit))] }
