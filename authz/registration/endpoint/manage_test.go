// SPDX-License-Identifier: Apache-2.0

package endpoint_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// registered registers an instance and returns what it was told, and where it is managed.
func (w *world) registered(change object) (a answer, path, token string) {
	w.Helper()
	a = w.register(w.initial(1), w.says().with(change))
	w.wants("registering", a, http.StatusCreated, "")
	return a, strings.TrimPrefix(a.text("registration_client_uri"), issuer), a.text("registration_access_token")
}

func TestRFC7592Read(t *testing.T) { // 2.1
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	a, path, token := w.registered(nil)
	read := w.send(http.MethodGet, path, token, nil)
	w.wants("reading", read, http.StatusOK, "")
	if diff := cmp.Diff(a.body, read.body); diff != "" {
		t.Errorf("read is (-registered +read):\n%s", diff)
	}
}

// RFC 7592 2.1: a wrong token and a client that is not there are one answer, whatever is asked.
func TestRFC7592Tokens(t *testing.T) { // 2
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	a, path, token := w.registered(nil)
	_, otherPath, otherToken := w.registered(nil)
	initial := w.initial(1)
	var bodies []string
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		for _, tt := range []struct{ name, path, token string }{
			{"no token", path, ""}, {"another client's", path, otherToken}, {"an initial access token", path, initial},
			{"an unknown client", "/register/ins_x", token}, {"no client", "/register/", token}, {"a path below", path + "/x", token},
			{"almost the token", path, token[1:]}, {"another client", otherPath, token},
		} {
			refused := w.send(method, tt.path, tt.token, w.says().with(object{"client_id": a.text("client_id")}))
			w.wants(method+" with "+tt.name, refused, http.StatusUnauthorized, "invalid_token")
			bodies = append(bodies, refused.Body.String())
		}
	}
	for _, body := range bodies {
		if body != bodies[0] {
			t.Errorf("two answers: %s and %s", bodies[0], body)
		}
	}
	w.wants("after all that", w.send(http.MethodGet, path, token, nil), http.StatusOK, "")
}

func TestRFC7592Update(t *testing.T) { // 2.2
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	a, path, token := w.registered(object{"software_version": "1"})
	say := w.says().with(object{"client_id": a.text("client_id"), "client_name": nil, "scope": "openid"})
	updated := w.send(http.MethodPut, path, token, say)
	w.wants("updating", updated, http.StatusOK, "")
	want := a.body.with(object{"registration_access_token": updated.text("registration_access_token"), "client_name": nil, "software_version": nil, "scope": "openid"})
	if diff := cmp.Diff(want, updated.body); diff != "" {
		t.Errorf("updated is (-want +got):\n%s", diff)
	}
	next := updated.text("registration_access_token")
	if next == token || len(next) < 43 {
		t.Errorf("the next token is %q", next)
	}
	w.wants("the token from before", w.send(http.MethodGet, path, token, nil), http.StatusUnauthorized, "invalid_token")
	for _, tt := range []struct {
		name   string
		change object
		code   oauth.Code
	}{
		{"another application", object{"software_id": "shop"}, "invalid_client_metadata"},
		{"a scope too many", object{"scope": "openid admin"}, "invalid_client_metadata"},
		{"its token", object{"registration_access_token": next}, "invalid_client_metadata"},
		{"no client_id", object{"client_id": nil}, "invalid_client_metadata"},
		{"a redirect URI of others", object{"redirect_uris": []string{"https://evil.example/"}}, "invalid_redirect_uri"},
		{"a wrong statement", object{"software_statement": "x"}, "invalid_software_statement"},
	} {
		w.wants(tt.name, w.send(http.MethodPut, path, next, say.with(tt.change)), http.StatusBadRequest, tt.code)
	}
	w.wants("no JSON", w.send(http.MethodPut, path, next, "x=y", func(r *http.Request) { r.Header.Del("Content-Type") }), http.StatusUnsupportedMediaType, "invalid_request")
	read := w.send(http.MethodGet, path, next, nil)
	if diff := cmp.Diff(updated.body, read.body); diff != "" {
		t.Errorf("what was refused has changed something (-before +after):\n%s", diff)
	}
	w.Addresses = limiter(w, 1)
	last := w.send(http.MethodPut, path, next, say)
	w.wants("one more", last, http.StatusOK, "")
	w.wants("too many", w.send(http.MethodPut, path, last.text("registration_access_token"), say), http.StatusTooManyRequests, "temporarily_unavailable")
}

// An instance that was admitted by a statement cannot shake it off.
func TestAnUpdateKeepsTheStatement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	a, path, token := w.registered(object{"software_statement": w.statement(nil)})
	say := w.says().with(object{"client_id": a.text("client_id")})
	w.wants("without it", w.send(http.MethodPut, path, token, say), http.StatusBadRequest, "invalid_software_statement")
	newer := w.statement(object{"software_version": "4"})
	updated := w.send(http.MethodPut, path, token, say.with(object{"software_statement": newer}))
	w.wants("with a newer one", updated, http.StatusOK, "")
	if updated.text("software_statement") != newer || updated.text("software_version") != "4" {
		t.Errorf("updated is %s", updated.Body)
	}
}

func TestRFC7592Delete(t *testing.T) { // 2.3
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	a, path, token := w.registered(nil)
	gone := w.send(http.MethodDelete, path, token, nil)
	if gone.Code != http.StatusNoContent || gone.Body.Len() > 0 {
		t.Errorf("%d %s", gone.Code, gone.Body)
	}
	if _, err := w.store.Client(t.Context(), a.text("client_id")); !authz.Gone(err) {
		t.Errorf("it is still a client: %v", err)
	}
	if len(w.revoked) != 1 || w.revoked[0].Target != a.text("client_id") {
		t.Errorf("revoked is %+v", w.revoked)
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		w.wants(method+" after that", w.send(method, path, token, w.says()), http.StatusUnauthorized, "invalid_token")
	}
	for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodOptions} {
		other := w.send(method, path, token, nil)
		w.wants(method, other, http.StatusMethodNotAllowed, "invalid_request")
		if other.Header().Get("Allow") != "GET, PUT, DELETE" {
			t.Errorf("%s: %v", method, other.Header())
		}
	}
}

// TestOneInstanceChangesSeldom: each change is kept in the trail, so one instance has not many of them, and the others have theirs.
func TestOneInstanceChangesSeldom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, endpoint.AdmitEither)
	w.Updates = limiter(w, 1)
	for range 2 {
		a, path, token := w.registered(nil)
		say := w.says().with(object{"client_id": a.text("client_id")})
		changed := w.send(http.MethodPut, path, token, say)
		w.wants("the first change", changed, http.StatusOK, "")
		w.wants("the second", w.send(http.MethodPut, path, changed.text("registration_access_token"), say), http.StatusTooManyRequests, "temporarily_unavailable")
	}
}
