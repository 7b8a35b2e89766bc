// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ask asks the person, or takes the next line of standard input where there is no person.
func (s *session) ask(question string) (string, error) {
	if terminal := s.terminal(); terminal >= 0 {
		s.cmd.PrintErr(question)
	}
	line, err := s.patient(func() (string, error) { return s.in.ReadString('\n') })
	line = strings.TrimSpace(line)
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", fmt.Errorf("asking %q: there is no answer on standard input: %w", strings.TrimRight(question, ": "), err)
	}
	return line, nil
}

// askPIN asks for a PIN without showing it.
func (s *session) askPIN(question string) (string, error) {
	terminal := s.terminal()
	if terminal < 0 {
		return s.ask(question)
	}
	s.cmd.PrintErr(question)
	pin, err := s.patient(func() (string, error) {
		pin, err := term.ReadPassword(terminal)
		return string(pin), err
	})
	s.cmd.PrintErrln()
	if err != nil {
		return "", fmt.Errorf("reading the PIN: %w", err)
	}
	return pin, nil
}

// patient waits for what a person types, until the person goes away: nothing else can end a read from a terminal. Whoever reads is
// left behind then, for the moment that the program still has, and the terminal is given back as it was.
func (s *session) patient(read func() (string, error)) (string, error) {
	terminal := s.terminal()
	if terminal < 0 {
		return read()
	}
	before, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("asking the terminal: %w", err)
	}
	type typed struct {
		text string
		err  error
	}
	done := make(chan typed, 1)
	go func() {
		text, err := read()
		done <- typed{text, err}
	}()
	select {
	case t := <-done:
		return t.text, t.err
	case <-s.ctx.Done():
		return "", errors.Join(s.ctx.Err(), term.Restore(terminal, before))
	}
}

// terminal returns the terminal of the person, -1 where there is none.
func (s *session) terminal() int {
	if in, ok := s.cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		return int(in.Fd())
	}
	return -1
}

// newPIN asks twice at a terminal.
func (s *session) newPIN(question string) (string, error) {
	first, err := s.askPIN(question)
	if err != nil || s.terminal() < 0 {
		return first, err
	}
	second, err := s.askPIN("Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two PINs are not the same")
	}
	return first, nil
}
