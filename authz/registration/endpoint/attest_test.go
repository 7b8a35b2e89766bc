// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

const challengePath = "/register/challenge"

var (
	grades  = []string{"software", "tee", "hardware"}
	errDown = errors.New("nobody can judge")
)

// judge knows evidence that says the application, the hash that it was made for, and its grade.
func (w *world) judge(_ context.Context, e registration.Evidence, least string) (grade, reason string, err error) {
	var said struct{ App, Made, Grade string }
	if err := json.Unmarshal(e.Raw, &said); err != nil {
		return "", "attestation_malformed", nil
	}
	made := []string{base64.RawURLEncoding.EncodeToString(e.Challenge), base64.RawURLEncoding.EncodeToString(e.Bound)}
	switch {
	case said.Grade == "down":
		return "", "", errDown
	case e.Platform != "ios" || said.App != e.Application:
		return "", "attestation_application", nil
	case said.Made != made[1]:
		return "", "attestation_challenge", nil
	case slices.Index(grades, said.Grade) < slices.Index(grades, least):
		return said.Grade, "attestation_grade", nil
	}
	return said.Grade, "", nil
}

// asked asks for a challenge.
func (w *world) asked(token string) string {
	w.Helper()
	a := w.send(http.MethodPost, challengePath, token, nil)
	w.wants("a challenge", a, http.StatusOK, "")
	return a.text("challenge")
}

// attests is what an instance of the vault's app says, for a challenge.
func (w *world) attests(challenge string, change object) object {
	w.Helper()
	_, name, err := (&metadata.Metadata{JWKS: w.jwks}).Key()
	w.ok(err)
	_, bound := registration.Bound(issuer, challenge, name)
	evidence := object{"format": "test", "app": "vault", "made": base64.RawURLEncoding.EncodeToString(bound[:]), "grade": "tee"}.with(change)
	return w.says().with(object{
		"software_id": "vault", "attestation": object{"platform": "ios", "challenge": challenge, "evidence": evidence},
	})
}

// TestAttestation: an instance shows that its app is genuine and where its key is, for a challenge of ours, and what it has shown stands in
// its record.
func TestAttestation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitAnyone)
	a := w.register("", w.attests(w.asked(""), nil))
	w.wants("with evidence", a, http.StatusCreated, "")
	i, err := w.store.Instance(t.Context(), a.text("client_id"))
	w.ok(err)
	if i.Attested.Grade != "tee" || i.Attested.Key == "" || !i.Attested.At.Equal(w.clock.Now()) {
		t.Errorf("kept is %+v", i.Attested)
	}
	if c, err := w.store.Client(t.Context(), i.ID); err != nil || c.Attestation != "tee" {
		t.Errorf("its client is %+v, %v", c, err)
	}
	if a.body["attestation"] != nil {
		t.Errorf("the answer repeats %v", a.body["attestation"])
	}
	path := "/register/" + i.ID
	same := w.says().with(object{"software_id": "vault", "client_id": i.ID, "client_name": "Another phone"})
	next := w.send(http.MethodPut, path, a.text("registration_access_token"), same)
	w.wants("an update with the same key", next, http.StatusOK, "")
	other, err := jose.GenerateKey(jose.ES256)
	w.ok(err)
	jwks, err := jose.MarshalSet([]jose.PublicKey{other.Public()})
	w.ok(err)
	w.wants("an update with another key", w.send(http.MethodPut, path, next.text("registration_access_token"), same.with(object{"jwks": json.RawMessage(jwks)})),
		http.StatusBadRequest, oauth.InvalidClientMetadata)
	none := w.register("", w.says())
	w.wants("of an application that asks for nothing", none, http.StatusCreated, "")
	if c, err := w.store.Client(t.Context(), none.text("client_id")); err != nil || c.Attestation != "" {
		t.Errorf("the client of one that has shown nothing is %+v, %v", c, err)
	}
}

// TestBadAttestations: nobody registers with them, and the log says why.
func TestBadAttestations(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		make   func(w *world) object
		reason string
	}{
		{"nothing", func(w *world) object { return w.says().with(object{"software_id": "vault"}) }, "attestation_absent"},
		{"no evidence", func(w *world) object {
			return w.says().with(object{"software_id": "vault", "attestation": object{"platform": "ios", "challenge": w.asked("")}})
		}, "attestation_absent"},
		{"a challenge of nobody's", func(w *world) object { return w.attests("x", nil) }, "the challenge is not valid"},
		{"a challenge that is over", func(w *world) object {
			c := w.asked("")
			w.clock.Advance(registration.ChallengeTTL)
			return w.attests(c, nil)
		}, "the challenge is not valid"},
		{"a challenge that was answered", func(w *world) object {
			said := w.attests(w.asked(""), nil)
			w.wants("the first", w.register("", said), http.StatusCreated, "")
			return said
		}, "the challenge is not valid"},
		{"for another challenge", func(w *world) object {
			other := w.attests(w.asked(""), nil)["attestation"].(object)
			return w.attests(w.asked(""), object{"made": other["evidence"].(object)["made"]})
		}, "attestation_challenge"},
		{"for another key", func(w *world) object {
			said := w.attests(w.asked(""), nil)
			key, err := jose.GenerateKey(jose.ES256)
			w.ok(err)
			w.jwks, err = jose.MarshalSet([]jose.PublicKey{key.Public()})
			w.ok(err)
			return said.with(object{"jwks": w.jwks})
		}, "attestation_challenge"},
		{"two keys", func(w *world) object {
			said := w.attests(w.asked(""), nil)
			var keys []jose.PublicKey
			for _, id := range []string{"a", "b"} {
				key, err := jose.GenerateKey(jose.ES256)
				w.ok(err)
				public := key.Public()
				public.KID = id
				keys = append(keys, public)
			}
			jwks, err := jose.MarshalSet(keys)
			w.ok(err)
			return said.with(object{"jwks": json.RawMessage(jwks)})
		}, "one key"},
		{"another app's", func(w *world) object { return w.attests(w.asked(""), object{"app": "bank"}) }, "attestation_application"},
		{"another platform's", func(w *world) object {
			said := w.attests(w.asked(""), nil)
			said["attestation"].(object)["platform"] = "android"
			return said
		}, "attestation_application"},
		{"a lower grade", func(w *world) object { return w.attests(w.asked(""), object{"grade": "software"}) }, "attestation_grade"},
		{"what is no evidence", func(w *world) object {
			said := w.attests(w.asked(""), nil)
			said["attestation"].(object)["evidence"] = "x"
			return said
		}, "attestation_malformed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, endpoint.AdmitAnyone)
			said := tt.make(w)
			w.wants(tt.name, w.register("", said), http.StatusBadRequest, oauth.InvalidClientMetadata)
			if !strings.Contains(w.log.String(), tt.reason) {
				t.Errorf("the log does not say %q:\n%s", tt.reason, w.log)
			}
		})
	}
}

// TestAttestationFaults: when nobody can judge, or the store is down, nobody registers and the challenge stays good.
func TestAttestationFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitAnyone)
	c := w.asked("")
	if a := w.register("", w.attests(c, object{"grade": "down"})); a.Code < http.StatusInternalServerError {
		t.Errorf("when nobody can judge it is %d %s", a.Code, a.Body)
	}
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate, storagetest.OnCommit} {
		w.db.Inject(storagetest.Fault{Op: op, Err: storage.ErrUnavailable})
		w.wants("with the store down", w.register("", w.attests(c, nil)), http.StatusServiceUnavailable, oauth.TemporarilyUnavailable)
		w.db.Clear()
	}
	w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrUnavailable})
	w.wants("a challenge with the store down", w.send(http.MethodPost, challengePath, "", nil), http.StatusServiceUnavailable, oauth.TemporarilyUnavailable)
	w.db.Clear()
	w.wants("afterwards", w.register("", w.attests(c, nil)), http.StatusCreated, "")
}

// TestOneOfMany: of those who answer one challenge at once one registers.
func TestOneOfMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitAnyone)
	said := w.attests(w.asked(""), nil)
	codes := make([]int, 8)
	var group sync.WaitGroup
	for i := range codes {
		group.Go(func() { codes[i] = w.register("", said).Code })
	}
	group.Wait()
	if n := len(slices.DeleteFunc(codes, func(code int) bool { return code != http.StatusCreated })); n != 1 {
		t.Errorf("%d have registered", n)
	}
}

// TestChallenges: they are for those who may register, and bounded.
func TestChallenges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitBoth)
	w.wants("without a token", w.send(http.MethodPost, challengePath, "", nil), http.StatusUnauthorized, oauth.InvalidToken)
	w.wants("with a wrong token", w.send(http.MethodPost, challengePath, "iat_x.y", nil), http.StatusUnauthorized, oauth.InvalidToken)
	token := w.initial(1)
	if first, second := w.asked(token), w.asked(token); first == second || len(first) < 40 {
		t.Errorf("the challenges are %q and %q", first, second)
	}
	if a := w.send(http.MethodGet, challengePath, token, nil); a.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET is %d", a.Code)
	}
	bounded := newWorld(t, endpoint.AdmitAnyone, func(c *endpoint.Config) {
		var err error
		c.Challenges, err = limit.New(limit.Config{Burst: 1, Every: time.Minute, Keys: 1, Now: time.Now})
		w.ok(err)
	})
	bounded.asked("")
	if a := bounded.send(http.MethodPost, challengePath, "", nil); a.Code != http.StatusTooManyRequests || a.Header().Get("Retry-After") == "" {
		t.Errorf("one more is %d %v", a.Code, a.Header())
	}
}
