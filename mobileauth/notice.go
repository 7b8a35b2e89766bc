// SPDX-License-Identifier: Apache-2.0

package mobileauth

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"

	"golang.org/x/text/language"
)

// fallback is the language for people whose own nobody wrote a message in.
const fallback = "en"

// maxLanguages bounds a list of languages that a stranger can have parsed.
const maxLanguages = 512

// Notice is what the people of a version are told. The zero value says nothing.
type Notice struct {
	// ID tells notices apart, so that an app shows each once; empty when there is nothing to tell.
	ID string
	// URL leads to what the notice speaks of; empty for none.
	URL   string
	words *words
}

// words are a message in several languages.
type words struct {
	texts   []string
	matcher language.Matcher
}

// newNotice returns the notice of a rule: none unless it has something to say.
func newNotice(app string, r *Rule) Notice {
	if len(r.Messages) == 0 && r.URL == "" {
		return Notice{}
	}
	n := Notice{ID: r.MessageID, URL: r.URL}
	if n.ID == "" {
		n.ID = fingerprint(app, r)
	}
	if len(r.Messages) == 0 {
		return n
	}
	locales := slices.Sorted(maps.Keys(r.Messages))
	if i := slices.Index(locales, fallback); i > 0 { // the matcher falls back to the first
		locales = slices.Insert(slices.Delete(locales, i, i+1), 0, fallback)
	}
	n.words = new(words)
	tags := make([]language.Tag, len(locales))
	for i, locale := range locales {
		tags[i] = language.Make(locale)
		n.words.texts = append(n.words.texts, r.Messages[locale])
	}
	n.words.matcher = language.NewMatcher(tags)
	return n
}

// Text returns the message in the best of the languages: of each list, in the form of Accept-Language (RFC 9110 12.5.4), in turn.
// A list that is malformed, too long or has none of ours is passed over. In the end it is English, or the first language in the
// order of the alphabet.
func (n Notice) Text(languages ...string) string {
	if n.words == nil {
		return ""
	}
	for _, list := range languages {
		if list == "" || len(list) > maxLanguages {
			continue
		}
		tags, _, err := language.ParseAcceptLanguage(list)
		if err != nil || len(tags) == 0 {
			continue
		}
		if _, i, confidence := n.words.matcher.Match(tags...); confidence > language.No {
			return n.words.texts[i]
		}
	}
	return n.words.texts[0]
}

// fingerprint is an id that is the same on every node for as long as a rule says the same.
func fingerprint(app string, r *Rule) string {
	said, _ := json.Marshal([]any{app, r.Pattern, r.Platform, r.Status, r.Messages, r.URL}) // texts always encode
	sum := sha256.Sum256(said)
	return "n_" + base64.RawURLEncoding.EncodeToString(sum[:12])
}
