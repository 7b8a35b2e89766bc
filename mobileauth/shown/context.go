// SPDX-License-Identifier: Apache-2.0

package shown

import (
	"fmt"
	"regexp"
	"time"

	"golang.org/x/text/language"
)

// Limits on what a person is shown, in characters (code points after composition).
const (
	MaxTitle  = 100
	MaxFields = 20
	MaxLabel  = 40
	MaxValue  = 140
)

// Types of fields. A device may show each in its own way, and shows one that it does not know like [FieldText].
const (
	FieldAmount    = "amount" // Value is a decimal number with a point, Currency its ISO 4217 code
	FieldPayee     = "payee"
	FieldAccount   = "account"
	FieldReference = "reference"
	FieldDate      = "date" // Value is a date of RFC 3339
	FieldText      = "text"
	FieldNote      = "note"
	FieldWarning   = "warning"
)

var (
	amountForm   = regexp.MustCompile(`^(0|[1-9][0-9]{0,14})(\.[0-9]{1,4})?$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
)

// Context is what the person is shown before answering. It is plain text: nothing in it is interpreted.
type Context struct {
	Title   string  `json:"title,omitempty"`
	Content string  `json:"content,omitempty"`
	Fields  []Field `json:"fields,omitempty"`
	// Language is the BCP 47 tag of the texts, so that a device can read them aloud.
	Language string `json:"language,omitempty"`
}

// Field is one labelled value, such as an amount or a payee.
type Field struct {
	Type     string `json:"type"`
	Label    string `json:"label"`
	Value    string `json:"value"`
	Currency string `json:"currency,omitempty"`
}

// Content says what the content of a context may be.
type Content struct {
	// Most is how long, in characters.
	Most int
	// Lines allows line breaks.
	Lines bool
}

// Empty reports whether there is nothing to show.
func (c Context) Empty() bool { return c.Title == "" && c.Content == "" && len(c.Fields) == 0 }

// Check returns the context in the form in which it is shown, or the first rule that it breaks, which is a [FieldError].
func (c Context) Check(allowed Content) (Context, error) {
	var err error
	if c.Title, err = text("context.title", c.Title, MaxTitle, false); err != nil {
		return c, err
	}
	if c.Content, err = text("context.content", c.Content, allowed.Most, allowed.Lines); err != nil {
		return c, err
	}
	if len(c.Fields) > MaxFields {
		return c, Invalid("context.fields", "more than %d", MaxFields)
	}
	fields := make([]Field, len(c.Fields))
	for i, f := range c.Fields {
		if fields[i], err = f.check(fmt.Sprintf("context.fields[%d]", i)); err != nil {
			return c, err
		}
	}
	c.Fields = fields
	if c.Language != "" {
		tag, err := language.Parse(c.Language)
		if len(c.Language) > 35 || err != nil {
			return c, Invalid("context.language", "want a BCP 47 tag")
		}
		c.Language = tag.String()
	}
	return c, nil
}

func (f Field) check(name string) (Field, error) {
	var err error
	if f.Label, err = text(name+".label", f.Label, MaxLabel, false); err != nil {
		return f, err
	}
	if f.Value, err = text(name+".value", f.Value, MaxValue, false); err != nil {
		return f, err
	}
	if f.Value == "" {
		return f, Invalid(name+".value", "empty")
	}
	if (f.Type == FieldAmount) != (f.Currency != "") {
		return f, Invalid(name+".currency", "belongs to an amount, and an amount needs one")
	}
	switch f.Type {
	case FieldAmount:
		if !amountForm.MatchString(f.Value) || !currencyForm.MatchString(f.Currency) {
			return f, Invalid(name+".value", "want a decimal number such as 12.50 and a currency such as EUR")
		}
	case FieldDate:
		if _, err := time.Parse(time.DateOnly, f.Value); err != nil {
			return f, Invalid(name+".value", "want a date such as 2026-01-31")
		}
	case FieldPayee, FieldAccount, FieldReference, FieldText, FieldNote, FieldWarning:
	default:
		return f, Invalid(name+".type", "want amount, payee, account, reference, date, text, note or warning")
	}
	return f, nil
}
