// SPDX-License-Identifier: Apache-2.0

package headerauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/textproto"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
)

// MaxValue is the longest value of a field in bytes. A longer one is none.
const MaxValue = realm.MaxValue

// maxFields bounds how many fields are read.
const maxFields = 16

// valueUser is the value under which login modules of other kinds find who it is.
const valueUser = "username"

// messageMissing is the key of the text shown to people who do not come through the proxy.
const messageMissing = "login.header"

// Config describes an [Authenticator].
type Config struct {
	// Name is the field that says who it is.
	Name string
	// Also are fields that say more about the same person. Each may be absent.
	Also []string
	// Logger is told of a field that came from somewhere else than a trusted proxy; never what was in it.
	Logger *slog.Logger
}

// Authenticator reads header fields that a trusted proxy has set. It is safe for concurrent use.
type Authenticator struct {
	name   string
	also   []string
	logger *slog.Logger
}

// New returns an authenticator, or an error that names the field that cannot be one.
func New(c Config) (*Authenticator, error) {
	if c.Logger == nil {
		return nil, errors.New("reading a header field: a logger is required")
	}
	if len(c.Also) >= maxFields {
		return nil, fmt.Errorf("reading %d header fields: at most %d are read", len(c.Also)+1, maxFields)
	}
	name, err := field(c.Name)
	if err != nil {
		return nil, err
	}
	a := &Authenticator{name: name, logger: c.Logger}
	for _, other := range c.Also {
		if other, err = field(other); err != nil {
			return nil, err
		}
		if other == a.name || slices.Contains(a.also, other) {
			return nil, fmt.Errorf("header field %q is read twice", other)
		}
		a.also = append(a.also, other)
	}
	return a, nil
}

// field returns the canonical form of a field name (RFC 9110 5.1: a token). Fields that carry credentials of their own, or that
// every client sends, are refused: that a proxy has set them cannot be told.
func field(name string) (string, error) {
	if name == "" || len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool { return !tokenChar(r) }) {
		return "", fmt.Errorf("%q is no name of a header field", name)
	}
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch canonical {
	case "Authorization", "Cookie", "Host", "User-Agent", "Accept", "Accept-Language", "Referer", "Origin", "Content-Type":
		return "", fmt.Errorf("header field %q comes from every client and says nothing of who it is", canonical)
	}
	return canonical, nil
}

func tokenChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}

// Collect returns who the proxy says it is. Without a trusted proxy, and where the field is absent, stands more than once, or
// holds what is no printable text of 1 to [MaxValue] bytes, it asks for nothing and says that the way in is another one.
func (a *Authenticator) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	if !in.Proxied {
		if _, sent := in.Headers[a.name]; sent {
			a.logger.WarnContext(ctx, "a header field that says who it is came from no trusted proxy and was ignored",
				"header", a.name, "client_ip", in.ClientIP)
		}
		return realm.Credentials{}, &realm.Challenge{Message: messageMissing}, nil
	}
	user, ok := single(in.Headers[a.name])
	if !ok {
		return realm.Credentials{}, &realm.Challenge{Message: messageMissing}, nil
	}
	read := map[string]string{a.name: user}
	for _, name := range a.also {
		if value, ok := single(in.Headers[name]); ok {
			read[name] = value
		}
	}
	return realm.Credentials{
		Values:   map[string]string{valueUser: user},
		Identity: &realm.Identity{ExternalID: user, Attributes: read},
		ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject,
	}, nil, nil
}

// single returns the one usable value of a field. A second one may be the client's own, so that neither counts.
func single(values []string) (string, bool) {
	if len(values) != 1 {
		return "", false
	}
	value := strings.Trim(values[0], " \t")
	return value, value != "" && realm.ValidText(value, MaxValue)
}
