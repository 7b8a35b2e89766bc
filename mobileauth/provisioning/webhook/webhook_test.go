// SPDX-License-Identifier: Apache-2.0

package webhook_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/webhook"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// service is a back end with an authority of its own.
type service struct {
	t      *testing.T
	cert   *x509.Certificate
	key    *ecdsa.PrivateKey
	asked  webhook.Question
	clock  *storagetest.Clock
	answer http.HandlerFunc // instead of issuing
}

func newService(t *testing.T) (*service, *webhook.Authority) {
	t.Helper()
	s := &service{t: t, clock: storagetest.NewClock()}
	var err error
	s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ours"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.key.Public(), s.key)
	must(t, err)
	s.cert, err = x509.ParseCertificate(der)
	must(t, err)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client, err := callout.New(callout.Config{URL: server.URL})
	must(t, err)
	t.Cleanup(client.Close)
	a, err := webhook.New(webhook.Config{Service: client, Now: s.clock.Now})
	must(t, err)
	return s, a
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	must(s.t, err)
	s.asked = webhook.Question{}
	must(s.t, json.Unmarshal(body, &s.asked))
	if s.answer != nil {
		s.answer(w, r)
		return
	}
	block, _ := pem.Decode([]byte(s.asked.CSR))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	must(s.t, err)
	name, err := url.Parse(s.asked.URI)
	must(s.t, err)
	serial, _ := new(big.Int).SetString(s.asked.Serial, 16)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, URIs: []*url.URL{name}, NotBefore: s.asked.NotBefore, NotAfter: s.asked.NotAfter,
	}, s.cert, csr.PublicKey, s.key)
	must(s.t, err)
	chain := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw}))
	s.say(w, chain)
}

func (s *service) say(w http.ResponseWriter, chain string) {
	w.Header().Set("Content-Type", "application/json")
	must(s.t, json.NewEncoder(w).Encode(map[string]string{"chain": chain}))
}

func order(t *testing.T) provisioning.Order {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, new(x509.CertificateRequest), key)
	must(t, err)
	csr, err := provisioning.ReadCSR(der)
	must(t, err)
	now := time.Now().UTC().Truncate(time.Second)
	return provisioning.Order{CSR: csr, Template: &x509.Certificate{
		SerialNumber: big.NewInt(0x1234), URIs: []*url.URL{{Scheme: "urn", Opaque: "gatehouse:device:ins_1"}}, Subject: pkix.Name{CommonName: "till 4"},
		NotBefore: now, NotAfter: now.Add(time.Hour),
	}}
}

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	client, err := callout.New(callout.Config{URL: "https://ca.example.com"})
	must(t, err)
	for _, c := range []webhook.Config{{Service: client}, {Now: time.Now}} {
		if _, err := webhook.New(c); err == nil {
			t.Error("it was built")
		}
	}
	for _, free := range []bool{true, false} {
		if a, err := webhook.New(webhook.Config{Service: client, AnyNames: free, Now: time.Now}); err != nil || a.Sovereign() != free {
			t.Errorf("with any names %v: %v", free, err)
		}
	}
}

// TestIssue: the service is told everything that it needs, and answers with a chain.
func TestIssue(t *testing.T) {
	t.Parallel()
	s, a := newService(t)
	o := order(t)
	chain, err := a.Issue(t.Context(), o)
	must(t, err)
	if len(chain) != 2 || !chain[1].Equal(s.cert) || chain[0].SerialNumber.Cmp(o.Template.SerialNumber) != 0 || !chain[0].NotAfter.Equal(o.Template.NotAfter) {
		t.Errorf("the chain is %v", chain)
	}
	if s.asked.Subject != "CN=till 4" || s.asked.URI != "urn:gatehouse:device:ins_1" || s.asked.Renews != "" ||
		len(s.asked.KeyUsage) != 1 || s.asked.KeyUsage[0] != "digitalSignature" || len(s.asked.ExtKeyUsage) != 1 || s.asked.ExtKeyUsage[0] != "clientAuth" {
		t.Errorf("asked was %+v", s.asked)
	}
	o.Renews = chain[0]
	_, err = a.Issue(t.Context(), o)
	must(t, err)
	if block, _ := pem.Decode([]byte(s.asked.Renews)); block == nil || string(block.Bytes) != string(chain[0].Raw) {
		t.Errorf("the certificate before was %q", s.asked.Renews)
	}
}

// TestPending says when to come again.
func TestPending(t *testing.T) {
	t.Parallel()
	s, a := newService(t)
	for when, want := range map[string]time.Duration{"": time.Minute, "30": 30 * time.Second, "99999999": 7 * 24 * time.Hour} {
		s.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", when)
			w.WriteHeader(http.StatusAccepted)
		}
		_, err := a.Issue(t.Context(), order(t))
		if refusal, ok := errors.AsType[*provisioning.Refusal](err); !ok || refusal.Reason != provisioning.ReasonPending || refusal.RetryAfter != want {
			t.Errorf("%q: %v, %+v", when, err, refusal)
		}
	}
}

// TestBadAnswers are errors, and no refusals of the device.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	s, a := newService(t)
	one := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw}))
	for name, answer := range map[string]http.HandlerFunc{
		"a fault": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, one) },
		"nothing": func(w http.ResponseWriter, _ *http.Request) { s.say(w, "") },
		"words":   func(w http.ResponseWriter, _ *http.Request) { s.say(w, "no") },
		"more":    func(w http.ResponseWriter, _ *http.Request) { s.say(w, one+"and so on") },
		"a key": func(w http.ResponseWriter, _ *http.Request) {
			s.say(w, strings.ReplaceAll(one, "CERTIFICATE", "PRIVATE KEY"))
		},
		"no DER": func(w http.ResponseWriter, _ *http.Request) {
			s.say(w, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		},
		"many":  func(w http.ResponseWriter, _ *http.Request) { s.say(w, strings.Repeat(one, 7)) },
		"a lot": func(w http.ResponseWriter, _ *http.Request) { s.say(w, strings.Repeat("\n", 70<<10)) },
		"said twice": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"chain":"a","chain":"b"}`)
		},
		"no text": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"chain":7}`)
		},
	} {
		s.answer = answer
		chain, err := a.Issue(t.Context(), order(t))
		if _, refused := errors.AsType[*provisioning.Refusal](err); err == nil || refused {
			t.Errorf("%s: %v, %v", name, chain, err)
		}
	}
}
