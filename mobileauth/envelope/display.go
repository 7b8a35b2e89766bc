// SPDX-License-Identifier: Apache-2.0

package envelope

import (
	"bytes"
	"encoding/json"
)

// Display is what a device shows of an operation. The server encodes it once and keeps the bytes; the device shows what is in
// exactly these bytes and signs their [DisplayHash].
type Display struct {
	Version     int     `json:"v"`
	Operation   string  `json:"operation"`
	Kind        string  `json:"kind"`
	Application string  `json:"application"`
	Title       string  `json:"title"`
	Content     string  `json:"content,omitempty"`
	Fields      []Field `json:"fields,omitempty"`
	Language    string  `json:"language,omitempty"`
	// Created and Expires are in seconds since 1970.
	Created int64 `json:"created"`
	Expires int64 `json:"expires"`
	// NumberMatch is how many digits the person has to type, 0 for none.
	NumberMatch int `json:"number_match"`
	// Methods are the ways to approve that are accepted; the first is preferred.
	Methods []string `json:"methods"`
	// Secure is text for the eyes of the person alone, which is in no notification: it is shown like the content, below it.
	Secure string `json:"secure_message,omitempty"`
	// Data is text that is signed with the rest and has to be there for the person to read, if not at first sight.
	Data string `json:"signing_data,omitempty"`
}

// Field is one labelled value.
type Field struct {
	Type     string `json:"type"`
	Label    string `json:"label"`
	Value    string `json:"value"`
	Currency string `json:"currency,omitempty"`
}

// Encode returns the bytes to show and to keep. Characters of HTML are not escaped: a person compares what they see.
func (d Display) Encode() ([]byte, error) {
	d.Version = Version
	if err := d.check(); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, refuse(ReasonBody, "encoding what is shown: %w", err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// ParseDisplay reads the bytes to show. It refuses bytes about another operation than the one that was fetched, and members that
// it does not know: a device must not ask a person to approve what it leaves out.
func ParseDisplay(data []byte, operation string) (Display, error) {
	var d Display
	if err := decode(data, &d, ReasonBody); err != nil {
		return Display{}, err
	}
	strict := json.NewDecoder(bytes.NewReader(data))
	strict.DisallowUnknownFields()
	if err := strict.Decode(new(Display)); err != nil {
		return Display{}, refuse(ReasonBody, "reading what is shown: a member that this version does not know")
	}
	if d.Operation != operation {
		return Display{}, refuse(ReasonBody, "reading what is shown: another operation")
	}
	return d, d.check()
}

func (d Display) check() error {
	if d.Version != Version {
		return refuse(ReasonVersion, "reading what is shown: version %d", d.Version)
	}
	if !validRef.MatchString(d.Operation) || d.Kind == "" || d.NumberMatch < 0 || d.NumberMatch > 12 || len(d.Methods) == 0 {
		return refuse(ReasonBody, "reading what is shown: a member is missing or malformed")
	}
	for _, m := range d.Methods {
		if !ValidMethod(m) {
			return refuse(ReasonBody, "reading what is shown: an unknown method")
		}
	}
	return nil
}
