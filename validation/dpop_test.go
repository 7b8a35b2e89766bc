// SPDX-License-Identifier: Apache-2.0

package validation_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
)

const transfers = "https://api.example.com/transfers"

// presenter is a client that holds a key, and a resource that takes tokens bound to it.
type presenter struct {
	*house
	*dpop.Prover
	bound string // the client's token
	now   time.Time
	at    *validation.DPoP
}

func newPresenter(t testing.TB, change ...func(*validation.ProofsConfig)) *presenter {
	t.Helper()
	p := &presenter{house: newHouse(t), now: start}
	p.Prover = p.prover(t)
	p.bound = access(t, set("cnf", map[string]any{"jkt": p.Thumbprint()}))
	clock := newClock()
	c := validation.ProofsConfig{Now: clock.Now}
	for _, f := range change {
		f(&c)
	}
	clock.advance(-time.Hour) // the memory begins long before the proofs that the tests make
	proofs, err := validation.NewProofs(c)
	if err != nil {
		t.Fatal(err)
	}
	clock.advance(time.Hour)
	p.at = &validation.DPoP{Proofs: proofs}
	return p
}

// prover returns one that has a key of its own.
func (p *presenter) prover(t testing.TB) *dpop.Prover {
	t.Helper()
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	prover, err := dpop.NewProver(key, func() time.Time { return p.now })
	if err != nil {
		t.Fatal(err)
	}
	return prover
}

// presents returns a request with a token by a scheme, and a proof that was made for a method, an address and a token.
func presents(t testing.TB, scheme, token string, by *dpop.Prover, method, uri, of, nonce string) *http.Request {
	t.Helper()
	r := request(t, transfers, scheme+" "+token)
	proof, err := by.Prove(method, uri, of, nonce)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("DPoP", proof)
	return r
}

// usual is a request as RFC 9449 7.1 has it.
func (p *presenter) usual(t testing.TB) *http.Request {
	t.Helper()
	return presents(t, "DPoP", p.bound, p.Prover, "GET", transfers, p.bound, "")
}

// TestRFC9449 walks through sections 7 and 9.
func TestRFC9449(t *testing.T) {
	t.Parallel()
	p := newPresenter(t)
	thief, bearer := p.prover(t), access(t)
	with := func(change func(*http.Request)) *http.Request {
		r := p.usual(t)
		change(r)
		return r
	}
	const algs = `DPoP algs="ES256 EdDSA PS256 RS256"`
	tests := []struct {
		name       string
		request    *http.Request
		status     int
		challenges []string // each as it begins, in order
	}{
		{"7.1 all is well", p.usual(t), 200, nil},
		{"7.1 the scheme in another case", presents(t, "dpop", p.bound, p.Prover, "GET", transfers, p.bound, ""), 200, nil},
		{"7.1 query and fragment do not count", with(func(r *http.Request) { r.URL.RawQuery = "a=b" }), 200, nil},
		{"7.1 a bearer token beside", request(t, transfers, "Bearer "+bearer), 200, nil},
		{"7.1 no credentials", request(t, transfers), 401, []string{`Bearer realm=""`, algs}},
		{"7.1 no proof", with(func(r *http.Request) { r.Header.Del("DPoP") }), 401, []string{algs + `, error="invalid_dpop_proof"`, `Bearer realm=""`}},
		{"7.1 two proofs", with(func(r *http.Request) { r.Header.Add("DPoP", r.Header.Get("DPoP")) }), 401, []string{algs + `, error="invalid_dpop_proof"`}},
		{"7.1 no token", request(t, transfers, "DPoP"), 400, []string{`DPoP algs="ES256 EdDSA PS256 RS256", error="invalid_request"`}},
		{"7.1 the key of another", presents(t, "DPoP", p.bound, thief, "GET", transfers, p.bound, ""), 401, []string{algs + `, error="invalid_token"`}},
		{"7.1 a token of another", presents(t, "DPoP", bearer, p.Prover, "GET", transfers, p.bound, ""), 401, []string{algs + `, error="invalid_dpop_proof"`}},
		{"7.1 without ath", presents(t, "DPoP", p.bound, p.Prover, "GET", transfers, "", ""), 401, []string{algs + `, error="invalid_dpop_proof"`}},
		{"7.1 another method", presents(t, "DPoP", p.bound, p.Prover, "POST", transfers, p.bound, ""), 401, []string{algs + `, error="invalid_dpop_proof"`}},
		{"7.1 another address", presents(t, "DPoP", p.bound, p.Prover, "GET", transfers+"/1", p.bound, ""), 401, []string{algs + `, error="invalid_dpop_proof"`}},
		{"7.1 another scheme of address", presents(t, "DPoP", p.bound, p.Prover, "GET", "http://api.example.com/transfers", p.bound, ""), 401, []string{algs + `, error="invalid_dpop_proof"`}},
		{"7.1 not bound", presents(t, "DPoP", bearer, p.Prover, "GET", transfers, bearer, ""), 401, []string{algs + `, error="invalid_token"`}},
		{"7.2 bound, as bearer", request(t, transfers, "Bearer "+p.bound), 401, []string{`Bearer error="invalid_token"`, algs}},
		{"7.2 bound, as bearer, with proof", presents(t, "Bearer", p.bound, p.Prover, "GET", transfers, p.bound, ""), 401, []string{`Bearer error="invalid_token"`, algs}},
		{"7.2 both schemes", with(func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+bearer) }), 400, nil},
		{"7.1 bound to what nobody knows", presents(t, "DPoP", access(t, set("cnf", map[string]any{"jkt": p.Thumbprint(), "kid": "1"})), p.Prover, "GET", transfers, bearer, ""), 401, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := serve(site(p.house, nil, validation.Options{DPoP: p.at}), test.request)
			got := w.Header().Values("WWW-Authenticate")
			if w.Code != test.status || len(got) < len(test.challenges) {
				t.Fatalf("got %d, %q, want %d", w.Code, got, test.status)
			}
			for i, want := range test.challenges {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("challenge %d is %s, want %s", i, got[i], want)
				}
			}
		})
	}
}

// TestRFC9449Required: a resource that takes no bearer tokens says so and nothing else.
func TestRFC9449Required(t *testing.T) {
	t.Parallel()
	p := newPresenter(t)
	p.at.Required = true
	h := site(p.house, nil, validation.Options{DPoP: p.at})
	if w := serve(h, p.usual(t)); w.Code != 200 {
		t.Errorf("a bound token: %d %v", w.Code, w.Header())
	}
	for name, r := range map[string]*http.Request{"none": request(t, transfers), "bearer": request(t, transfers, "Bearer "+access(t))} {
		w := serve(h, r)
		got := w.Header().Values("WWW-Authenticate")
		if w.Code != 401 || len(got) != 1 || !strings.HasPrefix(got[0], "DPoP ") || strings.Contains(got[0], "error") != (name == "bearer") {
			t.Errorf("%s: %d %q", name, w.Code, got)
		}
	}
}

// TestRFC9449Section9: a proof that is old, or from before the memory began, is answered with a nonce, and one with that nonce passes;
// where nonces are demanded, every proof has one.
func TestRFC9449Section9(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		off   time.Duration // of the client's clock
		every bool
	}{
		{"a clock a day behind", -24 * time.Hour, false},
		{"a clock a day ahead", 24 * time.Hour, false},
		{"nonces for all", 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPresenter(t, func(c *validation.ProofsConfig) { c.Nonces = test.every })
			p.now = start.Add(test.off)
			h := site(p.house, nil, validation.Options{DPoP: p.at})
			w := serve(h, p.usual(t))
			nonce := w.Header().Get("DPoP-Nonce")
			if w.Code != 401 || nonce == "" || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="use_dpop_nonce"`) ||
				!strings.Contains(w.Header().Get("Access-Control-Expose-Headers"), "DPoP-Nonce") {
				t.Fatalf("got %d %v", w.Code, w.Header())
			}
			again := func() *http.Request { return presents(t, "DPoP", p.bound, p.Prover, "GET", transfers, p.bound, nonce) }
			for range 2 { // one nonce is good for many proofs
				if w := serve(h, again()); w.Code != 200 {
					t.Errorf("with the nonce: %d %v", w.Code, w.Header())
				}
			}
			elsewhere := site(p.house, nil, validation.Options{DPoP: newPresenter(t).at})
			if w := serve(elsewhere, again()); w.Code != 401 || w.Header().Get("DPoP-Nonce") == "" {
				t.Errorf("the nonce of another node: %d %v", w.Code, w.Header())
			}
		})
	}
}

// TestRFC9449Section11: a proof is good once, at all resources that share a memory, and a request that is judged twice has shown it once.
func TestRFC9449Section11(t *testing.T) {
	t.Parallel()
	p := newPresenter(t)
	r := p.usual(t)
	one := site(p.house, nil, validation.Options{DPoP: p.at})
	two := site(p.house, nil, validation.Options{DPoP: &validation.DPoP{Proofs: p.at.Proofs}})
	if w := serve(one, r); w.Code != 200 {
		t.Fatalf("at first: %d %v", w.Code, w.Header())
	}
	for name, h := range map[string]http.Handler{"at the same": one, "at another": two} {
		if w := serve(h, r); w.Code != 401 || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_dpop_proof"`) {
			t.Errorf("again %s: %d %v", name, w.Code, w.Header())
		}
	}

	var kept validation.Presented
	p.at.Kept = func(*http.Request) *validation.Presented { return &kept }
	nested := site(p.house, nil, validation.Options{DPoP: p.at})
	within := validation.Middleware(p.house, nil, validation.Options{DPoP: p.at})(nested)
	if w := serve(within, p.usual(t)); w.Code != 200 {
		t.Errorf("judged twice: %d %v", w.Code, w.Header())
	}
}

// TestProofsAreSpentTogether: what several processes write down together is good once among them; whoever cannot be asked lets nobody in.
func TestProofsAreSpentTogether(t *testing.T) {
	t.Parallel()
	spent := map[string]bool{}
	var down error
	together := func(c *validation.ProofsConfig) {
		c.Spend = func(_ context.Context, proof string, until time.Time) (bool, error) {
			fresh := !spent[proof]
			spent[proof] = true
			if !until.After(start) {
				t.Errorf("remembered until %s", until)
			}
			return fresh, down
		}
	}
	p, q := newPresenter(t, together), newPresenter(t, together)
	one := site(p.house, nil, validation.Options{DPoP: p.at})
	two := site(p.house, nil, validation.Options{DPoP: q.at})
	r := p.usual(t)
	if w := serve(one, r); w.Code != 200 {
		t.Fatalf("at first: %d %v", w.Code, w.Header())
	}
	for name, h := range map[string]http.Handler{"at the same": one, "at another": two} {
		if w := serve(h, r); w.Code != 401 || !strings.Contains(w.Header().Get("WWW-Authenticate"), `error="invalid_dpop_proof"`) {
			t.Errorf("again %s: %d %v", name, w.Code, w.Header())
		}
	}
	if len(spent) != 1 {
		t.Errorf("%d proofs were written down", len(spent))
	}
	down = errors.New("the store is down")
	if w := serve(two, p.usual(t)); w.Code != 503 {
		t.Errorf("without a store: %d %v", w.Code, w.Header())
	}
}

// TestProofsAreBounded: a proof that cannot be noted lets nobody in, and is no fault of the client's.
func TestProofsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPresenter(t, func(c *validation.ProofsConfig) { c.Limit = 1 })
	h := site(p.house, nil, validation.Options{DPoP: p.at})
	var passed, busy int
	for range 40 {
		switch w := serve(h, p.usual(t)); w.Code {
		case 200:
			passed++
		case 503:
			busy++
		default:
			t.Fatalf("got %d %v", w.Code, w.Header())
		}
	}
	if passed == 0 || passed > 16 || busy == 0 {
		t.Errorf("%d passed and %d were told to come back", passed, busy)
	}
}

// TestOneUserIsToldToSlowDown: who has tokens and signs as fast as they can, with as many keys as they like, fills the memory for nobody else.
func TestOneUserIsToldToSlowDown(t *testing.T) {
	t.Parallel()
	p := newPresenter(t, func(c *validation.ProofsConfig) { c.Limit = 16 * 8 })
	h := site(p.house, nil, validation.Options{DPoP: p.at})
	slow := 0
	for range 16 * 16 {
		another := p.prover(t)
		token := access(t, set("cnf", map[string]any{"jkt": another.Thumbprint()}))
		switch w := serve(h, presents(t, "DPoP", token, another, "GET", transfers, token, "")); {
		case w.Code == http.StatusOK:
		case w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "60" && len(w.Header().Values("WWW-Authenticate")) == 0:
			slow++
		default:
			t.Fatalf("got %d %v", w.Code, w.Header())
		}
	}
	if slow == 0 {
		t.Error("one user has all of the memory")
	}
	other := p.prover(t)
	token := access(t, set("cnf", map[string]any{"jkt": other.Thumbprint()}), set("sub", "usr_other"))
	if w := serve(h, presents(t, "DPoP", token, other, "GET", transfers, token, "")); w.Code != http.StatusOK {
		t.Errorf("another user: %d %v", w.Code, w.Header())
	}
}

// TestMiddlewareWithoutDPoP takes no bound token, whatever comes with it, and speaks of no scheme but its own.
func TestMiddlewareWithoutDPoP(t *testing.T) {
	t.Parallel()
	p := newPresenter(t)
	w := serve(site(p.house, nil, validation.Options{}), p.usual(t))
	if got := w.Header().Values("WWW-Authenticate"); w.Code != 401 || len(got) != 1 || !strings.HasPrefix(got[0], "Bearer") {
		t.Errorf("got %d %q", w.Code, got)
	}
}

// TestRFC8705 walks through section 3: the certificate is that of the connection, and of no header.
func TestRFC8705(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	mine, other := &x509.Certificate{Raw: []byte("mine")}, &x509.Certificate{Raw: []byte("another's")}
	// The thumbprint was made by openssl: printf mine | openssl dgst -sha256 -binary | basenc --base64url
	bound := access(t, set("cnf", map[string]any{"x5t#S256": "P9MFQv4_YbFL1KSy3Atvsw-m9j685S3Rd4qqjE3ALP8"}))
	for _, test := range []struct {
		name   string
		token  string
		shows  []*x509.Certificate
		header string
		early  bool
		cause  error
	}{
		{"3 the certificate", bound, []*x509.Certificate{mine, other}, "", false, nil},
		{"3 another certificate", bound, []*x509.Certificate{other, mine}, "", false, validation.ErrShown},
		{"3 none", bound, nil, "", false, validation.ErrShown},
		{"6.5 a header that says so", bound, nil, "mine", false, validation.ErrShown},
		{"RFC8470 3 the certificate, in early data", bound, []*x509.Certificate{mine}, "", true, validation.ErrShown},
		{"an unbound token beside a certificate", access(t), []*x509.Certificate{mine}, "", false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := request(t, transfers, "Bearer "+test.token)
			r.TLS = &tls.ConnectionState{HandshakeComplete: !test.early, PeerCertificates: test.shows}
			if test.header != "" {
				r.Header.Set("X-Client-Cert", test.header)
				r.Header.Set("Client-Cert", test.header)
			}
			c, found, err := validation.FromRequest(r)
			if !found || err != nil {
				t.Fatal(found, err)
			}
			_, err = h.Validate(t.Context(), c)
			if !errors.Is(err, test.cause) || test.cause != nil && oauth.AsError(err).Code != oauth.InvalidToken {
				t.Errorf("got %v, want %v", err, test.cause)
			}
		})
	}
}

// TestAddress: the address that a proof has to name is that of the request, or what stands in front says.
func TestAddress(t *testing.T) {
	t.Parallel()
	p := newPresenter(t)
	inside := httptest.NewRequest(http.MethodGet, "http://10.0.0.1:8080/v1/transfers", nil)
	inside.Header = p.usual(t).Header
	if w := serve(site(p.house, nil, validation.Options{DPoP: p.at}), inside); w.Code != 401 {
		t.Errorf("behind a proxy, unsaid: %d", w.Code)
	}
	p.at.Address = func(r *http.Request) string { return "https://api.example.com" + strings.TrimPrefix(r.URL.Path, "/v1") }
	if w := serve(site(p.house, nil, validation.Options{DPoP: p.at}), inside); w.Code != 200 {
		t.Errorf("behind a proxy: %d %v", w.Code, w.Header())
	}
}

// TestProofsSayWhatTheyTake for the metadata of a resource (RFC 9728 2).
func TestProofsSayWhatTheyTake(t *testing.T) {
	t.Parallel()
	want := []validation.Algorithm{validation.ES256, validation.EdDSA, validation.PS256, validation.RS256}
	if got := newPresenter(t).at.Proofs.Algs(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := validation.NewProofs(validation.ProofsConfig{}); err == nil {
		t.Error("proofs are judged without a clock")
	}
}
