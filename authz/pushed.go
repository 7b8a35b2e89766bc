// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"context"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// PushedTTL is for how long a browser may come for a request that an application has pushed (RFC 9126 2.2).
const PushedTTL = time.Minute

// Pushed is kept of what lets a browser come for a pushed request: the first that does has it, and no other ever.
type Pushed struct {
	SecretHash string    `json:"secret_hash"`
	ExpiresAt  time.Time `json:"expires_at"`
}

// Handover is a session that an app has, and offers to the browser that comes for its request.
type Handover struct {
	AuthSessionID string `json:"auth_session"`
	SessionID     string `json:"sid"`
}

// Push has a request wait for a browser that presents the handle.
func (r *Request) Push() Handle {
	handle := Handle{ID: r.ID, Secret: randid.Secret()}
	r.Pushed = &Pushed{SecretHash: handle.Hash(), ExpiresAt: r.CreatedAt.Add(PushedTTL)}
	return handle
}

// ParsePushedHandle reads the handle of a pushed request; false when it is malformed.
func ParsePushedHandle(value string) (Handle, bool) { return randid.ParseHandle("req", value) }

// OpenPushed binds a pushed request of a client to the browser that presents its handle, known by the hash of its cookie. Whatever is
// wrong is [ErrRequestEnded]: another client, another secret, that it is too late, or that a browser was here before.
func (s *Store) OpenPushed(ctx context.Context, h Handle, client, browser string) (Request, error) {
	opened := false
	r, err := s.changeRequest(ctx, h.ID, nil, func(r *Request) bool {
		opened = r.Pushed != nil && h.Opens(r.Pushed.SecretHash) && r.ClientID == client && r.Browser == "" &&
			s.Now().Before(r.Pushed.ExpiresAt)
		if opened {
			r.Browser = browser
		}
		return opened
	})
	if err == nil && !opened {
		err = ErrRequestEnded
	}
	return certain(&r, err)
}

// Offered returns the session that an app offers to the browser of a request, or [storage.ErrNotFound] when there is none any more: it
// has ended, the app's hold on it was taken back, or the app holds the session of somebody else by now.
func (s *Store) Offered(ctx context.Context, r Request) (session Session, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		session, err = s.offered(tx, r)
		return err
	})
	return session, err
}

func (s *Store) offered(tx storage.Tx, r Request) (Session, error) {
	if r.Handover == nil {
		return Session{}, storage.ErrNotFound
	}
	a, err := s.authSessions.Get(tx, r.Handover.AuthSessionID)
	if err != nil {
		return Session{}, err
	}
	if a.ClientID != r.ClientID || a.SessionID != r.Handover.SessionID || !s.Now().Before(a.ExpiresAt) {
		return Session{}, storage.ErrNotFound
	}
	return s.liveSession(tx, a.SessionID)
}

// Takeover puts a browser into the session that an app offers to it.
type Takeover struct {
	RequestID string
	// Browser is the hash of the cookie of the browser that the request is bound to.
	Browser string
	// SecretHash is that of the browser's secret; whoever held a cookie of the session before has none any more.
	SecretHash string
	// Current is the session that the browser has, if any; it ends.
	Current string
}

// TakeOver has a browser hold the session that an app offers, once: [storage.ErrNotFound] means that the offer is gone or was taken.
// The session is otherwise as it was. The revocations that ending the browser's other session made are returned.
func (s *Store) TakeOver(ctx context.Context, in Takeover) (session Session, ended []Revocation, err error) {
	draft := s.newRevocation(KindSession, in.Current)
	ended, err = s.revoking(ctx, &draft, func(tx storage.Tx) (over bool, err error) {
		r, err := s.openRequest(tx, in.RequestID)
		if err == nil && !r.BelongsTo(in.Browser) {
			err = ErrRequestEnded
		}
		if err == nil {
			session, err = s.offered(tx, r)
		}
		if err == nil && in.Current != session.ID {
			over, err = s.endSession(tx, in.Current, draft)
		}
		if err != nil {
			return false, err
		}
		session.SecretHash, session.SeenAt, r.Handover = in.SecretHash, s.Now(), nil
		if err := s.requests.Put(tx, r); err != nil {
			return false, err
		}
		return over, s.sessions.Put(tx, session)
	})
	if err != nil {
		return Session{}, nil, err
	}
	return session, ended, nil
}
