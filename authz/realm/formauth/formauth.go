// SPDX-License-Identifier: Apache-2.0

package formauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// Names of the default fields.
const (
	Username = "username"
	Password = "password"
)

// Limits. An answer beyond MaxAnswer is no answer: it is asked again and no login module sees it.
const (
	MaxFields = 16
	MaxAnswer = 4 << 10
	// maxHint bounds a suggestion that anybody can put into a link.
	maxHint = 256
)

// Keys of the texts shown with a form.
const (
	labelUsername  = "field.username"
	labelPassword  = "field.password"
	messageMissing = "login.missing"
)

// reserved are the names that the faces use for themselves.
var reserved = []string{"req", "step", "stop", "cancel", "decision"}

// inputTypes are those that a page can show.
var inputTypes = []string{"", "text", "password", "email", "tel", "url", "number"}

// Config describes the form. The zero value asks for a user name and a password.
type Config struct {
	// Fields are asked in order; the labels are keys of the page's texts or texts themselves.
	Fields []realm.Field
	// User names the field that says who the user is. It is prefilled from the application's hint, and left out when the
	// user is known already and only has to prove it again, unless the login module needs it. Default: [Username] with the
	// default fields, else none.
	User string
}

// Authenticator asks for the fields of a form. It keeps nothing between calls and is safe for concurrent use.
type Authenticator struct {
	fields []realm.Field
	user   string
}

// New returns an authenticator, or an error that names the field that cannot be asked.
func New(c Config) (*Authenticator, error) {
	if len(c.Fields) == 0 {
		c.Fields = []realm.Field{
			{Name: Username, Label: labelUsername, Type: "text", Autocomplete: "username", Required: true},
			{Name: Password, Label: labelPassword, Type: "password", Autocomplete: "current-password", Required: true},
		}
		if c.User == "" {
			c.User = Username
		}
	}
	if len(c.Fields) > MaxFields {
		return nil, fmt.Errorf("building a form of %d fields: at most %d can be asked", len(c.Fields), MaxFields)
	}
	seen := map[string]bool{}
	for _, f := range c.Fields {
		if err := checkField(f); err != nil {
			return nil, fmt.Errorf("building a form: field %q %w", f.Name, err)
		}
		if seen[f.Name] {
			return nil, fmt.Errorf("building a form: field %q is there twice", f.Name)
		}
		seen[f.Name] = true
	}
	if c.User != "" && !seen[c.User] {
		return nil, fmt.Errorf("building a form: the user's field %q is not among the fields", c.User)
	}
	return &Authenticator{fields: slices.Clone(c.Fields), user: c.User}, nil
}

func checkField(f realm.Field) error {
	switch {
	case f.Name == "" || strings.ContainsFunc(f.Name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("has no name of printable characters")
	case slices.Contains(reserved, f.Name):
		return errors.New("has a name that pages use themselves")
	case f.Label == "":
		return errors.New("has no label")
	case !slices.Contains(inputTypes, f.Type):
		return fmt.Errorf("has the type %q, which a page cannot show", f.Type)
	}
	return nil
}

// Collect returns the answers when every required field has one, and the form otherwise. In the first round the form comes
// without a message. Only the form's own fields are handed over, whatever else was sent.
func (a *Authenticator) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	fields := a.ask(in)
	if in.Fields == nil {
		return realm.Credentials{}, &realm.Challenge{Fields: fields}, nil
	}
	answers := map[string]string{}
	complete := true
	for i, f := range fields {
		answer := in.Fields[f.Name]
		if !acceptable(answer) {
			answer = ""
		}
		answers[f.Name] = answer
		complete = complete && (answer != "" || !f.Required)
		if f.Type != "password" {
			fields[i].Value = answer
		}
	}
	if !complete {
		return realm.Credentials{}, &realm.Challenge{Fields: fields, Message: messageMissing}, nil
	}
	return realm.Credentials{Values: answers, ClientIP: in.ClientIP, Subject: in.Subject}, nil, nil
}

// ask returns the fields for this caller.
func (a *Authenticator) ask(in realm.Input) []realm.Field {
	fields := slices.Clone(a.fields)
	if a.user == "" {
		return fields
	}
	if in.Subject != "" && !in.NeedsLogin {
		return slices.DeleteFunc(fields, func(f realm.Field) bool { return f.Name == a.user })
	}
	for i := range fields {
		if fields[i].Name == a.user && len(in.Hint) <= maxHint && acceptable(in.Hint) {
			fields[i].Value = in.Hint
		}
	}
	return fields
}

// acceptable admits text without control characters that is not too long.
func acceptable(answer string) bool {
	return len(answer) <= MaxAnswer && utf8.ValidString(answer) &&
		!strings.ContainsFunc(answer, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
