package repo

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"signalbox/rules/policy"
)

func TestThePolicyIsThatOfTheRefWhereverItMoves(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("otp.yml", goodPolicy)
	f := follow(t, o.url(), t.TempDir(), nil)
	f.loads(first)
	second := o.commit("otp.yml", otherPolicy)
	f.loads(second)
	o.force("refs/heads/main", first) // a force push
	f.loads(first)
	f.loads(first)
	if got := f.metric("signalbox_policy_git_looks_total"); got != 4 {
		t.Errorf("got %v looks, want 4", got)
	}
	entries, err := os.ReadDir(f.o.Dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v and %v kept, want one copy and its record", entries, err)
	}
}

func TestWhatARefMayBe(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("otp.yml", goodPolicy)
	o.force("refs/heads/release/2026", first)
	o.force("refs/tags/v1", first)
	o.force("refs/heads/both", first)
	_, err := o.repo.CreateTag("signed-off", plumbing.NewHash(first), &git.CreateTagOptions{Message: "v2", Tagger: &object.Signature{Name: "Ada", When: day}})
	o.check(err)
	second := o.commit("otp.yml", otherPolicy)
	o.force("refs/tags/both", second)
	for ref, want := range map[string]string{
		"": second, "main": second, "refs/heads/main": second, "release/2026": first, "v1": first, "signed-off": first,
		"refs/tags/both": second, "refs/heads/both": first, first: first, second: second,
	} {
		f := follow(t, o.url(), t.TempDir(), func(o *Options) { o.Ref = ref })
		f.loads(want)
	}
	for ref, words := range map[string][]string{
		"both":            {"which is a branch and a tag: say refs/heads/both or refs/tags/both"},
		"mian":            {`got "mian" (did you mean "main"?)`},
		"refs/heads/mian": {`(did you mean "refs/heads/main"?)`},
		"nothing-near-it": {`want a branch, a tag or a commit of the repository, got "nothing-near-it"`},
		first[:10]:        {"want a branch, a tag or a whole commit id of 40 digits"},
		"0123456789abcdef0123456789abcdef01234567": {"want a commit that a branch or a tag of the repository leads to"},
	} {
		follow(t, o.url(), t.TempDir(), func(o *Options) { o.Ref = ref }).fails(words...)
	}
}

func TestATagThatMovesIsFollowed(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("otp.yml", goodPolicy)
	o.force("refs/tags/live", first)
	f := follow(t, o.url(), t.TempDir(), func(o *Options) { o.Ref = "live" })
	f.loads(first)
	second := o.commit("otp.yml", otherPolicy)
	f.loads(first)
	tag, err := o.repo.CreateTag("next", plumbing.NewHash(second), &git.CreateTagOptions{Message: "next", Tagger: &object.Signature{Name: "Ada", When: day}})
	o.check(err)
	o.force("refs/tags/live", tag.Hash().String()) // from a light tag to an annotated one
	f.loads(second)
	f.loads(second)
	o.check(o.repo.Storer.RemoveReference("refs/tags/live"))
	f.fails(`want a branch, a tag or a commit of the repository, got "live"`)
}

func TestACommitIsFetchedAloneWhereTheRemoteGivesIt(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("otp.yml", goodPolicy)
	o.commit("otp.yml", otherPolicy)
	o.check(exec.Command("git", "-C", o.dir, "config", "uploadpack.allowAnySHA1InWant", "true").Run())
	f := follow(t, o.url(), t.TempDir(), func(o *Options) { o.Ref = first })
	f.loads(first)
	if shallow, err := os.ReadFile(filepath.Join(f.kept.path(f.kept.record()), "shallow")); err != nil || strings.TrimSpace(string(shallow)) != first {
		t.Errorf("got %q and %v in shallow, want %s", shallow, err, first)
	}
	o.away()
	follow(t, o.url(), f.o.Dir, func(o *Options) { o.Ref = first }).loads(first) // nobody has to be asked
}

func TestABadCommitIsRefusedAndTheLastGoodOneStays(t *testing.T) {
	o := newOrigin(t)
	good := o.commit("otp.yml", goodPolicy)
	dir := t.TempDir()
	f := follow(t, o.url(), dir, nil)
	f.loads(good)
	bad := o.commit("otp.yml", strings.Replace(goodPolicy, "[acme, bolt]", "[acme, blot]", 1))
	p, err := f.Load(t.Context())
	var problems policy.Problems
	if p != nil || !errors.As(err, &problems) {
		t.Fatalf("got %v and %v, want the problems", p, err)
	}
	wantWords(t, err.Error(), "commit "+bad[:12], `otp.yml:8:45: lanes[0].order[1]: want a route id declared under routes, got "blot"`)
	s := f.Status()
	if s.Commit != good || s.RefusedCommit != bad || s.RefusedWhy == "" || s.Failures != 0 {
		t.Errorf("got %+v, want %s in force and %s refused", s, good, bad)
	}
	if got := f.metric("signalbox_policy_git_refused_commits_total"); got != 1 {
		t.Errorf("got %v refused, want 1", got)
	}
	again := follow(t, o.url(), dir, nil)
	again.loads(good) // a restart does not come up with the bad one, nor without one
	wantWords(t, again.log.String(), "policy taken from the kept copy", "commit "+bad[:12])
	if s := again.Status(); s.RefusedCommit != bad || !again.owed {
		t.Errorf("got %+v, owed %v, want %s refused, and somebody to be told of it", s, again.owed, bad)
	}
	mended := o.commit("otp.yml", otherPolicy)
	again.loads(mended)
	if s := again.Status(); s.RefusedCommit != "" || again.owed {
		t.Errorf("got %+v, owed %v, want nothing refused", s, again.owed)
	}
}

func TestWithoutTheRemoteTheKeptCopyIsUsedAndSaysHowOldItIs(t *testing.T) {
	o := newOrigin(t)
	commit := o.commit("otp.yml", goodPolicy)
	dir := t.TempDir()
	follow(t, o.url(), dir, nil).loads(commit)
	o.away()
	aged := *keeperOf(dir, o.url()).record()
	aged.CheckedAt = time.Now().Add(-3 * time.Hour).UTC()
	o.check(keeperOf(dir, o.url()).write(&aged, false))
	f := follow(t, o.url(), dir, nil)
	f.loads(commit)
	wantWords(t, f.log.String(), "policy fetch failed", "policy taken from the kept copy", "the remote last confirmed it 3h0m0s ago")
	s := f.Status()
	if s.Failures != 1 || s.LastError == "" || !s.ConfirmedAt.Equal(aged.CheckedAt) {
		t.Errorf("got %+v, want one failure, and %s as the last sign of the remote", s, aged.CheckedAt)
	}
	if got := f.metric("signalbox_policy_git_last_success_timestamp_seconds"); got != float64(aged.CheckedAt.Unix()) {
		t.Errorf("got %v as the last success, want %v", got, aged.CheckedAt.Unix())
	}
	f.fails("fetch policy from "+o.url(), "no repository is there") // who asks for a reload is told
	if got := f.metric("signalbox_policy_git_fetch_errors_total"); got != 2 {
		t.Errorf("got %v errors, want 2", got)
	}
}

func keeperOf(dir, url string) *keeper { return &keeper{dir: dir, url: url, most: maxCopy} }

func TestTheCopyOfAnotherSourceIsNotUsed(t *testing.T) {
	o := newOrigin(t)
	commit := o.commit("otp.yml", goodPolicy)
	dir := t.TempDir()
	follow(t, o.url(), dir, nil).loads(commit)
	o.away()
	follow(t, o.url()+".other", dir, nil).fails("no repository is there")
	follow(t, o.url(), dir, func(o *Options) { o.Ref = "main" }).fails("no repository is there")
	follow(t, o.url(), dir, nil).loads(commit) // and it is still there
}

func TestWhatAKillLeftGoesAndTheCopyOfAnotherSourceStaysUntilThereIsABetterOne(t *testing.T) {
	o, other := newOrigin(t), newOrigin(t)
	commit := o.commit("otp.yml", goodPolicy)
	other.commit("otp.yml", "version: 2\n")
	dir := t.TempDir()
	follow(t, o.url(), dir, nil).loads(commit)
	o.check(os.Mkdir(filepath.Join(dir, "0123456789ab-1"), 0o700))
	o.check(os.WriteFile(filepath.Join(dir, recordFile+"-1"), nil, 0o600))
	follow(t, other.url(), dir, nil).fails("want 1, got 2")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("got %v and %v, want the copy and its record", entries, err)
	}
	o.away()
	follow(t, o.url(), dir, nil).loads(commit)
	good := other.commit("otp.yml", otherPolicy)
	follow(t, other.url(), dir, nil).loads(good)
	follow(t, o.url(), dir, nil).fails("no repository is there")
}

func TestADamagedCopyIsFetchedAnew(t *testing.T) {
	o := newOrigin(t)
	commit := o.commit("otp.yml", goodPolicy)
	for name, harm := range map[string]func(dir string) error{
		"no objects":     func(dir string) error { return os.RemoveAll(filepath.Join(only(t, dir), "objects")) },
		"no folder":      func(dir string) error { return os.RemoveAll(only(t, dir)) },
		"record cut off": func(dir string) error { return os.WriteFile(filepath.Join(dir, recordFile), []byte(`{"url":`), 0o600) },
		"record led away": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, recordFile), []byte(`{"commit":"`+commit+`","folder":"../.."}`), 0o600)
		},
		"no record": func(dir string) error { return os.Remove(filepath.Join(dir, recordFile)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			follow(t, o.url(), dir, nil).loads(commit)
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			follow(t, o.url(), dir, nil).loads(commit)
			only(t, dir)
		})
	}
}

// only is the one folder in a folder.
func only(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*-*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("got the copies %v, want one", found)
	}
	return found[0]
}

func TestAFetchThatIsTooBigLeavesNothing(t *testing.T) {
	o := newOrigin(t)
	o.commit("otp.yml", goodPolicy)
	dir := t.TempDir()
	f := follow(t, o.url(), dir, nil)
	f.kept.most = 300
	f.fails("want a repository of at most 300 bytes, got more")
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("got %v left, want nothing", entries)
	}
}

func TestASubmoduleIsIgnoredAndSaid(t *testing.T) {
	o := newOrigin(t)
	first := o.commit("otp.yml", goodPolicy)
	for _, args := range [][]string{{"update-index", "--add", "--cacheinfo", "160000," + first + ",libs"}, {"commit", "-q", "-m", "libs"}} {
		o.check(exec.Command("git", append([]string{"-C", o.dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.org"}, args...)...).Run())
	}
	head, err := o.repo.Head()
	o.check(err)
	f := follow(t, o.url(), t.TempDir(), nil)
	f.loads(head.Hash().String())
	if got := f.Status().Ignored; len(got) != 1 || got[0] != "libs" {
		t.Errorf("got %v ignored, want libs", got)
	}
	wantWords(t, f.log.String(), `msg="submodules ignored"`, "libs")
}

func TestAnEmptyRepositoryIsSaidToBeOne(t *testing.T) {
	o := newOrigin(t)
	follow(t, o.url(), t.TempDir(), nil).fails("the repository has no commit yet")
}

func TestKeysThatCannotBeReadAreNoFaultOfTheCommit(t *testing.T) {
	o := newOrigin(t)
	o.signer = sshSigner{key: newSSHKey(t), namespace: "git"}
	commit := o.commit("otp.yml", goodPolicy)
	file := writeFile(t, "allowed_signers", allowed("", o.signer.(sshSigner).key.PublicKey()))
	f := follow(t, o.url(), t.TempDir(), func(o *Options) { o.Keys = []string{file} })
	f.loads(commit)
	o.check(os.Rename(file, file+".away"))
	f.fails("no such file")
	if s := f.Status(); s.RefusedCommit != "" || !f.owed {
		t.Errorf("got %+v, owed %v, want nothing refused, and another try", s, f.owed)
	}
	o.check(os.Rename(file+".away", file))
	f.loads(commit)
}

func TestAnUnsignedCommitIsRefusedNowAndAfterARestart(t *testing.T) {
	o := newOrigin(t)
	o.signer = sshSigner{key: newSSHKey(t), namespace: "git"}
	file := writeFile(t, "allowed_signers", allowed("", o.signer.(sshSigner).key.PublicKey()))
	signed := o.commit("otp.yml", goodPolicy)
	dir := t.TempDir()
	keys := func(o *Options) { o.Keys = []string{file} }
	f := follow(t, o.url(), dir, keys)
	f.loads(signed)
	if s := f.Status(); !strings.HasPrefix(s.SignedBy, "ada@example.org (SHA256:") {
		t.Errorf("got it signed by %q", s.SignedBy)
	}
	o.signer = nil
	unsigned := o.commit("otp.yml", otherPolicy)
	f.fails("commit "+unsigned[:12]+": want a signature by a key of "+file, "got none")
	follow(t, o.url(), dir, keys).loads(signed)
	o.check(os.WriteFile(file, []byte(allowed("", newSSHKey(t).PublicKey())), 0o600)) // the key is taken out
	follow(t, o.url(), dir, keys).fails("commit "+unsigned[:12], "the copy kept in", "commit "+signed[:12], "it is not among them")
}
