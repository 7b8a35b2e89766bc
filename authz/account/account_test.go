// SPDX-License-Identifier: Apache-2.0

package account_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/account"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

func newWorld(t testing.TB) *faces.World {
	t.Helper()
	return faces.New(t, faces.Options{Seed: 3})
}

// third are parameters of a client that is not the operator's own.
func third(pairs ...string) map[string]string {
	return faces.Params(append([]string{"client_id", "third", "redirect_uri", "https://third.example.org/cb"}, pairs...)...)
}

// agree has the signed-in user allow the client something.
func agree(t *testing.T, b *faces.Browser, params map[string]string) {
	t.Helper()
	page := b.Authorize(params)
	if page.Left == nil {
		page = b.Submit(page, "decision", "allow")
	}
	page.Code()
}

// sessionOf returns the id of the browser's session.
func sessionOf(b *faces.Browser) string {
	id, _, _ := strings.Cut(b.Cookie("session"), ".")
	return id
}

// wantAccount checks that the account page is shown.
func wantAccount(t *testing.T, p *faces.Page, says ...string) {
	t.Helper()
	if p.Left != nil || p.Status != http.StatusOK || !strings.Contains(p.Body, "Where you are signed in") {
		t.Fatalf("the browser is at %s with status %d, want the account page:\n%s", p.At, p.Status, p.Body)
	}
	for _, text := range says {
		if !strings.Contains(p.Body, text) {
			t.Errorf("the page does not say %q:\n%s", text, p.Body)
		}
	}
}

func wantLogin(t *testing.T, p *faces.Page) {
	t.Helper()
	if !strings.Contains(p.At, "/login?req=") || p.Status != http.StatusOK {
		t.Fatalf("the browser is at %s with status %d, want the login page", p.At, p.Status)
	}
}

func TestThePageAsksForALogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	page := b.Get("/account")
	wantLogin(t, page)
	_, form := page.Form()
	page = b.Login(page, faces.AliceLogin)
	wantAccount(t, page, "Alice", "This device")
	if diff := cmp.Diff([]string{"/authorize", "/account"}, page.Path); diff != "" {
		t.Errorf("the browser came another way (-want +got):\n%s", diff)
	}
	// The request that led here is over, and it never was one of a client.
	if again := b.Get("/authorize?req=" + form.Get("req")); again.Status != http.StatusBadRequest {
		t.Errorf("the request is still open: status %d", again.Status)
	}
	if grants, err := w.Store.GrantsOf(t.Context(), faces.Alice); err != nil || len(grants) != 0 {
		t.Errorf("looking at the page made grants: %v (%v)", grants, err)
	}
}

// A browser that was left open shows nothing.
func TestThePageNeedsAFreshLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	w.Clock.Advance(faces.Fresh)
	page := b.Get("/account")
	wantAccount(t, page)
	w.Clock.Advance(time.Second)
	wantLogin(t, b.Get("/account"))
	wantLogin(t, b.Submit(page, "everywhere", "all")) // nor does a form from before act
	if sessions, err := w.Store.SessionsOf(t.Context(), faces.Alice); err != nil || len(sessions) != 1 {
		t.Errorf("%d sessions are left (%v)", len(sessions), err)
	}
}

// Asking for the page stores a request, so strangers may do it so often.
func TestStrangersAreLimited(t *testing.T) {
	t.Parallel()
	limiter, err := limit.New(limit.Config{Burst: 2, Every: time.Minute, Keys: 10, Now: storagetest.NewClock().Now})
	if err != nil {
		t.Fatal(err)
	}
	w := faces.New(t, faces.Options{Limiter: limiter})
	b := w.Browser(t)
	for range 2 {
		wantLogin(t, b.Get("/account"))
	}
	page := b.Get("/account")
	if page.Status != http.StatusTooManyRequests || page.Header.Get("Retry-After") != "60" {
		t.Errorf("status %d, Retry-After %q", page.Status, page.Header.Get("Retry-After"))
	}
}

func TestThePageShowsWhatIsTheUsersOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, phone, bob := w.Browser(t), w.Browser(t), w.Browser(t)
	b.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	phone.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1")
	phone.Header.Set("Test-Client-IP", "198.51.100.9")
	phone.SignIn(faces.AliceLogin)
	bob.Header.Set("User-Agent", "bobs-browser/1")
	bob.SignIn(faces.BobLogin)
	agree(t, bob, third("scope", "openid email"))
	w.Clock.Advance(time.Minute)
	b.SignIn(faces.AliceLogin)
	agree(t, b, third("scope", "openid accounts:read"))
	site := faces.Params("client_id", authz.SiteClientID(faces.Site), "redirect_uri", faces.Site+authz.PathSiteCallback, "scope", "openid")
	b.Authorize(site).Code()

	page := b.Get("/account")
	wantAccount(t, page, "Firefox, Linux", "Safari, iPhone", "192.0.2.7", "198.51.100.9", "Third &lt;Party&gt;", "The Portal",
		"Know who you are", "See your accounts")
	if strings.Index(page.Body, "Firefox, Linux") > strings.Index(page.Body, "Safari, iPhone") {
		t.Error("this session is not the first")
	}
	for _, text := range []string{"bobs-browser", sessionOf(bob), "See your email address", "site.example.com", b.Cookie("session"), "gatehouse-session"} {
		if strings.Contains(page.Body, text) {
			t.Errorf("the page holds %q", text)
		}
	}
}

func TestEndOneSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, lost := w.Browser(t), w.Browser(t)
	b.SignIn(faces.AliceLogin)
	lost.SignIn(faces.AliceLogin)
	page := b.Submit(b.Get("/account"), "end_session", sessionOf(lost))
	wantAccount(t, page, "That session has ended")
	if strings.Contains(page.Body, sessionOf(lost)) {
		t.Error("the session is still listed")
	}
	if got := lost.Authorize(faces.Params("prompt", "none")).Answer().Get("error"); got != "login_required" {
		t.Errorf("the ended session answers %q", got)
	}
	b.Authorize(faces.Params("prompt", "none")).Code()
	if revoked := w.Applied(); len(revoked) != 1 || revoked[0].Kind != authz.KindSession || revoked[0].Target != sessionOf(lost) {
		t.Errorf("the gates were told %v", revoked)
	}
	wantEvent(t, w, audit.Event{Name: "session.ended", SessionID: sessionOf(lost)})
	// Reloading changes nothing again, and the message goes away.
	wantAccount(t, b.Get(page.At), "That session has ended")
	if page := b.Get("/account"); strings.Contains(page.Body, "has ended") {
		t.Error("the message stays")
	}
}

func wantEvent(t *testing.T, w *faces.World, want audit.Event) {
	t.Helper()
	want.Outcome, want.Reason, want.Subject, want.ClientIP, want.RequestID = audit.Accepted, "user", faces.Alice, "192.0.2.7", "rid-test"
	if stored := w.Trail.Stored(); !slices.Contains(stored, want) {
		t.Errorf("the trail lacks %+v:\n%+v", want, stored)
	}
}

func TestEndThisSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, other := w.Browser(t), w.Browser(t)
	b.SignIn(faces.AliceLogin)
	other.SignIn(faces.AliceLogin)
	page := b.Submit(b.Get("/account"), "end_session", sessionOf(b))
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "You are signed out") {
		t.Fatalf("status %d:\n%s", page.Status, page.Body)
	}
	if b.Cookie("session") != "" {
		t.Error("the browser keeps its cookie")
	}
	wantLogin(t, b.Get("/account"))
	wantAccount(t, other.Get("/account"))
}

func TestEndEverySession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	browsers := []*faces.Browser{w.Browser(t), w.Browser(t), w.Browser(t)}
	for _, b := range browsers {
		b.SignIn(faces.AliceLogin)
	}
	bob := w.Browser(t)
	bob.SignIn(faces.BobLogin)
	page := browsers[1].Submit(browsers[1].Get("/account"), "everywhere", "all")
	if page.Status != http.StatusOK || !strings.Contains(page.Body, "You are signed out") {
		t.Fatalf("status %d:\n%s", page.Status, page.Body)
	}
	for _, b := range browsers {
		wantLogin(t, b.Get("/account"))
	}
	wantAccount(t, bob.Get("/account"))
	if len(w.Applied()) != 3 {
		t.Errorf("the gates were told of %d revocations, want 3", len(w.Applied()))
	}
}

// A login that is under way when its user signs out everywhere opens no session behind his back.
func TestEverySessionIsAlsoTheNextOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, late := w.Browser(t), w.Browser(t)
	b.SignIn(faces.AliceLogin)
	page := late.Get("/account")
	w.Users.Meanwhile(func() {
		w.Clock.Advance(time.Second)
		b.Submit(b.Get("/account"), "everywhere", "all")
		w.Clock.Advance(time.Second)
	})
	wantLogin(t, late.Login(page, faces.AliceLogin))
	if sessions, err := w.Store.SessionsOf(t.Context(), faces.Alice); err != nil || len(sessions) != 0 {
		t.Errorf("sessions are left: %v (%v)", sessions, err)
	}
}

func TestWithdraw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	agree(t, b, third("scope", "openid offline_access"))
	agree(t, b, third("scope", "openid"))
	bob := w.Browser(t)
	bob.SignIn(faces.BobLogin)
	agree(t, bob, third())

	page := b.Submit(b.Get("/account"), "revoke_grant", "third")
	wantAccount(t, page, "no longer has access")
	if strings.Contains(page.Body, "Third") {
		t.Error("the application is still listed")
	}
	if len(w.Applied()) != 2 {
		t.Errorf("the gates were told of %d revocations, want one for each grant", len(w.Applied()))
	}
	wantEvent(t, w, audit.Event{Name: "grant.revoked", ClientID: "third", SessionID: sessionOf(b)})
	if got := b.Authorize(third("prompt", "none")).Answer().Get("error"); got != "consent_required" {
		t.Errorf("the agreement still stands: %q", got)
	}
	if grants, err := w.Store.GrantsOf(t.Context(), faces.Bob); err != nil || len(grants) != 2 {
		t.Errorf("Bob has %d grants left (%v)", len(grants), err)
	}
	wantAccount(t, b.Submit(page, "revoke_grant", "third"), "already ended")
}

// Nobody touches what is somebody else's, or nobody's.
func TestOthersAreSafe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, bob := w.Browser(t), w.Browser(t)
	b.SignIn(faces.AliceLogin)
	bob.SignIn(faces.BobLogin)
	agree(t, bob, third())
	for _, tt := range []struct{ field, value string }{
		{"end_session", sessionOf(bob)}, {"end_session", "ses_unknown"}, {"end_session", "x"},
		{"revoke_grant", "third"}, {"revoke_grant", "nobody"}, {"revoke_grant", strings.Repeat("x", 5000)},
	} {
		wantAccount(t, b.Submit(b.Get("/account"), tt.field, tt.value), "already ended")
	}
	for _, tt := range []struct{ field, value string }{{"everywhere", "none"}, {"something", "else"}} {
		wantAccount(t, b.Submit(b.Get("/account"), tt.field, tt.value))
	}
	if len(w.Applied()) != 0 || len(w.Trail.Stored()) != 3 { // two logins, one consent
		t.Errorf("something happened: %v, %v", w.Applied(), w.Trail.Stored())
	}
	wantAccount(t, bob.Get("/account"))
	agreed, err := w.Store.Consented(t.Context(), faces.Bob, "third", oauth.Scopes{"openid"})
	if err != nil || !agreed {
		t.Errorf("Bob's agreement is gone (%v)", err)
	}
}

// RFC 6749 10.12: another site cannot have anything ended.
func TestForgedChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b, eve := w.Browser(t), w.Browser(t)
	b.SignIn(faces.AliceLogin)
	eve.SignIn(faces.BobLogin)
	_, theirs := eve.Get("/account").Form()
	_, mine := b.Get("/account").Form()
	for _, tt := range []struct{ name, token string }{
		{"no token", ""}, {"made up", strings.Repeat("A", 43)}, {"of another browser", theirs.Get("step")}, {"cut", mine.Get("step")[1:]},
	} {
		page := b.Post("/account", url.Values{"step": {tt.token}, "everywhere": {"all"}})
		wantAccount(t, page) // shown again, and nothing happened
		wantAccount(t, b.Get("/account"))
	}
	// A token from before another login in the same browser.
	anew := b.Authorize(faces.Params("prompt", "login"))
	w.Clock.Advance(time.Second)
	b.Login(anew, faces.BobLogin).Code()
	wantAccount(t, b.Post("/account", url.Values{"step": mine["step"], "everywhere": {"all"}}), "Bob")
	if len(w.Applied()) != 1 { // the end of Alice's session by Bob's login
		t.Errorf("something was revoked: %v", w.Applied())
	}
}

// Nothing that stands in the address is shown.
func TestMessagesAreOurOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	page := b.Get("/account?done=" + url.QueryEscape("<b>Call 0900 for help</b>"))
	wantAccount(t, page)
	if strings.Contains(page.Body, "0900 for help") {
		t.Error("the page says what the address says")
	}
}

// What could not be put on the trail does not happen; what breaks half-way can be done again.
func TestFailures(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken: " + faces.Leak)
	for _, tt := range []struct {
		name, field, value string
		spoil              func(*faces.World)
	}{
		{"the trail, ending sessions", "everywhere", "all", func(w *faces.World) { w.Trail.Fail(broken) }},
		{"the trail, withdrawing", "revoke_grant", "third", func(w *faces.World) { w.Trail.Fail(broken) }},
		{"the store, ending sessions", "everywhere", "all", func(w *faces.World) {
			w.DB.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: broken})
		}},
		{"the store, withdrawing", "revoke_grant", "third", func(w *faces.World) {
			w.DB.Inject(storagetest.Fault{Op: storagetest.OnCommit, Err: broken})
		}},
		{"the store, listing sessions", "everywhere", "all", func(w *faces.World) {
			w.DB.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 2, Err: broken})
		}},
		{"the store, listing permissions", "revoke_grant", "third", func(w *faces.World) {
			w.DB.Inject(storagetest.Fault{Op: storagetest.OnView, Nth: 3, Err: broken})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := w.Browser(t)
			b.SignIn(faces.AliceLogin)
			agree(t, b, third())
			page := b.Get("/account")
			tt.spoil(w)
			got := b.Submit(page, tt.field, tt.value)
			want, again := http.StatusInternalServerError, ""
			if strings.HasPrefix(tt.name, "the store") {
				want, again = http.StatusServiceUnavailable, "2"
			}
			if got.Status != want || got.Header.Get("Retry-After") != again || strings.Contains(got.Body, faces.Leak) {
				t.Errorf("status %d, again after %q:\n%s", got.Status, got.Header.Get("Retry-After"), got.Body)
			}
			w.Trail.Fail(nil)
			w.DB.Clear()
			wantAccount(t, b.Get("/account"), "Third")
			if len(w.Applied()) != 0 {
				t.Errorf("something was revoked: %v", w.Applied())
			}
			b.Submit(b.Get("/account"), tt.field, tt.value)
			if len(w.Applied()) == 0 {
				t.Error("the second attempt did nothing")
			}
		})
	}
}

// A client that has been taken out of the configuration can still be told to go.
func TestAClientThatIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	grant := authz.NewGrant(w.Clock.Now(), time.Hour)
	grant.ClientID, grant.Subject, grant.SessionID, grant.Scopes = "gone", faces.Alice, sessionOf(b), oauth.Scopes{"openid"}
	_, code := authz.NewCode(w.Clock.Now())
	if _, err := w.Store.Complete(t.Context(), authz.Completion{Grant: grant, Code: code}); err != nil {
		t.Fatal(err)
	}
	page := b.Get("/account")
	wantAccount(t, page, ">gone<")
	wantAccount(t, b.Submit(page, "revoke_grant", "gone"), "no longer has access")
}

func TestBadMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.Browser(t)
	b.SignIn(faces.AliceLogin)
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete} {
		if got := b.Send(method, "/account", nil); got.Status != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET, POST" {
			t.Errorf("%s: status %d, Allow %q", method, got.Status, got.Header.Get("Allow"))
		}
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	full := account.Config{
		Issuer: w.Issuer, Store: w.Store, Clients: w.Clients, Engine: w.Engine, Sessions: w.Sessions, Pages: w.Pages,
		Trail: w.Trail, Logger: slog.New(slog.DiscardHandler),
	}
	if _, err := account.New(full); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*account.Config){
		"issuer": func(c *account.Config) { c.Issuer = "" }, "store": func(c *account.Config) { c.Store = nil },
		"clients": func(c *account.Config) { c.Clients = nil }, "engine": func(c *account.Config) { c.Engine = nil },
		"sessions": func(c *account.Config) { c.Sessions = nil }, "pages": func(c *account.Config) { c.Pages = nil },
		"trail": func(c *account.Config) { c.Trail = nil }, "logger": func(c *account.Config) { c.Logger = nil },
	} {
		c := full
		spoil(&c)
		if _, err := account.New(c); err == nil {
			t.Errorf("New works without %s", name)
		}
	}
}
