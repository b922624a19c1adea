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
fails, and with 2 where a story or its policy cannot be read.`,
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
	out := playedFile{File: name, Tests: []playedStory{}}
	data, err := readFile(name)
	if err != nil {
		return out.refused(strip(err))
	}
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
