// SPDX-License-Identifier: Apache-2.0

package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
	"github.com/gatehouse-id/gatehouse/internal/signedpost/advice"
)

const (
	// Typ is the type of the signature of a call.
	Typ = "gatehouse-ciba+jws"
	// Field is its header field: a JWS with its content taken out (RFC 7515, appendix F).
	Field = "Gatehouse-Signature"
	// late is how long after the answer a client is still told. Tokens that could not be sent by then are dead.
	late = 10 * time.Minute
	// early is how many times an item is looked at whose request is not there: the answer may be faster than the record.
	early = 3
)

// Tokens makes the tokens that are sent.
type Tokens interface {
	// Pushed returns a token response with the auth_req_id in it, of a moment before the grant was looked at.
	Pushed(client *authz.Client, grant authz.Grant, refresh, authReqID string, at time.Time) ([]byte, error)
}

// Config describes a [Sender]. All fields are required.
type Config struct {
	Store *backchannel.Store
	// Clients finds a client by its id.
	Clients func(id string) (*authz.Client, bool)
	// Terms are what each client is registered for, by its id.
	Terms  map[string]*terms.Terms
	Tokens Tokens
	// Key returns the key that signs now; its public half is published by the issuer.
	Key func() (jose.PrivateKey, error)
	Now func() time.Time
}

// Sender is the handlers of the outbox for requests. It is safe for concurrent use.
type Sender struct {
	Config
	receivers map[string]*signedpost.Client
}

// New returns a sender, or an error that says what in a client's terms does not fit. It connects to nothing yet.
func New(c Config) (*Sender, error) {
	if c.Store == nil || c.Clients == nil || c.Tokens == nil || c.Key == nil || c.Now == nil {
		return nil, errors.New("building the sender of notices: store, clients, tokens, key and clock are required")
	}
	s := &Sender{Config: c, receivers: map[string]*signedpost.Client{}}
	for id, t := range c.Terms {
		if !t.Mode.Told() {
			continue
		}
		receiver, err := Receiver(t, c.Key, c.Now)
		if err != nil {
			return nil, fmt.Errorf("client %q: %w", id, err)
		}
		s.receivers[id] = receiver
	}
	return s, nil
}

// Receiver returns what calls a client's notification endpoint, or an error that says why nothing could.
func Receiver(t *terms.Terms, key func() (jose.PrivateKey, error), now func() time.Time) (*signedpost.Client, error) {
	return signedpost.New(signedpost.Config{
		Receiver: signedpost.Receiver{URL: t.Endpoint, Allow: t.Allow}, Key: key, Typ: Typ, Field: Field, Now: now,
	})
}

// Settle looks at what has become of a request.
func (s *Sender) Settle(ctx context.Context, d outbox.Delivery) error {
	id, err := backchannel.ParseItem(d.Item)
	if err != nil {
		return err
	}
	r, err := s.Store.Get(ctx, id)
	if authz.Gone(err) && d.Try >= early {
		return nil // it was never kept, and its question was taken back
	}
	if err == nil {
		_, err = s.Store.Settle(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("settling a request: %w", err)
	}
	return nil
}

// Tell tells a client how a request has ended.
func (s *Sender) Tell(ctx context.Context, d outbox.Delivery) error {
	id, err := backchannel.ParseItem(d.Item)
	if err != nil {
		return err
	}
	r, err := s.Store.Get(ctx, id)
	if authz.Gone(err) {
		return outbox.Permanent(errors.New("telling a client: its request is not there any more"))
	}
	if err != nil {
		return fmt.Errorf("telling a client: %w", err)
	}
	err = s.tell(ctx, &r)
	if err != nil && (outbox.AdviceOf(err).Permanent || d.Try >= outbox.DefaultTries) {
		err = errors.Join(err, s.Store.Abandon(ctx, r.ID))
	}
	return err
}

func (s *Sender) tell(ctx context.Context, r *backchannel.Request) error {
	client, known := s.Clients(r.ClientID)
	receiver := s.receivers[r.ClientID]
	switch {
	case !known || receiver == nil || s.Terms[r.ClientID].Mode != r.Mode:
		return outbox.Permanent(fmt.Errorf("telling client %q: it is not registered for %s any more", r.ClientID, r.Mode))
	case s.Now().Sub(r.EndedAt) > late:
		return outbox.Permanent(fmt.Errorf("telling client %q: it could not be reached in time", r.ClientID))
	}
	content, err := s.content(ctx, client, r)
	if err != nil {
		return fmt.Errorf("telling client %q: %w", r.ClientID, err)
	}
	header := http.Header{"Authorization": {"Bearer " + r.NotificationToken}}
	if err := advice.Of(receiver.Post(ctx, header, content)); err != nil {
		return fmt.Errorf("telling client %q at %s: %w", r.ClientID, receiver.Host(), err)
	}
	return nil
}

// content is what a client is told: that there is something to fetch, the tokens, or why there are none.
func (s *Sender) content(ctx context.Context, client *authz.Client, r *backchannel.Request) ([]byte, error) {
	type told struct {
		AuthReqID   string     `json:"auth_req_id"`
		Error       oauth.Code `json:"error,omitempty"`
		Description string     `json:"error_description,omitempty"`
	}
	if r.Mode == terms.Ping {
		return json.Marshal(told{AuthReqID: r.AuthReqID})
	}
	at := s.Now() // before the grant is looked at: whatever is revoked after that covers the tokens
	fetched, err := s.Store.Collect(ctx, client, *r)
	if err != nil {
		return nil, err
	}
	if fetched.Outcome == backchannel.Granted {
		return s.Tokens.Pushed(client, fetched.Grant, fetched.Refresh, r.AuthReqID, at)
	}
	code, description := pushError(fetched.Outcome)
	return json.Marshal(told{r.AuthReqID, code, description})
}

// pushError is the table from outcomes to errors (CIBA 12).
func pushError(outcome backchannel.Outcome) (code oauth.Code, description string) {
	switch outcome {
	case backchannel.Refused:
		return oauth.AccessDenied, "the user did not agree"
	case backchannel.TooLate:
		return oauth.ExpiredToken, "the request has expired"
	case backchannel.Granted, backchannel.Pending, backchannel.TooFast, backchannel.TooOften, backchannel.Broken, backchannel.Unknown,
		backchannel.Spent, backchannel.Pushed:
	}
	return oauth.TransactionFailed, "the user could not agree"
}

// Handle registers the handlers with an outbox until stop is called.
func (s *Sender) Handle(o *outbox.Outbox) (stop func()) {
	settle := o.Handle(backchannel.SettleKind, outbox.HandlerFunc(s.Settle))
	tell := o.Handle(backchannel.NoticeKind, outbox.HandlerFunc(s.Tell))
	return func() {
		settle()
		tell()
		for _, r := range s.receivers {
			r.Close()
		}
	}
}
