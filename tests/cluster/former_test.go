// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/tests/program"
)

// formerCommit is what nodes are upgraded from: the last commit before nodes told each other what they commit and one of them did what
// one does for all. It is moved on with each release, to the one before.
const formerCommit = "e8b7244643d6c61a9ab8560581c617f126d88cfe"

// errNoHistory says that the former program cannot be built here.
var errNoHistory = errors.New("the history does not go back to the former build")

var former struct {
	once sync.Once
	path string
	err  error
}

// formerProgram returns the program of [formerCommit]. Where the history does not go back so far, as in a shallow clone, the test is skipped.
func formerProgram(t *testing.T) string {
	t.Helper()
	path, found := findFormer(t)
	if !found {
		t.Skip(former.err)
	}
	return path
}

// findFormer is formerProgram for a test that has more to do.
func findFormer(t *testing.T) (path string, found bool) {
	t.Helper()
	former.once.Do(func() { former.path, former.err = buildFormer() })
	if errors.Is(former.err, errNoHistory) {
		return "", false
	}
	must(t, former.err)
	return former.path, true
}

// buildFormer builds the former program where the user's caches are, unless it is there already: that takes minutes of a processor.
func buildFormer() (string, error) {
	root, err := git(".", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", err
	}
	if _, err := git(root, "merge-base", "--is-ancestor", formerCommit, "HEAD"); err != nil {
		return "", err
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(caches, "gatehouse-tests")
	path := filepath.Join(dir, "gatehouse-"+formerCommit)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, buildAt(root, dir, path)
}

// buildAt builds the former program and puts it into a folder, under a path.
func buildAt(root, dir, path string) error {
	source, err := os.MkdirTemp("", "gh")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(source) }() // it is temporary anyway
	archive := filepath.Join(source, "source.tar")
	if _, err := git(root, "archive", "--output", archive, formerCommit); err != nil {
		return err
	}
	if said, err := exec.Command("tar", "-x", "-f", archive, "-C", source).CombinedOutput(); err != nil {
		return fmt.Errorf("unpacking the former source: %w\n%s", err, said)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	beside, err := os.MkdirTemp(dir, "building")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(beside) }() // it is temporary anyway
	built, err := program.BuildFrom(source, beside)
	if err != nil {
		return err
	}
	return os.Rename(built, path) // at once, so that nobody runs half of one
}

func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: git %s: %w %s", errNoHistory, args[0], err, said)
	}
	return strings.TrimSpace(string(said)), nil
}
