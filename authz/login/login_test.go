// SPDX-License-Identifier: Apache-2.0

package login_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/login"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

func newWorld(t testing.TB) *faces.World {
	t.Helper()
	return faces.New(t, faces.Options{Seed: 7})
}

// atLogin begins a request and returns the login page.
func atLogin(t *testing.T, b *faces.Browser, pairs ...string) *faces.Page {
	t.Helper()
	page := b.Authorize(faces.Params(pairs...))
	if page.Left != nil || page.Status != http.StatusOK || !strings.Contains(page.At, authz.PathLogin) {
		t.Fatalf("the browser is at %s with status %d, want the login page", page.At, page.Status)
	}
	return page
}

// wantForm checks that the login form is shown again.
func wantForm(t *testing.T, p *faces.Page, status int, says string) {
	t.Helper()
	if p.Left != nil || p.Status != status || !strings.Contains(p.Body, says) {
		t.Errorf("left %v, status %d, want %d and %q:\n%s", p.Left, p.Status, status, says, p.Body)
	}
	if strings.Contains(p.Body, faces.Leak) {
		t.Error("an internal text is on the page")
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	page := atLogin(t, newWorld(t).Browser(t))
	if diff := cmp.Diff([]string{"username", "password"}, page.Fields()); diff != "" {
		t.Errorf("unexpected fields (-want +got):\n%s", diff)
	}
	for _, text := range []string{"The Portal", "User name", "Password", `autocomplete="current-password"`, "Cancel"} {
		if !strings.Contains(page.Body, text) {
			t.Errorf("the page does not hold %q:\n%s", text, page.Body)
		}
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
		if got := page.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// What an attempt can lead to, and what the person reads. Nobody is signed in unless it was accepted.
func TestAttempts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, username, password string
		status                   int
		says, retry              string
		stored, logged           []audit.Event
		observed                 string
	}{
		{"wrong password", "alice", "wrong", 403, "could not sign you in", "",
			[]audit.Event{{Outcome: audit.Refused, Reason: "wrong_password", Subject: faces.Alice}}, nil, "refused"},
		{"unknown user", "nobody", faces.Password, 403, "could not sign you in", "",
			[]audit.Event{{Outcome: audit.Refused, Reason: "wrong_password"}}, nil, "refused"},
		{"throttled", "alice", faces.PasswordThrottled, 429, "Try again in 30 seconds", "30",
			nil, []audit.Event{{Outcome: audit.Refused, Reason: "too_many"}}, "throttled"},
		{"busy", "alice", faces.PasswordBusy, 503, "very busy", "2",
			nil, []audit.Event{{Outcome: audit.Refused, Reason: "queue_full"}}, "busy"},
		{"a judgement nobody knows", "alice", faces.PasswordStrange, 403, "could not sign you in", "",
			[]audit.Event{{Outcome: audit.Refused}}, nil, "refused"},
		{"broken", "alice", faces.PasswordBroken, 503, "not available right now", "2",
			nil, []audit.Event{{Outcome: audit.Refused, Reason: "error"}}, "error"},
		{"panic", "alice", faces.PasswordPanic, 503, "not available right now", "2",
			nil, []audit.Event{{Outcome: audit.Refused, Reason: "error"}}, "error"},
		{"nothing filled in", "", "", 200, "fill in every field", "", nil, nil, ""},
		{"no password", "alice", "", 200, "fill in every field", "", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			page := b.Submit(atLogin(t, b), "username", tt.username, "password", tt.password)
			wantForm(t, page, tt.status, tt.says)
			if got := page.Header.Get("Retry-After"); got != tt.retry {
				t.Errorf("Retry-After is %q, want %q", got, tt.retry)
			}
			if b.Cookie("session") != "" {
				t.Error("somebody is signed in")
			}
			if tt.password == faces.PasswordPanic && strings.Contains(w.Log.String(), faces.Leak) {
				t.Errorf("the log tells what a guest panicked with:\n%s", w.Log)
			}
			for i := range tt.stored {
				tt.stored[i] = attempt(tt.stored[i])
			}
			for i := range tt.logged {
				tt.logged[i] = attempt(tt.logged[i])
			}
			if diff := cmp.Diff(tt.stored, w.Trail.Stored()); diff != "" {
				t.Errorf("unexpected events (-want +stored):\n%s", diff)
			}
			if diff := cmp.Diff(tt.logged, w.Trail.Logged()); diff != "" {
				t.Errorf("unexpected events (-want +logged):\n%s", diff)
			}
			if got := strings.Join(w.Observed(), " "); got != strings.TrimSpace(observed("password", tt.observed)) {
				t.Errorf("metrics were told %q", got)
			}
			if tt.observed == "error" {
				return // there is no form on the page
			}
			if _, form := page.Form(); form.Get("username") != tt.username || form.Get("password") != "" {
				t.Errorf("the form comes back with %v", form)
			}
			b.Login(page, faces.AliceLogin).Code() // and the next attempt may be right
		})
	}
}

func observed(realm, outcome string) string {
	if outcome == "" {
		return ""
	}
	return realm + ":" + outcome
}

// attempt fills in what every event of a password attempt by the portal has.
func attempt(e audit.Event) audit.Event {
	e.Name, e.ClientID, e.Realm, e.ClientIP, e.RequestID = "login.attempt", "portal", "password", "192.0.2.7", "rid-test"
	return e
}

// An unknown user and a wrong password look the same.
func TestUnknownUserLooksLikeAWrongPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var pages []string
	for _, username := range []string{"alice", "nobody"} {
		b := w.Browser(t)
		page := b.Submit(atLogin(t, b), "username", username, "password", "wrong")
		_, form := page.Form()
		body := page.Body
		for _, own := range []string{username, form.Get("req"), form.Get("step")} {
			body = strings.ReplaceAll(body, own, "…")
		}
		pages = append(pages, body)
	}
	if diff := cmp.Diff(pages[0], pages[1]); diff != "" {
		t.Errorf("the pages differ:\n%s", diff)
	}
}

func TestAcceptedAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.Login(atLogin(t, b), faces.AliceLogin).Code()
	want := []audit.Event{attempt(audit.Event{Outcome: audit.Accepted, Subject: faces.Alice})}
	if diff := cmp.Diff(want, w.Trail.Stored()); diff != "" {
		t.Errorf("unexpected events (-want +stored):\n%s", diff)
	}
	if got := strings.Join(w.Observed(), " "); got != "password:accepted" {
		t.Errorf("metrics were told %q", got)
	}
	tries := w.Users.Tries()
	if len(tries) != 1 || tries[0].ClientIP != "192.0.2.7" {
		t.Errorf("the module saw %+v", tries)
	}
	if len(tries[0].Values) != 2 {
		t.Errorf("the module saw fields that are not its own: %v", tries[0].Values)
	}
}

// Only realms that keep a trail write one.
func TestNoTrailUnlessAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.Submit(atLogin(t, b, "scope", "openid", "acr_values", "badge"), "badge", faces.Bob).Code()
	if stored := w.Trail.Stored(); len(stored) != 0 {
		t.Errorf("the trail holds %v", stored)
	}
}

// Somebody else who signs in takes the browser over, and is on the trail as anybody is.
func TestWhoTakesABrowserOverIsOnTheTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	anew := b.Authorize(faces.Params("prompt", "login"))
	w.Clock.Advance(time.Second)
	before := len(w.Trail.Stored())
	b.Login(anew, faces.BobLogin).Code()
	if got := w.Trail.Stored()[before:]; len(got) != 1 || got[0].Subject != faces.Bob || got[0].Outcome != audit.Accepted {
		t.Errorf("the trail says of it %+v", got)
	}
}

// A right password whose session cannot be stored can be found afterwards, as far as anything can be stored.
func TestAnAcceptedAttemptThatIsNotKept(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{storage.ErrConflict, storage.ErrTooLarge, storage.ErrUnavailable} {
		w := newWorld(t)
		b := w.Browser(t)
		page := atLogin(t, b)
		w.DB.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Err: cause})
		if page := b.Submit(page, "username", "alice", "password", faces.Password); page.Status < http.StatusInternalServerError {
			t.Errorf("%v: status %d", cause, page.Status)
		}
		told := w.Trail.Stored()
		if cause == storage.ErrUnavailable {
			told = w.Trail.Logged()
		}
		want := []audit.Event{attempt(audit.Event{Outcome: audit.Refused, Reason: "not_kept", Subject: faces.Alice})}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("%v: events (-want +got):\n%s", cause, diff)
		}
	}
}

// What could not be put on the trail does not happen.
func TestNoLoginWithoutTheTrail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := atLogin(t, b)
	w.Trail.Fail(errors.New("no trail: " + faces.Leak))
	for _, password := range []string{faces.Password, "wrong"} {
		got := b.Submit(page, "username", "alice", "password", password)
		if got.Status != http.StatusInternalServerError || strings.Contains(got.Body, faces.Leak) || b.Cookie("session") != "" {
			t.Errorf("status %d, cookie %q:\n%s", got.Status, b.Cookie("session"), got.Body)
		}
	}
	w.Trail.Fail(nil)
	b.Login(page, faces.AliceLogin).Code()
}

// RFC 6749 10.12: another site can neither log the browser in nor have passwords tried.
func TestRFC6749_10_12_ForgedLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, eve := w.Browser(t), w.Browser(t)
	page := atLogin(t, b)
	action, form := page.Form()
	_, theirs := atLogin(t, eve).Form()
	_, earlier := atLogin(t, b).Form()
	for _, tt := range []struct{ name, token string }{
		{"no token", ""},
		{"a made up token", strings.Repeat("A", 43)},
		{"the token of another browser", theirs.Get("step")},
		{"the token of another request", earlier.Get("step")},
	} {
		got := b.Post(action, url.Values{
			"req": form["req"], "step": {tt.token}, "username": {"bob"}, "password": {faces.Password},
		})
		wantForm(t, got, http.StatusBadRequest, "open too long")
		if b.Cookie("session") != "" || len(w.Users.Tries()) != 0 {
			t.Fatalf("%s: the form was taken", tt.name)
		}
		if strings.Contains(got.Body, "bob") {
			t.Errorf("%s: the form shows what was sent by somebody else", tt.name)
		}
	}
	b.Login(page, faces.AliceLogin).Code()
}

// A token for one realm's form does not send another's, not even in the same session.
func TestTokensAreForOneRealm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	password := atLogin(t, b, "scope", "payments:write riddles")
	pin := b.Login(password, faces.AliceLogin)
	riddle := b.Submit(pin, "pin", faces.PIN)
	wantForm(t, riddle, http.StatusOK, "your quest")
	for _, page := range []*faces.Page{password, pin} {
		_, form := page.Form()
		got := b.Submit(riddle, "step", form.Get("step"), "answer", "grail")
		wantForm(t, got, http.StatusBadRequest, "open too long")
		wantForm(t, got, http.StatusBadRequest, "your quest")
	}
	b.Submit(b.Submit(riddle, "answer", "grail"), "answer", "blue").Code()
}

// Nothing is missing any more: the page leads on instead of asking.
func TestNothingIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := atLogin(t, b)
	b.SignIn(faces.AliceLogin) // in another tab
	b.Get(page.At).Code()

	anew := atLogin(t, b, "prompt", "login")
	other := atLogin(t, b, "prompt", "login")
	w.Clock.Advance(time.Second)
	b.Login(other, faces.AliceLogin).Code()
	b.Submit(anew).Code() // whatever is in the form
}

func TestTheSecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Login(atLogin(t, b, "scope", "payments:write"), faces.AliceLogin)
	wantForm(t, page, http.StatusOK, "one more check")
	if !strings.Contains(page.Body, "Alice") {
		t.Error("the page does not say who is proving more")
	}
	page = b.Submit(page, "pin", "0000")
	wantForm(t, page, http.StatusForbidden, "could not sign you in")
	sid := strings.Split(b.Cookie("session"), ".")[0]
	b.Submit(page, "pin", faces.PIN).Code()
	var pins []audit.Event
	for _, e := range w.Trail.Stored() {
		if e.Realm == "pin" {
			pins = append(pins, e)
		}
	}
	refused, accepted := attempt(audit.Event{Outcome: audit.Refused, Reason: "wrong_pin", Subject: faces.Alice, SessionID: sid}),
		attempt(audit.Event{Outcome: audit.Accepted, Subject: faces.Alice, SessionID: sid})
	refused.Realm, accepted.Realm = "pin", "pin"
	if diff := cmp.Diff([]audit.Event{refused, accepted}, pins); diff != "" {
		t.Errorf("unexpected events (-want +stored):\n%s", diff)
	}
}

// The session ends while its user proves more: the user begins with who he is, and the proof is nobody's.
func TestTheSessionEndsDuringTheSecondFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	pin := b.Login(atLogin(t, b, "scope", "payments:write"), faces.AliceLogin)
	page := b.Submit(pin, "pin", faces.PasswordEnds)
	wantForm(t, page, http.StatusOK, "Password")
	page = b.Login(page, faces.AliceLogin)
	wantForm(t, page, http.StatusOK, "one more check")
	b.Submit(page, "pin", faces.PIN).Code()
}

// A user who is locked, gets another password or signs out everywhere while somebody logs in as him: that login opens no
// session, whenever it ends, and the trail says so.
func TestTheUserIsRevokedWhileLoggingIn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		revoke func(*faces.World) error
	}{
		{"revoked", func(w *faces.World) error {
			_, err := w.Store.Revoke(t.Context(), authz.KindSubject, faces.Alice)
			return err
		}},
		{"signed out everywhere", func(w *faces.World) error { return w.Store.CancelLogins(t.Context(), faces.Alice) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			page := atLogin(t, b)
			w.Users.Meanwhile(func() {
				w.Clock.Advance(time.Second)
				if err := tt.revoke(w); err != nil {
					t.Error(err)
				}
				w.Clock.Advance(time.Second)
			})
			page = b.Login(page, faces.AliceLogin)
			wantForm(t, page, http.StatusOK, "Password")
			if b.Cookie("session") != "" {
				t.Error("the browser has a session")
			}
			if sessions, err := w.Store.SessionsOf(t.Context(), faces.Alice); err != nil || len(sessions) != 0 {
				t.Errorf("Alice has sessions: %v (%v)", sessions, err)
			}
			want := []audit.Event{attempt(audit.Event{Outcome: audit.Refused, Reason: "revoked_meanwhile", Subject: faces.Alice})}
			if diff := cmp.Diff(want, w.Trail.Stored()); diff != "" {
				t.Errorf("unexpected events (-want +stored):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"password:refused"}, w.Observed()); diff != "" {
				t.Errorf("unexpected metrics (-want +observed):\n%s", diff)
			}
			b.Login(page, faces.AliceLogin).Code()
		})
	}
}

// Who has begun to prove a request has to finish it.
func TestAnotherUserCannotStepUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Login(atLogin(t, b, "scope", "accounts:read", "acr_values", "badge"), faces.AliceLogin)
	if diff := cmp.Diff([]string{"badge"}, page.Fields()); diff != "" {
		t.Fatalf("unexpected fields (-want +got):\n%s", diff)
	}
	before := b.Cookie("session")
	wrong := b.Submit(page, "badge", faces.Bob)
	wantForm(t, wrong, http.StatusForbidden, "belong to another user")
	if b.Cookie("session") != before {
		t.Error("the session changed")
	}
	b.Submit(wrong, "badge", faces.Alice).Code()
}

// Re-authentication: the name is filled in, and why is said. Whoever signs in instead gets a session of his own.
func TestReauthentication(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says, username string
		wait                 time.Duration
		params               []string
	}{
		{"prompt=login", "asks you to sign in again", "alice", time.Second, []string{"prompt", "login"}},
		{"max_age", "signed in a while ago", "alice", time.Minute, []string{"max_age", "30"}},
		{"the realm's own max_age", "signed in a while ago", "alice", 2 * time.Hour, nil},
		{"with a hint", "asks you to sign in again", "bob", time.Second, []string{"prompt", "login", "login_hint", "bob"}},
		{"prompt=select_account", "Sign in", "", time.Second, []string{"prompt", "select_account"}},
		{"another user is meant", "Sign in", "", time.Second, []string{"id_token_hint", "token-of-bob"}},
		{"another identity realm", "one more check", "", time.Second, []string{"scope", "openid", "acr_values", "badge"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			w.Clock.Advance(tt.wait)
			page := atLogin(t, b, tt.params...)
			wantForm(t, page, http.StatusOK, tt.says)
			if tt.says == "Sign in" && strings.Contains(page.Body, `class="message`) {
				t.Errorf("the page gives a reason that is none:\n%s", page.Body)
			}
			if _, form := page.Form(); form.Get("username") != tt.username {
				t.Errorf("the form begins with %q, want %q", form.Get("username"), tt.username)
			}
		})
	}
	t.Run("somebody else signs in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.Browser(t)
		b.SignIn(faces.AliceLogin)
		before := b.Cookie("session")
		page := atLogin(t, b, "prompt", "login")
		w.Clock.Advance(time.Second)
		b.Login(page, faces.BobLogin).Code()
		if after := b.Cookie("session"); strings.Split(after, ".")[0] == strings.Split(before, ".")[0] {
			t.Error("Bob is in Alice's session")
		}
		if sessions, err := w.Store.SessionsOf(t.Context(), faces.Alice); err != nil || len(sessions) != 0 {
			t.Errorf("Alice's session lives on: %v (%v)", sessions, err)
		}
	})
	t.Run("the user who is meant is signed in", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		b := w.Browser(t)
		b.SignIn(faces.AliceLogin)
		page := atLogin(t, b, "id_token_hint", "token-of-alice", "prompt", "login")
		if diff := cmp.Diff([]string{"password"}, page.Fields()); diff != "" {
			t.Errorf("a fixed user is asked for more than the password (-want +got):\n%s", diff)
		}
		w.Clock.Advance(time.Second)
		b.Submit(page, "password", faces.Password).Code()
	})
}

// A realm keeps between rounds what its challenge carries, for this request and nowhere else.
func TestStateBetweenRounds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Login(atLogin(t, b, "scope", "riddles"), faces.AliceLogin)
	wantForm(t, page, http.StatusOK, "your quest")
	second := b.Submit(page, "answer", "grail")
	wantForm(t, second, http.StatusOK, "favourite colour")
	_, form := second.Form()
	wantForm(t, b.Get("/login?req="+form.Get("req")), http.StatusOK, "favourite colour")
	wrong := b.Submit(second, "answer", "red")
	wantForm(t, wrong, http.StatusForbidden, "favourite colour")
	other := atLogin(t, b, "scope", "riddles") // another request begins at the beginning
	wantForm(t, other, http.StatusOK, "your quest")
	b.Submit(wrong, "answer", "blue").Code()
}

// A realm that reads a header needs no form; without the header there is a button and nothing else.
func TestARealmWithoutAForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Authorize(faces.Params("scope", "openid", "acr_values", "header"))
	wantForm(t, page, http.StatusForbidden, "could not sign you in")
	if fields := page.Fields(); len(fields) != 0 {
		t.Errorf("the page asks for %v", fields)
	}
	b.Header.Set("Test-Badge", faces.Bob)
	b.Submit(page).Code()
	other := w.Browser(t)
	other.Header.Set("Test-Badge", faces.Bob)
	other.Authorize(faces.Params("scope", "openid", "acr_values", "header")).Code()
}

// A guest that asks for a field with the page's own name is a fault of ours, not a form that cannot work.
func TestARealmWithARudeField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Authorize(faces.Params("scope", "openid", "acr_values", "rude"))
	wantForm(t, b.Login(page, faces.AliceLogin), http.StatusInternalServerError, "Something went wrong")
}

// With prompt=none no page may be shown, however the browser got here.
func TestPromptNoneNeverShowsThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	form := url.Values{"prompt": {"none"}}
	for name, value := range faces.Params() {
		form.Set(name, value)
	}
	parked := b.Send(http.MethodPost, "/authorize", form).Header.Get("Location")
	request, err := w.Store.Request(t.Context(), strings.TrimPrefix(parked, "/authorize?req="))
	if err != nil {
		t.Fatal(err)
	}
	atLogin(t, b) // gives the browser its cookie
	bound := request
	bound.ID += "2"
	if err := w.Store.InsertRequest(t.Context(), bound); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Store.BindRequest(t.Context(), bound.ID, hashOf(b)); err != nil {
		t.Fatal(err)
	}
	if got := b.Get("/login?req=" + bound.ID).Answer().Get("error"); got != "login_required" {
		t.Errorf("the answer is %q", got)
	}
}

// A page of the issuer itself has no client to cancel to.
func TestALocalRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Get("/account")
	if strings.Contains(page.Body, "Cancel") {
		t.Error("there is a cancel button")
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self';") {
		t.Errorf("the form may lead elsewhere: %s", csp)
	}
	wantForm(t, b.Submit(page, "cancel", "cancel"), http.StatusOK, "fill in every field")
	if got := b.Login(page, faces.AliceLogin); !strings.HasSuffix(got.At, "/account") || got.Status != http.StatusOK {
		t.Errorf("the login led to %s with status %d", got.At, got.Status)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, tt := range []struct {
		name, method, target, contentType string
		body                              io.Reader
		status                            int
	}{
		{"HEAD", http.MethodHead, "/login?req=req_a", "", nil, http.StatusMethodNotAllowed},
		{"PUT", http.MethodPut, "/login", "", nil, http.StatusMethodNotAllowed},
		{"no request", http.MethodGet, "/login", "", nil, http.StatusBadRequest},
		{"unknown request", http.MethodGet, "/login?req=req_a", "", nil, http.StatusBadRequest},
		{"two requests", http.MethodGet, "/login?req=req_a&req=req_b", "", nil, http.StatusBadRequest},
		{"JSON", http.MethodPost, "/login", "application/json", strings.NewReader("{}"), http.StatusUnsupportedMediaType},
		{"credentials in the address", http.MethodPost, "/login?password=x", "application/x-www-form-urlencoded",
			strings.NewReader("req=req_a"), http.StatusBadRequest},
		{"a large body", http.MethodPost, "/login", "application/x-www-form-urlencoded",
			strings.NewReader("password=" + strings.Repeat("x", 65<<10)), http.StatusRequestEntityTooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), tt.method, tt.target, tt.body)
			r.Header.Set("Content-Type", tt.contentType)
			if page := w.Browser(t).Do(r); page.Status != tt.status || page.Header.Get("Location") != "" {
				t.Errorf("status %d, want %d", page.Status, tt.status)
			}
		})
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	full := login.Config{
		Issuer: w.Issuer, Store: w.Store, Clients: w.Clients, Judge: w.Judge, Sessions: w.Sessions, Pages: w.Pages,
		Logger: slog.New(slog.DiscardHandler),
	}
	if _, err := login.New(full); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*login.Config){
		"issuer": func(c *login.Config) { c.Issuer = "" }, "store": func(c *login.Config) { c.Store = nil },
		"clients": func(c *login.Config) { c.Clients = nil }, "judge": func(c *login.Config) { c.Judge = nil },
		"sessions": func(c *login.Config) { c.Sessions = nil }, "pages": func(c *login.Config) { c.Pages = nil },
		"logger": func(c *login.Config) { c.Logger = nil },
	} {
		c := full
		spoil(&c)
		if _, err := login.New(c); err == nil {
			t.Errorf("New works without %s", name)
		}
	}
}

// hashOf is what requests of the browser are bound to.
func hashOf(b *faces.Browser) string { return randid.Hash(b.Cookie("browser")) }
