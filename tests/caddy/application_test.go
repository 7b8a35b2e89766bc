// SPDX-License-Identifier: Apache-2.0

package caddy_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const phones = `
		application bank {
			ios com.example.bank
			version 1.* active
			version 2.* active
		}
		realm app {
			authenticator application bank
			max_age 8h
			audit
		}
		security_test from-the-app mobile
		client phone {
			first_party
			native
			grants authorization_code refresh_token
			scopes openid accounts:read from-the-app
			access_ttl 1h
		}
`

// challenged is what the authorization challenge endpoint answers.
type challenged struct {
	Code       string `json:"authorization_code"`
	Session    string `json:"auth_session"`
	Challenges map[string]struct {
		Notice  *struct{ ID, Text, URL string }
		Failure *struct{ Code string }
	}
}

// phone answers as an app of a version does, and returns the last answer.
func (h *house) phone(t *testing.T, version string) challenged {
	t.Helper()
	const verifier = "verifier-verifier-verifier-verifier-verifier-0"
	var last challenged
	ask := func(pairs ...string) {
		t.Helper()
		got := send(t, http.MethodPost, h.issuer+"/authorize-challenge", form(append(pairs, "client_id", "phone", "auth_session", last.Session)...),
			header("Accept-Language", "nl"))
		last = challenged{}
		if err := json.Unmarshal([]byte(got.Body), &last); err != nil {
			t.Fatalf("the endpoint answers %d %q", got.Status, got.Body)
		}
	}
	ask("response_type", "code", "scope", "openid accounts:read from-the-app", "code_challenge", oauth.Challenge(verifier), "code_challenge_method", "S256")
	if _, asked := last.Challenges["app"]; !asked || len(last.Challenges) != 1 {
		t.Fatalf("not the app is asked: %+v", last)
	}
	ask("answers", `{"app":{"platform":"ios","version":"`+version+`"}}`)
	if _, asked := last.Challenges["password"]; asked {
		ask("answers", `{"password":{"username":"alice","password":"`+password+`"}}`)
	}
	return last
}

// tokensOf logs in with a version of the app.
func (h *house) tokensOf(t *testing.T, version string) tokens {
	t.Helper()
	last := h.phone(t, version)
	has := h.token(t, form("grant_type", "authorization_code", "client_id", "phone", "code", last.Code,
		"code_verifier", "verifier-verifier-verifier-verifier-verifier-0"))
	if has.Access == "" {
		t.Fatalf("version %s gets no token: %s, after %+v", version, has.Error, last)
	}
	return has
}

// asking sends requests with a token until it is stopped, and counts those with another status than the one that is known to be
// right. A request counts if that was known from its begin to its end.
type asking struct {
	group sync.WaitGroup
	over  atomic.Bool

	mu    sync.Mutex
	more  sync.Cond
	epoch int
	want  int // zero: about to change
	right int // answers with the status, in this epoch
	wrong []int
}

func newAsking(t *testing.T) *asking {
	a := new(asking)
	a.more.L = &a.mu
	t.Cleanup(func() { a.end() })
	return a
}

func (a *asking) begin(t *testing.T, address, token string) {
	client := &http.Client{Transport: &http.Transport{}}
	a.group.Go(func() {
		defer client.CloseIdleConnections()
		for !a.over.Load() {
			epoch, _ := a.known()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Error(err)
				return
			}
			bearer(token)(r)
			response, err := client.Do(r)
			if err != nil {
				t.Error(err)
				a.count(epoch, 0)
				return
			}
			_ = response.Body.Close() // the status is enough
			a.count(epoch, response.StatusCode)
		}
	})
}

func (a *asking) known() (epoch, want int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.epoch, a.want
}

func (a *asking) count(epoch, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case epoch != a.epoch || a.want == 0:
	case status == a.want:
		a.right++
	default:
		a.wrong = append(a.wrong, status)
	}
	a.more.Broadcast()
}

// expect says which status is right from now on; zero is that it is about to change.
func (a *asking) expect(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.epoch++
	a.want, a.right = status, 0
}

// settle expects a status and waits until it was seen often.
func (a *asking) settle(status int) {
	a.expect(status)
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.right < 200 && len(a.wrong) == 0 {
		a.more.Wait()
	}
}

// end stops asking, and returns what was wrong.
func (a *asking) end() []int {
	a.over.Store(true)
	a.group.Wait()
	return a.wrong
}

// TestVersionIsSwitchedOffWhileRequestsRun: what begins after the command has returned is refused, and nothing else ever is.
func TestVersionIsSwitchedOffWhileRequestsRun(t *testing.T) {
	t.Parallel()
	h := start(t, phones, "")
	old, fresh := h.tokensOf(t, "1.7"), h.tokensOf(t, "2.0")
	switched, others := newAsking(t), newAsking(t)
	for range 3 {
		switched.begin(t, h.all+"/", old.Access)
		others.begin(t, h.all+"/", fresh.Access)
	}
	others.settle(http.StatusOK)
	switched.settle(http.StatusOK)
	for range 3 {
		switched.expect(0)
		h.gatehouse(t, "", "app", "set", "bank", "1.*", "disabled", "--message", "en=Please update")
		switched.settle(http.StatusUnauthorized)
		switched.expect(0)
		h.gatehouse(t, "", "app", "unset", "bank", "1.*")
		switched.settle(http.StatusOK)
	}
	if wrong := switched.end(); len(wrong) > 0 {
		t.Errorf("requests of the switched version were answered %v", wrong)
	}
	if wrong := others.end(); len(wrong) > 0 {
		t.Errorf("requests of another version were answered %v", wrong)
	}
}

// TestVersionStaysOff: over a reload and a crash, with everything that its people are told.
func TestVersionStaysOff(t *testing.T) {
	t.Parallel()
	h := start(t, phones, "")
	old := h.tokensOf(t, "1.7")
	h.gatehouse(t, "", "app", "set", "bank", "1.*", "disabled", "--message", "en=Please update", "--message", "nl=Werk de app bij",
		"--url", "https://example.com/get")
	out := func() {
		t.Helper()
		got := send(t, http.MethodGet, h.all+"/", bearer(old.Access))
		if got.Status != http.StatusUnauthorized || !strings.Contains(got.Header.Get("WWW-Authenticate"), "this version of the app is not accepted any more") {
			t.Errorf("the token gets %d, %s", got.Status, got.Header.Get("WWW-Authenticate"))
		}
		last := h.phone(t, "1.7")
		told := last.Challenges["app"]
		if last.Code != "" || told.Failure == nil || told.Notice == nil || told.Notice.Text != "Werk de app bij" || told.Notice.URL != "https://example.com/get" {
			t.Errorf("the app is told %+v", told)
		}
		asked := send(t, http.MethodPost, h.issuer+"/introspect", basic("machine", machineSecret), form("token", old.Access))
		if !strings.Contains(asked.Body, `"active":false`) {
			t.Errorf("introspection says %s", asked.Body)
		}
		if got := h.token(t, form("grant_type", "refresh_token", "client_id", "phone", "refresh_token", old.Refresh)); got.Error != "invalid_grant" {
			t.Errorf("refresh answers %+v", got)
		}
		if got := send(t, http.MethodGet, h.all+"/", bearer(h.tokensOf(t, "2.3").Access)); got.Status != http.StatusOK {
			t.Errorf("another version gets %d", got.Status)
		}
	}
	out()
	const before = "authenticator application bank\n\t\t\tmax_age 8h"
	changed := strings.Replace(h.current(), before, "authenticator application bank\n\t\t\tmax_age 7h", 1)
	if changed == h.current() {
		t.Fatal("the reload changes nothing")
	}
	h.reload(t, changed)
	out()
	if err := h.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := h.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	out()
	h.gatehouse(t, "", "app", "unset", "bank", "1.*")
	if got := send(t, http.MethodGet, h.all+"/", bearer(old.Access)); got.Status != http.StatusOK {
		t.Errorf("the same token gets %d although its version is back", got.Status)
	}
	if got := h.token(t, form("grant_type", "refresh_token", "client_id", "phone", "refresh_token", old.Refresh)); got.Refresh == "" {
		t.Errorf("the refresh token was lost: %+v", got)
	}
}
