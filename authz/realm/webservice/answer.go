// SPDX-License-Identifier: Apache-2.0

package webservice

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// Path leads to a value in an answer.
type Path []string

// maxSteps bounds a path; answers are not deeper.
const maxSteps = jose.MaxDepth

// ParsePath reads a path: names with dots between them ("user.id"), or a JSON pointer (RFC 6901), which begins with a slash, for
// names with dots in them ("/user/e.mail"). A step into a list is a number that counts from 0.
func ParsePath(text string) (Path, error) {
	steps := strings.Split(text, ".")
	if pointer, ok := strings.CutPrefix(text, "/"); ok {
		steps = strings.Split(pointer, "/")
		for i, step := range steps {
			if tilde.MatchString(step) {
				return nil, fmt.Errorf("path %q has a ~ that is neither ~0 nor ~1", text)
			}
			steps[i] = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
		}
	} else if slices.Contains(steps, "") {
		return nil, fmt.Errorf("path %q has an empty step", text)
	}
	if len(steps) > maxSteps {
		return nil, fmt.Errorf("path %q has more than %d steps", text, maxSteps)
	}
	return steps, nil
}

// tilde finds what is no escape (RFC 6901 3).
var tilde = regexp.MustCompile(`~([^01]|$)`)

// find returns the value that the path leads to; nil, which is also what JSON's null is, when there is none.
func (p Path) find(in any) any {
	for _, step := range p {
		switch at := in.(type) {
		case map[string]any:
			in = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) || strconv.Itoa(i) != step {
				return nil
			}
			in = at[i]
		default:
			return nil
		}
	}
	return in
}

// reader understands answers.
type reader struct {
	ok      Path
	id      Path
	paths   map[string]Path // of name and attributes, by how they are written
	mapping realm.Mapping
}

func newReader(c *Config) (reader, error) {
	r := reader{
		paths:   map[string]Path{},
		mapping: realm.Mapping{ID: c.ID, Name: c.Display, Attributes: c.Attributes, AMR: []string{methodPassword}},
	}
	if err := r.mapping.Check(); err != nil {
		return reader{}, err
	}
	var err error
	if r.id, err = ParsePath(c.ID); err != nil {
		return reader{}, fmt.Errorf("id: %w", err)
	}
	if c.OK != "" {
		if r.ok, err = ParsePath(c.OK); err != nil {
			return reader{}, fmt.Errorf("ok_field: %w", err)
		}
	}
	if c.Display != "" {
		if r.paths[c.Display], err = ParsePath(c.Display); err != nil {
			return reader{}, fmt.Errorf("name: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		text := c.Attributes[name]
		if r.paths[text], err = ParsePath(text); err != nil {
			return reader{}, fmt.Errorf("attribute %q: %w", name, err)
		}
	}
	return r, nil
}

// judge reads an answer of status 200. One without an id, or without the yes that was agreed on, is a refusal; one that cannot
// be understood is an error, which repeats nothing of it.
func (r *reader) judge(text []byte) (realm.Result, error) {
	answer, err := decode(text)
	if err != nil {
		return realm.Result{}, fmt.Errorf("reading its answer: %w", err)
	}
	if r.ok != nil {
		switch r.ok.find(answer) {
		case true:
		case false, nil:
			return refused(reasonNotOK), nil
		default:
			return realm.Result{}, errors.New("reading its answer: what must be true is neither true nor false")
		}
	}
	id, err := identifier(r.id.find(answer))
	if err != nil {
		return realm.Result{}, fmt.Errorf("reading its answer: %w", err)
	}
	if id == "" {
		return refused(reasonNoID), nil
	}
	values := map[string]string{}
	for name, path := range r.paths {
		if values[name], err = scalar(path.find(answer)); err != nil {
			return realm.Result{}, fmt.Errorf("reading %q in its answer: %w", name, err)
		}
	}
	values[r.mapping.ID] = id
	identity, ok := r.mapping.Whole(values)
	if !ok {
		return realm.Result{}, fmt.Errorf("reading its answer: the id is no text of at most %d bytes", realm.MaxExternalID)
	}
	return realm.Result{Status: realm.Accepted, Identity: identity}, nil
}

// decode reads strict JSON: one object, in UTF-8, without duplicate members. Numbers stay as they are written.
func decode(text []byte) (answer any, err error) {
	var object json.RawMessage
	if err := jose.UnmarshalObject(text, &object); err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	err = decoder.Decode(&answer)
	return answer, err
}

// integer is a number that can be an id: 7, 7.0 and 70e-1 would be three.
var integer = regexp.MustCompile(`^(-?[1-9][0-9]*|0)$`)

// identifier returns the text of an id; empty when there is none.
func identifier(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	case json.Number:
		if integer.MatchString(value.String()) {
			return value.String(), nil
		}
	}
	return "", errors.New("the id is neither text nor a whole number")
}

// scalar returns the text of a name or an attribute: lists of scalars are words.
func scalar(value any) (string, error) {
	switch value := value.(type) {
	case nil:
		return "", nil
	case string:
		return value, nil
	case json.Number:
		return value.String(), nil
	case bool:
		return strconv.FormatBool(value), nil
	case []any:
		return words(value)
	}
	return "", errors.New("it is an object")
}

func words(list []any) (string, error) {
	names := make([]string, 0, len(list))
	for _, item := range list {
		if _, nested := item.([]any); nested {
			return "", errors.New("it is a list of lists")
		}
		name, err := scalar(item)
		if err != nil {
			return "", err
		}
		if name != "" {
			names = append(names, name)
		}
	}
	line := realm.Words(names)
	if len(line) > realm.MaxValue {
		return "", fmt.Errorf("it is a list that takes more than %d bytes", realm.MaxValue)
	}
	return line, nil
}
