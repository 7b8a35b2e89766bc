// SPDX-License-Identifier: Apache-2.0

package simulator_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gatehouse-id/gatehouse/caddymodule/simulator"
)

// screen is a terminal with somebody before it: what is typed goes to keys, and everything that can be seen is kept.
type screen struct {
	t        *testing.T
	keys     *os.File
	terminal *os.File

	mu   sync.Mutex
	seen strings.Builder
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("the system has no terminals: %v", err)
	}
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, keys: keys, terminal: terminal}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_, _ = io.Copy(s, keys) // ends with the terminal
	}()
	t.Cleanup(func() {
		_ = terminal.Close()
		<-watched
		_ = keys.Close()
	})
	return s
}

// Write is what the terminal shows.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(p)
}

func (s *screen) shows(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.seen.String(), text)
}

// echoes reports whether what is typed can be seen.
func (s *screen) echoes() bool {
	s.t.Helper()
	mode, err := unix.IoctlGetTermios(int(s.terminal.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// until waits for a condition.
func (s *screen) until(what string, condition func() bool) {
	s.t.Helper()
	for !condition() {
		if s.t.Context().Err() != nil {
			s.t.Fatalf("waiting until %s", what)
		}
		runtime.Gosched()
	}
}

// types writes a line once what is typed is hidden, or once the question can be read.
func (s *screen) types(line, question string) {
	s.t.Helper()
	if question == "" {
		s.until("what is typed is hidden", func() bool { return !s.echoes() })
	} else {
		s.until("the question is there", func() bool { return s.shows(question) })
	}
	if _, err := s.keys.WriteString(line + "\n"); err != nil {
		s.t.Fatal(err)
	}
}

// answer is what came of a question.
type answer struct {
	text string
	err  error
}

func asks(ask func(string) (string, error), question string) <-chan answer {
	said := make(chan answer, 1)
	go func() {
		text, err := ask(question)
		said <- answer{text, err}
	}()
	return said
}

// TestPINAtATerminal: a PIN is asked for, cannot be seen, and the terminal is as it was afterwards.
func TestPINAtATerminal(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	person := simulator.Person(s.terminal, s.terminal)
	said := asks(person.AskPIN, "PIN: ")
	s.types("493817", "")
	if got := <-said; got.text != "493817" || got.err != nil {
		t.Errorf("%q, %v", got.text, got.err)
	}
	s.until("the question is there", func() bool { return s.shows("PIN: ") })
	if !s.echoes() {
		t.Error("what is typed afterwards stays hidden")
	}
	// What can be seen comes in order, so the PIN would stand before this.
	said = asks(person.Ask, "Number: ")
	s.types("42", "Number: ")
	if got := <-said; got.text != "42" || got.err != nil {
		t.Errorf("%q, %v", got.text, got.err)
	}
	s.until("the number can be seen", func() bool { return s.shows("42") })
	if s.shows("493817") {
		t.Error("the PIN could be seen")
	}
}

func TestNewPINAtATerminal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, first, second, wants string
	}{
		{"the same twice", "493817", "493817", ""},
		{"another one", "493817", "493818", "not the same"},
		{"nothing the second time", "493817", "", "not the same"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newScreen(t)
			said := asks(simulator.Person(s.terminal, s.terminal).NewPIN, "Choose a PIN: ")
			s.types(test.first, "")
			s.until("it is asked once more", func() bool { return s.shows("Once more: ") })
			s.types(test.second, "")
			got := <-said
			if (got.err == nil) != (test.wants == "") || got.err != nil && (!strings.Contains(got.err.Error(), test.wants) || got.text != "") {
				t.Errorf("%q, %v", got.text, got.err)
			}
			if got.err == nil && got.text != test.first {
				t.Errorf("%q", got.text)
			}
			if s.shows(test.first) || got.err != nil && strings.Contains(got.err.Error(), test.first) {
				t.Error("the PIN could be seen")
			}
		})
	}
}

// TestPersonGoesAway: who presses Ctrl-C at a question is not kept, and the terminal shows again what is typed.
func TestPersonGoesAway(t *testing.T) {
	t.Parallel()
	for _, hidden := range []bool{true, false} {
		s := newScreen(t)
		ctx, stop := context.WithCancel(t.Context())
		person := simulator.Person(s.terminal, s.terminal).During(ctx)
		ask := person.Ask
		if hidden {
			ask = person.AskPIN
		}
		said := asks(ask, "Well: ")
		s.until("the question is there", func() bool { return s.shows("Well: ") && s.echoes() != hidden })
		stop()
		if got := <-said; !errors.Is(got.err, context.Canceled) || got.text != "" {
			t.Errorf("hidden %v: %q, %v", hidden, got.text, got.err)
		}
		if !s.echoes() {
			t.Error("what is typed afterwards stays hidden")
		}
		if _, err := s.keys.WriteString("\n"); err != nil { // for whoever still reads
			t.Fatal(err)
		}
	}
}
