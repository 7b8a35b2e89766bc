// SPDX-License-Identifier: Apache-2.0

package basicauth

import (
	"context"
	"encoding/base64"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
)

// MaxHeader is the longest Authorization field that is looked at, in bytes.
const MaxHeader = 8 << 10

// Keys of what a challenge tells an app.
const (
	dataScheme  = "scheme"
	dataCharset = "charset"
)

// messageRefused is the key of the text shown for a field that makes no sense.
const messageRefused = "login.refused"

// Authenticator takes a user name and a password from the Authorization field, or asks for them. It is safe for concurrent use.
type Authenticator struct {
	form *formauth.Authenticator
}

// New returns an authenticator.
func New() (*Authenticator, error) {
	form, err := formauth.New(formauth.Config{})
	if err != nil {
		return nil, err
	}
	return &Authenticator{form: form}, nil
}

// Collect returns the user name and the password that the first round's Authorization field holds, and the form's challenge when
// there is no such field. Answers to that challenge count alone: who has filled in the fields means those, whatever his client
// goes on sending. A field that is none of RFC 7617, and one beside another credential, is refused and asked for.
func (a *Authenticator) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	if in.Fields != nil {
		credentials, challenge, err := a.form.Collect(ctx, in)
		return credentials, tell(challenge), err
	}
	user, password, status := parse(in.Headers["Authorization"])
	if status == found {
		return realm.Credentials{
			Values:   map[string]string{formauth.Username: user, formauth.Password: password},
			ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject,
		}, nil, nil
	}
	credentials, challenge, err := a.form.Collect(ctx, in)
	if challenge != nil && status == malformed {
		challenge.Message = messageRefused
	}
	return credentials, tell(challenge), err
}

// tell adds to a challenge that the answer may come in a header field (RFC 7617 2).
func tell(challenge *realm.Challenge) *realm.Challenge {
	if challenge != nil {
		challenge.Data = map[string]string{dataScheme: "basic", dataCharset: "UTF-8"}
	}
	return challenge
}

// status is what the Authorization field is.
type status int

const (
	absent status = iota
	malformed
	found
)

// parse reads the field's values: one, of the Basic scheme, a space, and padded base64 of the user name, a colon and the password
// in UTF-8 without control characters (RFC 7617 2). Another scheme alone is none of ours. A list of credentials, in one value or
// in several, is refused if one of them is: which of them the caller is about could not be told.
func parse(values []string) (user, password string, s status) {
	if len(values) != 1 {
		for _, value := range values {
			if isBasic(value) {
				return "", "", malformed
			}
		}
		return "", "", absent
	}
	value := values[0]
	if !isBasic(value) {
		return "", "", absent
	}
	if len(value) > MaxHeader {
		return "", "", malformed
	}
	encoded := strings.TrimLeft(value[len(scheme):], " ")
	decoded, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || strings.ContainsAny(encoded, "\r\n") { // which the decoder skips
		return "", "", malformed
	}
	user, password, ok := strings.Cut(string(decoded), ":")
	if !ok || user == "" || password == "" ||
		!realm.ValidText(user, formauth.MaxAnswer) || !realm.ValidText(password, formauth.MaxAnswer) {
		return "", "", malformed
	}
	return user, password, found
}

// scheme is the name of the scheme, which is written in any case (RFC 9110 11.1).
const scheme = "basic"

func isBasic(value string) bool {
	name, _, _ := strings.Cut(value, " ")
	return strings.EqualFold(name, scheme)
}
