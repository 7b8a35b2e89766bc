// SPDX-License-Identifier: Apache-2.0

package approvals

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/details"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
)

// Type is one type of authorization_details that clients may ask for.
type Type struct {
	// The name of the type, as it stands in "type".
	Name string `json:"name"`
	// Its JSON Schema.
	Schema json.RawMessage `json:"schema,omitempty"`
	// A file with its JSON Schema, instead of the schema itself.
	SchemaFile string `json:"schema_file,omitempty"`
	// The sentences in which people are asked, by language; "" is for every other one. Members stand in braces.
	Messages map[string]string `json:"messages"`
	// The realms that have to be proven anew for each request. Default: the consent page asks.
	Realms []string `json:"realms,omitempty"`
	// The members that list texts of which a client may ask for fewer at the token endpoint. Default: none.
	Narrow []string `json:"narrow,omitempty"`
	// Whether an approval is good for one request at a protected route.
	Once bool `json:"once,omitempty"`
}

// ParseType reads:
//
//	authorization_details <type> {
//		schema  <file>|<JSON>
//		message [<language>] <text>
//		realm   <realm...>
//		narrow  <member...>
//		once
//	}
func ParseType(into *[]Type) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		var t Type
		if err := option.String(&t.Name)(d); err != nil {
			return err
		}
		err := option.Block{
			Options: map[string]option.Parse{
				"schema": t.parseSchema, "message": t.parseMessage, "realm": option.Strings(&t.Realms),
				"narrow": option.Strings(&t.Narrow), "once": option.Flag(&t.Once),
			},
			Repeat: []string{"message", "realm", "narrow"},
		}.Parse(d)
		*into = append(*into, t)
		return err
	}
}

// parseSchema takes what begins with a brace for the schema itself.
func (t *Type) parseSchema(d *caddyfile.Dispenser) error {
	var text string
	if err := option.String(&text)(d); err != nil {
		return err
	}
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		t.SchemaFile = text
		return nil
	}
	if !json.Valid([]byte(text)) {
		return d.Err("schema begins like JSON and is none: it stands between backquotes")
	}
	t.Schema = json.RawMessage(text)
	return nil
}

func (t *Type) parseMessage(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 1 && len(args) != 2 {
		return d.Err("message needs a text, in quotes, and may have its language before it")
	}
	language, text := "", args[len(args)-1]
	if len(args) == 2 {
		language = args[0]
	}
	if _, twice := t.Messages[language]; twice {
		return d.Errf("there are two messages for %q", language)
	}
	if t.Messages == nil {
		t.Messages = map[string]string{}
	}
	t.Messages[language] = text
	return nil
}

// Registry builds what the authorization server knows the types by; nil for none. It reads the schema files.
func Registry(types []Type) (*details.Registry, error) {
	if len(types) == 0 {
		return nil, nil
	}
	built := make([]details.Type, len(types))
	for i, t := range types {
		schema, err := t.schema()
		if err != nil {
			return nil, fmt.Errorf("authorization_details %q: %w", t.Name, err)
		}
		built[i] = details.Type{
			Name: t.Name, Schema: schema, Messages: t.Messages, Realms: t.Realms, Lists: t.Narrow, Once: t.Once,
		}
	}
	return details.New(built...)
}

func (t *Type) schema() ([]byte, error) {
	switch {
	case len(t.Schema) > 0 && t.SchemaFile != "":
		return nil, errors.New("it has both a schema and a schema_file: choose one")
	case t.SchemaFile == "":
		return t.Schema, nil
	}
	text, err := os.ReadFile(t.SchemaFile)
	if err != nil {
		return nil, fmt.Errorf("reading its schema: %w", err)
	}
	return text, nil
}

// Check refuses realms that cannot approve, by what is told of each, and types that could not be built. It reads no file.
func Check(types []Type, approves func(realm string) error) error {
	for _, t := range types {
		for _, realm := range t.Realms {
			if err := approves(realm); err != nil {
				return fmt.Errorf("authorization_details %q: realm %q: %w", t.Name, realm, err)
			}
		}
		if t.SchemaFile != "" {
			continue // it may not be here yet
		}
		if _, err := Registry([]Type{t}); err != nil {
			return err
		}
	}
	return nil
}

// Find returns the type of a name; false when it is not registered.
func Find(types []Type, name string) (Type, bool) {
	for _, t := range types {
		if t.Name == name {
			return t, true
		}
	}
	return Type{}, false
}
