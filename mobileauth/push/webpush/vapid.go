// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"
)

// How long a token is good, and how long it is used: RFC 8292 allows a day, and clocks differ.
const (
	tokenLife = 12 * time.Hour
	tokenUse  = 6 * time.Hour
	// maxTokens bounds the tokens that are kept. Origins are named by devices.
	maxTokens = 1024
)

// tokens are the VAPID tokens in use, by origin and key.
type tokens struct {
	subject string
	now     func() time.Time

	mu   sync.Mutex
	kept map[tokenFor]token
}

type tokenFor struct{ origin, key string }

type token struct {
	field string
	until time.Time
}

// field returns the Authorization field for an endpoint (RFC 8292, section 3). The token is signed once for its origin and key.
func (t *tokens) field(endpoint *url.URL, key *Key) (string, error) {
	at, now := tokenFor{origin(endpoint), key.id}, t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.kept[at]; ok && now.Before(known.until) {
		return known.field, nil
	}
	claims, err := json.Marshal(struct {
		Audience string `json:"aud"`
		Expires  int64  `json:"exp"`
		Subject  string `json:"sub"`
	}{at.origin, now.Add(tokenLife).Unix(), t.subject})
	if err != nil {
		return "", fmt.Errorf("writing a VAPID token: %w", err)
	}
	signed, err := key.signer.Sign(claims)
	if err != nil {
		return "", fmt.Errorf("signing a VAPID token: %w", err)
	}
	if len(t.kept) >= maxTokens {
		clear(t.kept) // the next of each origin costs a signature
	}
	fresh := token{"vapid t=" + signed + ", k=" + key.public, now.Add(tokenUse)}
	t.kept[at] = fresh
	return fresh.field, nil
}

// origin is that of an endpoint (RFC 6454, section 6.2): without the port that goes without saying.
func origin(u *url.URL) string {
	return "https://" + strings.TrimSuffix(strings.ToLower(u.Host), ":443")
}

// checkSubject admits what all services take, of which Apple's is the strictest.
func checkSubject(subject string) error {
	u, err := url.Parse(subject)
	mail := err == nil && u.Scheme == "mailto" && strings.Count(u.Opaque, "@") == 1 && !strings.HasPrefix(u.Opaque, "@") &&
		!strings.HasSuffix(u.Opaque, "@") && !strings.HasSuffix(u.Opaque, "@localhost")
	page := err == nil && u.Scheme == "https" && u.Hostname() != "" && u.Hostname() != "localhost" && u.User == nil
	if !mail && !page || strings.ContainsAny(subject, "<> \t\r\n") || len(subject) > 256 {
		return errors.New("the contact of the VAPID keys is not a mailto: or https: address that a push service could use")
	}
	return nil
}
