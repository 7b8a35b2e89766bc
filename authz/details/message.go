// SPDX-License-Identifier: Apache-2.0

package details

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// MaxMessage is how long a rendered message may be, in characters: as long as a phone shows it whole.
const MaxMessage = 155

// MaxSigned is how long authorization_details may be that a realm approves, in characters of their JSON: as long as a phone signs.
const MaxSigned = 2000

// message is a text with places for members of a detail: "Pay {instructedAmount.amount} to {creditorName}".
type message struct {
	// texts stand before, between and behind the places.
	texts []string
	paths []string
}

// parseMessage reads a template. A place is a path of member names in braces; there is no way to write a brace itself.
func parseMessage(text string) (message, error) {
	var m message
	rest := text
	for {
		before, after, found := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return message{}, errors.New("its message has a closing brace without an opening one")
		}
		m.texts = append(m.texts, before)
		if !found {
			break
		}
		path, further, closed := strings.Cut(after, "}")
		if !closed || !validPath(path) {
			return message{}, fmt.Errorf("its message has the place %q, which is no path such as {amount.value}", "{"+path)
		}
		m.paths, rest = append(m.paths, path), further
	}
	if strings.TrimSpace(strings.Join(m.texts, "")) == "" {
		return message{}, errors.New("its message has no words of its own")
	}
	shortest := strings.Join(m.texts, "x") // each value is a character at least
	if _, err := shown.Text("message", shortest, shown.Content{Most: MaxMessage}); err != nil {
		return message{}, fmt.Errorf("its message cannot be shown: %w", err)
	}
	return m, nil
}

// validPath admits member names with points between them.
func validPath(path string) bool {
	for name := range strings.SplitSeq(path, ".") {
		if name == "" || strings.ContainsAny(name, "{} \t\r\n") {
			return false
		}
	}
	return len(path) <= 128
}

// render returns the message for a detail. What a place names must be there, be one value, and be fit to be shown as it is:
// nobody approves a text with a hole in it, or one that looks like another (package shown). Values are put in once and never
// read as a template themselves.
func (m message) render(d oauth.Detail) (string, error) {
	var b strings.Builder
	value := d.Value()
	for i, text := range m.texts {
		b.WriteString(text)
		if i == len(m.paths) {
			break
		}
		member, ok := listed(value, m.paths[i])
		if !ok || strings.TrimSpace(member) == "" {
			return "", refused("an authorization detail lacks what its approval has to name")
		}
		member, err := shown.Text("value", member, shown.Content{Most: shown.MaxValue})
		if err != nil {
			return "", refused("an authorization detail holds a text that cannot be shown to a person").WithCause(err)
		}
		b.WriteString(member)
	}
	if strings.Contains(b.String(), shown.CodePlace) {
		return "", refused("an authorization detail holds a text that cannot be shown to a person")
	}
	whole, err := shown.Text("message", b.String(), shown.Content{Most: MaxMessage})
	if err != nil {
		return "", refused("an authorization detail is too long to be shown to a person").WithCause(err)
	}
	return whole, nil
}

// listed returns what stands at a path as text: one value, or a list of texts, none of which reads as two.
func listed(value map[string]any, path string) (string, bool) {
	var at any = value
	for name := range strings.SplitSeq(path, ".") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", false
		}
		at = object[name]
	}
	list, ok := at.([]any)
	if !ok {
		return oauth.ScalarText(at)
	}
	words := make([]string, 0, len(list))
	for _, item := range list {
		word, ok := oauth.ScalarText(item)
		if !ok || strings.ContainsAny(word, ",،、，") {
			return "", false
		}
		words = append(words, word)
	}
	return strings.Join(words, ", "), len(words) > 0
}
