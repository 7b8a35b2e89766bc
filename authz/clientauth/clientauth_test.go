// SPDX-License-Identifier: Apache-2.0

package clientauth_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/authz/clientauth"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func TestRFC6749(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		attempt
		id   string
		code oauth.Code
	}{
		{name: "2.3 one-method: Basic", attempt: attempt{header: []string{basic("basic", secret)}}, id: "basic"},
		{
			name:    "2.3 one-method: Basic and secret in the body",
			attempt: attempt{header: []string{basic("basic", secret)}, body: form("client_id", "basic", "client_secret", secret)},
			code:    oauth.InvalidRequest,
		},
		{
			name:    "2.3 one-method: Basic and assertion",
			attempt: attempt{header: []string{basic("basic", secret)}, body: form("client_assertion", "x")}, code: oauth.InvalidRequest,
		},
		{
			name:    "2.3 one-method: secret and assertion",
			attempt: attempt{body: form("client_id", "post", "client_secret", secret, "client_assertion_type", clientauth.AssertionType)},
			code:    oauth.InvalidRequest,
		},
		{
			name:    "2.3 one-method: two Authorization headers",
			attempt: attempt{header: []string{basic("basic", secret), basic("basic", secret)}}, code: oauth.InvalidRequest,
		},
		{name: "2.3.1 basic: encoded id and secret", attempt: attempt{header: []string{basic("c l:i%e+nt", secret)}}, id: "c l:i%e+nt"},
		{name: "2.3.1 basic: second secret", attempt: attempt{header: []string{basic("basic", "the-next-one")}}, id: "basic"},
		{name: "2.3.1 basic: scheme in lower case, two spaces", attempt: attempt{header: []string{"basic  " + basic("basic", secret)[6:]}}, id: "basic"},
		{name: "2.3.1 basic: raw percent", attempt: attempt{header: []string{rawBasic("basic:" + secret)}}, code: oauth.InvalidClient},
		{name: "2.3.1 basic: raw percent in the id", attempt: attempt{header: []string{rawBasic("%zz:x")}}, code: oauth.InvalidClient},
		{name: "2.3.1 basic: no colon", attempt: attempt{header: []string{rawBasic("basic")}}, code: oauth.InvalidClient},
		{name: "2.3.1 basic: not base64", attempt: attempt{header: []string{"Basic !!!"}}, code: oauth.InvalidClient},
		{name: "2.3.1 basic: nothing", attempt: attempt{header: []string{"Basic"}}, code: oauth.InvalidClient},
		{name: "2.3.1 basic: another scheme", attempt: attempt{header: []string{"Bearer abc"}}, code: oauth.InvalidClient},
		{name: "2.3.1 basic: wrong secret", attempt: attempt{header: []string{basic("basic", "x")}}, code: oauth.InvalidClient},
		{name: "2.3.1 basic: unknown client", attempt: attempt{header: []string{basic("nobody", secret)}}, code: oauth.InvalidClient},
		{name: "2.3.1 basic: same client_id in the body", attempt: attempt{header: []string{basic("basic", secret)}, body: form("client_id", "basic")}, id: "basic"},
		{
			name:    "2.3.1 basic: another client_id in the body",
			attempt: attempt{header: []string{basic("basic", secret)}, body: form("client_id", "post")}, code: oauth.InvalidRequest,
		},
		{name: "2.3.1 body-secret", attempt: attempt{body: form("client_id", "post", "client_secret", secret)}, id: "post"},
		{name: "2.3.1 body-secret: of a client registered for Basic", attempt: attempt{body: form("client_id", "basic", "client_secret", secret)}, id: "basic"},
		{name: "2.3.1 body-secret: wrong", attempt: attempt{body: form("client_id", "post", "client_secret", "x")}, code: oauth.InvalidClient},
		{name: "2.3.1 body-secret: without client_id", attempt: attempt{body: form("client_secret", secret)}, code: oauth.InvalidClient},
		{name: "2.3.1 body-secret: of a client with keys", attempt: attempt{body: form("client_id", "signed", "client_secret", secret)}, code: oauth.InvalidClient},
		{name: "2.2 id-not-secret", attempt: attempt{body: form("client_id", "basic")}, code: oauth.InvalidClient},
		{name: "2.2 id-not-secret: empty secret is none", attempt: attempt{body: form("client_id", "basic", "client_secret", "")}, code: oauth.InvalidClient},
		{name: "2.2 id-not-secret: empty secret in Basic", attempt: attempt{header: []string{basic("basic", "")}}, code: oauth.InvalidClient},
		{name: "2.2 id-not-secret: client with keys", attempt: attempt{body: form("client_id", "signed")}, code: oauth.InvalidClient},
		{name: "3.2.1 public-client-id", attempt: attempt{body: form("client_id", "public")}, id: "public"},
		{name: "3.2.1 public-client-id: missing", attempt: attempt{}, code: oauth.InvalidClient},
		{name: "8252 8.5 static-secret: a public client's secret", attempt: attempt{body: form("client_id", "public", "client_secret", "x")}, code: oauth.InvalidClient},
		{name: "8252 8.5 static-secret: in Basic", attempt: attempt{header: []string{basic("public", "")}}, code: oauth.InvalidClient},
		{name: "a site's client is the gate's alone", attempt: attempt{body: form("client_id", "site:https://app.example.com")}, code: oauth.InvalidClient},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			newFixture(t).want(t, test.attempt, test.id, test.code)
		})
	}
}

func TestRFC6749BruteForce(t *testing.T) { // 2.3.1
	t.Parallel()
	f := newFixture(t)
	wrong := attempt{header: []string{basic("basic", "guess")}, ip: "2001:db8::1"}
	for range 5 {
		f.want(t, wrong, "", oauth.InvalidClient)
	}
	good := attempt{header: []string{basic("basic", secret)}, ip: "2001:db8::2"}
	_, err := f.try(t, good)
	var e *oauth.Error
	if !errors.As(err, &e) || e.HTTPStatus() != 429 || e.RetryAfter != time.Minute {
		t.Fatalf("from the guesser's network: %v", err)
	}
	good.ip = "192.0.2.1"
	f.want(t, good, "basic", "")
	f.want(t, attempt{body: form("client_id", "post", "client_secret", secret), ip: "2001:db8::1"}, "post", "")
	f.clock.Advance(time.Minute)
	good.ip = "2001:db8::2"
	f.want(t, good, "basic", "")
}

func TestRightSecretsAreNotCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 20 {
		f.want(t, attempt{header: []string{basic("basic", secret)}}, "basic", "")
	}
	for range 20 { // nor what proves nothing, by which a stranger could shut a public client out
		f.want(t, attempt{body: form("client_id", "basic")}, "", oauth.InvalidClient)
	}
	f.want(t, attempt{header: []string{basic("basic", secret)}}, "basic", "")
}

func TestBogusSecretsDoNotShutAPublicClientOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 20 {
		_, _ = f.try(t, attempt{body: form("client_id", "public", "client_secret", "bogus")})
	}
	f.want(t, attempt{body: form("client_id", "public")}, "public", "")
}

func TestSecretsReadNothingFromTheStore(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, op := range []storagetest.Op{storagetest.OnView, storagetest.OnUpdate} {
		f.db.Inject(storagetest.Fault{Op: op, Err: storage.ErrClosed})
	}
	f.want(t, attempt{header: []string{basic("basic", secret)}}, "basic", "")
	f.want(t, attempt{body: form("client_id", "public")}, "public", "")
}

func TestRFC7523bis(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	es := f.keys[jose.ES256]
	now := f.clock.Now()
	stranger, err := jose.GenerateKey(jose.ES256)
	check(t, err)
	stranger.KID = es.KID
	unnamed := es
	unnamed.KID = ""
	otherName := es
	otherName.KID = "another"
	swapped := f.keys[jose.RS256]
	swapped.Alg = jose.PS256 // the same key with another algorithm than the one it is registered for
	for _, test := range []struct {
		name   string
		key    jose.PrivateKey
		typ    string
		change map[string]any
		more   []string
		code   oauth.Code
	}{
		{name: "2.2 params: no typ"},
		{name: "bis-4 typ: JWT", typ: "JWT"},
		{name: "bis-4 typ: exact", typ: "client-authentication+jwt"},
		{name: "bis-4 typ: full media type", typ: "application/client-authentication+jwt"},
		{name: "bis-4 typ: access token", typ: "at+jwt", code: oauth.InvalidClient},
		{name: "bis-4 typ: DPoP", typ: "dpop+jwt", code: oauth.InvalidClient},
		{name: "bis-4 typ: request object", typ: "oauth-authz-req+jwt", code: oauth.InvalidClient},
		{name: "bis-4 typ: logout", typ: "logout+jwt", code: oauth.InvalidClient},
		{name: "bis-4 aud-sole: list of one", change: map[string]any{"aud": []string{issuer}}},
		{name: "bis-4 aud-sole: token endpoint", change: map[string]any{"aud": issuer + "/token"}, code: oauth.InvalidClient},
		{name: "bis-4 aud-sole: two", change: map[string]any{"aud": []string{issuer, "x"}}, code: oauth.InvalidClient},
		{name: "bis-4 aud-sole: twice the same", change: map[string]any{"aud": []string{issuer, issuer}}, code: oauth.InvalidClient},
		{name: "bis-4 aud-sole: slash", change: map[string]any{"aud": issuer + "/"}, code: oauth.InvalidClient},
		{name: "bis-4 aud-sole: none", change: map[string]any{"aud": nil}, code: oauth.InvalidClient},
		{name: "bis-4 aud-sole: empty list", change: map[string]any{"aud": []string{}}, code: oauth.InvalidClient},
		{name: "bis-4 aud-sole: number", change: map[string]any{"aud": 1}, code: oauth.InvalidClient},
		{name: "7521 4.2 client_id", more: []string{"client_id", "signed"}},
		{name: "7521 4.2 client_id differs", more: []string{"client_id", "post"}, code: oauth.InvalidClient},
		{name: "3 iss-sub: iss differs", change: map[string]any{"iss": "post"}, code: oauth.InvalidClient},
		{name: "3 iss-sub: no iss", change: map[string]any{"iss": nil}, code: oauth.InvalidClient},
		{name: "3 iss-sub: sub of another client", change: map[string]any{"sub": "post"}, code: oauth.InvalidClient},
		{name: "3 iss-sub: unknown client", change: map[string]any{"iss": "x", "sub": "x"}, code: oauth.InvalidClient},
		{name: "3 exp: missing", change: map[string]any{"exp": nil}, code: oauth.InvalidClient},
		{name: "3 exp: past, within the skew", change: map[string]any{"exp": now.Add(-29 * time.Second).Unix()}},
		{name: "3 exp: past", change: map[string]any{"exp": now.Add(-30 * time.Second).Unix()}, code: oauth.InvalidClient},
		{name: "3 exp: in an hour", change: map[string]any{"exp": now.Add(time.Hour).Unix()}},
		{name: "3 exp: in a year", change: map[string]any{"exp": now.AddDate(1, 0, 0).Unix()}, code: oauth.InvalidClient},
		{name: "3 exp: beyond measure", change: map[string]any{"exp": 1e300}, code: oauth.InvalidClient},
		{name: "3 exp: negative", change: map[string]any{"exp": -1}, code: oauth.InvalidClient},
		{name: "3 exp: text", change: map[string]any{"exp": "soon"}, code: oauth.InvalidClient},
		{name: "3 exp: fraction", change: map[string]any{"exp": float64(now.Unix()) + 60.5}},
		{name: "3 nbf: now", change: map[string]any{"nbf": now.Unix()}},
		{name: "3 nbf: later", change: map[string]any{"nbf": now.Add(time.Minute).Unix()}, code: oauth.InvalidClient},
		{name: "3 iat: later", change: map[string]any{"iat": now.Add(time.Minute).Unix()}, code: oauth.InvalidClient},
		{name: "3 iat: missing", change: map[string]any{"iat": nil}},
		{name: "3 jti: missing", change: map[string]any{"jti": nil}, code: oauth.InvalidClient},
		{name: "3 jti: too long", change: map[string]any{"jti": strings.Repeat("j", 513)}, code: oauth.InvalidClient},
		{name: "3 sig: EdDSA", key: f.keys[jose.EdDSA]},
		{name: "3 sig: RS256", key: f.keys[jose.RS256]},
		{name: "3 sig: PS256", key: f.keys[jose.PS256]},
		{name: "3 sig: key without a name", key: unnamed},
		{name: "3 sig: key with another name", key: otherName, code: oauth.InvalidClient},
		{name: "3 sig: stranger's key", key: stranger, code: oauth.InvalidClient},
		{name: "3 sig: registered for another algorithm", key: swapped, code: oauth.InvalidClient},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.key.Signer == nil {
				test.key = es
			}
			raw := sign(t, test.key, test.typ, f.with(test.change))
			// Every case has its own server: failures of one must not slow the next.
			newFixture(t).want(t, asserted(raw, test.more...), "signed", test.code)
		})
	}
}

func TestRFC7523bisMalformed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	raw := sign(t, f.keys[jose.ES256], "", f.claims())
	head, _, _ := strings.Cut(raw, ".")
	for _, test := range []struct {
		name string
		attempt
		code oauth.Code
	}{
		{name: "2.2 params: another type", attempt: attempt{body: form("client_assertion", raw, "client_assertion_type", "urn:x")}, code: oauth.InvalidRequest},
		{name: "2.2 params: no type", attempt: attempt{body: form("client_assertion", raw)}, code: oauth.InvalidRequest},
		{name: "2.2 params: no assertion", attempt: attempt{body: form("client_assertion_type", clientauth.AssertionType)}, code: oauth.InvalidRequest},
		{name: "2.2 params: two JWTs", attempt: asserted(raw + " " + raw), code: oauth.InvalidClient},
		{name: "3 sig: none", attempt: asserted("eyJhbGciOiJub25lIn0." + strings.Split(raw, ".")[1] + "."), code: oauth.InvalidClient},
		{name: "3 sig: HS256", attempt: asserted("eyJhbGciOiJIUzI1NiJ9." + strings.Split(raw, ".")[1] + ".AAAA"), code: oauth.InvalidClient},
		{name: "3 sig: cut off", attempt: asserted(raw[:len(raw)-4]), code: oauth.InvalidClient},
		{name: "3 sig: claims of no object", attempt: asserted(head + ".W10.AAAA"), code: oauth.InvalidClient},
		{name: "of a client with a secret", attempt: asserted(sign(t, f.keys[jose.ES256], "", f.with(map[string]any{"iss": "basic", "sub": "basic"}))), code: oauth.InvalidClient},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			newFixture(t).want(t, test.attempt, "", test.code)
		})
	}
}

func TestRFC7523bisReplay(t *testing.T) { // 3 jti; OpenID Connect Core 9
	t.Parallel()
	f := newFixture(t)
	raw := sign(t, f.keys[jose.ES256], "", f.with(map[string]any{"exp": f.clock.Now().Add(time.Minute).Unix()}))
	f.want(t, asserted(raw), "signed", "")
	f.want(t, asserted(raw), "", oauth.InvalidClient)
	f.clock.Advance(time.Minute + 29*time.Second) // as long as its exp would still be taken
	f.want(t, asserted(raw), "", oauth.InvalidClient)
}

func TestAnUnverifiedAssertionSpendsNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	claims := f.claims()
	stranger, err := jose.GenerateKey(jose.ES256)
	check(t, err)
	f.want(t, asserted(sign(t, stranger, "", claims)), "", oauth.InvalidClient)
	f.want(t, asserted(sign(t, f.keys[jose.ES256], "", claims)), "signed", "")
}

func TestConcurrentReplayHasOneWinner(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.auth.Limiter = nil
	raw := sign(t, f.keys[jose.ES256], "", f.claims())
	var group sync.WaitGroup
	var won atomic.Int32
	for range 20 {
		group.Go(func() {
			if _, err := f.try(t, asserted(raw)); err == nil {
				won.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d winners", won.Load())
	}
}

func TestStoreFailureIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 10 { // and does not count against it
		f.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Err: storage.ErrClosed})
		f.want(t, asserted(sign(t, f.keys[jose.ES256], "", f.claims())), "", oauth.TemporarilyUnavailable)
	}
	f.db.Inject(storagetest.Fault{Op: storagetest.OnReply, Nth: 1})
	f.want(t, asserted(sign(t, f.keys[jose.ES256], "", f.claims())), "", oauth.TemporarilyUnavailable)
	f.want(t, asserted(sign(t, f.keys[jose.ES256], "", f.claims())), "signed", "")
}

func TestRefuse(t *testing.T) { // RFC 6749 5.2 invalid-client-401
	t.Parallel()
	f := newFixture(t)
	for _, test := range []struct {
		name      string
		header    []string
		err       error
		status    int
		challenge string
	}{
		{"Basic was used", []string{basic("basic", "x")}, oauth.NewError(oauth.InvalidClient, "no"), 401, `Basic realm="https://auth.example.com"`},
		{"Bearer was used", []string{"Bearer x"}, oauth.NewError(oauth.InvalidClient, "no"), 401, `Basic realm="https://auth.example.com"`},
		{"the body was used", nil, oauth.NewError(oauth.InvalidClient, "no"), 401, ""},
		{"another error", []string{basic("basic", "x")}, oauth.NewError(oauth.InvalidGrant, "no"), 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/token", nil)
			r.Header["Authorization"] = test.header
			f.auth.Refuse(w, r, test.err, nil)
			if w.Code != test.status || w.Header().Get("WWW-Authenticate") != test.challenge || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v", w.Code, w.Header())
			}
			if w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("Content-Type is %q", w.Header().Get("Content-Type"))
			}
		})
	}
}

func TestRefusalsSayWhyInTheLogOnly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var texts []string
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	for _, a := range []attempt{
		{header: []string{basic("basic", "wrong-secret")}}, {header: []string{basic("nobody", "wrong-secret")}},
		{body: form("client_id", "signed", "client_secret", "wrong-secret")}, asserted("nonsense"),
	} {
		_, err := f.try(t, a)
		w := httptest.NewRecorder()
		f.auth.Refuse(w, httptest.NewRequestWithContext(t.Context(), "POST", "/token", nil), err, logger)
		texts = append(texts, w.Body.String())
	}
	if len(slices.Compact(texts)) != 1 {
		t.Errorf("different words: %q", texts)
	}
	for _, cause := range []string{"the secret is wrong", "is not known", "does not use this method", "reading the assertion"} {
		if !strings.Contains(log.String(), cause) {
			t.Errorf("the log does not say %q", cause)
		}
	}
	if strings.Contains(log.String(), "wrong-secret") {
		t.Error("the log holds a secret")
	}
}

func TestOutcomesAreObserved(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for range 6 {
		_, _ = f.try(t, attempt{header: []string{basic("basic", "x")}})
	}
	_, _ = f.try(t, attempt{body: form("client_id", "public")})
	_, _ = f.try(t, attempt{body: form("client_id", "nobody")})
	_, _ = f.try(t, attempt{header: []string{"Basic !"}})
	f.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrClosed})
	_, _ = f.try(t, asserted(sign(t, f.keys[jose.ES256], "", f.claims())))
	want := append(slices.Repeat([]string{"client_secret_basic refused"}, 5), "client_secret_basic throttled", "none accepted", "none refused",
		"client_secret_basic refused", "private_key_jwt failed")
	if !slices.Equal(f.outcomes, want) {
		t.Errorf("got %q", f.outcomes)
	}
}

func FuzzBasic(f *testing.F) {
	for _, seed := range []string{basic("basic", secret), "Basic", "Basic !!", "basic Og==", "Bearer x", rawBasic("%:%")} {
		f.Add(seed)
	}
	fixture := newFixture(f)
	fixture.auth.Limiter = nil
	f.Fuzz(func(t *testing.T, header string) {
		client, err := fixture.try(t, attempt{header: []string{header}})
		var e *oauth.Error
		switch {
		case err != nil && !errors.As(err, &e):
			t.Fatalf("not an OAuth error: %v", err)
		case err == nil && !client.SecretMatches(secret):
			t.Fatalf("%q passed as %q", header, client.ID)
		}
	})
}

func FuzzAssertion(f *testing.F) {
	fixture := newFixture(f)
	fixture.auth.Limiter = nil
	f.Add(sign(f, fixture.keys[jose.ES256], "", fixture.with(map[string]any{"jti": nil})))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, raw string) {
		if strings.ContainsFunc(raw, func(r rune) bool { return r < 0x20 || r == 0x7f || r == 0xfffd }) || len(raw) > oauth.MaxParam {
			t.Skip("the parameter parser refuses it")
		}
		if client, err := fixture.try(t, asserted(raw)); err == nil {
			t.Fatalf("a forgery passed as %q", client.ID)
		}
	})
}

func BenchmarkSecret(b *testing.B) {
	f := newFixture(b)
	r := httptest.NewRequestWithContext(b.Context(), "POST", "/token", nil)
	r.Header.Set("Authorization", basic("basic", secret))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.auth.Authenticate(b.Context(), r, oauth.Params{}); err != nil {
			b.Fatal(err)
		}
		f.outcomes = f.outcomes[:0]
	}
}
