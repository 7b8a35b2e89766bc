// SPDX-License-Identifier: Apache-2.0

package ltpa

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// DefaultCookie is the cookie that servers put their tokens into.
const DefaultCookie = "LtpaToken2"

// ValueToken is the value that holds the token, for the login module.
const ValueToken = "ltpa_token"

// messageMissing is the key of the text shown to people whom no server has logged in.
const messageMissing = "login.ltpa"

// Authenticator finds the cookie with the token. It is safe for concurrent use.
type Authenticator struct {
	cookie string
}

// New returns an authenticator that looks for a cookie; by default for [DefaultCookie].
func New(cookie string) (*Authenticator, error) {
	if cookie == "" {
		cookie = DefaultCookie
	}
	if len(cookie) > 128 || strings.ContainsFunc(cookie, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) }) {
		return nil, fmt.Errorf("%q is no name of a cookie (RFC 6265 4.1.1)", cookie)
	}
	return &Authenticator{cookie: cookie}, nil
}

// Collect returns the token. Where there is none it asks for nothing and says that another server logs people in. Of several, as a
// page of a neighbouring host can plant them, none is handed over, and the login module refuses what is not there as it refuses
// everything.
func (a *Authenticator) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	found := cookies(in.Headers["Cookie"], a.cookie)
	if len(found) == 0 {
		return realm.Credentials{}, &realm.Challenge{Message: messageMissing}, nil
	}
	token := found[0]
	if len(found) > 1 {
		token = ""
	}
	return realm.Credentials{
		Values: map[string]string{ValueToken: token}, ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject,
	}, nil, nil
}

// cookies returns the values of all cookies of a name, without quotes.
func cookies(fields []string, name string) []string {
	var found []string
	for _, field := range fields {
		for pair := range strings.SplitSeq(field, ";") {
			key, value, ok := strings.Cut(strings.Trim(pair, " \t"), "=")
			if !ok || key != name {
				continue
			}
			if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			found = append(found, value)
		}
	}
	return found
}
