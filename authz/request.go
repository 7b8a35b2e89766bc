// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// RequestTTL is how long a person may take from the application's request to its answer.
const RequestTTL = 15 * time.Minute

// Request is an authorization request under way. Its parameters never change after it was accepted: nothing that comes
// later from the browser can widen it.
type Request struct {
	ID string `json:"id"`
	// Browser is the hash of the cookie of the browser that began the request. No other may go on with it. It is empty
	// until [Store.BindRequest] when the request came without cookies, as one posted from another site does.
	Browser string `json:"browser,omitempty"`
	// Pushed is set for a request that an application has pushed: it waits for the browser that it gives its handle to.
	Pushed *Pushed `json:"pushed,omitempty"`
	// Handover is what an app offers with it, until the person has decided.
	Handover *Handover `json:"handover,omitempty"`
	// Local is set when a page of the issuer itself asked for the login: the path, below the issuer, to return to. Such a
	// request has no client and ends without a code.
	Local string `json:"local,omitempty"`

	ClientID     string       `json:"client_id"`
	RedirectURI  string       `json:"redirect_uri"`
	ResponseMode string       `json:"response_mode"`
	Scopes       oauth.Scopes `json:"scopes,omitempty"`
	State        string       `json:"state,omitempty"`
	Nonce        string       `json:"nonce,omitempty"`
	Challenge    string       `json:"challenge"`
	Key          string       `json:"dpop_jkt,omitempty"` // that its code is bound to (RFC 9449 10)
	ACRValues    []string     `json:"acr_values,omitempty"`
	Prompt       oauth.Prompt `json:"prompt,omitzero"`
	LoginHint    string       `json:"login_hint,omitempty"`
	UILocales    string       `json:"ui_locales,omitempty"`
	// Subject is set when the application asked about one user only (id_token_hint).
	Subject string `json:"sub,omitempty"`
	// Details are what is asked for beside the scopes, and Message is what the realms that approve one of them show.
	Details oauth.Details `json:"authorization_details,omitempty"`
	Message string        `json:"message,omitempty"`

	// Requirements are the realms to prove, fixed when the request was accepted; they share one NotBefore.
	Requirements []realm.Requirement `json:"requirements"`
	// Proven is what was proven before anybody was known: that an app is what it says, say. Each names nobody. It moves into
	// the session of whoever then proves who he is.
	Proven realm.Proofs `json:"proven,omitempty"`
	// RealmState is what each realm's last challenge kept.
	RealmState map[string][]byte `json:"realm_state,omitempty"`
	// RealmSpent tells of which realms that challenge was answered since.
	RealmSpent map[string]bool `json:"realm_spent,omitempty"`

	CreatedAt   time.Time `json:"created_at"`
	ExpiresAt   time.Time `json:"expires_at"`
	CompletedAt time.Time `json:"completed_at,omitzero"`
}

// NewRequest draws a request that begins now.
func NewRequest(now time.Time) Request {
	return Request{ID: randid.New("req"), CreatedAt: now, ExpiresAt: now.Add(RequestTTL)}
}

// Transaction returns what realms approve with their proofs for the request; nil for nothing.
func (r *Request) Transaction() *realm.Transaction {
	if r.Message == "" {
		return nil
	}
	return &realm.Transaction{Request: r.ID, Message: r.Message, Details: []byte(r.Details.String())}
}

// BelongsTo reports whether a browser, known by the hash of its cookie, began the request. A request that is not bound yet
// belongs to nobody.
func (r *Request) BelongsTo(browser string) bool {
	return r.Browser != "" && subtle.ConstantTimeCompare([]byte(r.Browser), []byte(browser)) == 1
}

// Proofs returns those proofs that count for the request: what was proven for it before anybody was known, and those of a
// session; none of a user other than the one it asks about, and none from before the moment it asks to be proven anew.
func (r *Request) Proofs(session Session) realm.Proofs {
	counting := realm.Proofs{}
	r.count(counting, r.Proven)
	if r.Subject == "" || r.Subject == session.Subject {
		r.count(counting, session.Proofs)
	}
	return counting
}

// count adds the proofs that are new enough, the newer where there are two; none of another client's app.
func (r *Request) count(counting, proofs realm.Proofs) {
	for name, proof := range proofs {
		fresh := len(r.Requirements) == 0 || !proof.Time.Before(r.Requirements[0].NotBefore)
		another := proof.Client != "" && proof.Client != r.ClientID
		if fresh && !another && !proof.Time.Before(counting[name].Time) {
			counting[name] = proof
		}
	}
}

// Missing returns the first realm that a session has yet to prove for the request; false when none is. Proofs count as the engine lets them stand.
func (r *Request) Missing(engine *realm.Engine, session Session, now time.Time) (realm.Requirement, bool) {
	return realm.Missing(r.Requirements, engine.Standing(r.Proofs(session)), now)
}

// Remaining returns the realms that can be proven next, as [Request.Missing] does the first.
func (r *Request) Remaining(engine *realm.Engine, session Session, now time.Time) []realm.Requirement {
	return realm.Remaining(r.Requirements, engine.Standing(r.Proofs(session)), now)
}

// Expects returns the only user who may prove what the request still misses: the one the application asked about, or the one
// who has begun to prove it. It is empty when anybody may sign in, as with prompt=login: whoever does gets a session of his
// own.
func (r *Request) Expects(session Session, now time.Time) string {
	if r.Subject != "" {
		return r.Subject
	}
	proofs := realm.Proofs{} // his, and not those from before anybody was known
	r.count(proofs, session.Proofs)
	if session.Subject != "" && slices.ContainsFunc(r.Requirements, func(need realm.Requirement) bool { return need.MetBy(proofs, now) }) {
		return session.Subject
	}
	return ""
}

func requestTable() *storage.Table[Request] {
	return &storage.Table[Request]{
		Name: "request", Version: 1,
		ID:     func(r *Request) string { return r.ID },
		Expiry: func(r *Request) time.Time { return r.ExpiresAt },
	}
}

// InsertRequest begins a request. The caller has drawn its ID and checked its parameters.
func (s *Store) InsertRequest(ctx context.Context, r Request) error {
	return s.db.Update(ctx, func(tx storage.Tx) error { return s.requests.Insert(tx, r) })
}

// ErrRequestEnded says that a request is not open: it has expired, was finished already or never was. It is a
// [storage.ErrNotFound].
var ErrRequestEnded = fmt.Errorf("the authorization request has ended: %w", storage.ErrNotFound)

// Request returns an open request or [ErrRequestEnded].
func (s *Store) Request(ctx context.Context, id string) (r Request, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		r, err = s.openRequest(tx, id)
		return err
	})
	return r, err
}

func (s *Store) openRequest(tx storage.Tx, id string) (Request, error) {
	r, err := s.requests.Get(tx, id)
	if Gone(err) || err == nil && !r.CompletedAt.IsZero() {
		return Request{}, ErrRequestEnded
	}
	return r, err
}

// changeRequest changes an open request, unless the change finds nothing to do, and returns it as it then is.
func (s *Store) changeRequest(ctx context.Context, id string, within Within, change func(r *Request) (changed bool)) (Request, error) {
	var r Request
	return certain(&r, s.db.Update(ctx, func(tx storage.Tx) (err error) {
		if r, err = s.openRequest(tx, id); err != nil || !change(&r) {
			return err
		}
		return within.after(tx, s.requests.Put(tx, r))
	}))
}

// BindRequest binds an open request to a browser, known by the hash of its cookie, unless it is bound already or was pushed. The
// request as it then is comes back.
func (s *Store) BindRequest(ctx context.Context, id, browser string) (Request, error) {
	return s.changeRequest(ctx, id, nil, func(r *Request) bool {
		free := r.Browser == "" && r.Pushed == nil
		if free {
			r.Browser = browser
		}
		return free
	})
}

// CloseRequest ends an open request without a code.
func (s *Store) CloseRequest(ctx context.Context, id string) error {
	return s.db.Update(ctx, func(tx storage.Tx) error {
		_, err := s.closeRequest(tx, id)
		return err
	})
}

func (s *Store) closeRequest(tx storage.Tx, id string) (Request, error) {
	r, err := s.openRequest(tx, id)
	if err != nil {
		return Request{}, err
	}
	r.CompletedAt = s.Now()
	return r, s.requests.Put(tx, r)
}

// ErrNotAnonymous is returned for a proof that names a user where only one that names nobody may stand.
var ErrNotAnonymous = errors.New("the proof names a user")

// ProveRequest adds to an open request a proof that was given before anybody was known. It must name nobody, and must not
// have been judged in the knowledge of a user either: whoever proves next who he is takes it over.
func (s *Store) ProveRequest(ctx context.Context, id string, proof realm.Proof, within Within) (Request, error) {
	if proof.Subject != "" {
		return Request{}, ErrNotAnonymous
	}
	return s.changeRequest(ctx, id, within, func(r *Request) bool {
		if r.Proven == nil {
			r.Proven = realm.Proofs{}
		}
		r.Proven[proof.Realm] = proof
		return true
	})
}

// KeepRealmState records what a realm's challenge wants back in the next round, as that of a challenge nobody has answered yet.
func (s *Store) KeepRealmState(ctx context.Context, id, realmName string, state []byte) error {
	_, err := s.changeRequest(ctx, id, nil, func(r *Request) bool {
		if r.RealmState == nil {
			r.RealmState = map[string][]byte{}
		}
		r.RealmState[realmName] = state
		delete(r.RealmSpent, realmName)
		return true
	})
	return err
}

// SpendRealmState records that the challenge which kept a state is being answered. It reports whether this is the first answer:
// of many that come at once one is, and none is to a challenge that another has taken the place of.
func (s *Store) SpendRealmState(ctx context.Context, id, realmName string, state []byte) (first bool, err error) {
	_, err = s.changeRequest(ctx, id, nil, func(r *Request) bool {
		kept, ok := r.RealmState[realmName]
		first = ok && !r.RealmSpent[realmName] && bytes.Equal(kept, state)
		if first && r.RealmSpent == nil {
			r.RealmSpent = map[string]bool{}
		}
		if first {
			r.RealmSpent[realmName] = true
		}
		return first
	})
	return first && err == nil, err
}
