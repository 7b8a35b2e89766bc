// SPDX-License-Identifier: Apache-2.0

package adapterauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Limits of what a back end may say, in bytes unless it says otherwise.
const (
	maxSaid       = 64 << 10
	maxState      = 8 << 10
	maxTexts      = 64 // members of data, attributes or credentials
	maxReason     = 64
	maxRetryAfter = 24 * time.Hour
)

// said is what the back end decided: one of the pointers and the map is set.
type said struct {
	challenge   *challenge
	state       string // of a challenge
	identity    *realm.Identity
	credentials map[string]string
	refusal     *realm.Refusal
}

// parse reads the back end's answer: one object that says exactly one thing, without members that are unknown or there twice.
// Errors name members and tell no value.
func parse(text []byte) (said, error) {
	if len(text) > maxSaid {
		return said{}, fmt.Errorf("it is longer than %d bytes", maxSaid)
	}
	var all struct {
		Challenge   json.RawMessage `json:"challenge"`
		State       string          `json:"state"`
		Identity    json.RawMessage `json:"identity"`
		Credentials json.RawMessage `json:"credentials"`
		Refused     json.RawMessage `json:"refused"`
	}
	if err := object(text, &all, "challenge", "state", "identity", "credentials", "refused"); err != nil {
		return said{}, err
	}
	decisions := 0
	for _, decision := range []json.RawMessage{all.Challenge, all.Identity, all.Credentials, all.Refused} {
		if decision != nil {
			decisions++
		}
	}
	switch {
	case decisions != 1:
		return said{}, fmt.Errorf("it has %d of challenge, identity, credentials and refused, and must have one", decisions)
	case all.State != "" && all.Challenge == nil:
		return said{}, errors.New("it has a state and asks nothing")
	case len(all.State) > maxState:
		return said{}, fmt.Errorf("its state is longer than %d bytes", maxState)
	}
	s := said{state: all.State}
	var err error
	switch {
	case all.Challenge != nil:
		s.challenge, err = parseChallenge(all.Challenge)
	case all.Identity != nil:
		s.identity, err = parseIdentity(all.Identity)
	case all.Credentials != nil:
		s.credentials, err = texts("credentials", all.Credentials, formauth.MaxAnswer)
	default:
		s.refusal, err = parseRefusal(all.Refused)
	}
	if err != nil {
		return said{}, err
	}
	return s, nil
}

func parseChallenge(text []byte) (*challenge, error) {
	var raw struct {
		Fields  []json.RawMessage `json:"fields"`
		Message string            `json:"message"`
		Error   bool              `json:"error"`
		Data    json.RawMessage   `json:"data"`
	}
	if err := object(text, &raw, "fields", "message", "error", "data"); err != nil {
		return nil, fmt.Errorf("its challenge: %w", err)
	}
	c := &challenge{Message: raw.Message, Error: raw.Error}
	for i, member := range raw.Fields {
		var f field
		if err := object(member, &f, "name", "label", "type", "autocomplete", "input_mode", "required", "value"); err != nil {
			return nil, fmt.Errorf("field %d of its challenge: %w", i+1, err)
		}
		if f.Name == fieldRound {
			return nil, fmt.Errorf("field %d of its challenge has the name %q, which is ours", i+1, fieldRound)
		}
		c.Fields = append(c.Fields, f)
	}
	if err := formauth.CheckFields(c.fields()); err != nil {
		return nil, fmt.Errorf("its challenge: %w", err)
	}
	if !realm.ValidText(c.Message, formauth.MaxText) {
		return nil, fmt.Errorf("the message of its challenge is no text of at most %d bytes", formauth.MaxText)
	}
	if raw.Data != nil {
		var err error
		if c.Data, err = texts("data", raw.Data, formauth.MaxAnswer); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func parseIdentity(text []byte) (*realm.Identity, error) {
	var raw struct {
		ID         string          `json:"id"`
		Name       string          `json:"name"`
		AMR        []string        `json:"amr"`
		Device     string          `json:"device"`
		Attributes json.RawMessage `json:"attributes"`
	}
	if err := object(text, &raw, "id", "name", "amr", "device", "attributes"); err != nil {
		return nil, fmt.Errorf("its identity: %w", err)
	}
	switch {
	case !realm.ValidText(raw.ID, realm.MaxExternalID):
		return nil, fmt.Errorf("the id of its identity is no text of at most %d bytes", realm.MaxExternalID)
	case !realm.ValidText(raw.Name, realm.MaxValue):
		return nil, fmt.Errorf("the name of its identity is no text of at most %d bytes", realm.MaxValue)
	case !realm.ValidText(raw.Device, realm.MaxExternalID):
		return nil, fmt.Errorf("the device of its identity is no text of at most %d bytes", realm.MaxExternalID)
	}
	if realm.CheckMethods(raw.AMR) != nil {
		return nil, errors.New("the amr of its identity are not short words, or too many")
	}
	identity := &realm.Identity{ExternalID: raw.ID, Name: raw.Name, AMR: raw.AMR, Device: raw.Device}
	if raw.Attributes != nil {
		var err error
		if identity.Attributes, err = texts("attributes", raw.Attributes, realm.MaxValue); err != nil {
			return nil, err
		}
	}
	if len(identity.Attributes) > realm.MaxAttributes {
		return nil, fmt.Errorf("its identity has more than %d attributes", realm.MaxAttributes)
	}
	return identity, nil
}

func parseRefusal(text []byte) (*realm.Refusal, error) {
	var raw struct {
		Reason     string `json:"reason"`
		RetryAfter int64  `json:"retry_after"`
		Message    string `json:"message"`
	}
	if err := object(text, &raw, "reason", "retry_after", "message"); err != nil {
		return nil, fmt.Errorf("its refusal: %w", err)
	}
	switch {
	case !realm.ValidText(raw.Reason, maxReason):
		return nil, fmt.Errorf("the reason of its refusal is no text of at most %d bytes", maxReason)
	case !realm.ValidText(raw.Message, formauth.MaxText):
		return nil, fmt.Errorf("the message of its refusal is no text of at most %d bytes", formauth.MaxText)
	case raw.RetryAfter < 0 || raw.RetryAfter > int64(maxRetryAfter/time.Second):
		return nil, fmt.Errorf("the retry_after of its refusal is not 0 to %d seconds", int64(maxRetryAfter/time.Second))
	}
	refusal := &realm.Refusal{Reason: raw.Reason, RetryAfter: time.Duration(raw.RetryAfter) * time.Second}
	if raw.Message != "" {
		refusal.Notice = &realm.Notice{Text: raw.Message}
	}
	return refusal, nil
}

// object decodes one object of which every member is known, in exactly that case, and there once.
func object(text []byte, into any, known ...string) error {
	var members map[string]json.RawMessage
	if err := jose.UnmarshalObject(text, &members); err != nil {
		return err
	}
	for name := range members {
		if !slices.Contains(known, name) {
			return fmt.Errorf("it has the unknown member %.40q", name)
		}
	}
	return jose.UnmarshalObject(text, into)
}

// texts decodes an object whose members are all texts.
func texts(what string, text []byte, limit int) (map[string]string, error) {
	var members map[string]*string
	if err := jose.UnmarshalObject(text, &members); err != nil {
		return nil, fmt.Errorf("its %s: %w", what, err)
	}
	if len(members) > maxTexts {
		return nil, fmt.Errorf("its %s are more than %d", what, maxTexts)
	}
	all := make(map[string]string, len(members))
	for name, value := range members {
		if name == "" || !realm.ValidText(name, realm.MaxAttributeName) || value == nil || !realm.ValidText(*value, limit) {
			return nil, fmt.Errorf("one of its %s has no name or no text, or is too long", what)
		}
		all[name] = *value
	}
	return all, nil
}
