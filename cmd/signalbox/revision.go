package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// gitRevision is "git:" and the commit that the policy at path is as of, or "" where it is not in a checkout or differs
// from what was committed.
func gitRevision(path string) string {
	dir, target := path, "."
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		dir, target = filepath.Dir(path), filepath.Base(path)
	}
	if status, ok := git(dir, "status", "--porcelain", "--ignored", "--", target); !ok || status != "" {
		return ""
	}
	// A folder without a tracked file is clean too, but it is not part of the commit.
	if tracked, ok := git(dir, "ls-files", "--", target); !ok || tracked == "" {
		return ""
	}
	commit, ok := git(dir, "log", "-1", "--format=%h", "--abbrev=12", "--", target)
	if !ok || commit == "" {
		return ""
	}
	return "git:" + commit
}

// gitWithin is how long git may take; a policy must load where it hangs.
const gitWithin = 5 * time.Second

// git is what git says in a folder, whatever repository the environment points to.
func git(dir string, args ...string) (out string, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), gitWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GIT_") })
	data, err := cmd.Output()
	return strings.TrimSpace(string(data)), err == nil
}
