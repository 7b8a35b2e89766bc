// SPDX-License-Identifier: Apache-2.0

package record

import (
	"bytes"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/shown"
)

// Limits on what a person is shown, beside those of package shown.
const (
	MaxDisplay = 7 << 10 // bytes of the display as it stands in a receipt, where quotes are escaped
	MaxShort   = 155     // characters of content of an authentication or registration
	MaxMedium  = 1000    // of an authorisation
	MaxLong    = 4000    // of a signature
	MaxSecure  = 1000    // of what is shown on the phone alone
	MaxData    = 2000    // of what is signed with the rest
)

// Context is what the person is shown before answering.
type Context = shown.Context

// Field is one labelled value of a [Context].
type Field = shown.Field

// checked returns the context as it is shown for a kind of operation, or the first rule that it breaks.
func (k Kind) checked(c Context) (Context, error) {
	allowed := shown.Content{Most: MaxShort}
	switch k {
	case Signature:
		allowed = shown.Content{Most: MaxLong, Lines: true}
	case Authorisation:
		allowed = shown.Content{Most: MaxMedium, Lines: true}
	case Authentication, Registration:
	}
	if k.Evidenced() && c.Empty() {
		return c, invalid("context", "empty: nobody can consent to nothing")
	}
	return c.Check(allowed)
}

// show makes the display of an operation, once: what is stored and signed are these bytes, never another encoding of them.
func (o *Operation) show(st *Start, c Context) error {
	secure, err := shown.Text("secure_message", st.Secure, shown.Content{Most: MaxSecure, Lines: true})
	if err != nil {
		return err
	}
	data, err := shown.Text("signing_data", st.Data, shown.Content{Most: MaxData, Lines: true})
	if err != nil {
		return err
	}
	fields := make([]envelope.Field, len(c.Fields))
	for i, f := range c.Fields {
		fields[i] = envelope.Field(f)
	}
	display, err := envelope.Display{
		Operation: o.ID, Kind: string(o.Kind), Application: o.Application, Title: c.Title, Content: c.Content, Fields: fields,
		Language: c.Language, Created: o.CreatedAt.Unix(), Expires: o.AnswerBy.Unix(), NumberMatch: len(o.Number), Methods: o.Methods,
		Secure: secure, Data: data,
	}.Encode()
	if err != nil {
		return fmt.Errorf("encoding what is shown: %w", err)
	}
	if n := quotedLen(display); n > MaxDisplay {
		return invalid("context", "too large: %d bytes where %d are allowed", n, MaxDisplay)
	}
	o.Display, o.DisplayHash = display, envelope.DisplayHash(display)
	return nil
}

// quotedLen is the length that bytes of JSON have as a JSON string: quotes and backslashes are escaped, and other characters
// that would be are not allowed in the texts.
func quotedLen(data []byte) int {
	return len(data) + bytes.Count(data, []byte(`"`)) + bytes.Count(data, []byte(`\`)) + 2
}
