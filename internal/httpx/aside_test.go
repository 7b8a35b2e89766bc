// SPDX-License-Identifier: Apache-2.0

package httpx_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/httpx"
)

var errBroken = errors.New("something is broken")

// caught returns what f panics with.
func caught(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

// breaks is where the panics of the tests begin.
func breaks(value any) { panic(value) }

func TestAside(t *testing.T) {
	t.Parallel()
	done := false
	httpx.Aside(func() { done = true })
	if !done {
		t.Error("it has returned before it was done")
	}
}

// TestAsidePanics: whoever called for it gets the panic, with its cause and the place where it began.
func TestAsidePanics(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		value any
		is    error
	}{
		{"an error", errBroken, errBroken},
		{"a text", "broken", nil},
	} {
		err, _ := caught(func() { httpx.Aside(func() { breaks(tt.value) }) }).(error)
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprint(tt.value)) || !strings.Contains(err.Error(), "httpx_test.breaks") {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := errors.Unwrap(err); !errors.Is(got, tt.is) {
			t.Errorf("%s: it wraps %v", tt.name, got)
		}
	}
}

// TestAsideExits: a test that fails aside ends, as it would have.
func TestAsideExits(t *testing.T) {
	t.Parallel()
	returned := false
	var group sync.WaitGroup
	group.Go(func() {
		httpx.Aside(runtime.Goexit)
		returned = true
	})
	group.Wait()
	if returned {
		t.Error("the caller went on")
	}
}

// deep uses about so many KiB of stack.
func deep(n int) byte {
	var frame [1024]byte
	if n > 0 {
		frame[n] = deep(n - 1)
	}
	return frame[n]
}

func BenchmarkAside(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		httpx.Aside(func() { deep(20) })
	}
}
