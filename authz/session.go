// SPDX-License-Identifier: Apache-2.0

package authz

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Session is a browser's security context at the issuer: the proofs one user has given in it.
type Session struct {
	ID string `json:"id"`
	// SecretHash is the hash of the cookie's secret; it changes at login and at each rise of assurance.
	SecretHash string       `json:"secret_hash"`
	Subject    string       `json:"sub"`
	Name       string       `json:"name,omitempty"`
	Proofs     realm.Proofs `json:"proofs"`
	// Clients are those that obtained tokens in this session.
	Clients   []string  `json:"clients,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
	ClientIP  string    `json:"client_ip,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"`
	IdleTTL   Seconds   `json:"idle_ttl"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// Cutoffs is how many cut-offs had been made at CreatedAt: the two are the [Moment] at which the check of the user began.
	Cutoffs uint64 `json:"cutoffs,omitempty"`
}

// Seconds is a duration kept to the second.
type Seconds int64

// Duration returns the seconds as a duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// Live reports whether the session counts at now: not ended, not expired, not idle for too long.
func (s *Session) Live(now time.Time) bool {
	return s.EndedAt.IsZero() && now.Before(s.ExpiresAt) && now.Sub(s.SeenAt) <= s.IdleTTL.Duration()
}

// seenGrain is how stale SeenAt may be before it is written again: a read should not cost a write each time. Of a short
// idle time it is a quarter, so that no session goes idle under a user who is not.
const seenGrain = time.Minute

func (s *Session) stale(now time.Time) bool {
	return now.Sub(s.SeenAt) >= min(seenGrain, s.IdleTTL.Duration()/4)
}

func sessionTable() *storage.Table[Session] {
	return &storage.Table[Session]{
		Name: "session", Version: 1,
		ID:      func(s *Session) string { return s.ID },
		Expiry:  func(s *Session) time.Time { return s.ExpiresAt },
		Indexes: []storage.Index[Session]{{Name: "subject", Values: func(s *Session) []string { return []string{s.Subject} }}},
	}
}

// Handle is what is presented of a session, an auth session or a pushed request: its id and a secret.
type Handle = randid.Handle

// NewSessionHandle draws the handle of a new session.
func NewSessionHandle() Handle { return randid.NewHandle("ses") }

// ParseSessionHandle reads a cookie's value; false when it is malformed.
func ParseSessionHandle(value string) (Handle, bool) { return randid.ParseHandle("ses", value) }

// SessionByHandle returns the live session a cookie names or [storage.ErrNotFound]. A wrong secret is not found. The time
// it was last seen is refreshed, at most once a minute.
func (s *Store) SessionByHandle(ctx context.Context, h Handle) (Session, error) {
	session, err := s.Session(ctx, h.ID)
	if err != nil {
		return Session{}, err
	}
	if !h.Opens(session.SecretHash) {
		return Session{}, storage.ErrNotFound
	}
	return s.Touch(ctx, session)
}

// TouchSession returns a live session by its id, as [Store.SessionByHandle] does by its cookie.
func (s *Store) TouchSession(ctx context.Context, id string) (Session, error) {
	session, err := s.Session(ctx, id)
	if err != nil {
		return Session{}, err
	}
	return s.Touch(ctx, session)
}

// Session returns the live session with the given id or [storage.ErrNotFound].
func (s *Store) Session(ctx context.Context, id string) (session Session, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		session, err = s.liveSession(tx, id)
		return err
	})
	return session, err
}

func (s *Store) liveSession(tx storage.Tx, id string) (Session, error) {
	session, err := s.sessions.Get(tx, id)
	if err != nil {
		return Session{}, err
	}
	live, err := s.live(tx, &session)
	if err != nil {
		return Session{}, err
	}
	if !live {
		return Session{}, storage.ErrNotFound
	}
	return session, nil
}

// supports returns where it stands that something has ended on which a session rests. Mostly nothing has.
func (s *Store) supports(session *Session) []string {
	keys := []string{s.cutoffs.Key(string(KindSubject), session.Subject)}
	for _, p := range session.Proofs {
		if p.Device != "" {
			keys = append(keys, s.cutoffs.Key(string(KindDevice), p.Device))
		}
	}
	return keys
}

// live is the one judgement of a session.
func (s *Store) live(tx storage.Tx, session *Session) (bool, error) {
	if !session.Live(s.Now()) {
		return false, nil
	}
	storage.Presume(tx, s.supports(session)...)
	if cut, err := s.cutOff(tx, KindSubject, session.Subject, session.began()); cut || err != nil {
		return false, err
	}
	out, err := s.deviceOut(tx, session.Proofs)
	return !out && err == nil, err
}

func (s *Session) began() Moment { return Moment{At: s.CreatedAt, Cutoffs: s.Cutoffs} }

// ErrOvertaken says that the user or their device was revoked, or the user signed out everywhere, while they were logging in.
var ErrOvertaken = errors.New("the user was revoked while logging in")

func (s *Store) insertSession(tx storage.Tx, session Session) error {
	storage.Presume(tx, s.cutoffs.Key(string(kindLogin), session.Subject))
	live, err := s.live(tx, &session)
	if err != nil {
		return err
	}
	cancelled, err := s.cutOff(tx, kindLogin, session.Subject, session.began())
	if err != nil {
		return err
	}
	if !live || cancelled {
		return ErrOvertaken
	}
	return s.sessions.Insert(tx, session)
}

// Touch notes that a session is in use, at most once a minute, and returns it as it then is. [storage.ErrNotFound] means that it has ended
// since it was read.
func (s *Store) Touch(ctx context.Context, session Session) (Session, error) {
	if !session.stale(s.Now()) {
		return session, nil
	}
	touched := session
	err := s.db.Update(ctx, func(tx storage.Tx) error {
		var err error
		if touched, err = s.liveSession(tx, session.ID); err != nil {
			return err
		}
		touched.SeenAt = s.Now()
		return s.sessions.Put(tx, touched)
	})
	if errors.Is(err, storage.ErrConflict) {
		return session, nil // somebody else has just touched it
	}
	return certain(&touched, err)
}

// OpenSession inserts a new session. The caller has drawn its ID and its secret and has taken the [Moment] at which it
// begins before the user was checked: [ErrOvertaken] means that the user may not log in any more.
func (s *Store) OpenSession(ctx context.Context, session Session, within Within) error {
	return s.db.Update(ctx, func(tx storage.Tx) error { return within.after(tx, s.insertSession(tx, session)) })
}

// ReplaceSession inserts a new session and ends the one the browser had before, in one transaction: a login never leaves
// two sessions behind in one browser. It returns the revocations that ending the old one made. [ErrOvertaken] is as for
// [Store.OpenSession], and leaves the old one as it was.
func (s *Store) ReplaceSession(ctx context.Context, oldID string, session Session, within Within) ([]Revocation, error) {
	draft := s.newRevocation(KindSession, oldID)
	return s.revoking(ctx, &draft, func(tx storage.Tx) (bool, error) {
		if err := within.after(tx, s.insertSession(tx, session)); err != nil {
			return false, err
		}
		return s.endSession(tx, oldID, draft)
	})
}

// Raise adds a proof to a session.
type Raise struct {
	SessionID string
	Proof     realm.Proof
	// Earlier are proofs from before it was known whose session this is; each counts unless the session has a newer one.
	Earlier realm.Proofs
	// SecretHash replaces that of the session: the cookie from before is worth nothing afterwards. It stays when this is empty,
	// which is for who does not come with the cookie.
	SecretHash string
	// ExpiresAt, where it is later, replaces that of the session: a user who logs in anew begins a new term.
	ExpiresAt time.Time
	Within    Within
}

// RaiseSession adds a proof to a live session and rotates its secret. [storage.ErrNotFound] means that the session ended
// meanwhile, that the proof is somebody else's, or that the device which gave it was revoked.
func (s *Store) RaiseSession(ctx context.Context, raise Raise) (Session, error) {
	var session Session
	return certain(&session, s.db.Update(ctx, func(tx storage.Tx) (err error) {
		session, err = s.raiseSession(tx, raise)
		return raise.Within.after(tx, err)
	}))
}

func (s *Store) raiseSession(tx storage.Tx, raise Raise) (Session, error) {
	session, err := s.liveSession(tx, raise.SessionID)
	if err != nil {
		return Session{}, err
	}
	if raise.Proof.Subject != "" && raise.Proof.Subject != session.Subject {
		return Session{}, storage.ErrNotFound
	}
	if session.Proofs == nil {
		session.Proofs = realm.Proofs{}
	}
	for name, earlier := range raise.Earlier {
		if earlier.Subject == "" && session.Proofs[name].Time.Before(earlier.Time) {
			session.Proofs[name] = earlier
		}
	}
	session.Proofs[raise.Proof.Realm] = raise.Proof
	session.SecretHash = cmp.Or(raise.SecretHash, session.SecretHash)
	session.SeenAt = s.Now()
	if raise.ExpiresAt.After(session.ExpiresAt) {
		session.ExpiresAt = raise.ExpiresAt
	}
	if out, err := s.deviceOut(tx, session.Proofs); out || err != nil {
		return Session{}, cmp.Or(err, storage.ErrNotFound)
	}
	return session, s.sessions.Put(tx, session)
}

// EndSession ends a session: its cookie, every access token that names it and every refresh family that rests on it die.
// It returns the revocations made; none when the session was not live.
func (s *Store) EndSession(ctx context.Context, id string) ([]Revocation, error) {
	draft := s.newRevocation(KindSession, id)
	return s.revoking(ctx, &draft, func(tx storage.Tx) (bool, error) { return s.endSession(tx, id, draft) })
}

func (s *Store) endSession(tx storage.Tx, id string, revocation Revocation) (bool, error) {
	session, ok, err := s.sessions.Find(tx, id)
	if err != nil || !ok || !session.EndedAt.IsZero() {
		return false, err
	}
	session.EndedAt = s.Now()
	if err := s.sessions.Put(tx, session); err != nil {
		return false, err
	}
	return true, s.revoke(tx, revocation)
}

// SessionsOf returns the live sessions of a user, oldest id first.
func (s *Store) SessionsOf(ctx context.Context, subject string) ([]Session, error) {
	return s.liveSessions(ctx, 0, func(tx storage.Tx) iter.Seq2[Session, error] {
		return s.sessions.List(tx, "subject", subject, "", 0)
	})
}

// Sessions returns a page of live sessions after the given id, for operators.
func (s *Store) Sessions(ctx context.Context, after string, limit int) ([]Session, error) {
	return s.liveSessions(ctx, limit, func(tx storage.Tx) iter.Seq2[Session, error] { return s.sessions.All(tx, after, 0) })
}

// liveSessions returns those of the listed sessions that live, the first of them where there is a limit.
func (s *Store) liveSessions(ctx context.Context, limit int, list func(storage.Tx) iter.Seq2[Session, error]) ([]Session, error) {
	var sessions []Session
	return certain(&sessions, s.db.View(ctx, func(tx storage.Tx) error {
		sessions = nil
		for session, err := range list(tx) {
			if err != nil {
				return err
			}
			live, err := s.live(tx, &session)
			if err != nil {
				return err
			}
			if !live {
				continue
			}
			if sessions = append(sessions, session); len(sessions) == limit {
				break
			}
		}
		return nil
	}))
}

func (s *Session) addClient(id string) bool {
	if slices.Contains(s.Clients, id) {
		return false
	}
	s.Clients = append(s.Clients, id)
	return true
}
