// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update writes the tables of the page anew: go test ./tests/scale -update.
var update = flag.Bool("update", false, "write the tables of docs/scale.md anew")

const page = "../../docs/scale.md"

// The tables stand in the page between such lines, the first with the arguments that print them.
const begin, end = "<!-- go run ./tests/scale ", "<!-- end -->"

// TestPage: the tables of the page are what the program prints.
func TestPage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var fresh strings.Builder
	tables := 0
	for rest := string(text); ; tables++ {
		before, after, found := strings.Cut(rest, begin)
		fresh.WriteString(before)
		if !found {
			break
		}
		args, after, _ := strings.Cut(after, " -->\n")
		_, behind, closed := strings.Cut(after, end)
		if !closed {
			t.Fatalf("the table of %q has no end", args)
		}
		var printed bytes.Buffer
		if err := run(strings.Fields(args), &printed, io.Discard); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		fresh.WriteString(begin + args + " -->\n\n" + printed.String() + "\n" + end)
		rest = behind
	}
	if tables < 4 {
		t.Errorf("the page has %d tables", tables)
	}
	if *update {
		if err := os.WriteFile(page, []byte(fresh.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(fresh.String(), string(text)); diff != "" {
		t.Errorf("the page differs from what is printed; go test ./tests/scale -update writes it (-printed +page):\n%s", diff)
	}
}

// TestArguments: what cannot be is refused, and nothing is printed.
func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range []string{
		"-users many", "-users 1e5,", "-users 0", "-users -1e5", "-users NaN", "-users Inf", "-logins -1", "-peak 0.5", "-peak 25", "-phones 1.1",
		"-table chairs", "-cores 0", "-busy 2", "-rtt 0s", "-rtt -1ms", "-commits NaN", "-nobody", "-new 2",
	} {
		var out bytes.Buffer
		if err := run(strings.Fields(args), &out, io.Discard); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v\n%s", args, err, out.String())
		}
	}
}

// TestFlagsCount: each part of the profile and of what it runs on makes a difference.
func TestFlagsCount(t *testing.T) {
	t.Parallel()
	usual := printed(t, "")
	for _, args := range []string{
		"-users 2e5", "-logins 2", "-signons 2", "-refreshes 2", "-calls 2e3", "-introspections 2e2", "-mints 2e2", "-revocations 2", "-phones 0.9",
		"-operations 5", "-new 0.1", "-peak 6", "-apps 30", "-cores 2", "-busy 0.1", "-memory 1e9", "-commits 100", "-trips 500", "-wal 1e6", "-disk 1e10",
		"-connections 50", "-pool 100", "-rtt 5ms", "-checkpoint 1000h",
	} {
		if printed(t, args) == usual {
			t.Errorf("%s makes no difference", args)
		}
	}
}

func printed(t *testing.T, args string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(strings.Fields(args), &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
