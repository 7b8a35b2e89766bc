// SPDX-License-Identifier: Apache-2.0

package backchannel

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Kinds of items in the outbox.
const (
	// SettleKind is for a request that may have been answered, or whose time is over.
	SettleKind = "backchannel.settle"
	// NoticeKind is for a client that is to be told.
	NoticeKind = "backchannel.notice"
)

// Config describes a [Store]. All fields are required.
type Config struct {
	DB     storage.DB
	Sealer storage.Sealer
	// Grants keeps what a request leads to.
	Grants *authz.Store
	Engine *realm.Engine
	Phone  Phone
	Outbox *outbox.Outbox
	Trail  *audit.Trail
	// Revoke is told of the revocations that are made.
	Revoke func(...authz.Revocation)
}

// Store keeps requests. Two stores over one database are the same store. Its methods are safe for concurrent use.
type Store struct {
	Config
	requests *storage.Table[Request]
}

// NewStore returns a store, or an error when something is missing.
func NewStore(c Config) (*Store, error) {
	if c.DB == nil || c.Sealer == nil || c.Grants == nil || c.Engine == nil || c.Phone == nil || c.Outbox == nil || c.Trail == nil || c.Revoke == nil {
		return nil, errors.New("building the records of the back channel: " +
			"store, sealer, grants, engine, phone, outbox, trail and revocations are required")
	}
	return &Store{Config: c, requests: requestTable(c.Sealer)}, nil
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind { return []storage.Kind{requestTable(sealer)} }

// Begin asks the person and keeps the request. It looks the same whether or not anybody is asked: a request that nobody is asked for waits
// until its time is over, and costs as many writes. The question is put first, and taken back when the request cannot be kept: one that
// nobody waits for must not stay on a phone.
func (s *Store) Begin(ctx context.Context, r Request, q Question) (Asked, error) {
	began, err := s.Grants.Moment(ctx)
	if err != nil {
		return Asked{}, fmt.Errorf("beginning a request of client %q: %w", r.ClientID, err)
	}
	r.Cutoffs = began.Cutoffs
	asked, err := s.Phone.Ask(ctx, q)
	if err != nil && !errors.Is(err, ErrUnasked) {
		return Asked{}, fmt.Errorf("asking a person for client %q: %w", r.ClientID, err)
	}
	if err == nil && asked.Operation == "" {
		return Asked{}, fmt.Errorf("asking a person for client %q: the question has no name", r.ClientID)
	}
	event := audit.Event{Name: "backchannel.request", Outcome: audit.Accepted, Subject: r.Subject, ClientID: r.ClientID, Realm: r.Realm}
	if err != nil {
		event.Outcome, event.Reason, asked.Operation = audit.Refused, cmp.Or(asked.Reason, "unknown_user"), ""
		if err := s.keep(ctx, r, nil); err != nil { // stands for the write of a question
			return Asked{}, err
		}
	}
	r.Operation, event.Operation = asked.Operation, asked.Operation
	event = s.Trail.Prepare(event.From(ctx))
	if err := s.keep(ctx, r, &event); err != nil {
		if r.Operation != "" {
			err = errors.Join(err, s.Phone.Cancel(context.WithoutCancel(ctx), r.Operation, "not_kept"))
		}
		return Asked{}, err
	}
	s.Trail.Log(ctx, event)
	return asked, nil
}

// keep stores a request as it begins. One of which the client is told ends by itself when its time is over.
func (s *Store) keep(ctx context.Context, r Request, event *audit.Event) error {
	due, err := Item(r.ID, r.ID+".due", r.ExpiresAt)
	if err != nil {
		return err
	}
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		if err := s.requests.Put(tx, r); err != nil || event == nil {
			return err
		}
		if r.Mode.Told() {
			if err := s.Outbox.Append(tx, due); err != nil {
				return err
			}
		}
		return s.Trail.Append(tx, *event)
	})
	if err != nil {
		return fmt.Errorf("keeping a request of client %q: %w", r.ClientID, err)
	}
	return nil
}

// payload is what an item says.
type payload struct {
	Request string `json:"request"`
}

// Item returns the item of the outbox by which a request is looked at. The id names what has happened to it.
func Item(request, id string, at time.Time) (outbox.Item, error) {
	data, err := json.Marshal(payload{request})
	if err != nil {
		return outbox.Item{}, fmt.Errorf("writing an item about a request: %w", err)
	}
	return outbox.Item{Kind: SettleKind, ID: id, Payload: data, At: at}, nil
}

// ParseItem returns the request that an item is about.
func ParseItem(i outbox.Item) (request string, err error) {
	var p payload
	if err := json.Unmarshal(i.Payload, &p); err != nil || p.Request == "" {
		return "", outbox.Permanent(errors.New("reading an item about a request: it is damaged"))
	}
	return p.Request, nil
}

// IsRequest reports whether a text has the shape of the id of a request.
func IsRequest(id string) bool { return len(id) > len(prefix)+1 && id[:len(prefix)+1] == prefix+"_" }

// Get returns a request or [storage.ErrNotFound].
func (s *Store) Get(ctx context.Context, id string) (r Request, err error) {
	err = s.DB.View(ctx, func(tx storage.Tx) error {
		r, err = s.requests.Get(tx, id)
		return err
	})
	return r, err
}

// Settle finds out what has become of a request that waits, and writes it down once; any other is returned as it is. A client that
// wants to be told is, by an item in the same transaction.
func (s *Store) Settle(ctx context.Context, r Request) (Request, error) {
	if r.State != Waiting {
		return r, nil
	}
	// Where nobody was asked, a question is looked for that is not there: who watches the clock learns nothing.
	answer, err := s.Phone.Status(ctx, cmp.Or(r.Operation, r.ID), r.ID, r.ClientID)
	if err != nil {
		return Request{}, fmt.Errorf("looking at what a person was asked for client %q: %w", r.ClientID, err)
	}
	if r.Operation == "" {
		answer = Answer{State: Waiting}
	}
	proof, answer := s.proof(&r, answer)
	now := s.Grants.Now()
	if answer.State == Waiting && !now.Before(r.ExpiresAt) {
		answer.State = Expired
	}
	if answer.State == Waiting {
		return r, nil
	}
	return s.settled(ctx, r.ID, proof, answer)
}

// proof makes an approval a proof of the realm. One of somebody else, or of a realm that is no more, is a failure.
func (s *Store) proof(r *Request, a Answer) (*realm.Proof, Answer) {
	if a.State != Approved {
		return nil, a
	}
	proven, ok := s.Engine.Realm(r.Realm)
	if !ok || a.Subject == "" || a.Subject != r.Subject {
		return nil, Answer{State: Failed, Reason: "another_user"}
	}
	p := proven.NewProof(realm.Identity{Subject: a.Subject, Name: a.Name, AMR: a.AMR, Device: a.Device}, a.At)
	p.Cutoffs = r.Cutoffs
	return &p, a
}

func (s *Store) settled(ctx context.Context, id string, proof *realm.Proof, a Answer) (r Request, err error) {
	now := s.Grants.Now()
	notice, err := Item(id, id+".notice", now)
	if err != nil {
		return Request{}, err
	}
	notice.Kind = NoticeKind
	event := s.Trail.Prepare(audit.Event{Name: "backchannel.answer", Outcome: audit.Refused, Reason: string(a.State)})
	if a.State == Approved {
		event.Outcome = audit.Accepted
	}
	event.DeviceID = a.Device
	first := false
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		if r, err = s.requests.Get(tx, id); err != nil {
			return err
		}
		if first = r.State == Waiting; !first {
			return nil
		}
		r.Proof = proof
		r.end(a.State, a.Reason, now)
		event.ClientID, event.Subject, event.Operation, event.Realm = r.ClientID, r.Subject, r.Operation, r.Realm
		if err := s.Trail.Append(tx, event); err != nil {
			return err
		}
		if err := s.requests.Put(tx, r); err != nil || !r.tells() {
			return err
		}
		notice.Lane = laneOf(r.ClientID)
		return s.Outbox.Append(tx, notice)
	})
	if err != nil {
		return Request{}, fmt.Errorf("settling a request: %w", err)
	}
	if first {
		s.Trail.Log(ctx, event)
	}
	return r, nil
}

// tells reports whether the client is told how the request has ended. Who is pinged counts the time itself (CIBA 10.2).
func (r *Request) tells() bool { return r.Mode.Told() && (r.State != Expired || r.Mode == terms.Push) }

// laneOf names a client's own lane, so that one whose endpoint hangs holds nobody up.
func laneOf(client string) string { return randid.Hash(client) }
