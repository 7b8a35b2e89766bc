// SPDX-License-Identifier: Apache-2.0

package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// segment is a piece of a phrase. A name is what somebody else chose (an app, a user): the template isolates it, so that
// its writing direction cannot reorder the words around it.
type segment struct {
	Text string
	Name bool
}

// fill replaces each {name} of text by the value that follows name in args and keeps the values apart from the words.
func fill(text string, args []string) []segment {
	var out []segment
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return append(out, segment{Text: text})
		}
		if before != "" {
			out = append(out, segment{Text: before})
		}
		out = append(out, segment{Text: valueOf(name, args), Name: true})
		text = after
	}
	return out
}

func valueOf(name string, args []string) string {
	for i := 0; i+1 < len(args); i += 2 {
		if args[i] == name {
			return args[i+1]
		}
	}
	return ""
}

// t returns the text of key with its placeholders filled from name and value pairs. An unknown key is an error, which
// New finds by rendering every page.
func (c catalogue) t(key string, args ...string) (string, error) {
	text, ok := c[key]
	if !ok {
		return "", fmt.Errorf("looking up text %q: no such key", key)
	}
	var b strings.Builder
	for _, s := range fill(text, args) {
		b.WriteString(s.Text)
	}
	return b.String(), nil
}

// phrase is t in pieces.
func (c catalogue) phrase(key string, args ...string) ([]segment, error) {
	text, ok := c[key]
	if !ok {
		return nil, fmt.Errorf("looking up phrase %q: no such key", key)
	}
	return fill(text, args), nil
}

// text translates s when it is a key and returns it as it stands when it is not.
func (c catalogue) text(s string) string {
	if text, ok := c[s]; ok {
		return text
	}
	return s
}

// or is text of the first string that is not empty.
func (c catalogue) or(choices ...string) string {
	for _, s := range choices {
		if s != "" {
			return c.text(s)
		}
	}
	return ""
}

// notice is a message as its template takes it.
type notice struct {
	Kind, Text string
}

func (c catalogue) notice(kind Kind, s string, wait time.Duration) notice {
	return notice{Kind: string(kind), Text: strings.ReplaceAll(c.text(s), "{wait}", c.wait(wait))}
}

// wait rounds up, so that nobody comes back too early.
func (c catalogue) wait(d time.Duration) string {
	seconds := waitSeconds(d)
	switch {
	case seconds <= 0:
		return c["wait.moment"]
	case seconds == 1:
		return c["wait.second"]
	case seconds < 120:
		return strings.ReplaceAll(c["wait.seconds"], "{n}", strconv.Itoa(seconds))
	default:
		return strings.ReplaceAll(c["wait.minutes"], "{n}", strconv.Itoa((seconds+59)/60))
	}
}

func waitSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// date writes a time in UTC. With script the page shows it in the reader's own time zone.
func (c catalogue) date(at time.Time) string {
	at = at.UTC()
	months := strings.Fields(c["date.months"])
	if len(months) != 12 {
		return at.Format("2006-01-02 15:04 UTC")
	}
	return fmt.Sprintf("%d %s %d, %s UTC", at.Day(), months[at.Month()-1], at.Year(), at.Format("15:04"))
}

// errorText is one of "title", "text" and "next" of an error key, or empty when the message is no such key.
func (c catalogue) errorText(message, part string) string {
	if message == "" {
		message = ErrorServer
	}
	return c[message+"."+part]
}
