// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/session"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	store := newWorld(t, nil).store
	for _, tt := range []struct {
		name   string
		config session.Config
		says   string
	}{
		{"no store", session.Config{Issuer: issuer}, "a store is required"},
		{"no issuer", session.Config{Store: store}, "issuer"},
		{"issuer with a query", session.Config{Store: store, Issuer: issuer + "?x"}, "issuer"},
		{"negative lifetime", session.Config{Store: store, Issuer: issuer, Lifetime: -1}, "negative"},
		{"negative idle time", session.Config{Store: store, Issuer: issuer, Idle: -1}, "negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := session.New(tt.config); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("New = %v, want an error about %q", err, tt.says)
			}
		})
	}
}

func TestLoginOpensASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	opened, cookie := w.login(t, w.proof("password", "usr_a"))
	got, ok, err := w.Current(visit(t, cookie))
	if err != nil || !ok {
		t.Fatalf("Current = %v, %v", ok, err)
	}
	if diff := cmp.Diff(opened, got); diff != "" {
		t.Errorf("the session differs from the one that was opened (-opened +read):\n%s", diff)
	}
	want := authz.Session{
		ID: got.ID, SecretHash: got.SecretHash, Subject: "usr_a", Name: "USR_A", Proofs: got.Proofs,
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", ClientIP: "192.0.2.7",
		CreatedAt: w.clock.Now(), SeenAt: w.clock.Now(), ExpiresAt: w.clock.Now().Add(session.DefaultLifetime),
		IdleTTL: authz.Seconds(session.DefaultIdle / time.Second),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unexpected session (-want +got):\n%s", diff)
	}
	if strings.Contains(cookie.Value, got.SecretHash) {
		t.Error("the cookie holds what the store holds")
	}
}

// GHSA-f24x-5g9q-753f: a cookie from before a login must not name the session after it.
func TestLoginOfAnotherUserReplacesTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	planted, before := w.login(t, w.proof("password", "usr_mallory"))
	w.clock.Advance(time.Second)
	opened, after := w.login(t, w.proof("password", "usr_alice"), before)

	if opened.ID == planted.ID || before.Value == after.Value {
		t.Error("the login went into the session that was there before")
	}
	if got := w.current(t, before); got != "" {
		t.Errorf("the cookie from before names %q", got)
	}
	if got := w.current(t, after); got != opened.ID {
		t.Errorf("the new cookie names %q, want %q", got, opened.ID)
	}
	if len(w.revoked) != 1 || w.revoked[0].Kind != authz.KindSession || w.revoked[0].Target != planted.ID {
		t.Errorf("the gates were told %v, want the end of %s", w.revoked, planted.ID)
	}
}

func TestAnotherRealmOfTheSameUserRotatesTheSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first, before := w.login(t, w.proof("password", "usr_a"))
	for _, subject := range []string{"", "usr_a"} {
		w.clock.Advance(time.Minute)
		raised, after := w.login(t, w.proof("pin"+subject, subject), before)
		if raised.ID != first.ID {
			t.Errorf("the proof of %q went into session %s, want %s", subject, raised.ID, first.ID)
		}
		if got := w.current(t, before); got != "" {
			t.Errorf("the cookie from before the rise still names %q", got)
		}
		if got := w.current(t, after); got != first.ID {
			t.Errorf("the new cookie names %q", got)
		}
		before = after
	}
	s, _, err := w.Current(visit(t, before))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Proofs) != 3 {
		t.Errorf("the session holds %d proofs, want 3: %v", len(s.Proofs), s.Proofs)
	}
	if len(w.revoked) != 0 {
		t.Errorf("a rise revoked %v", w.revoked)
	}
}

func TestALoginBeginsANewTermAndAFurtherCheckDoesNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *session.Config) { c.Lifetime, c.Idle = time.Hour, time.Hour })
	first, cookie := w.login(t, w.proof("password", "usr_a"))
	w.clock.Advance(30 * time.Minute)
	checked, cookie := w.login(t, w.proof("pin", ""), cookie)
	if !checked.ExpiresAt.Equal(first.ExpiresAt) {
		t.Errorf("a check moved the end from %v to %v", first.ExpiresAt, checked.ExpiresAt)
	}
	again, _ := w.login(t, w.proof("password", "usr_a"), cookie)
	if want := w.clock.Now().Add(time.Hour); !again.ExpiresAt.Equal(want) {
		t.Errorf("the login's session ends at %v, want %v", again.ExpiresAt, want)
	}
}

func TestAProofOfNobodyNeedsSomebody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	s, cookie := w.login(t, w.proof("password", "usr_a"))
	if _, err := w.store.EndSession(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		cookies []*http.Cookie
	}{
		{"without a cookie", nil},
		{"after the session has ended", []*http.Cookie{cookie}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rec := httptest.NewRecorder()
			_, err := w.Establish(rec, visit(t, tt.cookies...), w.now(t, w.proof("pin", "")))
			if !errors.Is(err, session.ErrNobody) {
				t.Errorf("Establish = %v, want ErrNobody", err)
			}
			if len(rec.Result().Cookies()) > 0 {
				t.Error("a cookie was set")
			}
		})
	}
}

// The session may end between being read and being raised: a login then opens a new one, a further check is for nobody.
func TestTheSessionEndsWhileItIsRaised(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, subject string
		want          error
	}{
		{"login", "usr_a", nil},
		{"further check", "", session.ErrNobody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			s, cookie := w.login(t, w.proof("password", "usr_a"))
			w.beforeUpdate = func() {
				if _, err := w.store.EndSession(t.Context(), s.ID); err != nil {
					t.Error(err)
				}
			}
			rec := httptest.NewRecorder()
			opened, err := w.Establish(rec, visit(t, cookie), w.now(t, w.proof("pin", tt.subject)))
			if !errors.Is(err, tt.want) {
				t.Errorf("Establish = %v, want %v", err, tt.want)
			}
			if opened.ID == s.ID {
				t.Error("the ended session was raised")
			}
		})
	}
}

// A user who was revoked while the password was checked gets no session, and whoever had the browser keeps it.
func TestARevokedUserGetsNoSession(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, before string
	}{
		{"in an empty browser", ""},
		{"in another user's browser", "usr_b"},
		{"in their own browser", "usr_a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			var cookies []*http.Cookie
			if tt.before != "" {
				_, cookie := w.login(t, w.proof("password", tt.before))
				cookies = append(cookies, cookie)
			}
			login := w.now(t, w.proof("password", "usr_a"))
			w.clock.Advance(time.Second)
			if _, err := w.store.Revoke(t.Context(), authz.KindSubject, "usr_a"); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(time.Second)
			rec := httptest.NewRecorder()
			s, err := w.Establish(rec, visit(t, cookies...), login)
			if !errors.Is(err, authz.ErrOvertaken) || s.ID != "" || len(rec.Result().Cookies()) > 0 {
				t.Errorf("Establish = %+v, %v, with the cookies %v", s, err, rec.Result().Cookies())
			}
			if got := w.current(t, cookies...); (got != "") != (tt.before == "usr_b") {
				t.Errorf("the browser's session is %q", got)
			}
			if len(w.revoked) != 0 {
				t.Errorf("the gates were told %v", w.revoked)
			}
		})
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	short := func(c *session.Config) { c.Lifetime, c.Idle = time.Hour, 10*time.Minute }
	for _, tt := range []struct {
		name  string
		pause []time.Duration
		lives bool
	}{
		{"used now and then", []time.Duration{9 * time.Minute, 9 * time.Minute, 9 * time.Minute}, true},
		{"idle", []time.Duration{11 * time.Minute}, false},
		{"at the end of its life", []time.Duration{
			9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 9 * time.Minute, 6 * time.Minute,
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, short)
			_, cookie := w.login(t, w.proof("password", "usr_a"))
			last := ""
			for _, pause := range tt.pause {
				w.clock.Advance(pause)
				last = w.current(t, cookie)
			}
			if (last != "") != tt.lives {
				t.Errorf("the session is %q, want alive: %v", last, tt.lives)
			}
		})
	}
}

func TestIdleTimeIsNoLongerThanLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *session.Config) { c.Lifetime = time.Hour })
	s, _ := w.login(t, w.proof("password", "usr_a"))
	if got := s.IdleTTL.Duration(); got != time.Hour {
		t.Errorf("idle time is %v, want the lifetime", got)
	}
}

func TestClearTakesTheCookie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, cookie := w.login(t, w.proof("password", "usr_a"))
	rec := httptest.NewRecorder()
	w.Clear(rec)
	cleared := rec.Result().Cookies()[0]
	if cleared.Name != cookie.Name || cleared.Path != cookie.Path || cleared.MaxAge != -1 || cleared.Value != "" {
		t.Errorf("Clear wrote %v, which does not remove %v", cleared, cookie)
	}
}

func TestABrokenStoreSignsNobodyIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, cookie := w.login(t, w.proof("password", "usr_a"))
	broken := errors.New("the store broke")
	for _, tt := range []struct {
		name    string
		op      storagetest.Op
		subject string
	}{
		{"reading", storagetest.OnView, "usr_a"},
		{"raising", storagetest.OnCommit, "usr_a"},
		{"replacing", storagetest.OnCommit, "usr_b"},
	} {
		login := w.now(t, w.proof("password", tt.subject))
		w.faults.Inject(storagetest.Fault{Op: tt.op, Nth: 1, Err: broken})
		rec := httptest.NewRecorder()
		if _, err := w.Establish(rec, visit(t, cookie), login); !errors.Is(err, broken) {
			t.Errorf("%s: Establish = %v, want the store's error", tt.name, err)
		}
		if len(rec.Result().Cookies()) > 0 {
			t.Errorf("%s: a cookie was set", tt.name)
		}
		w.faults.Clear()
	}
	w.faults.Inject(storagetest.Fault{Op: storagetest.OnView, Err: broken})
	if _, ok, err := w.Current(visit(t, cookie)); ok || !errors.Is(err, broken) {
		t.Errorf("Current = %v, %v, want the store's error", ok, err)
	}
	if _, err := w.Visit(visit(t), "req_a"); !errors.Is(err, broken) || errors.Is(err, authz.ErrRequestEnded) {
		t.Errorf("Visit = %v, want the store's error", err)
	}
}

// TestVisit: a browser comes back with a request and finds its session, if it has one that lives.
func TestVisit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	mine, browser := w.browser(t)
	s, cookie := w.login(t, w.proof("password", "usr_a"))
	ended, gone := w.login(t, w.proof("password", "usr_a"))
	if _, err := w.store.EndSession(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	value := strings.Replace(cookie.Value, cookie.Value[len(cookie.Value)-4:], "AAAA", 1)
	forged := &http.Cookie{Name: cookie.Name, Value: value}
	w.clock.Advance(2 * time.Minute)
	began := w.clock.Now().Truncate(time.Millisecond)
	r := authz.NewRequest(w.clock.Now())
	r.Browser = mine.Hash()
	if err := w.store.InsertRequest(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		cookie *http.Cookie
		want   string
	}{
		{"nobody", &http.Cookie{Name: "other", Value: "x"}, ""},
		{"malformed", &http.Cookie{Name: cookie.Name, Value: s.ID}, ""},
		{"a wrong secret", forged, ""},
		{"ended", gone, ""},
		{"its own", cookie, s.ID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := w.Visit(visit(t, browser, tt.cookie), r.ID)
			if err != nil || v.Request.ID != r.ID || !v.Began.At.Equal(began) || v.Session.ID != tt.want {
				t.Errorf("Visit = %+v, %v, want session %q", v, err, tt.want)
			}
			if stored, err := w.store.Session(t.Context(), s.ID); err != nil || stored.SeenAt.Equal(began) != (tt.want == s.ID) {
				t.Errorf("the session was seen at %v (%v)", stored.SeenAt, err)
			}
		})
	}
	w.clock.Advance(2 * time.Minute)
	w.beforeUpdate = func() {
		if _, err := w.store.EndSession(t.Context(), s.ID); err != nil {
			t.Error(err)
		}
	}
	if v, err := w.Visit(visit(t, browser, cookie), r.ID); err != nil || v.Session.ID != "" {
		t.Errorf("a session that ends meanwhile is found as %+v, %v", v.Session, err)
	}
	w.clock.Advance(2 * time.Minute)
	_, cookie = w.login(t, w.proof("password", "usr_a"))
	w.clock.Advance(2 * time.Minute)
	broken := errors.New("the store broke")
	w.faults.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: broken})
	if v, err := w.Visit(visit(t, browser, cookie), r.ID); !errors.Is(err, broken) || v.Session.ID != "" || v.Request.ID != "" {
		t.Errorf("with a store that takes no writes: %+v, %v", v, err)
	}
}

// CVE-2022-39222: what one browser began, no other can finish.
func TestARequestBelongsToItsBrowser(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	mine, cookie := w.browser(t)
	_, strange := w.browser(t)
	bound, open := authz.NewRequest(w.clock.Now()), authz.NewRequest(w.clock.Now())
	bound.Browser = mine.Hash()
	for _, r := range []authz.Request{bound, open} {
		if err := w.store.InsertRequest(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name    string
		id      string
		cookies []*http.Cookie
		want    error
	}{
		{"its own", bound.ID, []*http.Cookie{cookie}, nil},
		{"another browser", bound.ID, []*http.Cookie{strange}, session.ErrOtherBrowser},
		{"no cookie", bound.ID, nil, session.ErrOtherBrowser},
		{"not bound, no cookie", open.ID, nil, session.ErrOtherBrowser},
		{"not bound", open.ID, []*http.Cookie{cookie}, session.ErrOtherBrowser},
		{"unknown", "req_unknown", []*http.Cookie{cookie}, authz.ErrRequestEnded},
		{"no id", "", []*http.Cookie{cookie}, authz.ErrRequestEnded},
		{"another kind", "ses_a", []*http.Cookie{cookie}, authz.ErrRequestEnded},
		{"too long for a key", "req_" + strings.Repeat("a", 600), []*http.Cookie{cookie}, authz.ErrRequestEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := w.Visit(visit(t, tt.cookies...), tt.id)
			if !errors.Is(err, tt.want) {
				t.Errorf("Visit = %v, want %v", err, tt.want)
			}
			if (got.Request.ID != "") != (tt.want == nil) || (got.Began.At.IsZero()) != (tt.want != nil) {
				t.Errorf("Visit returned %+v with error %v", got, err)
			}
		})
	}
}
