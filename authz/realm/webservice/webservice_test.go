// SPDX-License-Identifier: Apache-2.0

package webservice_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/webservice"
	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestAccepted(t *testing.T) {
	t.Parallel()
	s := start(t, says(http.StatusOK, `{"user":{"id":"u-7","name":"Alice Liddell","mail":"alice@example.com"},"roles":["staff","Domain Admins",7,true,null]}`))
	m := build(t, config(s.client(t)))
	got, err := m.Verify(t.Context(), answers("alice", password))
	if err != nil {
		t.Fatal(err)
	}
	same(t, accepted(realm.Identity{ExternalID: "u-7", Name: "Alice Liddell", Attributes: map[string]string{
		"email": "alice@example.com", "groups": "7 Domain%20Admins staff true", "login": "alice",
	}}), got)
	same(t, []map[string]string{{
		"username": "alice", "password": password, "client_ip": "192.0.2.7", "realm": "corporate", "locale": "nl",
	}}, s.questions())
	if !m.NeedsLogin() {
		t.Error("it says that it can do without a login name")
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	s := start(t, says(http.StatusUnauthorized, ""))
	c := config(s.client(t))
	c.Send = map[string]string{"username": "user", "password": "secret", "client_ip": "from"}
	c.UserField, c.PasswordField = "mail", "pin"
	m := build(t, c)
	strange := "\"\\<>&'\u2028é"
	credentials := realm.Credentials{Values: map[string]string{"mail": strange, "pin": " " + strange, "username": "other", "password": "other"}}
	if _, err := m.Verify(t.Context(), credentials); err != nil {
		t.Fatal(err)
	}
	same(t, []map[string]string{{"user": strange, "secret": " " + strange, "from": ""}}, s.questions())
}

// What no user has is not worth asking about.
func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	s := start(t, says(http.StatusOK, `{"user":{"id":"u-7"}}`))
	m := build(t, config(s.client(t)))
	for _, c := range []realm.Credentials{
		{}, answers("", password), answers("alice", ""), answers("al\x00ice", password), answers("alice\n", password), answers("\xff", password),
		answers("alice", "\xff"), answers(strings.Repeat("a", 513), password), answers("alice", strings.Repeat("x", 4<<10+1)),
		{Subject: "usr_alice", Values: map[string]string{"password": password}},
	} {
		got, err := m.Verify(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		same(t, refusedFor("malformed"), got)
	}
	if asked := s.questions(); len(asked) != 0 {
		t.Errorf("the service was asked: %v", asked)
	}
}

func TestJudgementsByStatus(t *testing.T) {
	t.Parallel()
	throttled := func(status int, wait time.Duration) realm.Result {
		return realm.Result{Status: realm.Throttled, Reason: "service_status_" + strconv.Itoa(status), RetryAfter: wait}
	}
	later := storagetest.NewClock().Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
	for _, tt := range []struct {
		name   string
		status int
		after  string
		want   realm.Result
	}{
		{"unauthorized", 401, "", refusedFor("service_status_401")},
		{"forbidden", 403, "5", refusedFor("service_status_403")},
		{"not found", 404, "", refusedFor("service_status_404")},
		{"locked", 423, "", throttled(423, 30*time.Second)},
		{"too many", 429, "", throttled(429, 30*time.Second)},
		{"too many, seconds", 429, "7", throttled(429, 7*time.Second)},
		{"too many, a date", 429, later, throttled(429, 90*time.Second)},
		{"too many, at once", 429, "0", throttled(429, time.Second)},
		{"too many, before", 429, "-9", throttled(429, time.Second)},
		{"too many, a date that has passed", 429, "Thu, 01 Jan 1970 00:00:00 GMT", throttled(429, time.Second)},
		{"too many, for ages", 429, "9223372036854775807", throttled(429, 15*time.Minute)},
		{"too many, until the end of days", 429, "Fri, 31 Dec 9999 23:59:59 GMT", throttled(429, 15*time.Minute)},
		{"too many, more than there is", 429, strings.Repeat("9", 40), throttled(429, 30*time.Second)},
		{"too many, nonsense", 429, "1h5", throttled(429, 30*time.Second)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// An id in the answer changes nothing.
			s := start(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", tt.after)
				says(tt.status, `{"user":{"id":"u-7"}}`)(w, r)
			})
			got, err := build(t, config(s.client(t))).Verify(t.Context(), answers("alice", password))
			if err != nil {
				t.Fatal(err)
			}
			same(t, tt.want, got)
			same(t, 1, len(s.questions()))
		})
	}
}

// fails makes sure that a login is neither accepted nor refused, that the service was asked once at most, and that the error
// tells no secret.
func fails(t *testing.T, s *service, m *webservice.Module, why string) {
	t.Helper()
	got, err := m.Verify(t.Context(), answers("alice", password))
	if err == nil || !strings.Contains(err.Error(), why) {
		t.Fatalf("%+v, %v, want an error about %q", got, err, why)
	}
	same(t, realm.Result{}, got)
	for _, hidden := range []string{password, secret, marked, "in-the-address"} {
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	if n := len(s.questions()); n > 1 {
		t.Errorf("the service was asked %d times", n)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	good := `{"user":{"id":"u-7"}}`
	typed := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{kind}
			_, _ = w.Write([]byte(body)) // who has gone away is not told more
		}
	}
	for _, tt := range []struct {
		name    string
		handler http.HandlerFunc
		why     string
	}{
		{"created", says(201, good), "status 201"},
		{"accepted", says(202, good), "status 202"},
		{"no content", says(204, ""), "status 204"},
		{"bad request", says(400, good), "status 400"},
		{"not allowed", says(405, good), "status 405"},
		{"conflict", says(409, good), "status 409"},
		{"unprocessable", says(422, good), "status 422"},
		{"our proxy's", says(407, good), "status 407"},
		{"internal error", says(500, marked), "status 500"},
		{"bad gateway", says(502, marked), "status 502"},
		{"unavailable", says(503, marked), "status 503"},
		{"no answer", says(200, ""), "reading its answer"},
		{"no JSON", says(200, marked), "reading its answer"},
		{"null", says(200, "null"), "reading its answer"},
		{"a list", says(200, `[{"user":{"id":"u-7"}}]`), "reading its answer"},
		{"half an answer", says(200, good[:10]), "reading its answer"},
		{"more than an answer", says(200, good+good), "reading its answer"},
		{"two ids", says(200, `{"user":{"id":"u-7","id":"u-8"}}`), "reading its answer"},
		{"two users", says(200, `{"user":{"id":"u-7"},"us\u0065r":{"id":"u-8"}}`), "reading its answer"},
		{"no UTF-8", says(200, "{\"user\":{\"id\":\"\xff\"}}"), "reading its answer"},
		{"an id that is an object", says(200, `{"user":{"id":{"x":"`+marked+`"}}}`), "neither text nor a whole number"},
		{"an id that is a list", says(200, `{"user":{"id":["u-7"]}}`), "neither text nor a whole number"},
		{"an id that is true", says(200, `{"user":{"id":true}}`), "neither text nor a whole number"},
		{"an id that is a fraction", says(200, `{"user":{"id":7.0}}`), "neither text nor a whole number"},
		{"an id with an exponent", says(200, `{"user":{"id":7e3}}`), "neither text nor a whole number"},
		{"an id with a control character", says(200, `{"user":{"id":"u\n7"}}`), "no text"},
		{"a huge id", says(200, `{"user":{"id":"`+strings.Repeat("7", 201)+`"}}`), "no text"},
		{"an attribute that is an object", says(200, `{"user":{"id":"u-7","mail":{"x":"`+marked+`"}}}`), `"user.mail"`},
		{"a list of lists", says(200, `{"user":{"id":"u-7"},"roles":[["`+marked+`"]]}`), `"/roles"`},
		{"a list of objects", says(200, `{"user":{"id":"u-7"},"roles":[{}]}`), `"/roles"`},
		{"too long a list", says(200, `{"user":{"id":"u-7"},"roles":["`+strings.Repeat("r", 1025)+`"]}`), `"/roles"`},
		{"too deep", says(200, `{"user":{"id":"u-7"},"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`), "reading its answer"},
		{"too long", says(200, good+strings.Repeat(" ", 64<<10)), "longer than"},
		{"a page", typed("text/html", good), "application/json"},
		{"no type", typed("", good), "application/json"},
		{"a type like it", typed("application/jsonp", good), "application/json"},
		{"a connection that is closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "asking the web service"},
		{"one that is closed in the middle", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(good)) // who has gone away is not told more
			panic(http.ErrAbortHandler)
		}, "asking the web service"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tt.handler)
			fails(t, s, build(t, config(s.client(t))), tt.why)
		})
	}
}

// Where a service sends us on, nobody follows: the password would go along.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var followed atomic.Bool
		elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			followed.Store(true)
			says(http.StatusOK, `{"user":{"id":"u-7"}}`)(w, r)
		}))
		t.Cleanup(elsewhere.Close)
		s := start(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		fails(t, s, build(t, config(s.client(t))), "status "+strconv.Itoa(status))
		if followed.Load() {
			t.Errorf("the redirect by %d was followed", status)
		}
	}
}

func TestSlowService(t *testing.T) {
	t.Parallel()
	hung := make(chan struct{})
	arrived := make(chan struct{}, 2)
	s := start(t, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-hung
	})
	t.Cleanup(func() { close(hung) }) // before the server is closed, which waits for it
	m := build(t, config(s.client(t, func(c *callout.Config) { c.Timeout = time.Hour })))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if got, err := m.Verify(ctx, answers("alice", password)); !errors.Is(err, context.Canceled) || got.Status != "" {
		t.Errorf("the caller goes away: %+v, %v", got, err)
	}
	m = build(t, config(s.client(t, func(c *callout.Config) { c.Timeout = 50 * time.Millisecond })))
	if got, err := m.Verify(t.Context(), answers("alice", password)); !errors.Is(err, context.DeadlineExceeded) || got.Status != "" {
		t.Errorf("the time-out: %+v, %v", got, err)
	}
}

func TestServiceIsDown(t *testing.T) {
	t.Parallel()
	s := start(t, says(http.StatusOK, "{}"))
	m := build(t, config(s.client(t)))
	s.Close()
	fails(t, s, m, "asking the web service")
}

// A service that nobody vouches for is told nothing.
func TestServiceIsAuthenticated(t *testing.T) {
	t.Parallel()
	s := start(t, says(http.StatusOK, `{"user":{"id":"u-7"}}`))
	fails(t, s, build(t, config(s.client(t, func(c *callout.Config) { c.Roots = nil }))), "certificate")
	if n := len(s.questions()); n != 0 {
		t.Error("it was asked")
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	s := start(t, says(http.StatusOK, "{}"))
	client := s.client(t)
	for _, tt := range []struct {
		name   string
		change func(*webservice.Config)
		why    string // empty for what is accepted
	}{
		{"as it is", func(*webservice.Config) {}, ""},
		{"an id alone", func(c *webservice.Config) { c.Display, c.Attributes = "", nil }, ""},
		{"no service", func(c *webservice.Config) { c.Service = nil }, "address"},
		{"no clock", func(c *webservice.Config) { c.Now = nil }, "clock"},
		{"no logger", func(c *webservice.Config) { c.Logger = nil }, "logger"},
		{"no id", func(c *webservice.Config) { c.ID = "" }, "id"},
		{"an id with an empty step", func(c *webservice.Config) { c.ID = "user..id" }, "empty step"},
		{"a name with an empty step", func(c *webservice.Config) { c.Display = "." }, "empty step"},
		{"an attribute with a wrong escape", func(c *webservice.Config) { c.Attributes["x"] = "/a~2" }, "~"},
		{"an attribute of nothing", func(c *webservice.Config) { c.Attributes["x"] = "" }, `"x"`},
		{"an attribute that is none", func(c *webservice.Config) { c.Attributes["x\n"] = "x" }, "attribute"},
		{"a yes with an empty step", func(c *webservice.Config) { c.OK = "a." }, "empty step"},
		{"too long a path", func(c *webservice.Config) { c.OK = strings.Repeat("a.", 20) + "a" }, "steps"},
		{"something that cannot be sent", func(c *webservice.Config) { c.Send = map[string]string{"shoe_size": "x"} }, "shoe_size"},
		{"no password", func(c *webservice.Config) { c.Send = map[string]string{"username": "u"} }, "both"},
		{"no user name", func(c *webservice.Config) { c.Send = map[string]string{"password": "p"} }, "both"},
		{"one name for two", func(c *webservice.Config) { c.Send = map[string]string{"username": "u", "password": "u"} }, `"u"`},
		{"no name", func(c *webservice.Config) { c.Send = map[string]string{"username": "", "password": "p"} }, "username"},
		{"a negative number of faults", func(c *webservice.Config) { c.Breaker.Faults = -1 }, "breaker"},
		{"more faults than can be counted", func(c *webservice.Config) { c.Breaker.Faults = 1 << 40 }, "breaker"},
		{"a negative pause", func(c *webservice.Config) { c.Breaker.Pause = -1 }, "breaker"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := config(client)
			tt.change(&c)
			m, err := webservice.New(c)
			if (err == nil) != (tt.why == "") || (m == nil) != (err != nil) {
				t.Fatalf("New = %v, %v", m, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.why) {
				t.Errorf("the error is %q, want something about %q", err, tt.why)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	s := start(b, says(http.StatusOK, `{"user":{"id":"u-7","name":"Alice"},"roles":["a","b"]}`))
	m := build(b, config(s.client(b)))
	b.ReportAllocs()
	for b.Loop() {
		if got, err := m.Verify(b.Context(), answers("alice", password)); err != nil || got.Status != realm.Accepted {
			b.Fatal(cmp.Diff(nil, err))
		}
	}
}
