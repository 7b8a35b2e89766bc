// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/rotation"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// CodeTTL is how long an authorization code can be redeemed.
	CodeTTL = time.Minute
	// codeKept is how long a spent code is remembered, so that its replay revokes what it had issued.
	codeKept = MaxAccessTTL
	// codeTries is how often a code may be presented wrongly before it is spent.
	codeTries = 5
)

// Code is an authorization code. The code itself is random; only its hash is kept.
type Code struct {
	Hash        string    `json:"hash"`
	ClientID    string    `json:"client_id"`
	RedirectURI string    `json:"redirect_uri"`
	Challenge   string    `json:"challenge"`
	Nonce       string    `json:"nonce,omitempty"`
	Key         string    `json:"jkt,omitempty"` // that whoever redeems it must prove to hold (RFC 9449 10)
	GrantID     string    `json:"grant_id"`
	Tries       int       `json:"tries,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	SpentAt     time.Time `json:"spent_at,omitzero"`
}

func codeTable() *storage.Table[Code] {
	return &storage.Table[Code]{
		Name: "code", Version: 1,
		ID:     func(c *Code) string { return c.Hash },
		Expiry: func(c *Code) time.Time { return c.CreatedAt.Add(codeKept) },
	}
}

// NewCode draws an authorization code that can be redeemed from now on, and its record.
func NewCode(now time.Time) (code string, record Code) {
	code = randid.Secret()
	return code, Code{Hash: randid.Hash(code), CreatedAt: now, ExpiresAt: now.Add(CodeTTL)}
}

// Completion is what ends an authorization request with a code.
type Completion struct {
	// RequestID is empty for a request that could be answered at once and was never stored.
	RequestID string
	Grant     Grant
	Code      Code
	// RememberConsent stores the grant's scopes as consented.
	RememberConsent bool
	// Remembered says that the user was not asked, because an agreement was remembered: it must still stand.
	Remembered bool
}

// ErrSessionEnded is returned when the session that a completion rests on has ended.
var ErrSessionEnded = errors.New("the session has ended")

// ErrConsentWithdrawn is returned when the agreement that a completion rests on does not stand any more.
var ErrConsentWithdrawn = errors.New("the consent was withdrawn")

// Complete closes an open request and inserts its grant and code, all in one transaction: of two browsers' tabs that
// finish the same request, one gets the code and the other [ErrRequestEnded], which it also is when a device was revoked that had
// proven something for it. The session must still be live, else it is
// [ErrSessionEnded], and a remembered consent stand, else it is [ErrConsentWithdrawn]. Where the client holds [MaxGrants] of
// the user already, one of those is ended, and the revocation returned.
func (s *Store) Complete(ctx context.Context, c Completion) ([]Revocation, error) {
	draft := s.newRevocation(KindGrant, "")
	return s.revoking(ctx, &draft, func(tx storage.Tx) (bool, error) { return s.complete(tx, c, &draft) })
}

// complete reports whether another grant had to give way.
func (s *Store) complete(tx storage.Tx, c Completion, draft *Revocation) (full bool, err error) {
	if err := storage.Prefetch(tx, s.completing(&c)...); err != nil {
		return false, err
	}
	if c.RequestID != "" {
		r, err := s.closeRequest(tx, c.RequestID)
		if err != nil {
			return false, err
		}
		if out, err := s.deviceOut(tx, r.Proven); out || err != nil {
			return false, cmp.Or(err, ErrRequestEnded)
		}
	}
	session, err := s.liveSession(tx, c.Grant.SessionID)
	if Gone(err) || err == nil && session.Subject != c.Grant.Subject {
		return false, ErrSessionEnded
	}
	if err != nil {
		return false, err
	}
	if err := s.settleConsent(tx, &c); err != nil {
		return false, err
	}
	if session.addClient(c.Grant.ClientID) {
		if err := s.sessions.Put(tx, session); err != nil {
			return false, err
		}
	}
	if err := s.codes.Insert(tx, c.Code); err != nil {
		return false, err
	}
	return s.insertGrant(tx, c.Grant, draft)
}

// completing returns what a completion looks at, to be read together.
func (s *Store) completing(c *Completion) []string {
	client := consentID(c.Grant.Subject, c.Grant.ClientID)
	keys := append(s.rests(&c.Grant), s.cutoffs.TallyKey(), s.sessions.Key(c.Grant.SessionID), s.rosters.Key(client))
	if c.RequestID != "" {
		keys = append(keys, s.requests.Key(c.RequestID))
	}
	if c.RememberConsent || c.Remembered {
		keys = append(keys, s.consents.Key(client))
	}
	if len(c.Grant.Authn.Devices) > 0 {
		keys = append(keys, s.devices.Key(c.Grant.Subject))
	}
	return keys
}

// Redemption is a presented code.
type Redemption struct {
	Code        string
	ClientID    string
	RedirectURI string
	Verifier    string
	Key         string // that the sender has proven to hold, if any
	// Family is inserted when the code is good and the client may refresh; its GrantID is filled in.
	Family *rotation.Family
	// AuthSession is inserted when the code is good and came by a redirect, and gives a native app a hold on the session that
	// the browser has; its SessionID and its end are filled in.
	AuthSession *AuthSession
	// Applications knows which versions of apps are refused; nil refuses none.
	Applications realm.Applications
	// Fits, when set, judges the grant: [RedeemExceeds] when it says no. It may run several times.
	Fits func(grant *Grant) bool
	// Within, when set, writes in the same transaction once the outcome is known: the audit trail. It may run several
	// times.
	Within func(tx storage.Tx, result RedeemResult) error
}

// RedeemOutcome is how the redemption of a code ended.
type RedeemOutcome string

// Outcomes of a redemption. All of them are committed.
const (
	Redeemed       RedeemOutcome = "redeemed"
	RedeemUnknown  RedeemOutcome = "unknown"  // no such code, or expired
	RedeemMismatch RedeemOutcome = "mismatch" // wrong client, redirect URI, verifier or key
	RedeemReplayed RedeemOutcome = "replayed" // spent before: what it had issued is now revoked
	RedeemRevoked  RedeemOutcome = "revoked"  // the grant ended between authorization and redemption: the code is spent
	RedeemExceeds  RedeemOutcome = "exceeds"  // more is asked for than was granted; the code is untouched
	RedeemBarred   RedeemOutcome = "barred"   // with a version of an app that is refused: the code is spent
)

// RedeemResult is a redemption's outcome, with the grant and the code when it was redeemed.
type RedeemResult struct {
	Outcome     RedeemOutcome
	Grant       Grant
	Code        Code
	Revocations []Revocation
	// Shared tells that the auth session was inserted.
	Shared bool
}

// Redeem spends a code (RFC 6749 4.1.3). A code presented by another client, with another redirect URI or with a wrong
// verifier is left untouched but counted, so that a stranger cannot burn it with one request; a code presented a second
// time revokes its grant (RFC 6749 4.1.2). Minting comes after: if it fails the code stays spent, since safety against
// replay comes before convenience.
func (s *Store) Redeem(ctx context.Context, in Redemption) (RedeemResult, error) {
	hash := randid.Hash(in.Code)
	draft := s.newRevocation(KindGrant, "")
	var result RedeemResult
	return certain(&result, s.db.Update(ctx, func(tx storage.Tx) error {
		result = RedeemResult{}
		code, ok, err := s.codes.Find(tx, hash)
		if err != nil {
			return err
		}
		result.Outcome = RedeemUnknown
		if ok {
			result.Outcome, err = s.redeem(tx, in, &code, &result, draft)
		}
		if err != nil || in.Within == nil {
			return err
		}
		return in.Within(tx, result)
	}))
}

func (s *Store) redeem(tx storage.Tx, in Redemption, code *Code, result *RedeemResult, draft Revocation) (RedeemOutcome, error) {
	now := s.Now()
	switch {
	case code.ClientID != in.ClientID:
		return s.miss(tx, code)
	case !code.SpentAt.IsZero():
		draft.Target = code.GrantID
		ok, err := s.revokeAll(tx, draft)
		if ok {
			result.Revocations = []Revocation{draft}
		}
		return RedeemReplayed, err
	case !now.Before(code.ExpiresAt):
		return RedeemUnknown, nil
	case code.RedirectURI != in.RedirectURI || !oauth.VerifierMatches(code.Challenge, in.Verifier) || code.Key != "" && code.Key != in.Key:
		return s.miss(tx, code)
	}
	grant, active, err := s.activeGrant(tx, code.GrantID)
	if err != nil {
		return "", err
	}
	if active && in.Fits != nil && !in.Fits(&grant) {
		return RedeemExceeds, nil
	}
	code.SpentAt = now
	if err := s.codes.Put(tx, *code); err != nil {
		return "", err
	}
	if !active {
		return RedeemRevoked, nil
	}
	if grant.Authn.Application.Barred(in.Applications) {
		return RedeemBarred, nil
	}
	if err := s.insertFamily(tx, in.Family, &grant); err != nil {
		return "", err
	}
	result.Shared, err = s.shareSession(tx, in.AuthSession, code, &grant)
	result.Grant, result.Code = grant, *code
	return Redeemed, err
}

// shareSession inserts the auth session of an app that let a browser log its user in; it ends with the grant, as a replay of the
// code or its user ends it. An app that answered the challenges itself has one.
func (s *Store) shareSession(tx storage.Tx, share *AuthSession, code *Code, grant *Grant) (bool, error) {
	if share == nil || code.RedirectURI == "" || grant.SessionID == "" {
		return false, nil
	}
	session, err := s.liveSession(tx, grant.SessionID)
	if Gone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	shared := *share
	shared.ClientID, shared.SessionID, shared.Subject, shared.ExpiresAt = grant.ClientID, session.ID, session.Subject, session.ExpiresAt
	grant.AuthSessionID = shared.ID
	return true, errors.Join(s.authSessions.Insert(tx, shared), s.grants.Put(tx, *grant))
}

// miss counts a wrong presentation and spends the code at the limit.
func (s *Store) miss(tx storage.Tx, code *Code) (RedeemOutcome, error) {
	if !code.SpentAt.IsZero() {
		return RedeemMismatch, nil
	}
	code.Tries++
	if code.Tries >= codeTries {
		code.SpentAt = s.Now()
	}
	return RedeemMismatch, s.codes.Put(tx, *code)
}

// assertion is a used client assertion: its jti counts once (OpenID Connect Core 9).
type assertion struct {
	ID        string    `json:"id"`
	ExpiresAt time.Time `json:"expires_at"`
}

func assertionTable() *storage.Table[assertion] {
	return &storage.Table[assertion]{
		Name: "assertion", Version: 1,
		ID:     func(a *assertion) string { return a.ID },
		Expiry: func(a *assertion) time.Time { return a.ExpiresAt },
	}
}

// SpendAssertion marks a client's assertion as used until it expires; false when it was used before.
func (s *Store) SpendAssertion(ctx context.Context, client, jti string, expires time.Time) (bool, error) {
	used := assertion{ID: randid.Hash(client) + "." + randid.Hash(jti), ExpiresAt: expires}
	err := s.db.Update(ctx, func(tx storage.Tx) error { return s.assertions.Insert(tx, used) })
	if errors.Is(err, storage.ErrExists) {
		return false, nil
	}
	return err == nil, err
}
