// SPDX-License-Identifier: Apache-2.0

package database

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxQuery is the longest query in bytes.
const maxQuery = 16 << 10

// errUnterminated is returned for a query that ends within quotes or a comment.
var errUnterminated = errors.New("ends within quotes or a comment")

// lexer reads a query as far as is needed to tell its parameters and its end from what stands in quotes and comments. What it
// decides is decided again by the database, which runs one statement read-only with one parameter.
type lexer struct {
	dialect *dialect
	rest    string
	// parameters are those that were met, as they are written.
	parameters []string
	words      int
	first      string // the first word
	ended      bool   // a semicolon was met
}

// check returns the query without what follows its end, or an error that says why it cannot be one.
func (d *dialect) check(query string) (string, error) {
	if len(query) > maxQuery {
		return "", fmt.Errorf("is longer than %d bytes", maxQuery)
	}
	l := lexer{dialect: d, rest: query}
	end := len(query)
	for l.rest != "" {
		at, ended := len(query)-len(l.rest), l.ended
		more, err := l.next()
		switch {
		case err != nil:
			return "", err
		case ended && more:
			return "", errors.New("is more than one statement")
		case l.ended && !ended:
			end = at
		}
	}
	if !strings.EqualFold(l.first, "select") {
		return "", errors.New("is not a SELECT")
	}
	return query[:end], l.checkParameters()
}

// checkParameters allows one parameter, however often it stands where it has a number.
func (l *lexer) checkParameters() error {
	if len(l.parameters) == 0 {
		return fmt.Errorf("has no parameter: write %s where the login name belongs", l.dialect.parameters[0])
	}
	for i, p := range l.parameters {
		if !slices.Contains(l.dialect.parameters, p) {
			return fmt.Errorf("has the parameter %s: the only one is the login name, %s", p, l.dialect.parameters[0])
		}
		if i > 0 && (p == "?" || p != l.parameters[0]) {
			return fmt.Errorf("has more than one parameter: write %s for each", l.dialect.parameters[0])
		}
	}
	return nil
}

// next reads one piece, and reports whether it is part of a statement: neither blank, comment nor semicolon.
func (l *lexer) next() (statement bool, err error) {
	c := l.rest[0]
	switch {
	case strings.IndexByte(" \t\r\n\f", c) >= 0:
		l.rest = l.rest[1:]
		return false, nil
	case strings.HasPrefix(l.rest, "--"):
		_, l.rest, _ = strings.Cut(l.rest, "\n")
		return false, nil
	case strings.HasPrefix(l.rest, "/*"):
		return false, l.comment()
	case c == ';':
		l.rest, l.ended = l.rest[1:], true
		return false, nil
	case wordStart(c):
		return true, l.word()
	case c == '\'' || c == '"' || strings.IndexByte(l.dialect.quotes, c) >= 0:
		return true, l.quoted(c, false)
	case strings.IndexByte(l.dialect.sigils, c) >= 0:
		return true, l.sigil()
	case '0' <= c && c <= '9':
		l.rest = l.rest[span(l.rest):]
		return true, nil
	}
	l.rest = l.rest[1:]
	return true, nil
}

func wordStart(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

func wordPart(c byte) bool { return wordStart(c) || '0' <= c && c <= '9' || c == '$' }

// span returns how many bytes belong to the word that the text begins with.
func span(text string) int {
	for i := range len(text) {
		if !wordPart(text[i]) {
			return i
		}
	}
	return len(text)
}

// word reads a word, and a string in quotes that belongs to it by PostgreSQL's E in front.
func (l *lexer) word() error {
	n := span(l.rest)
	word := l.rest[:n]
	if l.words++; l.words == 1 {
		l.first = word
	}
	l.rest = l.rest[n:]
	if l.dialect.escapes && strings.EqualFold(word, "e") && strings.HasPrefix(l.rest, "'") {
		return l.quoted('\'', true)
	}
	return nil
}

// quoted reads what stands in quotes, where a doubled quote stands for itself.
func (l *lexer) quoted(quote byte, escapes bool) error {
	if quote == '[' {
		quote = ']'
	}
	for i := 1; i < len(l.rest); i++ {
		switch {
		case escapes && l.rest[i] == '\\':
			i++
		case l.rest[i] != quote:
		case i+1 < len(l.rest) && l.rest[i+1] == quote && quote != ']':
			i++
		default:
			l.rest = l.rest[i+1:]
			return nil
		}
	}
	return errUnterminated
}

// comment reads a comment of the C kind, which PostgreSQL nests.
func (l *lexer) comment() error {
	depth := 0
	for i := 0; i+1 < len(l.rest); i++ {
		switch l.rest[i : i+2] {
		case "/*":
			if depth == 0 || l.dialect.nests {
				depth++
				i++
			}
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			l.rest = l.rest[i+1:]
			return nil
		}
	}
	return errUnterminated
}

// sigil reads a parameter, or what PostgreSQL quotes in dollars.
func (l *lexer) sigil() error {
	n := 1 + span(l.rest[1:])
	if l.dialect.dollars {
		if tag, _, found := strings.Cut(l.rest[1:n], "$"); found && (tag == "" || wordStart(tag[0])) {
			return l.dollars("$" + tag + "$")
		}
	}
	if l.rest[0] == ':' && n == 1 {
		l.rest = l.rest[1:]
		return nil
	}
	l.parameters = append(l.parameters, l.rest[:n])
	l.rest = l.rest[n:]
	return nil
}

func (l *lexer) dollars(tag string) error {
	_, rest, found := strings.Cut(l.rest[len(tag):], tag)
	if !found {
		return errUnterminated
	}
	l.rest = rest
	return nil
}
