// SPDX-License-Identifier: Apache-2.0

package mobilefirst

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Kind says what has to be done about a finding.
type Kind string

// Kinds of findings.
const (
	// Warning is something that was carried over, or that was dangerous before, and should be looked at.
	Warning Kind = "warning"
	// NoEquivalent is something that there is no way to say here.
	NoEquivalent Kind = "no equivalent"
	// FillIn is something that the files do not tell and that has to be written into the Caddyfile.
	FillIn Kind = "fill in"
)

// Finding is one thing that whoever uses the Caddyfile has to know. It holds no value of a parameter.
type Finding struct {
	Kind Kind `json:"kind"`
	// Line is where it stands in authenticationConfig.xml; 0 when it stands nowhere.
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`

	place string // in the Caddyfile; empty for its beginning
}

// String returns the finding as one line.
func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.Kind, f.Text)
	}
	return fmt.Sprintf("line %d: %s: %s", f.Line, f.Kind, f.Text)
}

// findings are collected in the order in which they are found, each once.
type findings struct{ all []Finding }

func (f *findings) add(kind Kind, line int, place, format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = printable(text)
		}
	}
	found := Finding{Kind: kind, Line: line, Text: fmt.Sprintf(format, args...), place: place}
	if !slices.Contains(f.all, found) {
		f.all = append(f.all, found)
	}
}

// at returns the findings that belong to one place.
func (f *findings) at(place string) []Finding {
	var here []Finding
	for _, found := range f.all {
		if found.place == place {
			here = append(here, found)
		}
	}
	return here
}

// copy has what was found at one place stand at another as well.
func (f *findings) copy(from, to string) {
	for _, found := range f.at(from) {
		found.place = to
		if !slices.Contains(f.all, found) {
			f.all = append(f.all, found)
		}
	}
}

// gather moves what was found at places that are not written to the beginning, unless it stands elsewhere, too.
func (f *findings) gather(written map[string]bool) {
	var kept []Finding
	for _, found := range f.all {
		elsewhere := slices.ContainsFunc(f.all, func(other Finding) bool {
			return other.Line == found.Line && other.Text == found.Text && written[other.place]
		})
		if !written[found.place] {
			if elsewhere {
				continue
			}
			found.place = ""
		}
		kept = append(kept, found)
	}
	f.all = kept
}

func placeOf(what, name string) string { return what + " " + name }

// maxWord bounds what is repeated of a file in a sentence.
const maxWord = 120

// printable returns what can stand in a comment of a Caddyfile and on a terminal: no line ends, no control characters, and no
// braces, which mean something to Caddy even in a comment.
func printable(text string) string {
	text = strings.Map(func(c rune) rune {
		switch {
		case c == '{':
			return '('
		case c == '}':
			return ')'
		case c == unicode.ReplacementChar || !unicode.IsPrint(c):
			return '?'
		}
		return c
	}, text)
	if runes := []rune(text); len(runes) > maxWord {
		return string(runes[:maxWord]) + "…"
	}
	return text
}
