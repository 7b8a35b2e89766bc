// SPDX-License-Identifier: Apache-2.0

package server_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/backchannel"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/reading"
	"github.com/gatehouse-id/gatehouse/authz/backchannel/terms"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// handset is a phone on which nobody has answered yet, or everybody has.
type handset struct {
	mu       sync.Mutex
	asked    []backchannel.Question
	approved time.Time
}

func (h *handset) Ask(_ context.Context, q backchannel.Question) (backchannel.Asked, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, q)
	return backchannel.Asked{Operation: "op_" + q.Request}, nil
}

func (h *handset) Status(context.Context, string, string, string) (backchannel.Answer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.approved.IsZero() {
		return backchannel.Answer{State: backchannel.Waiting}, nil
	}
	return backchannel.Answer{State: backchannel.Approved, Subject: "usr_alice", At: h.approved}, nil
}

func (*handset) Cancel(context.Context, string, string) error { return nil }

// all are the people, by their login names.
type all struct{}

func (all) Find(_ context.Context, hint reading.Hint) (string, error) {
	return "usr_" + hint.Value, nil
}

func (all) Spelling(hint reading.Hint) string { return strings.ToLower(hint.Value) }

const ciba = "urn:openid:params:grant-type:ciba"

// asking adds clients that ask people on their phones.
func asking(t *testing.T, b *bench) *handset {
	t.Helper()
	sealer, err := seal.New(seal.Key{ID: "test", Secret: []byte("thirty-two bytes of a test's key")})
	must(t, err)
	o, err := outbox.New(outbox.Config{DB: b.db, Now: b.config.Now, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	var clients []*authz.Client
	for _, id := range []string{"desk", "till"} {
		clients = append(clients, &authz.Client{
			ID: id, Auth: authz.AuthClientSecretBasic, SecretHashes: []string{randid.Hash(secret)}, AccessTTL: 5 * time.Minute,
			Grants: []authz.GrantType{authz.GrantCIBA}, Scopes: oauth.Scopes{"openid", "read"}, Audience: []string{api},
		})
	}
	b.config.Clients, err = authz.NewClients(authz.Sites{}, clients...)
	must(t, err)
	b.config.ScopeTexts = map[string]string{"read": "Read your accounts"}
	h := &handset{}
	b.config.Backchannel = &server.Backchannel{
		DB: b.db, Sealer: sealer, Outbox: o, Phone: h, People: all{}, Realms: []string{"door"},
		Terms: map[string]*terms.Terms{"desk": {Mode: terms.Poll}, "till": {Mode: terms.Poll}},
	}
	return h
}

func TestBackchannel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := asking(t, b)
	s := b.start()
	var metadata map[string]any
	must(t, json.Unmarshal(b.ask(s, "/.well-known/oauth-authorization-server/idp", nil, "").Body.Bytes(), &metadata))
	if metadata["backchannel_authentication_endpoint"] != issuer+"/bc-authorize" || metadata["backchannel_user_code_parameter_supported"] != false ||
		!slices.Contains(metadata["grant_types_supported"].([]any), any(ciba)) {
		t.Errorf("the metadata is %v", metadata)
	}
	w := b.ask(s, "/idp/bc-authorize", url.Values{"scope": {"openid read"}, "login_hint": {"alice"}}, "desk")
	var asked struct {
		ID string `json:"auth_req_id"`
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &asked))
	if w.Code != http.StatusOK || asked.ID == "" || len(h.asked) != 1 || !slices.Equal(h.asked[0].Allows, []string{"Read your accounts"}) {
		t.Fatalf("%d %s, asked %+v", w.Code, w.Body, h.asked)
	}
	poll := url.Values{"grant_type": {ciba}, "auth_req_id": {asked.ID}}
	if w := b.ask(s, "/idp/token", poll, "desk"); !strings.Contains(w.Body.String(), "authorization_pending") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	h.approved = b.config.Now()
	if w := b.ask(s, "/idp/token", poll, "till"); w.Code != 400 || !strings.Contains(w.Body.String(), "invalid_grant") {
		t.Errorf("another client hears %d %s", w.Code, w.Body)
	}
	b.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Err: errBroken})
	if w := b.ask(s, "/idp/token", poll, "desk"); w.Code != 503 || strings.Contains(w.Body.String(), errBroken.Error()) {
		t.Errorf("without a store it hears %d %s", w.Code, w.Body)
	}
}

// A client asks so often, and less often about one person, whoever that is; another client is not slowed by it.
func TestBackchannelIsSlowed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := asking(t, b)
	s := b.start()
	ask := func(client, name string) int {
		return b.ask(s, "/idp/bc-authorize", url.Values{"scope": {"openid"}, "login_hint": {name}}, client).Code
	}
	for i := range 10 {
		if got := ask("desk", "alice"); got != http.StatusOK {
			t.Fatalf("the %dth time: %d", i, got)
		}
	}
	if got := ask("desk", "alice"); got != http.StatusTooManyRequests {
		t.Errorf("the eleventh time: %d", got)
	}
	if got := ask("till", "alice"); got != http.StatusOK {
		t.Errorf("another client: %d", got)
	}
	for i := range 109 {
		if got := ask("desk", "person"+strconv.Itoa(i)); got != http.StatusOK {
			t.Fatalf("the %dth person: %d", i, got)
		}
	}
	if got := ask("desk", "one too many"); got != http.StatusTooManyRequests {
		t.Errorf("of more people: %d", got)
	}
	if len(h.asked) != 120 {
		t.Errorf("%d questions", len(h.asked))
	}
}

// What is counted for one person is counted for their name, however that is spelled.
func TestBackchannelCountsSpellingsTogether(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	asking(t, b)
	s := b.start()
	for i := range 11 {
		name := []string{"alice", "Alice", "ALICE"}[i%3]
		want := map[bool]int{true: http.StatusOK, false: http.StatusTooManyRequests}[i < 10]
		if got := b.ask(s, "/idp/bc-authorize", url.Values{"scope": {"openid"}, "login_hint": {name}}, "desk").Code; got != want {
			t.Fatalf("the %dth time: %d", i+1, got)
		}
	}
}

// A scope of which nothing is said is shown by its name.
func TestBackchannelNamesScopes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := asking(t, b)
	b.config.ScopeTexts = nil
	if w := b.ask(b.start(), "/idp/bc-authorize", url.Values{"scope": {"openid read"}, "login_hint": {"alice"}}, "desk"); w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if !slices.Equal(h.asked[0].Allows, []string{"read"}) {
		t.Errorf("people read %q", h.asked[0].Allows)
	}
}

// Nobody asks where no client is registered for it.
func TestNoBackchannel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if w := b.ask(b.start(), "/idp/bc-authorize", url.Values{"scope": {"openid"}}, "machine"); w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// What the back channel is made of is missed by itself.
func TestBackchannelMissesEachPart(t *testing.T) {
	t.Parallel()
	for name, without := range map[string]func(*server.Backchannel){
		"a store":   func(c *server.Backchannel) { c.DB = nil },
		"a phone":   func(c *server.Backchannel) { c.Phone = nil },
		"people":    func(c *server.Backchannel) { c.People = nil },
		"an outbox": func(c *server.Backchannel) { c.Outbox = nil },
		"codes":     func(c *server.Backchannel) { c.Terms["desk"].UserCode = true },
		"a receiver that may be called": func(c *server.Backchannel) {
			c.Terms["desk"] = &terms.Terms{Mode: terms.Ping, Endpoint: "http://192.0.2.1/"}
		},
	} {
		b := newBench(t)
		asking(t, b)
		without(b.config.Backchannel)
		if _, err := server.New(b.config); err == nil {
			t.Errorf("it is built without %s", name)
		}
	}
}
