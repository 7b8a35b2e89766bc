// SPDX-License-Identifier: Apache-2.0

package origin

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// The placeholders of a template. Each may also be written in square brackets, as the replaced systems have them.
const (
	message         = "message"
	operatingSystem = "operating_system"
	browser         = "browser"
	countryCode     = "country_code"
	region          = "region"
	city            = "city"
)

// MaxTemplate is how long a template may be, in characters.
const MaxTemplate = 500

// ErrTemplate is wrapped by what is wrong with a template.
var ErrTemplate = errors.New("invalid template")

// placeholder matches a placeholder, and what could be meant as one: anything in braces.
var placeholder = regexp.MustCompile(`\{[^{}]*\}|\[(?:message|operating_system|browser|country_code|region|city)\]`)

// Template is a text into which a message and its origin are put.
type Template struct {
	// texts stand around names: one more than there are names.
	texts, names []string
}

// ParseTemplate reads a template. It refuses an unknown placeholder in braces, a template that does not say exactly once where
// the message goes, one that is too long, and characters that could not be shown. A word in square brackets that is no
// placeholder is text.
func ParseTemplate(text string) (Template, error) {
	context, err := shown.Context{Content: text}.Check(shown.Content{Most: MaxTemplate, Lines: true})
	if err != nil {
		return Template{}, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	text = context.Content
	var t Template
	messages, end := 0, 0
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		name := text[at[0]+1 : at[1]-1]
		switch name {
		case message:
			messages++
		case operatingSystem, browser, countryCode, region, city:
		default:
			return Template{}, fmt.Errorf("%w: there is no placeholder {%s}: there are {message}, {operating_system}, {browser}, "+
				"{country_code}, {region} and {city}", ErrTemplate, name)
		}
		t.texts, t.names = append(t.texts, text[end:at[0]]), append(t.names, name)
		end = at[1]
	}
	if messages != 1 {
		return Template{}, fmt.Errorf("%w: {message} stands in it %d times, want once", ErrTemplate, messages)
	}
	t.texts = append(t.texts, text[end:])
	return t, nil
}

// asks reports whether one of the placeholders stands in the template.
func (t Template) asks(names ...string) bool {
	return slices.ContainsFunc(t.names, func(mine string) bool { return slices.Contains(names, mine) })
}

// fill puts values in place of the placeholders, once: what looks like a placeholder in a value is text. It returns the name of
// the first that has no value, if there is one.
func (t Template) fill(values map[string]string) (text, missing string) {
	var filled strings.Builder
	for i, name := range t.names {
		if values[name] == "" {
			return "", name
		}
		filled.WriteString(t.texts[i])
		filled.WriteString(values[name])
	}
	filled.WriteString(t.texts[len(t.names)])
	return filled.String(), ""
}
