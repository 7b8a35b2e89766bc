// SPDX-License-Identifier: Apache-2.0

package backchannel

import (
	"time"

	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

const (
	// DefaultTTL is how long a request can be answered where the client asks for no other time.
	DefaultTTL = 2 * time.Minute
	// MinTTL is the least it gets, whatever it asks for.
	MinTTL = 10 * time.Second
	// MaxTTL is the most it gets.
	MaxTTL = 10 * time.Minute
	// Interval is how long a client waits between two polls, and slower what is added when it does not (CIBA 7.3, 11).
	Interval = 5 * time.Second
	slower   = 5 * time.Second
	// jitter is how much too early a poll may come: networks do not keep time.
	jitter = 500 * time.Millisecond
	// hasty is how many polls that come too early end a request.
	hasty = 10
	// fetch is for how long tokens can be fetched after the person has approved, also when the request has expired meanwhile.
	fetch = time.Minute
	// kept is how long a request is remembered after its time, so that a client hears that it has expired.
	kept = time.Hour
)

// State is where a request stands.
type State string

// The states of a request. See the package for the ways between them.
const (
	Waiting  State = "waiting"
	Approved State = "approved"
	Denied   State = "denied"
	Failed   State = "failed"
	Expired  State = "expired"
	Issued   State = "issued"
)

// Request is one request of a client.
type Request struct {
	ID string `json:"id"`
	// SecretHash is the hash of the secret in the auth_req_id.
	SecretHash string     `json:"secret_hash"`
	ClientID   string     `json:"client_id"`
	Mode       terms.Mode `json:"mode"`
	// AuthReqID and NotificationToken are kept, sealed like the rest, where the client has to be told them again: not when it polls.
	AuthReqID         string       `json:"auth_req_id,omitempty"`
	NotificationToken string       `json:"notification_token,omitempty"`
	Scopes            oauth.Scopes `json:"scopes"`
	ACRValues         []string     `json:"acr_values,omitempty"`
	// Realm is the one that is proven. It determines the user.
	Realm string `json:"realm"`
	// Subject is who is asked. It is nobody's where nobody could be found.
	Subject string `json:"sub"`
	// Operation is the question on the phone; empty where nobody is asked.
	Operation string `json:"operation,omitempty"`

	State State `json:"state"`
	// Reason says in a word for operators why it ended as it did.
	Reason string `json:"reason,omitempty"`
	// Proof is what the phone has proven.
	Proof *realm.Proof `json:"proof,omitempty"`
	// GrantID is what was granted, and Refresh the refresh token that came with it, for a client that has to be told again.
	GrantID string `json:"grant_id,omitempty"`
	Refresh string `json:"refresh,omitempty"`

	// Interval is how many seconds the client has to wait between two polls, PolledAt its last one, and Hasty counts those that
	// came too early.
	Interval int64     `json:"interval"`
	PolledAt time.Time `json:"polled_at,omitzero"`
	Hasty    int       `json:"hasty,omitempty"`

	// Cutoffs is how many cut-offs the store had made before anybody was asked: whatever is revoked after that ends what comes of it.
	Cutoffs   uint64    `json:"cutoffs,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}

// New draws a request that begins now and its auth_req_id: 256 secret bits beside its name, in the characters of CIBA 7.3.
func New(now time.Time, ttl time.Duration, mode terms.Mode) (r Request, authReqID string) {
	handle := randid.NewHandle(prefix)
	r = Request{
		ID: handle.ID, SecretHash: handle.Hash(), Mode: mode, State: Waiting, Interval: int64(Interval / time.Second),
		CreatedAt: now, ExpiresAt: now.Add(ttl),
	}
	if mode != terms.Poll {
		r.AuthReqID = handle.String()
	}
	return r, handle.String()
}

// prefix begins the ids of requests.
const prefix = "bcr"

func requestTable(sealer storage.Sealer) *storage.Table[Request] {
	return &storage.Table[Request]{
		Name: "backchannel_request", Version: 1, Sealer: sealer,
		ID:     func(r *Request) string { return r.ID },
		Expiry: func(r *Request) time.Time { return r.ExpiresAt.Add(kept) },
	}
}

// end closes a request that waits.
func (r *Request) end(state State, reason string, now time.Time) {
	r.State, r.Reason, r.EndedAt = state, reason, now
}

// over reports whether the time of a request has come: to be answered, or, once it was approved, to be fetched.
func (r *Request) over(now time.Time) bool {
	switch r.State {
	case Waiting:
		return !now.Before(r.ExpiresAt)
	case Approved:
		return !now.Before(r.ExpiresAt) && !now.Before(r.EndedAt.Add(fetch))
	case Denied, Failed, Expired, Issued:
	}
	return false
}
