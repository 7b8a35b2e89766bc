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
	line, err := s.in.ReadString('\n')
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
	pin, err := term.ReadPassword(terminal)
	s.cmd.PrintErrln()
	if err != nil {
		return "", fmt.Errorf("reading the PIN: %w", err)
	}
	return string(pin), nil
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
