// SPDX-License-Identifier: Apache-2.0

package adapterauth

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
)

// maxKept bounds what is kept between two rounds, in bytes. It is a part of a record, beside what other realms keep.
const maxKept = 20 << 10

// conversation is what is kept between two rounds.
type conversation struct {
	// Round counts how often the back end was asked.
	Round int `json:"round"`
	// Mark comes back with the answers.
	Mark string `json:"mark"`
	// State is the back end's.
	State     string    `json:"state,omitempty"`
	Challenge challenge `json:"challenge"`
}

// challenge is what the back end asks.
type challenge struct {
	Fields  []field           `json:"fields,omitempty"`
	Message string            `json:"message,omitempty"`
	Error   bool              `json:"error,omitempty"` // the message is about a mistake
	Data    map[string]string `json:"data,omitempty"`
}

// field is one thing it asks.
type field struct {
	Name         string `json:"name"`
	Label        string `json:"label"`
	Type         string `json:"type,omitempty"`
	Autocomplete string `json:"autocomplete,omitempty"`
	InputMode    string `json:"input_mode,omitempty"`
	Required     bool   `json:"required,omitempty"`
	Value        string `json:"value,omitempty"`
}

// restore reads what was kept; false when there is nothing, or nothing that can be read.
func restore(state []byte) (c conversation, ok bool) {
	if state == nil || json.Unmarshal(state, &c) != nil || c.Round < 1 || c.Mark == "" {
		return conversation{}, false
	}
	return c, true
}

// keep is the other way round. It refuses what is too much.
func (c conversation) keep() ([]byte, error) {
	state, err := json.Marshal(c)
	if err == nil && len(state) > maxKept {
		err = fmt.Errorf("its state and what it asks are more than %d bytes together", maxKept)
	}
	if err != nil {
		return nil, fmt.Errorf("keeping what the back end asks: %w", err)
	}
	return state, nil
}

func (c challenge) fields() []realm.Field {
	fields := make([]realm.Field, 0, len(c.Fields)+1)
	for _, f := range c.Fields {
		fields = append(fields, realm.Field{
			Name: f.Name, Label: f.Label, Type: f.Type, Value: f.Value, Autocomplete: f.Autocomplete, InputMode: f.InputMode,
			Required: f.Required,
		})
	}
	return fields
}

// same tells that both ask people for the same in the same words: the answers to the first were none that the back end could use. A
// button to press again, such as while a phone is waited for, is nothing to guess at.
func (c challenge) same(last challenge) bool {
	return len(c.Fields) > 0 && c.Message == last.Message && slices.Equal(c.Fields, last.Fields)
}

// take picks the answers to what was asked, and says whether all that is required is there. What is no text, or too long, is
// no answer.
func (c challenge) take(typed map[string]string) (answers map[string]string, complete bool) {
	answers, complete = map[string]string{}, true
	for _, f := range c.Fields {
		answer := typed[f.Name]
		if !formauth.Acceptable(answer) {
			answer = ""
		}
		answers[f.Name] = answer
		complete = complete && (answer != "" || !f.Required)
	}
	return answers, complete
}
