// SPDX-License-Identifier: Apache-2.0

package dpop_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/dpop"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

const (
	address = "https://api.example/transfers"
	token   = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU" // of the example in RFC 9449 7.1
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is a checker, a prover and the clocks of both.
type world struct {
	t       testing.TB
	now     time.Time // of the server
	checker *dpop.Checker
	nonces  *dpop.Nonces
	key     jose.PrivateKey
	// said is what a proof says; tests change it.
	said map[string]any
	r    dpop.Request
}

func newWorld(t testing.TB, change ...func(*dpop.Config)) *world {
	t.Helper()
	w := &world{t: t, now: start}
	var err error
	if w.nonces, err = dpop.NewNonces(known(make([]byte, dpop.NonceKeySize)), "test", 0); err != nil {
		t.Fatal(err)
	}
	config := dpop.Config{Now: func() time.Time { return w.now }, Nonces: w.nonces}
	for _, c := range change {
		c(&config)
	}
	if w.checker, err = dpop.New(config); err != nil {
		t.Fatal(err)
	}
	if w.key, err = jose.GenerateKey(jose.ES256); err != nil {
		t.Fatal(err)
	}
	w.said = map[string]any{
		"jti": "e1j3V_bKic8-LAEB", "htm": "GET", "htu": address, "iat": start.Unix(), "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo",
	}
	w.r = dpop.Request{Method: "GET", URI: address, Token: token}
	return w
}

// proof signs what is said.
func (w *world) proof() string { return w.signAs(dpop.Typ) }

// check sends the proof with the request.
func (w *world) check() (dpop.Proof, error) {
	w.t.Helper()
	if w.r.Proofs == nil {
		w.r.Proofs = []string{w.proof()}
	}
	return w.checker.Check(w.r)
}

// Examples of RFC 9449 sections 4.1 and 7.1. Their key has the thumbprint of section 6.1.
const (
	exampleHeader = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0Rs" +
		"cEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19."
	exampleAtToken = exampleHeader + "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2Vu" +
		"IiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	exampleAtResource = exampleHeader + "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9w" +
		"cm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9." +
		"2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	exampleThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
)

func TestRFC9449Examples(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		at   int64
		r    dpop.Request
	}{
		{"4.1 at the token endpoint", 1562262616, dpop.Request{Proofs: []string{exampleAtToken}, Method: "POST", URI: "https://server.example.com/token"}},
		{"7.1 at a resource", 1562262618, dpop.Request{
			Proofs: []string{exampleAtResource}, Method: "GET", URI: "https://resource.example.org/protectedresource", Token: token,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.now = time.Unix(c.at, 0)
			p, err := w.checker.Check(c.r)
			if err != nil || p.Thumbprint != exampleThumbprint || !p.At.Equal(w.now) || !p.Until.Equal(w.now.Add(dpop.Past)) {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
}

// TestRFC9449Section4_3 goes through the checks of that section.
func TestRFC9449Section4_3(t *testing.T) {
	t.Parallel()
	good := error(nil)
	for _, c := range []struct {
		name   string
		change func(w *world)
		want   error
	}{
		{"good", func(*world) {}, good},
		{"1 no header", func(w *world) { w.r.Proofs = []string{} }, dpop.ErrProof},
		{"1 two headers", func(w *world) { w.r.Proofs = []string{w.proof(), w.proof()} }, dpop.ErrProof},
		{"1 two in one", func(w *world) { w.r.Proofs = []string{w.proof() + ", " + w.proof()} }, dpop.ErrProof},
		{"2 empty", func(w *world) { w.r.Proofs = []string{""} }, dpop.ErrProof},
		{"2 two parts", func(w *world) { w.r.Proofs = []string{strings.Join(strings.Split(w.proof(), ".")[:2], ".")} }, dpop.ErrProof},
		{"2 too long", func(w *world) { w.said["more"] = strings.Repeat("a", dpop.MaxProof) }, dpop.ErrProof},
		{"3 no jti", func(w *world) { delete(w.said, "jti") }, dpop.ErrProof},
		{"3 jti of a megabyte", func(w *world) { w.r.Proofs = []string{w.proof() + strings.Repeat("a", 1<<20)} }, dpop.ErrProof},
		{"3 jti of 257 bytes", func(w *world) { w.said["jti"] = strings.Repeat("a", dpop.MaxID+1) }, dpop.ErrProof},
		{"3 jti is a number", func(w *world) { w.said["jti"] = 1 }, dpop.ErrProof},
		{"3 no htm", func(w *world) { delete(w.said, "htm") }, dpop.ErrProof},
		{"3 no htu", func(w *world) { delete(w.said, "htu") }, dpop.ErrProof},
		{"3 no iat", func(w *world) { delete(w.said, "iat") }, dpop.ErrProof},
		{"3 iat is a string", func(w *world) { w.said["iat"] = "now" }, dpop.ErrProof},
		{"3 JTI beside jti", func(w *world) { w.said["JTI"] = "x" }, dpop.ErrProof},
		{"3 more claims", func(w *world) { w.said["more"] = map[string]any{"a": 1} }, good},
		{"4 another typ", func(w *world) { w.r.Proofs = []string{w.signAs("at+jwt")} }, dpop.ErrProof},
		{"4 typ with its prefix", func(w *world) { w.r.Proofs = []string{w.signAs("application/dpop+jwt")} }, good},
		{"5 an algorithm that is not taken", func(w *world) { w.key = anotherKey(w.t, jose.EdDSA) }, dpop.ErrProof},
		{"6 signed by another key", func(w *world) {
			theirs := strings.Split(w.proof(), ".")
			w.key = anotherKey(w.t, jose.ES256)
			w.r.Proofs = []string{theirs[0] + "." + strings.SplitN(w.proof(), ".", 2)[1]}
		}, dpop.ErrProof},
		{"8 another method", func(w *world) { w.said["htm"] = "POST" }, dpop.ErrProof},
		{"8 the method in lower case", func(w *world) { w.said["htm"] = "get" }, dpop.ErrProof},
		{"8 PATCH", func(w *world) { w.said["htm"], w.r.Method = "PATCH", "PATCH" }, good},
		{"9 another path", func(w *world) { w.said["htu"] = address + "/" }, dpop.ErrProof},
		{"9 another host", func(w *world) { w.said["htu"] = "https://evil.example/transfers" }, dpop.ErrProof},
		{"9 http", func(w *world) { w.said["htu"] = "http://api.example/transfers" }, dpop.ErrProof},
		{"9 a path alone", func(w *world) { w.said["htu"] = "/transfers" }, dpop.ErrProof},
		{"9 not an address", func(w *world) { w.said["htu"] = "https://api.example/%zz" }, dpop.ErrProof},
		{"9 a query in the request", func(w *world) { w.r.URI += "?a=b" }, good},
		{"9 a query in the proof", func(w *world) { w.said["htu"] = address + "?a=b#c" }, good},
		{"12 no ath", func(w *world) { delete(w.said, "ath") }, dpop.ErrProof},
		{"12 ath of another token", func(w *world) { w.r.Token = "another" }, dpop.ErrProof},
		{"12 no token", func(w *world) { w.r.Token = ""; delete(w.said, "ath") }, good},
		{"11 five seconds ahead", func(w *world) { w.now = start.Add(-5 * time.Second) }, good},
		{"11 eleven seconds ahead", func(w *world) { w.now = start.Add(-11 * time.Second) }, dpop.ErrNonce},
		{"11 nearly a minute old", func(w *world) { w.now = start.Add(dpop.Past - time.Second) }, good},
		{"11 a minute old", func(w *world) { w.now = start.Add(dpop.Past) }, dpop.ErrNonce},
		{"11 ten minutes old", func(w *world) { w.now = start.Add(10 * time.Minute) }, dpop.ErrNonce},
		{"11 of year 292277026596", func(w *world) { w.said["iat"] = int64(1<<63 - 1) }, dpop.ErrNonce},
		{"11 of long before Unix", func(w *world) { w.said["iat"] = int64(-1 << 63) }, dpop.ErrNonce},
		{"11 a day old with a nonce", func(w *world) {
			w.now = start.Add(24 * time.Hour)
			w.said["nonce"] = w.nonce()
		}, good},
		{"10 a nonce that has ended", func(w *world) {
			w.said["nonce"] = w.nonce()
			w.now = start.Add(dpop.DefaultNonceLifetime)
		}, dpop.ErrNonce},
		{"10 a nonce that has nearly ended", func(w *world) {
			w.said["nonce"] = w.nonce()
			w.now = start.Add(dpop.DefaultNonceLifetime - time.Second)
		}, good},
		{"10 a nonce of nobody's", func(w *world) { w.said["nonce"] = "eyJ7S_zG.eyJH0-Z.HX4w-7v" }, dpop.ErrNonce},
		{"10 a nonce for another purpose", func(w *world) { w.said["nonce"] = w.another(make([]byte, dpop.NonceKeySize), "other") }, dpop.ErrNonce},
		{"10 a nonce of another node", func(w *world) { w.said["nonce"] = w.another([]byte(strings.Repeat("k", dpop.NonceKeySize)), "test") }, dpop.ErrNonce},
		{"10 a nonce of which a bit is changed", func(w *world) {
			raw, _ := base64.RawURLEncoding.DecodeString(w.nonce())
			raw[7] ^= 1
			w.said["nonce"] = base64.RawURLEncoding.EncodeToString(raw)
		}, dpop.ErrNonce},
		{"10 a nonce from the future", func(w *world) { w.said["nonce"], _ = w.nonces.New(start.Add(time.Minute)) }, dpop.ErrNonce},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *dpop.Config) { c.Algs = []jose.Algorithm{jose.ES256} })
			c.change(w)
			p, err := w.check()
			if !errors.Is(err, c.want) || (c.want == nil) != (p.Until.After(w.now)) {
				t.Errorf("got %+v, %v; want %v", p, err, c.want)
			}
			if errors.Is(err, dpop.ErrProof) && errors.Is(err, dpop.ErrNonce) {
				t.Errorf("%v is two things", err)
			}
		})
	}
}

// signAs signs what is said as something else.
func (w *world) signAs(typ string) string {
	w.t.Helper()
	payload, err := json.Marshal(w.said)
	if err != nil {
		w.t.Fatal(err)
	}
	signer, err := jose.NewSelfSigner(w.key, typ)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := signer.Sign(payload)
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}

// another returns a nonce of now, made with a key for a purpose.
func (w *world) another(key []byte, purpose string) string {
	w.t.Helper()
	n, err := dpop.NewNonces(known(key), purpose, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	nonce, err := n.New(w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return nonce
}

// nonce returns one of the checker's.
func (w *world) nonce() string {
	w.t.Helper()
	nonce, err := w.checker.Nonce()
	if err != nil {
		w.t.Fatal(err)
	}
	return nonce
}

// known is a key that can always be had.
func known(key []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return key, nil }
}

func anotherKey(t testing.TB, alg jose.Algorithm) jose.PrivateKey {
	t.Helper()
	k, err := jose.GenerateKey(alg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestRFC9449Section8 has a server that demands nonces: a proof without one is answered with one.
func TestRFC9449Section8(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *dpop.Config) { c.Demand = true })
	if _, err := w.check(); !errors.Is(err, dpop.ErrNonce) {
		t.Fatalf("without a nonce: %v", err)
	}
	w.said["nonce"], w.r.Proofs = w.nonce(), nil
	w.now = start.Add(2 * time.Minute) // and the client's clock stands still
	p, err := w.check()
	if err != nil || !p.At.Equal(start) || !p.Until.Equal(start.Add(dpop.DefaultNonceLifetime)) {
		t.Errorf("with one: %+v, %v", p, err)
	}
	if n := w.nonce(); dpop.ReadNonce([]string{n}) != n {
		t.Errorf("%q is no nonce by the grammar", n)
	}
}

// TestAMemoryThatBegan: what may have been used before nobody remembers passes with a nonce alone.
func TestAMemoryThatBegan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		since time.Time
		want  error
	}{
		{"long ago", start.Add(-time.Hour), nil},
		{"ten seconds ago", start.Add(-dpop.Future), nil},
		{"nine seconds ago", start.Add(time.Second - dpop.Future), dpop.ErrNonce},
		{"just now", start, dpop.ErrNonce},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(config *dpop.Config) { config.Since = c.since })
			if _, err := w.check(); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			w.said["nonce"], w.r.Proofs = w.nonce(), nil
			if _, err := w.check(); err != nil {
				t.Errorf("with a nonce: %v", err)
			}
		})
	}
}

// TestProverAndChecker: what a client makes of its key passes, and has the thumbprint that the client knows.
func TestProverAndChecker(t *testing.T) {
	t.Parallel()
	for _, alg := range dpop.Algorithms {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prover, err := dpop.NewProver(anotherKey(t, alg), func() time.Time { return w.now })
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for _, nonce := range []string{"", "", w.nonce()} {
				raw, err := prover.Prove("GET", address+"?page=2#top", token, nonce)
				if err != nil {
					t.Fatal(err)
				}
				w.r.Proofs = []string{raw}
				p, err := w.check()
				if err != nil || p.Thumbprint != prover.Thumbprint() || p.Thumbprint == "" {
					t.Errorf("%+v, %v", p, err)
				}
				if seen[p.ID] {
					t.Error("two proofs have one name")
				}
				seen[p.ID] = true
			}
		})
	}
}

// TestIncomplete: nothing is built from what lacks a part.
func TestIncomplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := func() time.Time { return start }
	for name, c := range map[string]dpop.Config{"no clock": {Nonces: w.nonces}, "no nonces": {Now: now}} {
		if _, err := dpop.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := dpop.NewNonces(nil, "test", 0); err == nil {
		t.Error("nonces have no key")
	}
	if _, err := dpop.NewNonces(dpop.RandomKey(), "", 0); err == nil {
		t.Error("nonces have no purpose")
	}
	if _, err := dpop.NewNonces(dpop.RandomKey(), "test", -1); err == nil {
		t.Error("nonces last less than no time")
	}
	if _, err := dpop.NewProver(jose.PrivateKey{}, now); !errors.Is(err, jose.ErrKey) {
		t.Errorf("a prover without a key: %v", err)
	}
}

func TestReadNonce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []string
		want   string
	}{
		{nil, ""},
		{[]string{"eyJ7S_zG.eyJH0-Z.HX4w-7v"}, "eyJ7S_zG.eyJH0-Z.HX4w-7v"},
		{[]string{"a", "b"}, ""},
		{[]string{"a b"}, ""},
		{[]string{`a"b`}, ""},
		{[]string{"a\\b"}, ""},
		{[]string{"é"}, ""},
		{[]string{strings.Repeat("a", dpop.MaxID+1)}, ""},
	} {
		if got := dpop.ReadNonce(c.values); got != c.want {
			t.Errorf("%q: got %q", c.values, got)
		}
	}
}

// TestKeyOfNonces: while the key cannot be had, a proof that has a nonce is not judged, and none is given away; later it is.
func TestKeyOfNonces(t *testing.T) {
	t.Parallel()
	closed := errors.New("the store is closed")
	for _, tt := range []struct {
		name string
		key  []byte
		err  error
	}{
		{"cannot be had", nil, closed},
		{"too short", make([]byte, dpop.NonceKeySize-1), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			key, err := tt.key, tt.err
			w := newWorld(t, func(c *dpop.Config) {
				var failed error
				c.Nonces, failed = dpop.NewNonces(func() ([]byte, error) { return key, err }, "test", 0)
				if failed != nil {
					t.Fatal(failed)
				}
			})
			good, _ := w.nonces.New(w.now) // of the key that comes later
			w.said["nonce"] = good
			_, refused := w.check()
			if refused == nil || errors.Is(refused, dpop.ErrProof) || errors.Is(refused, dpop.ErrNonce) {
				t.Errorf("judging: %v", refused)
			}
			if e := w.checker.Refusal(refused, http.StatusUnauthorized); e.Code != oauth.TemporarilyUnavailable {
				t.Errorf("refused with %v", e)
			}
			if e := w.checker.Refusal(dpop.ErrNonce, http.StatusUnauthorized); e.Code != oauth.TemporarilyUnavailable || e.Nonce != "" {
				t.Errorf("refused with %v, nonce %q", e, e.Nonce)
			}
			key, err = make([]byte, dpop.NonceKeySize), nil
			if _, err := w.check(); err != nil {
				t.Errorf("judging later: %v", err)
			}
		})
	}
}
