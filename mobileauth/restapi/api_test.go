// SPDX-License-Identifier: Apache-2.0

package restapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		credentials string
		status      int
		code        string
		challenge   string
	}{
		{"", 401, "unauthenticated", `Bearer realm="` + issuer + `", Basic realm="` + issuer + `"`},
		{"Basic x", 401, "unauthenticated", `Bearer realm="` + issuer + `", Basic realm="` + issuer + `"`},
		{"Bearer x", 401, "unauthenticated", `Bearer realm="` + issuer + `", error="invalid_token", Basic realm="` + issuer + `"`},
		{"DPoP x", 401, "unauthenticated", `DPoP realm="` + issuer + `", error="invalid_token", Basic realm="` + issuer + `"`},
		{"dpop stale", 401, "unauthenticated", `DPoP realm="` + issuer + `", error="use_dpop_nonce", Basic realm="` + issuer + `"`},
		{"Twice x", 400, "invalid_request", ""},
		{"Throttled x", 429, "too_many_requests", ""},
		{"Down x", 503, "temporarily_unavailable", ""},
		{"Broken x", 500, "internal_error", ""},
		{"Test portal", 403, "insufficient_scope", `Bearer realm="` + issuer + `", error="insufficient_scope", scope="gatehouse:users"`},
		{"Test portal gatehouse:devices gatehouse:users:write", 403, "insufficient_scope", `Bearer realm="` + issuer + `", error="insufficient_scope", scope="gatehouse:users"`},
	} {
		t.Run(test.credentials, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.do("GET", "/users", "", "Authorization", test.credentials).is(test.status)
			a.refused(test.code)
			if got := a.Get("WWW-Authenticate"); got != test.challenge {
				t.Errorf("challenge %s, want %s", got, test.challenge)
			}
			if strings.Contains(a.body, "secret cause") {
				t.Errorf("the answer tells its cause: %s", a.body)
			}
		})
	}
}

// TestNetworks: right credentials are not enough from a place that the client does not call from. Outside it looks the same for every
// call and client; inside it is written down why.
func TestNetworks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	from := func(address, credentials string) *answer {
		r := w.request("GET", "/users", "", "Authorization", credentials)
		return w.send(r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: address})), "")
	}
	const home = "Home portal gatehouse:users"
	for _, address := range []string{"10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"} {
		from(address, home).is(200)
	}
	var bodies []string
	for _, address := range []string{"192.0.2.1", "11.0.0.1", "::ffff:192.0.2.1", "2001:db9::7", "", "@"} {
		a := from(address, home).is(403)
		a.refused("forbidden")
		if a.Get("WWW-Authenticate")+a.Get("RateLimit") != "" || strings.Contains(a.body, "network") || strings.Contains(a.body, "10.0") {
			t.Errorf("from %q it tells %v %s", address, a.Header, a.body)
		}
		bodies = append(bodies, a.get("title")+a.get("detail"))
	}
	bodies = append(bodies, func() string {
		a := from("192.0.2.1", "Home portal gatehouse:devices")
		return a.get("title") + a.get("detail")
	}())
	if slices.Sort(bodies); len(slices.Compact(bodies)) != 1 {
		t.Errorf("the refusals differ: %q", bodies)
	}
	found, err := w.trail.Query(t.Context(), audit.Query{Name: "client.call", ClientID: "portal"})
	must(t, err)
	if len(found.Events) != 7 {
		t.Fatalf("%d events", len(found.Events))
	}
	at := slices.IndexFunc(found.Events, func(e audit.Event) bool { return e.ClientIP == "192.0.2.1" })
	if e := found.Events[max(at, 0)]; e.Reason != "network_not_allowed" || e.Outcome != audit.Refused || e.By != "client:portal" || e.ClientIP != "192.0.2.1" {
		t.Errorf("%+v", e)
	}
	// Whoever goes on is not written down for ever, and is refused when nothing can be written at all.
	for range 60 {
		from("192.0.2.1", home)
	}
	from("192.0.2.1", home).is(429).refused("too_many_requests")
	w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: errDown})
	from("11.0.0.1", home).is(403).refused("forbidden")
}

// TestScopes walks every call of the description with every scope: exactly those that it names let a request in.
func TestScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, err := theContract()
	must(t, err)
	paths, _ := c.node("paths")
	for template := range paths {
		item, _ := c.node("paths", template)
		for method := range item {
			if method == "parameters" {
				continue
			}
			path := strings.NewReplacer("{", "", "}", "").Replace(template)
			named := scopesOf(t, item[method])
			for _, scope := range append(restapi.Scopes(), "") {
				body := ""
				if method != "get" {
					body = "nobody takes this, so that nothing is done"
				}
				a := w.do(strings.ToUpper(method), path, body, "Authorization", "Test c "+scope, "Content-Type", "text/plain")
				refused := a.code == http.StatusForbidden
				allowed := len(named) == 0 || slices.Contains(named, scope) ||
					slices.Contains(named, scope+":read") && !strings.HasSuffix(scope, ":all")
				if refused == allowed {
					t.Errorf("%s %s with %q: %d", method, template, scope, a.code)
				}
			}
		}
	}
}

func scopesOf(t testing.TB, operation any) []string {
	t.Helper()
	var described struct {
		Security []struct {
			Token []string `json:"token"`
		} `json:"security"`
	}
	text, err := json.Marshal(operation)
	must(t, err)
	must(t, json.Unmarshal(text, &described))
	var named []string
	for _, s := range described.Security {
		named = append(named, s.Token...)
	}
	return named
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		method, path string
		status       int
		code, allow  string
	}{
		{"GET", "", 404, "not_found", ""},
		{"GET", "/", 404, "not_found", ""},
		{"GET", "/user", 404, "not_found", ""},
		{"GET", "/users/", 404, "not_found", ""},
		{"GET", "//users", 404, "not_found", ""},
		{"GET", "/users/../users", 404, "not_found", ""},
		{"GET", "/users/x/y/z", 404, "not_found", ""},
		{"GET", "/docs", 404, "not_found", ""},
		{"PUT", "/users", 405, "method_not_allowed", "GET, POST"},
		{"OPTIONS", "/users/x", 405, "method_not_allowed", "DELETE, GET, PATCH"},
		{"GET", "/devices/x/lock", 405, "method_not_allowed", "POST"},
		{"CONNECT", "/audit", 405, "method_not_allowed", "GET"},
	} {
		t.Run(test.method+test.path, func(t *testing.T) {
			t.Parallel()
			a := w.on(t).do(test.method, test.path, "", "Authorization", "").is(test.status)
			a.refused(test.code)
			if a.Get("Allow") != test.allow {
				t.Errorf("Allow: %s", a.Get("Allow"))
			}
		})
	}
	if w.api.Serves("/api/v10") || w.api.Serves("/api") || !w.api.Serves("/api/v1/x") || !w.api.Serves("/api/v1") {
		t.Error("the API serves what is not below its path, or not what is")
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *restapi.Config) { c.Rate = restapi.Rate{Requests: 3, Window: time.Minute} })
	for left := 2; left >= 0; left-- {
		a := w.do("GET", "/users", "").is(200)
		if a.Get("RateLimit-Policy") != `"client";q=3;w=60` || !strings.HasPrefix(a.Get("RateLimit"), fmt.Sprintf(`"client";r=%d;t=`, left)) {
			t.Errorf("%v", a.Header)
		}
	}
	a := w.do("GET", "/users", "").is(429)
	a.refused("too_many_requests")
	if a.Get("Retry-After") != "20" || a.Get("RateLimit") != `"client";r=0;t=60` {
		t.Errorf("%v", a.Header)
	}
	w.do("GET", "/users", "", "Authorization", "Test other gatehouse:users").is(200)
	w.clock.Advance(20 * time.Second)
	w.do("GET", "/users", "").is(200)
}

// TestGuessingIsSlow for an address, whoever it says to be, and slows nobody else down.
func TestGuessingIsSlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 60 {
		w.do("GET", "/users", "", "Authorization", "Basic x").is(401)
	}
	w.do("GET", "/users", "", "Authorization", "Basic y").is(429).refused("too_many_requests")
	r := w.request("GET", "/users", "")
	w.send(r.WithContext(httpx.WithCaller(r.Context(), httpx.Caller{ClientIP: "198.51.100.1"})), "").is(200)
	w.clock.Advance(time.Second)
	w.do("GET", "/users", "").is(200)
}

func TestAnswersNameTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	a := w.do("GET", "/users/usr_x", "", "Traceparent", parent).is(404)
	if a.Get("Traceparent") != parent || a.Get("X-Request-Id") != "rq_test" || a.get("request_id") != "rq_test" || a.get("trace_id") != parent[3:35] {
		t.Errorf("%v %s", a.Header, a.body)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/users", nil) // nobody has named it
	recorder := httptest.NewRecorder()
	w.api.ServeHTTP(recorder, r)
	if !strings.HasPrefix(recorder.Header().Get("X-Request-Id"), "rq_") || recorder.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v", recorder.Header())
	}
	if !slices.Contains(w.told.observed, "/users/{user} 404") || !slices.Contains(w.told.observed, "/users 401") {
		t.Errorf("observed: %v", w.told.observed)
	}
}

func TestApplications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do("GET", "/applications", "", "Authorization", "Test c gatehouse:devices:read").is(200)
	if a := w.do("GET", "/applications/bank", "").is(200); a.get("platforms") != "map[ios:com.example.bank]" {
		t.Errorf("%s", a.body)
	}
	w.do("GET", "/applications/shop", "").is(404).refused("not_found")
	w.do("GET", "/applications?x=y", "").is(400).refused("invalid_parameter")
}

func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.addUser(alice).get("id")
	for range 3 {
		w.clock.Advance(time.Minute)
		w.do("POST", "/users/"+id+"/lock", `{"reason":"x"}`).is(200)
	}
	w.addUser(`{"logins":["bob"]}`)
	var page struct {
		Events []struct {
			ID   string `json:"id"`
			Name string `json:"name"`
		} `json:"events"`
		Next string `json:"next"`
	}
	seen, query := 0, "user_id="+id+"&limit=3"
	for next := "&"; next != ""; next = page.Next {
		page.Next = ""
		cursor := ""
		if next != "&" {
			cursor = "&cursor=" + next
		}
		w.do("GET", "/audit?"+query+cursor, "").is(200).json(&page)
		seen += len(page.Events)
	}
	if seen != 4 {
		t.Errorf("%d events of a user, want 4", seen)
	}
	since := w.clock.Now().Add(-90 * time.Second).Format(time.RFC3339)
	if w.do("GET", "/audit?name=user.lock&by=client:portal&since="+since, "").is(200).json(&page); len(page.Events) != 2 {
		t.Errorf("%+v", page)
	}
	for query, code := range map[string]string{
		"since=yesterday": "invalid_parameter", "name=*x*": "invalid_parameter", "who=me": "invalid_parameter", "cursor=x": "invalid_cursor",
		"until=2026-01-01": "invalid_parameter",
	} {
		w.do("GET", "/audit?"+query, "").is(400).refused(code)
	}

	export := w.do("GET", "/audit/export?user_id="+id, "").is(200)
	lines := strings.Split(strings.TrimSpace(export.body), "\n")
	if len(lines) != 5 || lines[4] != `{"export_complete":true,"events":4}` || !strings.Contains(lines[0], `"user.add"`) {
		t.Errorf("%s", export.body)
	}
	if head := w.do("HEAD", "/audit/export", "").is(200); head.body != "" {
		t.Errorf("%s", head.body)
	}
	w.do("GET", "/audit/export?cursor=x", "").is(400).refused("invalid_parameter")
}

// TestAnExportThatBreaksOffSaysSo by its last line, since its status is long sent.
func TestAnExportThatBreaksOffSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addUser(alice)
	w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 2, Err: storage.ErrClosed})
	if a := w.do("GET", "/audit/export", "").is(200); a.body != `{"export_complete":false,"events":0}`+"\n" {
		t.Errorf("%s", a.body)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.do("GET", "/openapi.json", "", "Authorization", "").is(200)
	var doc struct {
		OpenAPI string `json:"openapi"`
		Servers []struct {
			URL string `json:"url"`
		} `json:"servers"`
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct {
						Code struct {
							Enum []string `json:"enum"`
						} `json:"code"`
					} `json:"properties"`
				} `json:"Problem"`
			} `json:"schemas"`
		} `json:"components"`
	}
	a.json(&doc)
	if doc.OpenAPI != "3.1.0" || doc.Servers[0].URL != issuer+"/api/v1" {
		t.Errorf("%s at %s", doc.OpenAPI, doc.Servers[0].URL)
	}
	var codes []string
	for code := range wire.Codes() {
		codes = append(codes, string(code))
	}
	slices.Sort(codes)
	slices.Sort(doc.Components.Schemas.Problem.Properties.Code.Enum)
	if !slices.Equal(codes, doc.Components.Schemas.Problem.Properties.Code.Enum) {
		t.Errorf("the description has the codes %v, there are %v", doc.Components.Schemas.Problem.Properties.Code.Enum, codes)
	}
	if elsewhere := string(restapi.OpenAPI(`https://x.example/"a`)); !json.Valid([]byte(elsewhere)) || strings.Contains(elsewhere, issuer) {
		t.Error("the description of another server is not JSON, or speaks of the example")
	}
}

// TestEverySchemaCompiles: also of what no other test answers or asks.
func TestEverySchemaCompiles(t *testing.T) {
	t.Parallel()
	c, err := theContract()
	must(t, err)
	schemas, _ := c.node("components", "schemas")
	for name := range schemas {
		if err := c.validate("/components/schemas/"+name, []byte("null")); err == nil || strings.Contains(err.Error(), "compiling") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReferences: nothing in the description points to what is not there.
func TestReferences(t *testing.T) {
	t.Parallel()
	c, err := theContract()
	must(t, err)
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				if node, _ := c.node(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...); node == nil {
					t.Errorf("%s is not there", ref)
				}
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(c.doc)
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*restapi.Config){
		"nobody to ask who": func(c *restapi.Config) { c.Authenticator = nil },
		"no issuer":         func(c *restapi.Config) { c.Issuer = "auth" },
		"no sealer":         func(c *restapi.Config) { c.Sealer = nil },
		"half a rate":       func(c *restapi.Config) { c.Rate.Requests = 1 },
	} {
		var config restapi.Config
		newWorld(t, func(c *restapi.Config) { config = *c })
		spoil(&config)
		if _, err := restapi.New(config); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// FuzzBody sends anything to a call that adds a user: nothing but a user or a described problem comes out.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{alice, payment, `{}`, `[]`, `{"logins":["a"],"attributes":{"` + strings.Repeat("x", 70) + `":"y"}}`, "\xff", `{"logins":[""]}`} {
		f.Add(seed, "k")
	}
	f.Fuzz(func(t *testing.T, body, key string) {
		w := newWorld(t)
		if a := w.do("POST", "/users", body, "Idempotency-Key", key, "Content-Type", "application/json"); a.code >= 500 {
			t.Fatalf("%d %s", a.code, w.logs)
		}
	})
}

// FuzzStart does the same with a call that asks a person.
func FuzzStart(f *testing.F) {
	f.Add(payment)
	f.Add(`{"user_external_ref":"crm-1","context":{"title":"t"},"number_match":0}`)
	f.Add(`{"user_external_ref":"crm-1","context":{"title":"t","fields":[{"type":"date","label":"l","value":"2026-02-30"}]}}`)
	f.Fuzz(func(t *testing.T, body string) {
		w := newWorld(t)
		w.addUser(`{"logins":["alice"],"external_ref":"crm-1"}`)
		if a := w.do("POST", "/operations/authorisation", body, "Content-Type", "application/json"); a.code >= 500 {
			t.Fatalf("%d %s", a.code, w.logs)
		}
	})
}

// FuzzPath: whatever is asked for, the answer is one that is described, and no fault of ours.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/users?limit=1", "/users/%2e%2e", "/operations/x?wait=1s", "/audit?since=2026-01-01T00:00:00Z", "/handsets/" + strings.Repeat("0", 64), "/devices/x/history?cursor=AAAAAAAAMQ"} {
		f.Add("GET", seed)
	}
	f.Fuzz(func(t *testing.T, method, path string) {
		r, err := http.NewRequestWithContext(t.Context(), method, issuer+"/api/v1"+path, nil)
		if err != nil || !strings.HasPrefix(r.URL.Path, "/api/v1") {
			return
		}
		w := newWorld(t)
		r.Header.Set("Authorization", all)
		recorder := httptest.NewRecorder()
		w.api.ServeHTTP(recorder, r)
		if recorder.Code >= 500 {
			t.Fatalf("%d %s", recorder.Code, w.logs)
		}
	})
}

func BenchmarkOperationStatus(b *testing.B) {
	w := newWorld(b)
	w.person()
	started := w.do("POST", "/operations/authorisation", payment).is(201)
	r := w.request("GET", "/operations/"+started.get("id"), "")
	b.ReportAllocs()
	for b.Loop() {
		w.api.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// A name or a reference belongs to one user: however short the page, there is no other one, and a client that goes on from
// cursor to cursor comes to an end.
func TestWhatBelongsToOneUserHasOnePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addUser(`{"logins":["alice"],"external_ref":"crm-1"}`)
	for _, query := range []string{"login=alice", "external_ref=crm-1"} {
		var list struct {
			Users []struct{} `json:"users"`
			Next  string     `json:"next"`
		}
		w.do("GET", "/users?limit=1&"+query, "").is(200).json(&list)
		if len(list.Users) != 1 || list.Next != "" {
			t.Errorf("%s found %d users and the cursor %q", query, len(list.Users), list.Next)
		}
	}
}
