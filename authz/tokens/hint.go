// SPDX-License-Identifier: Apache-2.0

package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/internal/jose"
)

// ErrHint is wrapped when a token is no ID token of this issuer.
var ErrHint = errors.New("no ID token of this issuer")

// Hints reads ID tokens that come back as hints.
type Hints struct {
	Issuer string
	// Key returns a published key by its name.
	Key func(ctx context.Context, kid string) (jose.PublicKey, bool)
}

// Read returns what an ID token of this issuer says. One that has expired is good: it is a hint (OpenID Connect Core
// 3.1.2.1, RP-Initiated Logout 2). How far back it goes is bounded by how long keys stay published.
func (h *Hints) Read(ctx context.Context, raw string) (authz.Hint, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return authz.Hint{}, fmt.Errorf("reading a hint: %w: %w", ErrHint, err)
	}
	if token.Header.Typ != "" && !jose.EqualTyp(token.Header.Typ, TypID) {
		return authz.Hint{}, fmt.Errorf("reading a hint of type %q: %w", token.Header.Typ, ErrHint)
	}
	key, ok := h.Key(ctx, token.Header.KID)
	if !ok {
		return authz.Hint{}, fmt.Errorf("reading a hint of another key: %w", ErrHint)
	}
	if err := token.Verify(key); err != nil {
		return authz.Hint{}, fmt.Errorf("reading a hint: %w: %w", ErrHint, err)
	}
	return h.claims(token)
}

func (h *Hints) claims(token jose.Token) (authz.Hint, error) {
	var c struct {
		Issuer    string          `json:"iss"`
		Subject   string          `json:"sub"`
		Audience  json.RawMessage `json:"aud"`
		SessionID string          `json:"sid"`
		IssuedAt  int64           `json:"iat"`
		App       json.RawMessage `json:"application"`
	}
	if err := token.Claims(&c); err != nil {
		return authz.Hint{}, fmt.Errorf("reading a hint: %w: %w", ErrHint, err)
	}
	// Ours have one audience, written as a string: anything else is another kind of token.
	var client string
	if json.Unmarshal(c.Audience, &client) != nil || client == "" || c.Subject == "" || c.Issuer != h.Issuer || c.IssuedAt <= 0 {
		return authz.Hint{}, fmt.Errorf("reading a hint with other claims than ours: %w", ErrHint)
	}
	return authz.Hint{
		Subject: c.Subject, ClientID: client, SessionID: c.SessionID, IssuedAt: time.Unix(c.IssuedAt, 0).UTC(), Application: c.App != nil,
	}, nil
}

// Subject returns the user that an ID token of this issuer is about.
func (h *Hints) Subject(ctx context.Context, raw string) (string, error) {
	hint, err := h.Read(ctx, raw)
	return hint.Subject, err
}
