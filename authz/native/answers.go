// SPDX-License-Identifier: Apache-2.0

package native

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Limits of an answer. What is beyond them was never asked.
const (
	maxRealms = 16
	maxFields = 32
)

// answers are what an app sends, by realm and field.
type answers map[string]map[string]string

// parseAnswers reads the parameter "answers": a JSON object that has, by the name of a realm, an object of its fields. All
// values are texts, without the characters that no other parameter may hold either. Nothing stands in it twice.
func parseAnswers(text string) (answers, error) {
	if text == "" {
		return nil, nil
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	all := answers{}
	err := object(decoder, maxRealms, func(of string) error {
		if _, twice := all[of]; twice {
			return errors.New("a realm is answered twice")
		}
		all[of] = map[string]string{}
		return object(decoder, maxFields, func(field string) error {
			if _, twice := all[of][field]; twice {
				return errors.New("a field is answered twice")
			}
			value, err := decoder.Token()
			answer, ok := value.(string)
			if err == nil && (!ok || !realm.ValidText(answer, oauth.MaxParam)) {
				err = errors.New("a field's answer is not a text")
			}
			all[of][field] = answer
			return err
		})
	})
	if err == nil {
		if _, after := decoder.Token(); !errors.Is(after, io.EOF) {
			err = errors.New("something follows them")
		}
	}
	if err != nil {
		return nil, malformed(err)
	}
	return all, nil
}

func malformed(err error) error {
	return oauth.NewError(oauth.InvalidRequest, "answers is not a JSON object of the answers by realm and field").
		WithCause(fmt.Errorf("reading answers: %w", err))
}

// object reads a JSON object of at most limit members and has each value read.
func object(decoder *json.Decoder, limit int, value func(name string) error) error {
	if err := delimiter(decoder, '{'); err != nil {
		return err
	}
	for n := 0; decoder.More(); n++ {
		token, err := decoder.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string) // the decoder admits nothing else
		if n == limit || !realm.ValidText(name, oauth.MaxParam) {
			return errors.New("there are too many members, or one has a name that none has")
		}
		if err := value(name); err != nil {
			return err
		}
	}
	return delimiter(decoder, '}')
}

func delimiter(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("there is no %s", want)
	}
	return nil
}
