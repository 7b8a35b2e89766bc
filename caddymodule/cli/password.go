// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxPassword bounds what is read as a password.
const maxPassword = 4 << 10

// readPassword asks for a password twice at a terminal, and reads one line from standard input where there is none.
func (c *client) readPassword() (string, error) {
	if in, ok := c.cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		return c.askPassword(int(in.Fd()))
	}
	line, err := bufio.NewReader(io.LimitReader(c.cmd.InOrStdin(), maxPassword)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return "", errors.New("there is no password on standard input")
	}
	return password, nil
}

func (c *client) askPassword(terminal int) (string, error) {
	first, err := c.prompt(terminal, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := c.prompt(terminal, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords are not the same")
	}
	return first, nil
}

func (c *client) prompt(terminal int, text string) (string, error) {
	if _, err := fmt.Fprint(c.cmd.ErrOrStderr(), text); err != nil {
		return "", err
	}
	password, err := term.ReadPassword(terminal)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	_, err = fmt.Fprintln(c.cmd.ErrOrStderr())
	return string(password), err
}
