package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"signalbox/controller"
	"signalbox/controller/repo"
	"signalbox/rules/policy"
)

// gitOptions are what a policy in a git repository is read by; without a URL, it is in a folder.
type gitOptions struct {
	url, ref, path string
	keys           []string
	interval       time.Duration
	tokenFile      string
	sshKeyFile     string
	knownHosts     string
	ctx            func() context.Context // whose end ends the fetches under way
}

// addGit adds the flags of a policy in git.
func addGit(c *cobra.Command, o *gitOptions) {
	f := c.Flags()
	f.StringVar(&o.url, "policy.git.url", "", "the repository of the policy, instead of --policy: https://, ssh://, USER@HOST:PATH or file://")
	f.StringVar(&o.ref, "policy.git.ref", "", "the branch, tag or whole commit id to follow (default the remote's default branch)")
	f.StringVar(&o.path, "policy.git.path", "", "the folder or file of the policy in the repository (default its root)")
	f.DurationVar(&o.interval, "policy.git.interval", time.Minute, "how often to look at the repository, give or take a tenth: 1s to 24h")
	f.StringArrayVar(&o.keys, "policy.git.keys", nil, "a file of keys that may sign commits, armored OpenPGP or ssh's allowed_signers; may be repeated; given, all other commits are refused")
	f.StringVar(&o.tokenFile, "policy.git.token-file", "", "for https: a file with a token, or NAME:PASSWORD")
	f.StringVar(&o.sshKeyFile, "policy.git.ssh-key-file", "", "for ssh: a file with a private key")
	f.StringVar(&o.knownHosts, "policy.git.ssh-known-hosts", "", "for ssh: the file with the host's key (default those that ssh reads)")
	for _, name := range []string{"keys", "token-file", "ssh-key-file", "ssh-known-hosts"} {
		_ = c.MarkFlagFilename("policy.git." + name) // the flag is there
	}
}

// onePolicy wants the policy from one place.
func onePolicy(c *cobra.Command, path string, o gitOptions) error {
	switch {
	case path != "" && o.url != "":
		return wrong("leave one of them out", errors.New("--policy.git.url: want a policy from one place, got --policy too"))
	case path == "" && o.url == "":
		return missingPolicy(c)
	case o.url == "":
		return strayGit(c)
	}
	return nil
}

func missingPolicy(c *cobra.Command) error {
	if err := strayGit(c); err != nil {
		return err
	}
	return wrong("signalbox check DIR tries one", errors.New("--policy: want a folder of YAML files, one file, or --policy.git.url, got nothing"))
}

// strayGit refuses flags of git where no repository is named.
func strayGit(c *cobra.Command) error {
	for _, name := range []string{"ref", "path", "interval", "keys", "token-file", "ssh-key-file", "ssh-known-hosts"} {
		if c.Flags().Changed("policy.git." + name) {
			return wrong(seeHelp(c), fmt.Errorf("--policy.git.%s: want --policy.git.url beside it, got none", name))
		}
	}
	return nil
}

// checkSource refuses a policy that cannot be used before anything is made. One in git is fetched only later, under the
// lock of the data folder, as the copy lies in there.
func checkSource(o daemonOptions) error {
	if o.git.url == "" {
		_, err := loadPolicy(o.policy)
		return err
	}
	_, err := newRepo(o, func(context.Context) error { return nil }, nil)
	return err
}

func newRepo(o daemonOptions, changed func(context.Context) error, r prometheus.Registerer) (*repo.Repo, error) {
	g := o.git
	found, err := repo.New(repo.Options{URL: g.url, Ref: g.ref, Path: g.path, Dir: filepath.Join(o.data, "policy.git"), Keys: g.keys,
		TokenFile: g.tokenFile, SSHKeyFile: g.sshKeyFile, KnownHosts: g.knownHosts, Interval: g.interval,
		Wanted: isPolicyFile, Changed: changed, Logger: o.logger, Registerer: r})
	if err != nil {
		return nil, wrong("signalbox run --help says what each flag takes", fmt.Errorf("--policy.git.%w", err))
	}
	return found, nil
}

// openSource says how the policy is loaded.
func (d *daemon) openSource(r prometheus.Registerer) (load func() (*policy.Policy, error), err error) {
	o := d.o.git
	if o.url == "" {
		return func() (*policy.Policy, error) { return loadPolicy(d.o.policy) }, nil
	}
	if o.ctx == nil {
		o.ctx = context.Background
	}
	d.git, err = newRepo(d.o, func(ctx context.Context) error { return d.control.Reload(ctx) }, r)
	return func() (*policy.Policy, error) {
		p, err := d.git.Load(o.ctx())
		return p, unusable(err, o.url)
	}, err
}

// unusable says what to do about a policy that could not be had from git.
func unusable(err error, url string) error {
	var refusal *repo.Refusal
	var problems policy.Problems
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &refusal):
		return wrong("git ls-remote "+url+" tries it by hand", err)
	case errors.As(err, &problems):
		return wrong("signalbox check tries it in a checkout; push what mends it", fmt.Errorf("commit %.12s: %w", refusal.Commit, &badPolicy{problems}))
	}
	return wrong("git show --show-signature "+refusal.Commit+" shows it in a checkout", err)
}

// sourced tells of the policy in force, and where it comes from.
type sourced struct {
	*controller.Controller
	git *repo.Repo // nil: a folder
}

// Status implements api.Policy.
func (s sourced) Status() controller.PolicyStatus {
	status := s.Controller.Status()
	if s.git != nil {
		status.Source = s.git.Status()
	}
	return status
}
