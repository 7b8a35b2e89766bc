// SPDX-License-Identifier: Apache-2.0

package details

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// MaxSchema is how many bytes a schema may have.
const MaxSchema = 64 << 10

// errElsewhere is what a schema gets that refers to another document: nothing is ever fetched for the sake of a schema.
var errElsewhere = errors.New("a schema may refer to itself only")

type nowhere struct{}

// Load refuses every address.
func (nowhere) Load(string) (any, error) { return nil, errElsewhere }

// Addresses within the compiler. They are names and lead nowhere.
const (
	schemaURL = "urn:gatehouse:details:schema"
	wholeURL  = "urn:gatehouse:details:whole"
)

// compile returns the schema of a type. Whatever the text says, a detail has the type's name and no member that the schema does not
// speak of (RFC 9396 5: unknown fields are refused). A format is asserted, since whoever wrote one meant it.
func compile(name string, text []byte) (*jsonschema.Schema, error) {
	if len(text) > MaxSchema {
		return nil, fmt.Errorf("its schema is longer than %d bytes", MaxSchema)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading its schema: %w", err)
	}
	root, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("its schema is no JSON object")
	}
	if root["additionalProperties"] == false {
		if properties, _ := root["properties"].(map[string]any); properties["type"] == nil {
			return nil, errors.New("its schema admits no further properties and does not name type among them: no detail could fit")
		}
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(nowhere{})
	c.AssertFormat()
	whole := map[string]any{
		"$schema":               "https://json-schema.org/draft/2020-12/schema",
		"type":                  "object",
		"properties":            map[string]any{"type": map[string]any{"const": name}},
		"required":              []any{"type"},
		"allOf":                 []any{map[string]any{"$ref": schemaURL}},
		"unevaluatedProperties": false,
	}
	if err := errors.Join(c.AddResource(schemaURL, doc), c.AddResource(wholeURL, whole)); err != nil {
		return nil, fmt.Errorf("reading its schema: %w", err)
	}
	schema, err := c.Compile(wholeURL)
	if err != nil {
		return nil, fmt.Errorf("compiling its schema: %w", err)
	}
	return schema, nil
}
