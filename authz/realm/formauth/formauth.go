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
	// MaxName, MaxLabel and MaxText bound, in bytes, what a form is made of: names, labels, and the texts around the fields.
	MaxName  = 64
	MaxLabel = 256
	MaxText  = 1 << 10
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

// inputModes are those of the HTML standard, section 6.8.8.
var inputModes = []string{"", "none", "text", "tel", "url", "email", "numeric", "decimal", "search"}

// Config describes the form. The zero value asks for a user name and a password.
type Config struct {
	// Fields are asked in order; the labels are keys of the page's texts or texts themselves.
	Fields []realm.Field
	// User names the field that says who the user is. It is prefilled from the application's hint, and left out when the
	// user is known already and only has to prove it again, unless the login module needs it. Default: [Username] with the
	// default fields, else none.
	User string
	// Template names the operator's own page for the form; empty is the common one.
	Template string
	// Message is the key of a text shown above the fields at first, or the text itself.
	Message string
	// Refused is the same for after answers that were wrong. It is shown whatever was wrong with them.
	Refused string
}

// Authenticator asks for the fields of a form. It keeps nothing between calls and is safe for concurrent use.
type Authenticator struct {
	fields []realm.Field
	user   string
	empty  realm.Challenge // without fields
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
	if err := CheckFields(c.Fields); err != nil {
		return nil, fmt.Errorf("building a form: %w", err)
	}
	if c.User != "" && !slices.ContainsFunc(c.Fields, func(f realm.Field) bool { return f.Name == c.User }) {
		return nil, fmt.Errorf("building a form: the user's field %q is not among the fields", c.User)
	}
	for _, text := range []string{c.Message, c.Refused} {
		if !realm.ValidText(text, MaxText) {
			return nil, fmt.Errorf("building a form: a message is no text of at most %d bytes", MaxText)
		}
	}
	return &Authenticator{
		fields: slices.Clone(c.Fields), user: c.User,
		empty: realm.Challenge{Template: c.Template, Message: c.Message, Refused: c.Refused},
	}, nil
}

// CheckFields returns an error that names the first field that pages cannot ask: one without a name or a label, with a name
// of theirs or of another field, of a type they have no input for, or with what no input can hold.
func CheckFields(fields []realm.Field) error {
	if len(fields) > MaxFields {
		return fmt.Errorf("%d fields are too many: at most %d can be asked", len(fields), MaxFields)
	}
	seen := map[string]bool{}
	for _, f := range fields {
		if err := checkField(f); err != nil {
			return fmt.Errorf("field %q %w", f.Name, err)
		}
		if seen[f.Name] {
			return fmt.Errorf("field %q is there twice", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

func checkField(f realm.Field) error {
	switch {
	case f.Name == "" || strings.ContainsFunc(f.Name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return errors.New("has no name of printable characters")
	case len(f.Name) > MaxName:
		return fmt.Errorf("has a name of more than %d bytes", MaxName)
	case slices.Contains(reserved, f.Name):
		return errors.New("has a name that pages use themselves")
	case f.Label == "":
		return errors.New("has no label")
	case !realm.ValidText(f.Label, MaxLabel):
		return fmt.Errorf("has a label that is no text of at most %d bytes", MaxLabel)
	case !Acceptable(f.Value):
		return fmt.Errorf("has a value that is no text of at most %d bytes", MaxAnswer)
	case !slices.Contains(inputTypes, f.Type):
		return fmt.Errorf("has the type %q, which a page cannot show", f.Type)
	case !slices.Contains(inputModes, f.InputMode):
		return fmt.Errorf("has the input mode %q, which does not exist", f.InputMode)
	case !validAutocomplete(f.Autocomplete):
		return fmt.Errorf("has the autocomplete %q, which is no list of words", f.Autocomplete)
	}
	return nil
}

// validAutocomplete admits the words of the HTML standard, section 4.10.18.7, that exist and those that will.
func validAutocomplete(words string) bool {
	return len(words) <= MaxName && !strings.ContainsFunc(words, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != ' '
	})
}

// Fields returns what is asked of somebody whom nobody knows yet.
func (a *Authenticator) Fields() []realm.Field { return slices.Clone(a.fields) }

// ShowsTransaction tells that whoever answers the form has it before them with what is approved, on the page or in the app.
func (*Authenticator) ShowsTransaction() bool { return true }

// Collect returns the answers when every required field has one, and the form otherwise. Only the form's own fields are handed over, whatever else was sent.
func (a *Authenticator) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	challenge, fields := a.empty, a.ask(in)
	if in.Fields == nil {
		challenge.Fields = fields
		return realm.Credentials{}, &challenge, nil
	}
	answers := map[string]string{}
	complete := true
	for i, f := range fields {
		answer := in.Fields[f.Name]
		if !Acceptable(answer) {
			answer = ""
		}
		answers[f.Name] = answer
		complete = complete && (answer != "" || !f.Required)
		if f.Type != "password" {
			fields[i].Value = answer
		}
	}
	if !complete {
		challenge.Fields, challenge.Message = fields, messageMissing
		return realm.Credentials{}, &challenge, nil
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
		if fields[i].Name == a.user && len(in.Hint) <= maxHint && Acceptable(in.Hint) {
			fields[i].Value = in.Hint
		}
	}
	return fields
}

// Acceptable reports whether an answer can be one: text of at most [MaxAnswer] bytes, without control characters.
func Acceptable(answer string) bool {
	return len(answer) <= MaxAnswer && utf8.ValidString(answer) &&
		!strings.ContainsFunc(answer, func(r rune) bool { return r < 0x20 || r == 0x7f })
}
