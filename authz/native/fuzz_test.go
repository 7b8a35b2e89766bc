// SPDX-License-Identifier: Apache-2.0

package native_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/tests/faces"
)

// Whatever is sent as answers: it is never our fault, nobody is signed in by anything but the right ones for the realm that
// is asked, and no code comes before the second realm.
func FuzzAnswers(f *testing.F) {
	w := faces.New(f, faces.Options{})
	for _, seed := range []string{
		``, `{}`, `null`, `{"password":{}}`, alice.String(), bob.String(), pin(faces.PIN).String(), together(alice, pin(faces.PIN)).String(),
		`{"password":{"username":"alice","password":"wrong"}}`, `{"password":{"username":"alice","password":"throttled"}}`,
		`{"password":{"username":"alice","password":"broken"}}`, `{"password":{"username":"alice","password":"panic"}}`,
		`{"password":{"username":"alice","username":"bob","password":"correct horse"}}`, `{"password":{"username":"alice\u0000","password":"x"}}`,
		`{"PASSWORD":{"username":"alice","password":"correct horse"}}`, `{"password":["alice"]}`, `{"password":{"username":1}}`, `[1`, `{"a":{"b":{"c":{}}}}`,
		`{"p\u0061ssword":{"username":"\u0061lice","password":"correct horse"}}`, `{"password":{"username":"\ud800","password":"x"}} `, strings.Repeat(`{"a":`, 1000),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a := w.App(t)
		a.Ask("scope", "payments:write").Asks("password")
		got := answered(a, text)
		if got.Status != http.StatusForbidden && got.Status != http.StatusBadRequest {
			t.Fatalf("%q is answered with %d: %s", text, got.Status, got.Body)
		}
		if strings.Contains(got.Body, faces.Leak) {
			t.Fatalf("%q makes the server tell of itself: %s", text, got.Body)
		}
		var read map[string]map[string]string
		right := json.Unmarshal([]byte(text), &read) == nil && len(read) == 1 && read["password"]["password"] == faces.Password &&
			(read["password"]["username"] == faces.AliceLogin || read["password"]["username"] == faces.BobLogin)
		if handle, _ := authz.ParseAuthSessionHandle(a.Held); got.Status == http.StatusForbidden {
			held, err := w.Store.AuthSession(t.Context(), handle, "mobile")
			if err != nil || (held.SessionID != "") != (got.Challenges["pin"] != nil) {
				t.Fatalf("the app holds %+v after %s (%v)", held, got.Body, err)
			}
		}
		if signed := got.Challenges["pin"] != nil; signed && !right {
			t.Fatalf("somebody is signed in by %q", text)
		}
	})
}

// Whatever is sent as auth_session, and with it: it is never our fault, and nothing but the handle itself goes on with a session.
func FuzzAuthSession(f *testing.F) {
	w := faces.New(f, faces.Options{})
	a := w.App(f)
	a.SignIn(faces.AliceLogin)
	id, secret, _ := strings.Cut(a.Held, ".")
	for _, seed := range []string{
		"", "x", "ats_", "ats_.", id, id + ".", id + "." + secret + "x", id + ".x", "." + secret, id + "." + secret[:len(secret)-1], id + ".." + secret,
		strings.ToUpper(id) + "." + secret, id + "\x00." + secret, " " + a.Held, a.Held + "\n", "ses_a.b", strings.Repeat("a", 200),
	} {
		f.Add(seed, "response_type=code&scope=accounts:read&code_challenge="+strings.Repeat("c", 43)+"&code_challenge_method=S256")
		f.Add(seed, "answers={}")
		f.Add(seed, "")
		f.Add(seed, "auth_session="+url.QueryEscape(a.Held))
		f.Add(seed, "client_id=tablet&%zz")
	}
	f.Fuzz(func(t *testing.T, held, rest string) {
		if handle, ok := authz.ParseAuthSessionHandle(held); ok && handle.String() != held {
			t.Fatalf("%q reads as %q", held, handle)
		}
		body := url.Values{"auth_session": {held}, "client_id": {"mobile"}}.Encode() + "&" + rest
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, authz.PathChallenge, strings.NewReader(body))
		r.Header.Set("Content-Type", formType)
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, r)
		if rec.Code >= http.StatusInternalServerError {
			t.Fatalf("%q and %q are answered with %d: %s", held, rest, rec.Code, rec.Body)
		}
		if rec.Code == http.StatusOK && held != a.Held {
			t.Fatalf("%q and %q lead to a code: %s", held, rest, rec.Body)
		}
		if held != "" && held != a.Held && rec.Code == http.StatusForbidden {
			t.Fatalf("%q and %q are good for a session: %s", held, rest, rec.Body)
		}
	})
}
