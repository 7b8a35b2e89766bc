// SPDX-License-Identifier: Apache-2.0

package hooks_test

import (
	"context"
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
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/internal/callout"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/hooks"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// operator answers over HTTP, and keeps what it was asked.
type operator struct {
	*hooks.Service

	mu     sync.Mutex // whoever waits no longer may ask again while the first is read
	asked  map[string]any
	header http.Header
}

// heard returns what it was asked last.
func (o *operator) heard() (asked map[string]any, header http.Header) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked, o.header
}

func newOperator(t *testing.T, handler http.HandlerFunc) *operator {
	t.Helper()
	o := new(operator)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		asked := map[string]any{}
		if err == nil {
			err = json.Unmarshal(text, &asked)
		}
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("it was asked by %s %s: %v", r.Method, text, err)
		}
		o.mu.Lock()
		o.asked, o.header = asked, r.Header
		o.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	client, err := callout.New(callout.Config{
		URL: server.URL + "/hook", Header: http.Header{"Authorization": {"Bearer s3cret"}}, Timeout: 200 * time.Millisecond,
	})
	must(t, err)
	t.Cleanup(client.Close)
	o.Service, err = hooks.New(client)
	must(t, err)
	return o
}

func saying(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, text) // whoever asks has what he needs, or not
	}
}

// samples are a device that applies and the same one with its certificate.
func samples(t *testing.T) (provisioning.Applicant, provisioning.Session) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "wish"}}, key)
	must(t, err)
	csr, err := provisioning.ReadCSR(request)
	must(t, err)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	template := &x509.Certificate{SerialNumber: big.NewInt(0xabc), Subject: pkix.Name{CommonName: "tablet"}, NotBefore: at, NotAfter: at.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	claims := provisioning.Claims{
		App: provisioning.App{ID: "bank", Platform: "ios", Version: "2.1"}, Device: provisioning.Device{Model: "iPhone18,1"},
		Custom: map[string]string{"code": "1234"}, Nonce: "a nonce is a secret of the realm's",
	}
	caller := provisioning.Caller{ClientID: "phone", ClientIP: "192.0.2.1", UserID: "usr_1"}
	a := provisioning.Applicant{
		Realm: "device", Entity: provisioning.Entity{Kind: provisioning.KindGroup, Group: "retail"}, Installation: "ins_1", CSR: csr,
		Claims: claims, Caller: caller,
	}
	s := provisioning.Session{Realm: "device", Caller: caller, Presence: provisioning.Presence{Claims: claims, Certificate: provisioning.Certificate{
		Kind: provisioning.KindDevice, Installation: "ins_1", Key: csr.Key, Serial: "abc", NotBefore: at, NotAfter: at.Add(time.Hour), IssuedAt: at,
		Attributes: map[string]string{"contract": "C-1"}, Chain: [][]byte{der},
	}}}
	return a, s
}

// TestQuestions: what a service is told, to the letter.
func TestQuestions(t *testing.T) {
	t.Parallel()
	o := newOperator(t, saying(`{"accept":true}`))
	a, s := samples(t)
	want := map[string]any{
		"hook": "validate_csr", "realm": "device", "entity": "group retail", "installation": "ins_1", "key": a.CSR.Key,
		"app":    map[string]any{"id": "bank", "platform": "ios", "version": "2.1"},
		"device": map[string]any{"model": "iPhone18,1"}, "custom": map[string]any{"code": "1234"},
		"client_id": "phone", "client_ip": "192.0.2.1", "user_id": "usr_1",
		"subject": "CN=wish", "csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: a.CSR.Raw})),
	}
	verdict, err := o.ValidateRequest(t.Context(), a)
	if err != nil || !verdict.Accepted {
		t.Errorf("it is %+v, %v", verdict, err)
	}
	asked, header := o.heard()
	if diff := cmp.Diff(want, asked); diff != "" || header.Get("Authorization") != "Bearer s3cret" {
		t.Error(diff, header)
	}
	delete(want, "subject")
	delete(want, "csr")
	want["hook"], want["entity"] = "validate_certificate", "device"
	want["certificate"] = map[string]any{
		"serial": "abc", "subject": "CN=tablet", "issued_at": "2026-01-02T03:04:05Z", "not_before": "2026-01-02T03:04:05Z",
		"not_after": "2026-01-02T04:04:05Z", "attributes": map[string]any{"contract": "C-1"}, "pem": s.Certificate.PEM(),
	}
	if verdict, err := o.ValidateCertificate(t.Context(), s); err != nil || !verdict.Accepted {
		t.Errorf("it is %+v, %v", verdict, err)
	}
	asked, _ = o.heard()
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
	s.Claims.Custom, s.Certificate.Attributes = nil, nil
	_, err = o.ValidateCertificate(t.Context(), s)
	must(t, err)
	asked, _ = o.heard()
	if custom, _ := asked["custom"].(map[string]any); custom == nil {
		t.Error("nothing custom is not an empty object")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	a, s := samples(t)
	for _, tt := range []struct {
		name, text string
		want       provisioning.Verdict
		request    bool // is understood for a request alone
	}{
		{"yes", `{"accept":true}`, provisioning.Verdict{Accepted: true}, false},
		{"no", `{"accept":false}`, provisioning.Verdict{}, false},
		{"no, with words", `{"accept":false,"message":"Not today."}`, provisioning.Verdict{Text: "Not today."}, false},
		{"attributes", `{"accept":true,"attributes":{"a":"b"}}`, provisioning.Verdict{Accepted: true, Attributes: map[string]string{"a": "b"}}, false},
		{
			"a subject",
			`{"accept":true,"subject":{"common_name":"a","serial_number":"b","organization":"c","organizational_unit":"d","locality":"e","province":"f","country":"NL"}}`,
			provisioning.Verdict{Accepted: true, Subject: pkix.Name{
				CommonName: "a", SerialNumber: "b", Organization: []string{"c"}, OrganizationalUnit: []string{"d"}, Locality: []string{"e"},
				Province: []string{"f"}, Country: []string{"NL"},
			}}, true,
		},
		{"part of a subject", `{"accept":true,"subject":{"common_name":"a"}}`, provisioning.Verdict{Accepted: true, Subject: pkix.Name{CommonName: "a"}}, true},
	} {
		o := newOperator(t, saying(tt.text))
		got, err := o.ValidateRequest(t.Context(), a)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", tt.name, err, diff)
		}
		got, err = o.ValidateCertificate(t.Context(), s)
		if tt.request != (err != nil) || err == nil && !cmp.Equal(tt.want, got) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

// TestNoAnswer: whatever is not exactly an answer lets nobody in, and its error repeats nothing of it.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	a, s := samples(t)
	for name, handler := range map[string]http.HandlerFunc{
		"empty":                  saying(""),
		"nothing":                saying(`{}`),
		"null":                   saying(`{"accept":null}`),
		"a word":                 saying(`{"accept":"true-s3cret"}`),
		"a list":                 saying(`[{"accept":true}]`),
		"twice":                  saying(`{"accept":false,"accept":true}`),
		"in another case":        saying(`{"Accept":true}`),
		"something more":         saying(`{"accept":true,"unless":"s3cret"}`),
		"more after it":          saying(`{"accept":true}{"accept":false}`),
		"an unknown name":        saying(`{"accept":true,"subject":{"email":"s3cret"}}`),
		"a yes with a message":   saying(`{"accept":true,"message":"s3cret"}`),
		"a no with attributes":   saying(`{"accept":false,"attributes":{"a":"s3cret"}}`),
		"a no with a subject":    saying(`{"accept":false,"subject":{"common_name":"s3cret"}}`),
		"attributes of numbers":  saying(`{"accept":true,"attributes":{"a":1}}`),
		"a yes, with status 500": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); saying(`{"accept":true}`)(w, r) },
		"a yes, with status 403": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403); saying(`{"accept":true}`)(w, r) },
		"a yes, as a page": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, `{"accept":true}`)
		},
		"a yes, elsewhere": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/hook" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"a yes, too long": saying(`{"accept":true` + strings.Repeat(" ", 64<<10) + `}`),
		"a yes, too late": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done(); saying(`{"accept":true}`)(w, r) },
		"a broken line":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOperator(t, handler)
			one, err := o.ValidateRequest(t.Context(), a)
			if err == nil || one.Accepted || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the request: %+v, %v", one, err)
			}
			other, err := o.ValidateCertificate(t.Context(), s)
			if err == nil || other.Accepted || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the certificate: %+v, %v", other, err)
			}
		})
	}
}

// A service that has gone, and nobody to ask.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	if _, err := hooks.New(nil); err == nil {
		t.Error("a hook without a service")
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	client, err := callout.New(callout.Config{URL: server.URL})
	must(t, err)
	service, err := hooks.New(client)
	must(t, err)
	a, _ := samples(t)
	if verdict, err := service.ValidateRequest(t.Context(), a); err == nil || verdict.Accepted {
		t.Errorf("it is %+v, %v", verdict, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := service.ValidateRequest(ctx, a); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever asked went away: %v", err)
	}
}

// FuzzAnswers: nothing but a plain yes lets anybody in.
func FuzzAnswers(f *testing.F) {
	for _, text := range []string{`{"accept":true}`, `{"accept":false,"message":"a"}`, `{"accept":true,"subject":{"common_name":"a"}}`, `{`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		service, err := hooks.New(poster(text))
		must(t, err)
		verdict, err := service.ValidateCertificate(t.Context(), provisioning.Session{})
		var said struct {
			Accept bool `json:"accept"`
		}
		if verdict.Accepted && (err != nil || json.Unmarshal(text, &said) != nil || !said.Accept) {
			t.Errorf("%q lets somebody in", text)
		}
	})
}

type poster []byte

func (p poster) Post(context.Context, any) ([]byte, error) { return p, nil }
