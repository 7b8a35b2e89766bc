// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestRFC7591Success(t *testing.T) { // 3.2.1
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	statement := w.statement(object{"software_version": "3"})
	a := w.register(w.initial(1), w.says().with(object{"software_statement": statement, "software_version": "1", "logo_uri": "https://x"}))
	w.wants("registering", a, http.StatusCreated, "")
	id := a.text("client_id")
	want := object{
		"client_id": id, "client_id_issued_at": float64(w.clock.Now().Unix()), "registration_access_token": a.text("registration_access_token"),
		"registration_client_uri": issuer + "/register/" + id, "redirect_uris": []any{callback}, "token_endpoint_auth_method": "private_key_jwt",
		"grant_types": []any{"authorization_code"}, "response_types": []any{"code"}, "scope": "openid read", "id_token_signed_response_alg": "ES256",
		"jwks": a.body["jwks"], "client_name": "A phone", "software_id": "bank", "software_version": "3", "software_statement": statement,
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(id, "ins_") || len(a.text("registration_access_token")) < 43 || a.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the answer is %s", a.Body)
	}
	i, err := w.store.Instance(t.Context(), id)
	w.ok(err)
	if i.ClientIP != "192.0.2.1" || i.Authority != vendor || i.InitialToken == "" {
		t.Errorf("kept is %+v", i)
	}
	for _, secret := range []string{a.text("registration_access_token"), statement} {
		if strings.Contains(w.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

func TestRFC7591Admission(t *testing.T) { // 3
	t.Parallel()
	const created, unauthorized, bad = http.StatusCreated, http.StatusUnauthorized, http.StatusBadRequest
	for _, tt := range []struct {
		name             string
		admit            endpoint.Admit
		token, statement bool
		status           int
		code             oauth.Code
	}{
		{"either: nothing", endpoint.AdmitEither, false, false, unauthorized, "invalid_token"},
		{"either: a token", endpoint.AdmitEither, true, false, created, ""},
		{"either: a statement", endpoint.AdmitEither, false, true, created, ""},
		{"either: both", endpoint.AdmitEither, true, true, created, ""},
		{"both: nothing", endpoint.AdmitBoth, false, false, unauthorized, "invalid_token"},
		{"both: a token", endpoint.AdmitBoth, true, false, bad, "invalid_software_statement"},
		{"both: a statement", endpoint.AdmitBoth, false, true, unauthorized, "invalid_token"},
		{"both: both", endpoint.AdmitBoth, true, true, created, ""},
		{"anyone: nothing", endpoint.AdmitAnyone, false, false, created, ""},
		{"anyone: a token", endpoint.AdmitAnyone, true, false, created, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.admit)
			token, say := "", w.says()
			if tt.token {
				token = w.initial(1)
			}
			if tt.statement {
				say["software_statement"] = w.statement(nil)
			}
			a := w.register(token, say)
			w.wants("registering", a, tt.status, tt.code)
			// RFC 6750 3.1: who has sent no token is told of no error.
			if challenge := a.Header().Get("WWW-Authenticate"); a.Code == unauthorized && challenge != `Bearer realm="`+issuer+`"` {
				t.Errorf("the challenge is %q", challenge)
			}
			// What is sent has to be good, whoever is admitted.
			a = w.register("iat_x.y", say)
			w.wants("with a wrong token", a, unauthorized, "invalid_token")
			if challenge := a.Header().Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) {
				t.Errorf("the challenge is %q", challenge)
			}
			w.wants("with a wrong statement", w.register(w.initial(1), say.with(object{"software_statement": "x"})), bad, "invalid_software_statement")
		})
	}
}

func TestRFC7591Requests(t *testing.T) { // 3.1
	t.Parallel()
	w := newWorld(t, endpoint.AdmitAnyone)
	header := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	for _, tt := range []struct {
		name   string
		body   any
		change func(*http.Request)
		status int
		code   oauth.Code
	}{
		{"a charset", w.says(), header("Content-Type", "application/json; charset=UTF-8"), 201, ""},
		{"scheme in lower case", w.says(), header("Authorization", "bearer "+w.initial(1)), 201, ""},
		{"a form", "software_id=bank", header("Content-Type", "application/x-www-form-urlencoded"), 415, "invalid_request"},
		{"no content type", w.says(), header("Content-Type"), 415, "invalid_request"},
		{"compressed", w.says(), header("Content-Encoding", "gzip"), 415, "invalid_request"},
		{"too large", `{"x":"` + strings.Repeat("x", 32<<10) + `"}`, nil, 413, "invalid_request"},
		{"no JSON", "software_id=bank", nil, 400, "invalid_client_metadata"},
		{"a redirect URI of others", w.says().with(object{"redirect_uris": []string{"https://evil.example/"}}), nil, 400, "invalid_redirect_uri"},
		{"another authority", w.says().with(object{"software_statement": w.statement(object{"iss": "https://evil.example"})}), nil, 400, "unapproved_software_statement"},
		{"an application that the token is not for", w.says().with(object{"software_id": "shop"}), header("Authorization", "Bearer "+w.initial(1)), 400, "invalid_client_metadata"},
		{"RFC6750/2 Basic", w.says(), header("Authorization", "Basic x"), 401, "invalid_token"},
		{"RFC6750/2 no token", w.says(), header("Authorization", "Bearer "), 401, "invalid_token"},
		{"RFC6750/2 a scheme alone", w.says(), header("Authorization", "Bearer"), 401, "invalid_token"},
		{"RFC6750/2 twice", w.says(), header("Authorization", "Bearer "+w.initial(1), "Bearer "+w.initial(1)), 401, "invalid_token"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			change := tt.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w.wants(tt.name, w.register("", tt.body, change), tt.status, tt.code)
		})
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions} {
		a := w.send(method, authz.PathRegister, "", nil)
		w.wants(method, a, http.StatusMethodNotAllowed, "invalid_request")
		if a.Header().Get("Allow") != "POST" || a.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", method, a.Header())
		}
	}
}

// A token registers as many as it may, one after the other as well as at once.
func TestATokenForOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	token := w.initial(1)
	var group sync.WaitGroup
	var created, refused atomic.Int32
	for range 8 {
		group.Go(func() {
			switch a := w.register(token, w.says()); a.Code {
			case http.StatusCreated:
				created.Add(1)
			case http.StatusUnauthorized:
				refused.Add(1)
			default:
				t.Errorf("%d %s", a.Code, a.Body)
			}
		})
	}
	group.Wait()
	if created.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d were registered and %d refused", created.Load(), refused.Load())
	}
	w.wants("afterwards", w.register(token, w.says()), http.StatusUnauthorized, "invalid_token")
	if !strings.Contains(w.log.String(), "its uses are spent") {
		t.Error("the log does not say why")
	}
}

// TestStrangers: those without a token are counted together, wherever they come from, and those with one are not.
func TestStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitAnyone)
	w.Strangers = limiter(w, 2)
	for range 2 {
		w.wants("a stranger", w.register("", w.says()), http.StatusCreated, "")
		w.wants("a mistake counts for nobody", w.register("", "{}"), http.StatusBadRequest, "invalid_client_metadata")
	}
	w.wants("one more", w.register("", w.says()), http.StatusTooManyRequests, "temporarily_unavailable")
	w.wants("with a token", w.register(w.initial(1), w.says()), http.StatusCreated, "")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	w.Addresses = limiter(w, 3)
	token := w.initial(100)
	w.wants("a wrong token counts", w.register("x", w.says()), http.StatusUnauthorized, "invalid_token")
	w.wants("a mistake counts", w.register(token, "{}"), http.StatusBadRequest, "invalid_client_metadata")
	w.wants("the last", w.register(token, w.says()), http.StatusCreated, "")
	a := w.register(token, w.says())
	w.wants("one more", a, http.StatusTooManyRequests, "temporarily_unavailable")
	if a.Header().Get("Retry-After") != "60" {
		t.Errorf("come back in %q", a.Header().Get("Retry-After"))
	}
	from := func(ip string) func(*http.Request) {
		return func(r *http.Request) {
			*r = *r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: ip}))
		}
	}
	w.wants("from elsewhere", w.register(token, w.says(), from("198.51.100.1")), http.StatusCreated, "")
	w.clock.Advance(time.Minute)
	w.wants("later", w.register(token, w.says()), http.StatusCreated, "")

	w.Addresses, w.Tokens = nil, limiter(w, 2)
	for range 2 {
		w.wants("by the token", w.register(token, w.says()), http.StatusCreated, "")
	}
	w.wants("once more by the token", w.register(token, w.says()), http.StatusTooManyRequests, "temporarily_unavailable")
	w.wants("by another one", w.register(w.initial(1), w.says()), http.StatusCreated, "")
}

// Ten thousand that register at once are bounded: each is registered or told when to come back, and none is lost.
func TestACrowd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	const crowd = 10_000
	token := w.initial(crowd)
	held := make(chan struct{})
	w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Wait: held})
	var group sync.WaitGroup
	var arrived sync.WaitGroup
	arrived.Add(crowd)
	var counts [600]atomic.Int32
	for range crowd {
		group.Go(func() {
			arrived.Done()
			a := w.register(token, w.says())
			counts[a.Code].Add(1)
			if a.Code == http.StatusServiceUnavailable && a.Header().Get("Retry-After") == "" {
				t.Error("nobody says when to come back")
			}
		})
	}
	arrived.Wait()
	close(held)
	group.Wait()
	created, later := counts[http.StatusCreated].Load(), counts[http.StatusServiceUnavailable].Load()
	if created == 0 || created+later != crowd {
		t.Errorf("%d were registered, %d told to come back, of %d", created, later, crowd)
	}
	all, err := w.store.InitialTokens(t.Context(), "", 0)
	w.ok(err)
	if int32(all[0].Used) != created {
		t.Errorf("%d uses are counted for %d", all[0].Used, created)
	}
}

func TestTheStoreIsDown(t *testing.T) {
	t.Parallel()
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate} {
		w := newWorld(t, endpoint.AdmitEither)
		token := w.initial(1)
		i := w.register(w.initial(1), w.says())
		path := "/register/" + i.text("client_id")
		w.db.Inject(storagetest.Fault{Op: op, Err: storage.ErrUnavailable})
		w.log.Reset()
		a := w.register(token, w.says())
		w.wants("registering", a, http.StatusServiceUnavailable, "temporarily_unavailable")
		if a.Header().Get("Retry-After") == "" {
			t.Error("nobody says when to come back")
		}
		update := w.says().with(object{"client_id": i.text("client_id")})
		w.wants("updating", w.send(http.MethodPut, path, i.text("registration_access_token"), update), http.StatusServiceUnavailable, "temporarily_unavailable")
		if op == storagetest.OnUpdate { // which is all that a deletion does
			w.wants("deleting", w.send(http.MethodDelete, path, i.text("registration_access_token"), nil), http.StatusServiceUnavailable, "temporarily_unavailable")
		}
		if strings.Contains(w.log.String(), "outcome=refused") {
			t.Errorf("a client is blamed:\n%s", w.log)
		}
		w.db.Clear()
		w.wants("afterwards", w.register(token, w.says()), http.StatusCreated, "")
	}
}

// Whoever has gone is not registered.
func TestACallerThatLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	token := w.initial(1)
	left, leave := context.WithCancel(t.Context())
	leave()
	r := httptest.NewRequestWithContext(left, http.MethodPost, issuer+"/register", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	recorder := httptest.NewRecorder()
	w.Register(recorder, r)
	if recorder.Code != http.StatusServiceUnavailable {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
	w.wants("another one", w.register(token, w.says()), http.StatusCreated, "")
}

func TestRefusalsAreNotedWithTheirReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	w.register(w.initial(1), w.says().with(object{"software_statement": w.statement(object{"exp": 1})}))
	w.register("iat_x.secret-of-somebody", w.says())
	for _, want := range []string{"audit.name=client.register", "audit.outcome=refused", "it has expired", "the token is not good", "audit.client_ip=192.0.2.1"} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if strings.Contains(w.log.String(), "secret-of-somebody") {
		t.Error("the log holds a token")
	}
	events, err := w.store.Trail.List(t.Context(), time.Time{}, 0)
	w.ok(err)
	for _, e := range events {
		if e.Outcome == "refused" {
			t.Errorf("a stranger has %+v stored", e)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	for name, spoil := range map[string]func(*endpoint.Config){
		"issuer": func(c *endpoint.Config) { c.Issuer = "" }, "store": func(c *endpoint.Config) { c.Store = nil },
		"trail": func(c *endpoint.Config) { c.Trail = nil }, "logger": func(c *endpoint.Config) { c.Logger = nil },
		"admission": func(c *endpoint.Config) { c.Admit = "" },
	} {
		c := w.Config
		spoil(&c)
		if _, err := endpoint.New(c); err == nil {
			t.Errorf("it works without %s", name)
		}
	}
}
