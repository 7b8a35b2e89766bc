// SPDX-License-Identifier: Apache-2.0

package badgerstore_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
)

// Some tests need a process of their own, to kill it or to weigh it. The test binary starts itself again with the name of
// a part in the environment and plays that part instead of running tests.
var parts = map[string]func(dir string) error{}

const (
	partVariable = "GATEHOUSE_TEST_PART"
	dirVariable  = "GATEHOUSE_TEST_DIR"
)

func TestMain(m *testing.M) {
	parts["crash"] = playCrash
	parts["fill"] = playFill
	parts["idle"] = playIdle
	parts["hold"] = playHold
	play, ok := parts[os.Getenv(partVariable)]
	if !ok {
		os.Exit(m.Run())
	}
	if err := play(os.Getenv(dirVariable)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is the test binary in another part.
func process(t *testing.T, part, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), partVariable+"="+part, dirVariable+"="+dir)
	command.Stderr = os.Stderr
	return command
}

func yield() { runtime.Gosched() }
