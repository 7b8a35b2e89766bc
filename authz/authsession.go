// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// AuthSession is what a native app holds of a security context (draft-ietf-oauth-first-party-apps-04, 5.3.1): the request it
// is answering, if one is open, and the session, once somebody is known. It belongs to one client.
type AuthSession struct {
	ID string `json:"id"`
	// SecretHash is the hash of the secret in the handle; it changes whenever something was proven.
	SecretHash string `json:"secret_hash"`
	ClientID   string `json:"client_id"`
	Key        string `json:"jkt,omitempty"` // that the app has to prove with every request (draft 9.6.1), if any
	RequestID  string `json:"request_id,omitempty"`
	SessionID  string `json:"sid,omitempty"`
	// Subject is the user of the session.
	Subject string `json:"sub,omitempty"`
	// Refusals counts the wrong answers to each realm since it was proven last, whatever requests they were for.
	Refusals  map[string]int `json:"refusals,omitempty"`
	ExpiresAt time.Time      `json:"expires_at"`
}

// NewAuthSession draws an auth session of a client and its handle.
func NewAuthSession(client string, expires time.Time) (AuthSession, Handle) {
	handle := randid.NewHandle("ats")
	return AuthSession{ID: handle.ID, SecretHash: handle.Hash(), ClientID: client, ExpiresAt: expires}, handle
}

// ParseAuthSessionHandle reads the value of auth_session; false when it is malformed.
func ParseAuthSessionHandle(value string) (Handle, bool) { return randid.ParseHandle("ats", value) }

func authSessionTable() *storage.Table[AuthSession] {
	return &storage.Table[AuthSession]{
		Name: "auth_session", Version: 2,
		ID:      func(a *AuthSession) string { return a.ID },
		Expiry:  func(a *AuthSession) time.Time { return a.ExpiresAt },
		Indexes: []storage.Index[AuthSession]{{Name: "holder", Values: (*AuthSession).holder}},
	}
}

// holder is the user and the client; none while nobody is known.
func (a *AuthSession) holder() []string {
	if a.Subject == "" {
		return nil
	}
	return []string{consentID(a.Subject, a.ClientID)}
}

// endAuthSession forgets an auth session and closes what it was answering. One that is not there is no error.
func (s *Store) endAuthSession(tx storage.Tx, id string) error {
	a, ok, err := s.authSessions.Find(tx, id)
	if err != nil || !ok {
		return err
	}
	if _, err := s.closeRequest(tx, a.RequestID); err != nil && !Gone(err) {
		return err
	}
	return s.authSessions.Delete(tx, id)
}

// endAuthSessions ends all that a client has of a user, each in a transaction of its own.
func (s *Store) endAuthSessions(ctx context.Context, subject, client string) error {
	var ids []string
	err := s.db.View(ctx, func(tx storage.Tx) error {
		ids = nil
		for a, err := range s.authSessions.List(tx, "holder", consentID(subject, client), "", 0) {
			if err != nil {
				return err
			}
			ids = append(ids, a.ID)
		}
		return nil
	})
	for _, id := range ids {
		if err == nil {
			err = s.db.Update(ctx, func(tx storage.Tx) error { return s.endAuthSession(tx, id) })
		}
	}
	return err
}

// AuthSession returns the auth session that a handle names, for the client it belongs to, or [storage.ErrNotFound]: one that
// has expired, that is another client's or whose secret has changed is not there.
func (s *Store) AuthSession(ctx context.Context, h Handle, client string) (a AuthSession, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		a, err = s.authSession(tx, h, client)
		return err
	})
	return a, err
}

func (s *Store) authSession(tx storage.Tx, h Handle, client string) (AuthSession, error) {
	a, err := s.authSessions.Get(tx, h.ID)
	if err != nil {
		return AuthSession{}, err
	}
	if !h.Opens(a.SecretHash) || a.ClientID != client || !s.Now().Before(a.ExpiresAt) {
		return AuthSession{}, storage.ErrNotFound
	}
	return a, nil
}

// ClientOfAuthSession returns the client that an auth session belongs to, or [storage.ErrNotFound]. It proves nothing about
// who asks.
func (s *Store) ClientOfAuthSession(ctx context.Context, id string) (client string, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		a, err := s.authSessions.Get(tx, id)
		client = a.ClientID
		return err
	})
	return client, err
}

// BeginNative inserts a request and has an auth session answer it, in one transaction. A request that it had been answering
// is closed. An auth session that was just drawn is stored with its first request; of one that was read before, what is stored
// counts, and [storage.ErrNotFound] means that it has got another secret since.
func (s *Store) BeginNative(ctx context.Context, a AuthSession, request Request) error {
	return s.db.Update(ctx, func(tx storage.Tx) error {
		begun, err := s.presentAuthSession(tx, a)
		if err != nil {
			return err
		}
		if _, err := s.closeRequest(tx, begun.RequestID); err != nil && !Gone(err) {
			return err
		}
		if err := s.requests.Insert(tx, request); err != nil {
			return err
		}
		begun.RequestID = request.ID
		if begun.ExpiresAt.Before(request.ExpiresAt) {
			begun.ExpiresAt = request.ExpiresAt
		}
		return s.authSessions.Put(tx, begun)
	})
}

// presentAuthSession returns an auth session as it is now. One that answers nothing and has no session is new.
func (s *Store) presentAuthSession(tx storage.Tx, a AuthSession) (AuthSession, error) {
	if a.RequestID == "" && a.SessionID == "" {
		return a, nil
	}
	now, err := s.authSessions.Get(tx, a.ID)
	if err == nil && now.SecretHash != a.SecretHash {
		err = storage.ErrNotFound
	}
	return now, err
}

// NativeProof is a proof that was given through an auth session.
type NativeProof struct {
	Handle   Handle
	ClientID string
	// RequestID is the request that was answered. It must be the one that the auth session is at, and open: what was judged for
	// another, or too late, is no proof.
	RequestID string
	// SecretHash is that of the secret that takes the place of the handle's.
	SecretHash string
	// Open is inserted when the auth session has no session that the proof fits: it holds the proof. Nil where nobody is to
	// be signed in.
	Open *Session
	// Raise adds the proof to the session there is; its SessionID is filled in. What it writes beside is written with Open too.
	Raise Raise
}

// ProveNative puts a proof into the session of an auth session, or opens one, and gives the auth session a new secret, all in
// one transaction: of two answers to one challenge, one counts. A user who logs in where another was ends the session of the
// other, as in a browser; the revocation that this makes is returned. [storage.ErrNotFound] means that the handle is not good any
// more, or that there is no session the proof could go into.
func (s *Store) ProveNative(ctx context.Context, in NativeProof) (session Session, ended []Revocation, err error) {
	draft := s.newRevocation(KindSession, "")
	ended, err = s.revoking(ctx, &draft, func(tx storage.Tx) (over bool, err error) {
		a, err := s.answering(tx, in)
		if err != nil {
			return false, err
		}
		draft.Target = a.SessionID
		if session, over, err = s.enter(tx, in, draft); err != nil {
			return false, err
		}
		a.SecretHash, a.SessionID, a.Subject = in.SecretHash, session.ID, session.Subject
		delete(a.Refusals, in.Raise.Proof.Realm)
		if a.ExpiresAt.Before(session.ExpiresAt) {
			a.ExpiresAt = session.ExpiresAt
		}
		return over, in.Raise.Within.after(tx, s.authSessions.Put(tx, a))
	})
	if err != nil {
		return Session{}, nil, err
	}
	return session, ended, nil
}

// answering returns the auth session that a proof was given through, if it is still at the request that was answered.
func (s *Store) answering(tx storage.Tx, in NativeProof) (AuthSession, error) {
	a, err := s.authSession(tx, in.Handle, in.ClientID)
	if err == nil && a.RequestID != in.RequestID {
		err = ErrRequestEnded
	}
	if err == nil {
		_, err = s.openRequest(tx, in.RequestID)
	}
	return a, err
}

// enter puts a proof into the session that a drafted revocation is about, or into a new one, which ends the other if that lives.
func (s *Store) enter(tx storage.Tx, in NativeProof, draft Revocation) (session Session, ended bool, err error) {
	raise := in.Raise
	raise.SessionID = draft.Target
	session, err = s.raiseSession(tx, raise)
	if !Gone(err) || in.Open == nil {
		return session, false, err
	}
	if err := s.insertSession(tx, *in.Open); err != nil {
		return Session{}, false, err
	}
	if _, err = s.liveSession(tx, draft.Target); Gone(err) {
		return *in.Open, false, nil
	}
	if err == nil {
		ended, err = s.endSession(tx, draft.Target, draft)
	}
	return *in.Open, ended, err
}

// refusalsAllowed is how many wrong answers an auth session survives.
const refusalsAllowed = 10

// RefuseNative counts a wrong answer to a realm. At the limit the auth session ends, with the request that it is at: who goes on has
// to prove everything anew. It reports whether the auth session goes on.
func (s *Store) RefuseNative(ctx context.Context, id, realmName string) (open bool, err error) {
	err = s.db.Update(ctx, func(tx storage.Tx) error {
		a, err := s.authSessions.Get(tx, id)
		if err != nil {
			return err
		}
		if a.Refusals == nil {
			a.Refusals = map[string]int{}
		}
		a.Refusals[realmName]++
		refusals := 0
		for _, n := range a.Refusals {
			refusals += n
		}
		if open = refusals < refusalsAllowed; open {
			return s.authSessions.Put(tx, a)
		}
		return s.endAuthSession(tx, id)
	})
	return open && err == nil, err
}
