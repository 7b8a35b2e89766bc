// SPDX-License-Identifier: Apache-2.0

package backchannel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Outcome is how a poll ended (CIBA 11).
type Outcome string

// Outcomes of a poll.
const (
	Granted  Outcome = "granted"
	Pending  Outcome = "pending"
	TooFast  Outcome = "too_fast"  // the interval has grown
	TooOften Outcome = "too_often" // and not for the first time: the request has ended
	Refused  Outcome = "refused"   // by the person
	TooLate  Outcome = "too_late"  // its time is over
	Broken   Outcome = "broken"    // it came to no answer that counts
	Unknown  Outcome = "unknown"   // no such request of this client
	Spent    Outcome = "spent"     // its tokens were fetched
	Pushed   Outcome = "pushed"    // its tokens are sent to the client, which must not ask
)

// Fetched is what a request has led to. Grant and Refresh are set when it was [Granted].
type Fetched struct {
	Outcome Outcome
	Grant   authz.Grant
	// Refresh is the refresh token; empty where the client may not have one.
	Refresh string
}

// Redeem answers a poll: it counts it, looks at the phone, and makes the grant when the person has approved. Of two polls at the
// same time one gets the grant.
func (s *Store) Redeem(ctx context.Context, client *authz.Client, authReqID string) (Fetched, error) {
	handle, ok := randid.ParseHandle(prefix, authReqID)
	if !ok {
		return Fetched{Outcome: Unknown}, nil
	}
	r, outcome, err := s.poll(ctx, handle, client.ID)
	if err != nil {
		return Fetched{}, fmt.Errorf("counting a poll: %w", err)
	}
	if outcome == TooOften && r.Operation != "" {
		return Fetched{Outcome: outcome}, s.Phone.Cancel(ctx, r.Operation, "polled_too_often")
	}
	if outcome != Pending {
		return Fetched{Outcome: outcome}, nil
	}
	if r, err = s.Settle(ctx, r); err != nil {
		return Fetched{}, err
	}
	if outcome := r.outcome(s.Grants.Now()); outcome != Granted {
		return Fetched{Outcome: outcome}, nil
	}
	return s.bestow(ctx, client, r)
}

// poll counts a poll and says whether it is worth looking further: it is [Pending] then.
func (s *Store) poll(ctx context.Context, handle randid.Handle, client string) (r Request, outcome Outcome, err error) {
	now := s.Grants.Now()
	err = s.DB.Update(ctx, func(tx storage.Tx) error {
		found, ok, err := s.requests.Find(tx, handle.ID)
		if err != nil {
			return err
		}
		r, outcome = found, Unknown
		switch {
		case !ok || !handle.Opens(r.SecretHash) || r.ClientID != client:
			r = Request{}
			return nil
		case r.Mode == terms.Push:
			outcome = Pushed
			return nil
		}
		switch outcome = r.outcome(now); {
		case r.State == Waiting && outcome == Pending:
			outcome = r.count(now)
			return s.requests.Put(tx, r)
		case r.State == Waiting || outcome == Granted:
			outcome = Pending // it is fetched next, or its last answer is looked at
		}
		return nil
	})
	return r, outcome, err
}

// count notes a poll of a request that waits.
func (r *Request) count(now time.Time) Outcome {
	early := !r.PolledAt.IsZero() && now.Sub(r.PolledAt) < time.Duration(r.Interval)*time.Second-jitter
	r.PolledAt = now
	if !early {
		return Pending
	}
	r.Hasty++
	r.Interval += int64(slower / time.Second)
	if r.Hasty < hasty {
		return TooFast
	}
	r.end(Failed, "polled_too_often", now)
	return TooOften
}

// outcome is what a client hears of a request as it stands.
func (r *Request) outcome(now time.Time) Outcome {
	switch {
	case r.over(now) || r.State == Expired:
		return TooLate
	case r.State == Waiting:
		return Pending
	case r.State == Approved:
		return Granted
	case r.State == Denied:
		return Refused
	case r.State == Issued:
		return Spent
	}
	return Broken
}

// Collect makes the grant of a request that the person has approved, for a client that tokens are sent to; it may be repeated, and returns
// the same grant while that stands.
func (s *Store) Collect(ctx context.Context, client *authz.Client, r Request) (Fetched, error) {
	if r.State != Issued {
		if outcome := r.outcome(s.Grants.Now()); outcome != Granted {
			return Fetched{Outcome: outcome}, nil
		}
		return s.bestow(ctx, client, r)
	}
	grant, err := s.Grants.Grant(ctx, r.GrantID)
	if authz.Gone(err) {
		return Fetched{Outcome: Broken}, nil
	}
	return Fetched{Outcome: Granted, Grant: grant, Refresh: r.Refresh}, err
}

// Abandon takes back what was granted to a client that could not be told. Nobody has the tokens, or nobody should.
func (s *Store) Abandon(ctx context.Context, id string) error {
	r, err := s.Get(ctx, id)
	if err != nil || r.GrantID == "" || r.Mode != terms.Push {
		return err
	}
	revoked, err := s.Grants.RevokeGrant(ctx, r.GrantID, "")
	if err != nil && !authz.Gone(err) {
		return fmt.Errorf("taking back what could not be sent: %w", err)
	}
	s.Revoke(revoked...)
	return nil
}

// errSpent is a request that somebody else was faster with.
var errSpent = errors.New("the request is not approved any more")

// bestow turns the proof into a grant. The request is spent in the transaction that makes the grant.
func (s *Store) bestow(ctx context.Context, client *authz.Client, r Request) (Fetched, error) {
	now := s.Grants.Now()
	proofs := realm.Proofs{r.Realm: *r.Proof}
	authn, ok := s.Engine.Authenticate(r.ACRValues, proofs, now)
	if !ok || !s.meets(&r, authn, proofs, now) {
		return s.broken(ctx, r.ID, "unmet")
	}
	grant := authz.NewGrant(now, client.AccessTTL+fetch)
	grant.ClientID, grant.Subject, grant.Authn = client.ID, authn.Subject, authn
	grant.Scopes, grant.Offline = r.Scopes, r.Scopes.Has(oauth.ScopeOfflineAccess)
	b := authz.Bestowal{Grant: grant, Proof: *r.Proof}
	fetched := Fetched{Outcome: Granted}
	if client.May(authz.GrantRefreshToken) {
		family := authz.NewFamily(now, client.RefreshTTL, client.RefreshIdleTTL)
		b.Grant.ExpiresAt = grant.ExpiresAt.Add(client.RefreshTTL)
		b.Family, fetched.Refresh = &family, family.Token()
	}
	event := s.Trail.Prepare(audit.Event{
		Name: "token.issued", Outcome: audit.Accepted, Reason: string(authz.GrantCIBA), ClientID: client.ID, Subject: grant.Subject,
		GrantID: grant.ID, Operation: r.Operation, DeviceID: r.Proof.Device, Realm: r.Realm,
	}.From(ctx))
	b.Spend = func(tx storage.Tx) error { return s.spend(tx, r.ID, grant.ID, &fetched, event) }
	revoked, err := s.Grants.Bestow(ctx, b)
	switch {
	case errors.Is(err, errSpent):
		return Fetched{Outcome: Spent}, nil
	case errors.Is(err, authz.ErrOvertaken):
		return s.broken(ctx, r.ID, "revoked_meanwhile")
	case err != nil:
		return Fetched{}, fmt.Errorf("granting a request: %w", err)
	}
	s.Revoke(revoked...)
	s.Trail.Log(ctx, event)
	fetched.Grant = b.Grant
	return fetched, nil
}

// meets reports whether a proof is still all that the request needs: the configuration may have changed since it began.
func (s *Store) meets(r *Request, authn realm.Authentication, proofs realm.Proofs, now time.Time) bool {
	if _, missing := realm.Missing(s.Engine.ForScopes(r.Scopes), proofs, now); missing {
		return false
	}
	return authn.Subject == r.Subject && (len(r.ACRValues) == 0 || slices.Contains(r.ACRValues, authn.ACR))
}

// spend marks a request as used. What a client may have to be told again is kept with it.
func (s *Store) spend(tx storage.Tx, id, grant string, fetched *Fetched, event audit.Event) error {
	r, err := s.requests.Get(tx, id)
	if err != nil {
		return err
	}
	if r.State != Approved {
		return errSpent
	}
	r.State, r.GrantID = Issued, grant
	if r.Mode == terms.Push {
		r.Refresh = fetched.Refresh
	}
	return errors.Join(s.requests.Put(tx, r), s.Trail.Append(tx, event))
}

// broken ends an approved request without a grant.
func (s *Store) broken(ctx context.Context, id, reason string) (Fetched, error) {
	err := s.DB.Update(ctx, func(tx storage.Tx) error {
		r, err := s.requests.Get(tx, id)
		if err != nil || r.State != Approved {
			return err
		}
		r.end(Failed, reason, s.Grants.Now())
		return s.requests.Put(tx, r)
	})
	return Fetched{Outcome: Broken}, err
}
