// SPDX-License-Identifier: Apache-2.0

package details

import (
	"errors"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// refused is the one kind of refusal (RFC 9396 5). Its text repeats nothing that was sent.
func refused(description string) *oauth.Error {
	return oauth.NewError(oauth.InvalidAuthorizationDetails, description)
}

// errSchema is the cause where a schema is not met. The validator's own text repeats values, which belong to no log.
var errSchema = errors.New("the schema is not met")

// Asked is what a client asks for.
type Asked struct {
	Details oauth.Details
	// Realms have to be proven for this request and no other, each once.
	Realms []string
	// Message is what they show: that of the one detail which they approve; empty where there are none.
	Message string
	// Consent tells that a detail is approved by nobody but whoever reads the consent page.
	Consent bool
}

// Read judges an authorization_details parameter of a client that may use the allowed types (RFC 9396 5): the types have to be
// registered and allowed, each detail has to fit its schema, and what people are to approve has to be fit to be shown. Of details
// that realms approve there may be one in a request: one approval is for one thing; and all that such a request asks for is at most
// [MaxSigned] long, so that a phone signs it. An empty text asks for nothing. Refusals are
// *[oauth.Error].
func (r *Registry) Read(text string, allowed []string, locale string) (Asked, error) {
	if text == "" {
		return Asked{}, nil
	}
	parsed, err := oauth.ParseDetails(text)
	if err != nil {
		return Asked{}, err
	}
	asked := Asked{Details: parsed}
	for _, d := range parsed {
		k, err := r.fit(d, allowed)
		if err != nil {
			return Asked{}, err
		}
		line, err := k.message(locale).render(d)
		if err != nil {
			return Asked{}, err
		}
		switch {
		case len(k.Realms) == 0:
			asked.Consent = true
		case asked.Message != "":
			return Asked{}, refused("there may be one authorization detail of a kind that is approved on its own")
		default:
			asked.Message, asked.Realms = line, slices.Clone(k.Realms)
		}
	}
	if asked.Message == "" {
		return asked, nil
	}
	if _, err := shown.Text("details", asked.Details.String(), shown.Content{Most: MaxSigned}); err != nil {
		return Asked{}, refused("authorization_details are too long, or hold a text that cannot be shown, to be signed").WithCause(err)
	}
	return asked, nil
}

// fit returns the type of a detail that fits it.
func (r *Registry) fit(d oauth.Detail, allowed []string) (*kind, error) {
	if r == nil || r.kinds[d.Type()] == nil {
		return nil, refused("a type of authorization_details is not known")
	}
	if !slices.Contains(allowed, d.Type()) {
		return nil, refused("the client may not use a type of authorization_details")
	}
	k := r.kinds[d.Type()]
	if err := k.schema.Validate(d.Value()); err != nil {
		return nil, refused("an authorization detail does not fit its type").WithCause(errSchema)
	}
	return k, nil
}

// Lines returns the sentences in which details are shown on the consent page, in their order. It refuses what is not registered
// any more.
func (r *Registry) Lines(d oauth.Details, locale string) ([]string, error) {
	lines := make([]string, 0, len(d))
	for _, detail := range d {
		if r == nil || r.kinds[detail.Type()] == nil {
			return nil, refused("a type of authorization_details is not known")
		}
		line, err := r.kinds[detail.Type()].message(locale).render(detail)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// Kept returns those of granted details that a client still may have: a configuration that was narrowed since holds at the next
// token.
func (r *Registry) Kept(granted oauth.Details, allowed []string) oauth.Details {
	var kept oauth.Details
	for _, d := range granted {
		if _, err := r.fit(d, allowed); err == nil {
			kept = append(kept, d)
		}
	}
	return kept
}

// Narrow judges what a token request asks for of what was granted (RFC 9396 6): as much as was granted when it names nothing, else
// what it names, when each detail fits its type and lies within the grant.
func (r *Registry) Narrow(text string, granted oauth.Details, allowed []string) (oauth.Details, error) {
	kept := r.Kept(granted, allowed)
	if text == "" {
		return kept, nil
	}
	asked, err := oauth.ParseDetails(text)
	if err != nil {
		return nil, err
	}
	for _, d := range asked {
		if _, err := r.fit(d, allowed); err != nil {
			return nil, err
		}
	}
	if !asked.Within(kept, r.lists) {
		return nil, refused("authorization_details goes beyond what was granted")
	}
	return asked, nil
}

// message returns the message for a reader. Locale is a list of languages, the most wanted first, delimited by spaces (ui_locales).
func (k *kind) message(locale string) message {
	wanted, _, err := language.ParseAcceptLanguage(strings.ReplaceAll(strings.TrimSpace(locale), " ", ","))
	if err != nil || len(wanted) == 0 {
		return k.messages[""]
	}
	_, i, confidence := k.matcher.Match(wanted...)
	if confidence == language.No {
		return k.messages[""]
	}
	return k.messages[k.tags[i]]
}
