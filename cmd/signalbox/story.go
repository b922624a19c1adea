package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"signalbox/rules/policy"
	"signalbox/rules/scenario/story"
)

func newTest() *cobra.Command {
	var t tester
	var only, junit, output string
	c := &cobra.Command{
		Use:   "test FILE.test.yml...",
		Short: "Play stories: what is observed when, and what a policy must decide",
		Long: `Plays the stories of files, or of all files of a folder whose names end with .test.yml, in their own time and as
fast as the machine can, by the same engine as the daemon. Every expectation that fails is told in one line:
where it stands, its test, when, the route, what was wanted, what there was, and why. Exits with 1 where one
fails, and with 2 where a story or its policy cannot be read.

` + storyLines,
		Example: `  signalbox test examples/quickstart
  signalbox test --run swallows --verbose examples/quickstart/carrier.test.yml`,
		Args: takes("FILE..."),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yml", "yaml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if t.only, err = regexp.Compile(only); err != nil {
				return wrong("", fmt.Errorf("--run: want a regular expression, got %q", only))
			}
			if err := t.files(cmd.Context(), args); err != nil {
				return err
			}
			return t.report(cmd.OutOrStdout(), junit, output)
		},
	}
	c.Flags().StringVar(&only, "run", "", "play only the tests whose names match a regular expression")
	c.Flags().StringVar(&junit, "junit", "", "write the results to a file in JUnit's XML, for CI")
	c.Flags().BoolVarP(&t.verbose, "verbose", "v", false, "print every test and what it decided")
	addOutput(c, &output)
	return c
}

// storyLines are the lines that stories are made of, for people.
const storyLines = `What is observed, as "- at 2m: LINE" (what lines at 0s say of routes is normal, and known to be):

  otp 234-15 10/s                       messages that follow the table
  acme-uk otp 234-15 10/s               messages on one route, whatever the table says
  otp 234-15 10/s from gw-2             from another source than gw-1
  otp 234-15 1/s burst 500 in 10s every 5m
                                        and campaigns beside them
  acme-uk delivered 40% failed 30%      how it treats messages from then on; of the rest nothing comes
  acme-uk otp GB delivered 40%          those of a class, a network, or both
  GB delivered 40%                      on whichever route
  acme-uk otp GB 10/s delivered 40%     all of it in one line
  acme-uk swallows                      accepts all, brings back nothing
  acme-uk refuses 80% code 0x08         or throttles 80%, or times out 80%
  acme-uk converted 60%                 of the messages that arrive
  acme-uk forges receipts               which say delivered, and nothing arrives
  acme-uk delay 4s..40s                 half of the receipts, and 95% of them; or delay 4s, or delay x3
  acme-uk answers in 2s                 to submits
  acme-uk receipts lost                 or pause 5m (then all at once), or batch 30s, or come
  acme-uk healthy                       all of it as at 0s again
  acme-uk probe bind 0x3 1x20           results in promtool's notation, one an interval
  acme-uk bind fails                    or ok, or stops; probe bind every 30s follows the route
  gw-1 silent                           and back
  baseline acme-uk otp 234-15 delivered 95% failed 2% messages 5000
  drain acme-uk otp GB for 1h by ann because they move
                                        operators: pin, drain, release; also "force", and "refused" where it must be
  freeze otp GB demotions               or promotions, or changes; unfreeze otp GB
  approve acme-uk by ann                or reject: the proposals that wait

What is expected: {at: 3m, route: acme-uk, phase: demoted, rule: NAME}, also by "within: 30s" later; "never" and facts;
"decisions" and a whole list. "signalbox schema story" has every key.`

// tester plays files of stories.
type tester struct {
	only    *regexp.Regexp
	verbose bool
	played  []playedFile
}

// playedFile is what became of the stories of one file.
type playedFile struct {
	File     string        `json:"file"`
	Policy   string        `json:"policy,omitempty"` // its revision
	Tests    []playedStory `json:"tests"`
	Problems []string      `json:"problems,omitempty"` // why it could not be played
}

type playedStory struct {
	story.Result
	took time.Duration
}

func (t *tester) files(ctx context.Context, args []string) error {
	names, err := storyFiles(args)
	if err != nil {
		return wrong("a file of stories ends with .test.yml; signalbox schema story describes it", err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return wrong("", errors.New("interrupted"))
		}
		t.played = append(t.played, t.file(ctx, name))
	}
	if len(t.all()) == 0 && t.problems() == 0 {
		return wrong("signalbox test --verbose lists the tests", fmt.Errorf("--run: want the name of a test, got %q, which matches none", t.only))
	}
	return nil
}

// storyFiles are the files named, and those of the folders named, each once.
func storyFiles(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("read stories: %w", strip(err))
		}
		found := []string{arg}
		if info.IsDir() {
			if found, err = storiesIn(arg); err != nil {
				return nil, err
			}
		}
		for _, name := range found {
			if name = filepath.Clean(name); !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out, nil
}

func storiesIn(dir string) ([]string, error) {
	var out []string
	for _, pattern := range []string{"*.test.yml", "*.test.yaml"} {
		found, err := filepath.Glob(filepath.Join(escapeGlob(dir), pattern))
		if err != nil {
			return nil, fmt.Errorf("read stories: %w", err)
		}
		out = append(out, found...)
	}
	if slices.Sort(out); len(out) == 0 {
		return nil, fmt.Errorf("read stories: %s: want at least one .test.yml file, got none", dir)
	}
	return out, nil
}

// escapeGlob is a folder's name in a pattern that matches only it.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}

// file plays the stories of one file.
func (t *tester) file(ctx context.Context, name string) playedFile {
	data, err := readFile(name)
	if err != nil {
		return playedFile{File: name, Tests: []playedStory{}}.refused(strip(err))
	}
	return t.play(ctx, name, data)
}

// play plays the stories of a text that stands, or might stand, in a file.
func (t *tester) play(ctx context.Context, name string, data []byte) playedFile {
	out := playedFile{File: name, Tests: []playedStory{}}
	f, err := story.Parse(policy.File{Name: name, Data: data})
	if f.Policy == nil {
		return out.refused(err)
	}
	p, policyErr := storyPolicy(name, f.Policy)
	var broken policy.Problems
	switch {
	case errors.As(policyErr, &broken):
		return out.refused(errors.Join(err, policyErr))
	case policyErr != nil:
		return out.refused(f.NoPolicy(policyErr))
	}
	if err := f.Bind(p); err != nil {
		return out.refused(err)
	}
	out.Policy = p.Revision
	for i := range f.Tests {
		if x := &f.Tests[i]; t.only.MatchString(x.Name) && ctx.Err() == nil {
			began := time.Now()
			out.Tests = append(out.Tests, playedStory{f.Play(x, p), time.Since(began)})
		}
	}
	return out
}

// storyPolicy reads the policy of a story. Its revision is always a hash of what it says, so that a story prints the
// same before and after a commit.
func storyPolicy(name string, paths []string) (*policy.Policy, error) {
	var files []policy.File
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		more, err := readPolicy(path)
		if err != nil {
			return nil, strip(err)
		}
		files = append(files, more...)
	}
	slices.SortFunc(files, func(a, b policy.File) int { return cmp.Compare(a.Name, b.Name) })
	return policy.Parse(files)
}

// refused is a file that could not be played, and every reason for it.
func (f playedFile) refused(err error) playedFile {
	f.Problems = strings.Split(err.Error(), "\n")
	return f
}

// all are the tests that were played.
func (t *tester) all() []playedStory {
	var out []playedStory
	for _, f := range t.played {
		out = append(out, f.Tests...)
	}
	return out
}

func (t *tester) problems() int {
	n := 0
	for _, f := range t.played {
		n += len(f.Problems)
	}
	return n
}

// failed is how many of some tests have failed.
func failed(all []playedStory) int {
	n := 0
	for _, s := range all {
		if len(s.Failures) > 0 {
			n++
		}
	}
	return n
}
