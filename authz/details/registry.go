// SPDX-License-Identifier: Apache-2.0

package details

import (
	"errors"
	"fmt"
	"slices"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Type is one registered type of authorization_details (RFC 9396 2.1).
type Type struct {
	Name string
	// Schema is the JSON Schema of a detail, "type" included; draft 2020-12 unless it says otherwise. It may refer to itself only.
	Schema []byte
	// Messages are the sentences in which people are asked, by language (BCP 47); "" is for every other language and must be there.
	// Places in braces stand for members: "Pay {instructedAmount.amount} to {creditorName}".
	Messages map[string]string
	// Realms have to be proven anew for each request that has a detail of the type; they show its message. Without any, the consent
	// page is where it is approved.
	Realms []string
	// Lists are members that hold lists of texts, of which a client may have fewer later than were granted. Everything else is
	// had as it was granted, or not at all.
	Lists []string
	// Once makes an approval good for one request at a gate.
	Once bool
}

// kind is a type that was checked.
type kind struct {
	Type
	schema   *jsonschema.Schema
	messages map[string]message
	matcher  language.Matcher
	tags     []string
}

// Registry knows the registered types. It never changes and is safe for concurrent use. A nil registry knows none.
type Registry struct {
	kinds map[string]*kind
	names []string
	lists map[string][]string
}

// New returns a registry of types with distinct names, or an error that names the type and what to mend.
func New(types ...Type) (*Registry, error) {
	r := &Registry{kinds: map[string]*kind{}, lists: map[string][]string{}}
	for _, t := range types {
		k, err := newKind(t)
		if err == nil && r.kinds[t.Name] != nil {
			err = errors.New("it is defined twice")
		}
		if err != nil {
			return nil, fmt.Errorf("authorization_details %q: %w", t.Name, err)
		}
		r.kinds[t.Name], r.lists[t.Name] = k, k.Lists
		r.names = append(r.names, t.Name)
	}
	slices.Sort(r.names)
	return r, nil
}

func newKind(t Type) (*kind, error) {
	if !oauth.ValidDetailType(t.Name) {
		return nil, errors.New("its name is not one word of printable ASCII without quotes")
	}
	if len(t.Schema) == 0 {
		return nil, errors.New("it has no schema")
	}
	if slices.Contains(t.Lists, "type") {
		return nil, errors.New("type is no list of which there could be fewer")
	}
	if t.Once && len(t.Lists) > 0 {
		return nil, errors.New("what is good once cannot be narrowed: each narrower form would be good once more")
	}
	k := &kind{Type: t, messages: map[string]message{}}
	var err error
	if k.schema, err = compile(t.Name, t.Schema); err != nil {
		return nil, err
	}
	if _, ok := t.Messages[""]; !ok {
		return nil, errors.New("it has no message for people who read none of its languages")
	}
	supported := []language.Tag{language.Und}
	k.tags = []string{""}
	for tag, text := range t.Messages {
		if k.messages[tag], err = parseMessage(text); err != nil {
			return nil, err
		}
		if tag == "" {
			continue
		}
		parsed, err := language.Parse(tag)
		if err != nil {
			return nil, fmt.Errorf("its message is for %q, which is no language", tag)
		}
		supported, k.tags = append(supported, parsed), append(k.tags, tag)
	}
	k.matcher = language.NewMatcher(supported)
	return k, nil
}

// Names returns the registered types in ascending order, for the metadata (RFC 9396 10).
func (r *Registry) Names() []string {
	if r == nil {
		return nil
	}
	return slices.Clone(r.names)
}

// Realms returns the realms that types have approved, each once: for whoever checks that they are defined.
func (r *Registry) Realms() []string {
	var realms []string
	for _, name := range r.Names() {
		realms = append(realms, r.kinds[name].Realms...)
	}
	slices.Sort(realms)
	return slices.Compact(realms)
}

// Once reports whether an approval of the type is good for one request.
func (r *Registry) Once(name string) bool {
	if r == nil {
		return false
	}
	k, ok := r.kinds[name]
	return ok && k.Once
}
