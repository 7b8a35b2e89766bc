// SPDX-License-Identifier: Apache-2.0

package authz_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// stage is a world with one of everything in it, for transitions to fail in.
type stage struct {
	*world
	session authz.Session
	handle  authz.Handle
	request authz.Request
	code    string
	grant   authz.Grant
	token   string // of the grant
	native  hold
	pushed  authz.Request // offers what the app holds
	open    authz.Handle  // of the request
	opened  authz.Request // as pushed, and a browser is there
}

func newStage(w *world) *stage {
	s := &stage{world: w}
	s.session, s.handle = w.sign(alice)
	s.request = w.ask("")
	w.ok(w.store.KeepRealmState(w.Context(), s.request.ID, "kept", []byte("x")))
	s.grant, s.token = w.line(s.session, remembering("openid"))
	s.code, _ = w.authorize(s.session)
	w.ok(second(w.store.Revoke(w.Context(), authz.KindToken, "jti")))
	var session authz.Session
	session, s.native = w.prove(w.begin(), "password", alice)
	s.opened, s.open = w.offer(s.native, session)
	w.ok(second(w.store.OpenPushed(w.Context(), s.open, app, hash)))
	s.pushed, s.open = w.offer(s.native, session)
	w.after(authz.CodeTTL / 2)
	return s
}

// transition is one call on the store that is to fail. Its results come back as they are, for all of them to be nothing.
type transition struct {
	name    string
	reads   bool // makes no Update
	parts   bool // is several transactions
	prepare func(*stage)
	call    func(*stage, context.Context) (results []any, err error)
}

func results(all ...any) []any { return all }

func transitions() []transition {
	return []transition{
		{name: "InsertRequest", call: func(s *stage, ctx context.Context) ([]any, error) {
			return nil, s.store.InsertRequest(ctx, authz.NewRequest(s.store.Now()))
		}},
		{name: "Request", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Request(ctx, s.request.ID)
			return results(r), err
		}},
		{name: "Visit", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Visit(ctx, s.request.ID, s.session.ID)
			return results(r), err
		}},
		{name: "BindRequest", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.BindRequest(ctx, s.request.ID, "browser")
			return results(r), err
		}},
		{name: "CloseRequest", call: func(s *stage, ctx context.Context) ([]any, error) {
			return nil, s.store.CloseRequest(ctx, s.request.ID)
		}},
		{name: "KeepRealmState", call: func(s *stage, ctx context.Context) ([]any, error) {
			return nil, s.store.KeepRealmState(ctx, s.request.ID, "password", []byte("x"))
		}},
		{name: "SpendRealmState", call: func(s *stage, ctx context.Context) ([]any, error) {
			first, err := s.store.SpendRealmState(ctx, s.request.ID, "kept", []byte("x"))
			return results(first), err
		}},
		{name: "ProveRequest", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.ProveRequest(ctx, s.request.ID, realm.Proof{Realm: "app", Time: s.store.Now()}, nil)
			return results(r), err
		}},
		{name: "AuthSession", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.AuthSession(ctx, s.native.handle, app)
			return results(r), err
		}},
		{name: "ClientOfAuthSession", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.ClientOfAuthSession(ctx, s.native.handle.ID)
			return results(r), err
		}},
		{name: "BeginNative", call: func(s *stage, ctx context.Context) ([]any, error) {
			r := s.question()
			a, _ := authz.NewAuthSession(app, r.ExpiresAt)
			return nil, s.store.BeginNative(ctx, a, r)
		}},
		{name: "BeginNative in place of another", call: func(s *stage, ctx context.Context) ([]any, error) {
			a := authz.AuthSession{
				ID: s.native.handle.ID, SecretHash: s.native.handle.Hash(), ClientID: app, RequestID: s.native.request.ID,
			}
			return nil, s.store.BeginNative(ctx, a, s.question())
		}},
		{name: "ProveNative opens", call: func(s *stage, ctx context.Context) ([]any, error) {
			in, _ := s.answer(s.native, "password", bob)
			r, ended, err := s.store.ProveNative(ctx, in)
			return results(r, ended), err
		}},
		{name: "ProveNative raises", call: func(s *stage, ctx context.Context) ([]any, error) {
			in, _ := s.answer(s.native, "pin", "")
			r, ended, err := s.store.ProveNative(ctx, in)
			return results(r, ended), err
		}},
		{name: "RefuseNative", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.RefuseNative(ctx, s.native.handle.ID, "password")
			return results(r), err
		}},
		{name: "OpenPushed", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.OpenPushed(ctx, s.open, app, hash)
			return results(r), err
		}},
		{name: "Offered", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Offered(ctx, s.pushed)
			return results(r), err
		}},
		{name: "TakeOver", call: func(s *stage, ctx context.Context) ([]any, error) {
			in := authz.Takeover{RequestID: s.opened.ID, Browser: hash, SecretHash: "new", Current: s.session.ID}
			r, ended, err := s.store.TakeOver(ctx, in)
			return results(r, ended), err
		}},
		{name: "Complete", call: func(s *stage, ctx context.Context) ([]any, error) {
			_, c := s.completion(s.session)
			r, err := s.store.Complete(ctx, c)
			return results(r), err
		}},
		{name: "Redeem", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Redeem(ctx, s.redemption(s.code))
			return results(r), err
		}},
		{name: "Refresh", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Refresh(ctx, authz.Renewal{Token: s.token, ClientID: app})
			return results(r), err
		}},
		{name: "FamilyByToken", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			family, grant, ok, err := s.store.FamilyByToken(ctx, s.token)
			return results(family, grant, ok), err
		}},
		{name: "RevokeRefreshToken", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.RevokeRefreshToken(ctx, s.token, app)
			return results(r), err
		}},
		{name: "SessionByHandle", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.SessionByHandle(ctx, s.handle)
			return results(r), err
		}},
		{name: "SessionByHandle after a minute", call: func(s *stage, ctx context.Context) ([]any, error) {
			s.after(time.Minute)
			r, err := s.store.SessionByHandle(ctx, s.handle)
			return results(r), err
		}},
		{name: "TouchSession after a minute", call: func(s *stage, ctx context.Context) ([]any, error) {
			s.after(time.Minute)
			r, err := s.store.TouchSession(ctx, s.session.ID)
			return results(r), err
		}},
		{name: "Session", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Session(ctx, s.session.ID)
			return results(r), err
		}},
		{name: "OpenSession", call: func(s *stage, ctx context.Context) ([]any, error) {
			fresh, _ := s.draft(alice)
			return nil, s.store.OpenSession(ctx, fresh, nil)
		}},
		{name: "ReplaceSession", call: func(s *stage, ctx context.Context) ([]any, error) {
			fresh, _ := s.draft(alice)
			r, err := s.store.ReplaceSession(ctx, s.session.ID, fresh, nil)
			return results(r), err
		}},
		{name: "RaiseSession", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.RaiseSession(ctx, raise(s.session, alice, s.store.Now()))
			return results(r), err
		}},
		{name: "EndSession", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.EndSession(ctx, s.session.ID)
			return results(r), err
		}},
		{name: "CancelLogins", call: func(s *stage, ctx context.Context) ([]any, error) {
			return nil, s.store.CancelLogins(ctx, alice)
		}},
		{name: "Moment", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Moment(ctx)
			return results(r), err
		}},
		{name: "SessionsOf", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.SessionsOf(ctx, alice)
			return results(r), err
		}},
		{name: "Sessions", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Sessions(ctx, "", 10)
			return results(r), err
		}},
		{name: "Grant", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Grant(ctx, s.grant.ID)
			return results(r), err
		}},
		{name: "GrantsOf", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.GrantsOf(ctx, alice)
			return results(r), err
		}},
		{name: "RevokeGrant", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.RevokeGrant(ctx, s.grant.ID, alice)
			return results(r), err
		}},
		{name: "Consented", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Consented(ctx, alice, app, oauth.Scopes{"openid"})
			return results(r), err
		}},
		{name: "ConsentsOf", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.ConsentsOf(ctx, alice)
			return results(r), err
		}},
		{name: "WithdrawConsent", parts: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.WithdrawConsent(ctx, alice, app)
			return results(r), err
		}},
		{name: "SpendAssertion", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.SpendAssertion(ctx, app, "jti", s.store.Now().Add(time.Minute))
			return results(r), err
		}},
		{name: "Revoke", call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.Revoke(ctx, authz.KindSubject, alice)
			return results(r), err
		}},
		{name: "RevocationsSince", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) {
			r, err := s.store.RevocationsSince(ctx, time.Time{})
			return results(r), err
		}},
		{name: "Healthy", reads: true, call: func(s *stage, ctx context.Context) ([]any, error) { return nil, s.store.Healthy(ctx) }},
	}
}

// wantNothing checks that an error came with nothing that could be taken for a success.
func wantNothing(t testing.TB, results []any) {
	t.Helper()
	for _, r := range results {
		if v := reflect.ValueOf(r); v.IsValid() && !v.IsZero() && !(v.Kind() == reflect.Slice && v.Len() == 0) {
			t.Errorf("the error came with %+v", r)
		}
	}
}

// An error never comes with a success, wherever the store fails.
func TestErrorsComeWithNothing(t *testing.T) {
	t.Parallel()
	mark := errors.New("the disk is on fire")
	for _, tt := range transitions() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ops := []storagetest.Op{storagetest.OnUpdate, storagetest.OnCommit, storagetest.OnReply}
			if tt.reads {
				ops = []storagetest.Op{storagetest.OnView}
			}
			for _, op := range ops {
				for _, cause := range []error{mark, storage.ErrClosed, storage.ErrUnknown} {
					inMemory(t, func(w *world) {
						s := newStage(w)
						w.db.Inject(storagetest.Fault{Op: op, Err: cause})
						got, err := tt.call(s, w.Context())
						w.wantError("failing", err, cause)
						wantNothing(w, got)
					})
				}
			}
		})
	}
}

// What failed before its commit has changed nothing: called again, it succeeds as it would have.
func TestWhatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range transitions() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				s := newStage(w)
				before := w.content()
				w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrFull})
				_, err := tt.call(s, w.Context())
				if tt.reads {
					w.ok(err)
				} else {
					w.wantError("failing", err, storage.ErrFull)
				}
				w.db.Clear()
				equal(w, "content after the failure", w.content(), before)
				_, err = tt.call(s, w.Context())
				w.ok(err)
				if !tt.reads && w.content() == before {
					w.Error("the transition that succeeded has written nothing")
				}
			})
		})
	}
}

func TestCancelledTransitions(t *testing.T) {
	t.Parallel()
	for _, tt := range transitions() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				s := newStage(w)
				before := w.content()
				ctx, cancel := context.WithCancel(w.Context())
				cancel()
				got, err := tt.call(s, ctx)
				w.wantError("calling", err, context.Canceled)
				wantNothing(w, got)
				equal(w, "content afterwards", w.content(), before)
			})
		})
	}
}

// content is everything in the store, sealed values included.
func (w *world) content() (all string) {
	w.Helper()
	w.ok(w.db.View(w.Context(), func(tx storage.Tx) error {
		all = ""
		for item, err := range tx.Scan("", "", 0) {
			if err != nil {
				return err
			}
			all += fmt.Sprintf("%q %q %s\n", item.Key, item.Value, item.ExpiresAt)
		}
		return nil
	}))
	return all
}

// A refusal commits: what it counted and revoked is there although the caller is turned away.
func TestRefusalsCommit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		refuse func(*stage) (outcome string, want string)
	}{
		{"a counted mismatch", func(s *stage) (string, string) {
			in := s.redemption(s.code)
			in.ClientID = other
			result, err := s.store.Redeem(s.Context(), in)
			s.ok(err)
			return string(result.Outcome), string(authz.RedeemMismatch)
		}},
		{"a replayed code", func(s *stage) (string, string) {
			s.redeem(s.redemption(s.code), authz.Redeemed)
			result, err := s.store.Redeem(s.Context(), s.redemption(s.code))
			s.ok(err)
			return string(result.Outcome), string(authz.RedeemReplayed)
		}},
		{"a code of a dead grant", func(s *stage) (string, string) {
			s.ok(second(s.store.EndSession(s.Context(), s.session.ID)))
			result, err := s.store.Redeem(s.Context(), s.redemption(s.code))
			s.ok(err)
			return string(result.Outcome), string(authz.RedeemRevoked)
		}},
		{"a reused refresh token", func(s *stage) (string, string) {
			s.rotate(s.token)
			result, err := s.store.Refresh(s.Context(), authz.Renewal{Token: s.token, ClientID: app})
			s.ok(err)
			return string(result.Outcome), string(authz.RefreshReused)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inMemory(t, func(w *world) {
				s := newStage(w)
				before := w.content()
				got, want := tt.refuse(s)
				equal(w, "outcome", got, want)
				if w.content() == before {
					w.Error("the refusal has left nothing behind")
				}
				w.db.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: storage.ErrFull})
				if _, err := s.store.Redeem(s.Context(), s.redemption(s.code)); got != string(authz.RefreshReused) {
					w.wantError("refusing without a place to write it", err, storage.ErrFull)
				}
			})
		})
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	known := oauth.NewError(oauth.InvalidGrant, "the code is not valid")
	tests := []struct {
		name   string
		err    error
		want   oauth.Code
		status int
	}{
		{"conflict", storage.ErrConflict, oauth.TemporarilyUnavailable, 503},
		{"closed", storage.ErrClosed, oauth.TemporarilyUnavailable, 503},
		{"unknown commit", storage.ErrUnknown, oauth.TemporarilyUnavailable, 503},
		{"full", storage.ErrFull, oauth.TemporarilyUnavailable, 503},
		{"read-only", storage.ErrReadOnly, oauth.TemporarilyUnavailable, 503},
		{"down", fmt.Errorf("reading: %w: %w", storage.ErrUnavailable, errors.New("the disk is on fire")), oauth.TemporarilyUnavailable, 503},
		{"cancelled", context.Canceled, oauth.TemporarilyUnavailable, 503},
		{"timed out", context.DeadlineExceeded, oauth.TemporarilyUnavailable, 503},
		{"wrapped", fmt.Errorf("redeeming: %w", fmt.Errorf("writing: %w", storage.ErrFull)), oauth.TemporarilyUnavailable, 503},
		{"a realm that is broken", fmt.Errorf("judging: %w", realm.ErrUnjudged), oauth.TemporarilyUnavailable, 503},
		{"not found", storage.ErrNotFound, oauth.ServerError, 500},
		{"exists", storage.ErrExists, oauth.ServerError, 500},
		{"too large", storage.ErrTooLarge, oauth.ServerError, 500},
		{"a session that ended", authz.ErrSessionEnded, oauth.ServerError, 500},
		{"anything", errors.New("the disk is on fire"), oauth.ServerError, 500},
		{"an answer already", known, oauth.InvalidGrant, 400},
		{"an answer, wrapped", fmt.Errorf("redeeming: %w", known), oauth.InvalidGrant, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := authz.Failure(tt.err)
			equal(t, "code", got.Code, tt.want)
			equal(t, "status", got.HTTPStatus(), tt.status)
			if !errors.Is(got, tt.err) && !errors.Is(tt.err, got) {
				t.Errorf("the cause %v is lost", tt.err)
			}
			if got != known && got.Description != "" && got.Description == tt.err.Error() {
				t.Errorf("the cause is told: %q", got.Description)
			}
		})
	}
}

func TestNewStoreNeedsEverything(t *testing.T) {
	t.Parallel()
	w := solo(t)
	sealer, err := seal.New(seal.Key{ID: "k", Secret: []byte("0123456789abcdef0123456789ABCDEF")})
	w.ok(err)
	tests := []struct {
		name   string
		db     storage.DB
		sealer storage.Sealer
		now    func() time.Time
	}{
		{"no store", nil, sealer, w.clock.Now},
		{"no sealer", w.db, nil, w.clock.Now},
		{"no clock", w.db, sealer, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if store, err := authz.NewStore(tt.db, tt.sealer, tt.now); err == nil || store != nil {
				t.Errorf("NewStore returned %v, %v", store, err)
			}
		})
	}
}

func TestTheStoresTimeIsOfRecords(t *testing.T) {
	t.Parallel()
	w := solo(t)
	local := w.clock.Now().Add(123456 * time.Nanosecond).In(time.FixedZone("CET", 3600))
	w.clock.Set(local)
	equal(t, "time", w.store.Now(), storagetest.NewClock().Now())
	w.ok(w.store.Healthy(t.Context()))
}

// A seed that was sealed with another key, or moved to another family, opens for nobody.
func TestDamagedFamiliesAreErrors(t *testing.T) {
	t.Parallel()
	inMemory(t, func(w *world) {
		s := newStage(w)
		w.ok(w.db.Update(w.Context(), func(tx storage.Tx) error {
			for item, err := range tx.Scan("family/", "", 0) {
				if err != nil {
					return err
				}
				item.Value[len(item.Value)-1] ^= 1
				if err := tx.Put(item); err != nil {
					return err
				}
			}
			return nil
		}))
		got, err := w.store.Refresh(w.Context(), authz.Renewal{Token: s.token, ClientID: app})
		if err == nil {
			w.Error("a damaged family is no error")
		}
		wantNothing(w, results(got))
		equal(w, "answer", authz.Failure(err).Code, oauth.ServerError)
		_, _, ok, err := w.store.FamilyByToken(w.Context(), s.token)
		if ok || err == nil {
			w.Errorf("a damaged family is active: %v, %v", ok, err)
		}
	})
}

// overtaken is a store whose next update loses to another: its closure runs, the other commits, and it runs once more.
type overtaken struct {
	storage.DB
	other func()
}

func (o *overtaken) Update(ctx context.Context, fn func(storage.Tx) error) error {
	if f := o.other; f != nil {
		o.other = nil
		lost := errors.New("losing to another")
		if err := o.DB.Update(ctx, func(tx storage.Tx) error { return errors.Join(fn(tx), lost) }); !errors.Is(err, lost) {
			return err
		}
		f()
	}
	return o.DB.Update(ctx, fn)
}

// A closure that runs again forgets what it found before: only one of two that revoke the same has revoked it.
func TestOnlyTheLastRunCounts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		call func(*stage) ([]authz.Revocation, error)
	}{
		{"a replayed code", func(s *stage) ([]authz.Revocation, error) {
			r, err := s.store.Redeem(s.Context(), s.redemption(s.code))
			return r.Revocations, err
		}},
		{"a reused refresh token", func(s *stage) ([]authz.Revocation, error) {
			r, err := s.store.Refresh(s.Context(), authz.Renewal{Token: s.token, ClientID: app})
			return r.Revocations, err
		}},
		{"a revoked refresh token", func(s *stage) ([]authz.Revocation, error) {
			return s.store.RevokeRefreshToken(s.Context(), s.token, app)
		}},
		{"a revoked grant", func(s *stage) ([]authz.Revocation, error) { return s.store.RevokeGrant(s.Context(), s.grant.ID, "") }},
		{"an ended session", func(s *stage) ([]authz.Revocation, error) { return s.store.EndSession(s.Context(), s.session.ID) }},
		{"a replaced session", func(s *stage) ([]authz.Revocation, error) {
			fresh, _ := s.draft(bob)
			return s.store.ReplaceSession(s.Context(), s.session.ID, fresh, nil)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := solo(t)
			s := newStage(w)
			s.redeem(s.redemption(s.code), authz.Redeemed)
			s.rotate(s.token)
			grants, err := w.store.GrantsOf(w.Context(), alice)
			w.ok(err)
			plain, before := w.store, len(w.log())
			w.store = w.over(&overtaken{DB: w.db, other: func() {
				for _, g := range grants {
					w.ok(second(plain.RevokeGrant(w.Context(), g.ID, "")))
				}
				w.ok(second(plain.EndSession(w.Context(), s.session.ID)))
			}})
			revoked, err := tt.call(s)
			w.ok(err)
			w.wantRevoked(revoked, "")
			equal(w, "entries in the log", len(w.log()), before+len(grants)+1)
		})
	}
}

func TestABindingThatLosesIsNone(t *testing.T) {
	t.Parallel()
	w := solo(t)
	r := w.ask("")
	plain := w.store
	w.store = w.over(&overtaken{DB: w.db, other: func() {
		w.ok(second(plain.BindRequest(w.Context(), r.ID, "first")))
	}})
	got, err := w.store.BindRequest(w.Context(), r.ID, "second")
	w.ok(err)
	equal(w, "browser", got.Browser, "first")
}
