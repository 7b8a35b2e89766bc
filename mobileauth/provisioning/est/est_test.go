// SPDX-License-Identifier: Apache-2.0

package est_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/est"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*est.Config)
	}{
		{"no address", func(c *est.Config) { c.URL = "" }},
		{"http", func(c *est.Config) { c.URL = "http://localhost:1" }},
		{"a query", func(c *est.Config) { c.URL += "?a" }},
		{"a slash", func(c *est.Config) { c.URL += "/" }},
		{"a password in the address", func(c *est.Config) { c.URL = "https://u:p@localhost" }},
		{"nobody vouches", func(c *est.Config) { c.Roots = nil }},
		{"no password", func(c *est.Config) { c.Password = "" }},
		{"no name", func(c *est.Config) { c.Username = "" }},
		{"a colon", func(c *est.Config) { c.Username = "a:b" }},
		{"no time", func(c *est.Config) { c.Timeout = -1 }},
		{"no clock", func(c *est.Config) { c.Now = nil }},
	} {
		c := est.Config{URL: "https://ca.example.com", Roots: x509.NewCertPool(), Username: "u", Password: "p", Now: time.Now}
		tt.change(&c)
		if _, err := est.New(c); err == nil {
			t.Errorf("%s: it was built", tt.name)
		}
	}
}

// TestEnroll: over TLS, with a password, a request as the device has made it; the certificate comes with its chain, for which the server is
// asked once.
func TestEnroll(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.authority()
	for n := range 2 {
		key := newKey(t)
		o := order(t, key)
		chain, err := a.Issue(t.Context(), o)
		must(t, err)
		if len(chain) != 3 || !key.Public().(*ecdsa.PublicKey).Equal(chain[0].PublicKey) || !chain[1].Equal(s.ca.cert) || !chain[2].Equal(s.root.cert) {
			t.Errorf("the chain has %d", len(chain))
		}
		if !bytes.Equal(s.requests[n], o.CSR.Raw) {
			t.Error("the server got another request")
		}
	}
	if got := s.header.Get("Content-Type"); got != "application/pkcs10" || s.header.Get("Content-Transfer-Encoding") != "base64" {
		t.Errorf("the header is %v", s.header)
	}
	if s.count("/cacerts") != 1 || s.count("/simpleenroll") != 2 || !a.Sovereign() {
		t.Errorf("the calls are %v", s.calls)
	}
}

// TestReenroll where the certificate before has the names of the request, and simply enroll where it has others.
func TestReenroll(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.authority()
	key := newKey(t)
	chain, err := a.Issue(t.Context(), order(t, key))
	must(t, err)
	o := order(t, key)
	o.Renews = chain[0]
	_, err = a.Issue(t.Context(), o)
	must(t, err)
	if s.count("/simplereenroll") != 1 {
		t.Errorf("the calls are %v", s.calls)
	}
	for _, other := range []*x509.Certificate{{}, {RawSubject: chain[0].RawSubject, URIs: []*url.URL{{Scheme: "urn", Opaque: "x"}}}} {
		o.Renews = other
		_, err = a.Issue(t.Context(), o)
		must(t, err)
	}
	if s.count("/simplereenroll") != 1 || s.count("/simpleenroll") != 3 {
		t.Errorf("the calls are %v", s.calls)
	}
}

// TestClientCertificate is shown, with an address that has a label.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := newSigner(t, "gatehouse", nil)
	a := s.authority(func(c *est.Config) {
		c.Certificates = []tls.Certificate{{Certificate: [][]byte{mine.cert.Raw}, PrivateKey: mine.key}}
		c.URL += "/.well-known/est"
	})
	_, err := a.Issue(t.Context(), order(t, newKey(t)))
	must(t, err)
	if s.peers != 1 {
		t.Errorf("shown were %d certificates", s.peers)
	}
	labelled := s.authority(func(c *est.Config) { c.URL += "/.well-known/est/phones" })
	if _, err := labelled.Issue(t.Context(), order(t, newKey(t))); err == nil || s.calls["/.well-known/est/phones/simpleenroll"] != 1 {
		t.Errorf("the calls are %v, %v", s.calls, err)
	}
}

// later answers that nothing is decided.
func later(when string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if when != "" {
			w.Header().Set("Retry-After", when)
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

func (s *server) answers(by http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = by
}

// pending wants a refusal that says when to come again.
func pending(t *testing.T, err error, want time.Duration) {
	t.Helper()
	refusal, ok := errors.AsType[*provisioning.Refusal](err)
	if !ok || refusal.Reason != provisioning.ReasonPending || refusal.RetryAfter != want {
		t.Errorf("the answer is %v, %+v, want %v", err, refusal, want)
	}
}

// TestPending: the server is left alone until the time that it names, and then gets the first request again, though the device has made
// another for its key. Other devices do not wait for it.
func TestPending(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.authority()
	key := newKey(t)
	first := order(t, key)
	for _, tt := range []struct {
		when string
		want time.Duration
	}{{"120", 2 * time.Minute}, {s.clock.Now().Add(10 * time.Minute).Format(http.TimeFormat), 10 * time.Minute}, {"", time.Minute}, {"soon", time.Minute}} {
		s.answers(later(tt.when))
		_, err := a.Issue(t.Context(), order(t, newKey(t)))
		pending(t, err, tt.want)
	}
	s.answers(later("120"))
	_, err := a.Issue(t.Context(), first)
	pending(t, err, 2*time.Minute)
	s.clock.Advance(time.Minute)
	before := s.count("/simpleenroll")
	_, err = a.Issue(t.Context(), order(t, key))
	pending(t, err, time.Minute)
	if s.count("/simpleenroll") != before {
		t.Error("the server was asked before its time")
	}
	s.answers(nil)
	if _, err := a.Issue(t.Context(), order(t, newKey(t))); err != nil {
		t.Errorf("another device: %v", err)
	}
	s.clock.Advance(time.Minute)
	s.answers(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	if _, err = a.Issue(t.Context(), order(t, key)); err == nil {
		t.Error("a broken connection gives a certificate")
	}
	s.answers(nil)
	_, err = a.Issue(t.Context(), named(t, key, "the device after it was set up anew"))
	must(t, err)
	if !bytes.Equal(s.requests[len(s.requests)-1], first.CSR.Raw) {
		t.Error("the server got another request")
	}
	last := order(t, key)
	_, err = a.Issue(t.Context(), last)
	must(t, err)
	if !bytes.Equal(s.requests[len(s.requests)-1], last.CSR.Raw) {
		t.Error("what was decided is sent again")
	}
	s.answers(later("1"))
	_, err = a.Issue(t.Context(), first)
	pending(t, err, time.Second)
	s.answers(nil)
	s.clock.Advance(48 * time.Hour)
	_, err = a.Issue(t.Context(), last)
	must(t, err)
	if !bytes.Equal(s.requests[len(s.requests)-1], last.CSR.Raw) {
		t.Error("after two days the first request is sent")
	}
}

// hang waits until the client has gone, which a server notices once it has read the request.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // what comes of it does not matter
	<-r.Context().Done()
}

// TestBadAnswers: each is an error that names the reason and repeats nothing of the answer, and none is a refusal of the device.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	const certsOnly = "application/pkcs7-mime; smime-type=certs-only"
	say := func(status int, kind, body string) func(*server) {
		return func(s *server) {
			s.answers(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(status)
				_, _ = io.WriteString(w, body) // the client has gone
			}))
		}
	}
	for _, tt := range []struct {
		name, want string
		spoil      func(*server)
	}{
		{"down", "asking the EST server", func(s *server) { s.Server.Close() }},
		{"slow", "asking the EST server", func(s *server) {
			s.answers(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hang(r) }))
		}},
		{"a fault", "status 500", say(http.StatusInternalServerError, "text/plain", "secret")},
		{"not let in", "status 401", say(http.StatusUnauthorized, "text/plain", "secret")},
		{"elsewhere", "status 302", func(s *server) { s.answers(http.RedirectHandler("https://example.com", http.StatusFound)) }},
		{"another type", "another type", say(http.StatusOK, "text/html", "secret")},
		{"no type", "another type", say(http.StatusOK, "", "secret")},
		{"a server's key", "another type", say(http.StatusOK, "application/pkcs7-mime; smime-type=server-generated-key", "AAAA")},
		{"not base64", "not in base64", say(http.StatusOK, certsOnly, "secret!")},
		{"not CMS", "no certificates", say(http.StatusOK, certsOnly, "AAAA")},
		{"nothing", "no certificates", say(http.StatusOK, certsOnly, "")},
		{"too large", "more than", say(http.StatusOK, certsOnly, strings.Repeat("A", 40<<10))},
		{"too many", "a few certificates", func(s *server) {
			s.certificate = func(der []byte) ([]byte, error) { return pkcs7.DegenerateCertificate(bytes.Repeat(der, 17)) }
		}},
		{"something signed", "a few certificates", func(s *server) {
			s.certificate = func([]byte) ([]byte, error) {
				data, err := pkcs7.NewSignedData([]byte("hello"))
				must(s.t, err)
				must(s.t, data.AddSigner(s.root.cert, s.root.key, pkcs7.SignerInfoConfig{}))
				return data.Finish()
			}
		}},
		{"another key", "another key", func(s *server) { s.key = newKey(s.t).Public() }},
		{"another subject", "not asked for", func(s *server) {
			s.change = func(c *x509.Certificate) { c.RawSubject, c.Subject = nil, pkix.Name{CommonName: "somebody"} }
		}},
		{"another name", "not asked for", func(s *server) { s.change = func(c *x509.Certificate) { c.DNSNames = []string{"bank.example.com"} } }},
		{"an unknown issuer", "who has signed", func(s *server) {
			ca := newSigner(s.t, "devices", nil)
			certificates := s.certificate
			s.certificate = func(der []byte) ([]byte, error) {
				if bytes.Contains(der, s.ca.cert.Raw) { // its own certificates
					der = s.root.cert.Raw
				}
				return certificates(der)
			}
			s.root = ca
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			a := s.authority(func(c *est.Config) {
				if tt.name == "slow" {
					c.Timeout = 200 * time.Millisecond
				}
			})
			tt.spoil(s)
			chain, err := a.Issue(t.Context(), order(t, newKey(t)))
			if _, refused := errors.AsType[*provisioning.Refusal](err); err == nil || refused || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("the answer is %v, %v", chain, err)
			}
		})
	}
}

// TestAnyNames takes what the authority calls the device, where it is told to.
func TestAnyNames(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.change = func(c *x509.Certificate) {
		c.RawSubject, c.Subject, c.DNSNames = nil, pkix.Name{CommonName: "phone-17"}, []string{"phone-17.example.com"}
	}
	chain, err := s.authority(func(c *est.Config) { c.AnyNames = true }).Issue(t.Context(), order(t, newKey(t)))
	if err != nil || chain[0].Subject.CommonName != "phone-17" {
		t.Errorf("the answer is %v, %v", chain, err)
	}
}

// TestTrust: nobody but the configured authority vouches for the server, and nothing is sent to another one.
func TestTrust(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.authority(func(c *est.Config) {
		c.Roots = x509.NewCertPool()
		c.Roots.AddCert(newSigner(t, "web", nil).cert)
	})
	if chain, err := a.Issue(t.Context(), order(t, newKey(t))); err == nil || len(s.calls) > 0 {
		t.Errorf("the answer is %v, %v, after %v", chain, err, s.calls)
	}
}

// TestRollover: an authority that has taken another key is asked again who it is, once in a minute.
func TestRollover(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	a := s.authority()
	_, err := a.Issue(t.Context(), order(t, newKey(t)))
	must(t, err)
	s.mu.Lock()
	s.ca = newSigner(t, "devices", s.root)
	s.mu.Unlock()
	if _, err := a.Issue(t.Context(), order(t, newKey(t))); err == nil {
		t.Error("a chain was made of nothing")
	}
	s.clock.Advance(time.Minute)
	chain, err := a.Issue(t.Context(), order(t, newKey(t)))
	if err != nil || !chain[1].Equal(s.ca.cert) || s.count("/cacerts") != 2 {
		t.Errorf("the answer is %v, %v, after %v", chain, err, s.calls)
	}
}

// TestCancelled: whoever asks may leave.
func TestCancelled(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.answers(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		hang(r)
	}))
	if _, err := s.authority().Issue(ctx, order(t, newKey(t))); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("the answer is %v", err)
	}
}

// TestOpenSSL makes the answer that is read.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	s := newServer(t)
	s.certificate = func(ders []byte) ([]byte, error) {
		certificates, err := x509.ParseCertificates(ders)
		must(t, err)
		var text []byte
		for _, c := range certificates {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
		}
		file := filepath.Join(t.TempDir(), "chain.pem")
		must(t, os.WriteFile(file, text, 0o600))
		return exec.CommandContext(t.Context(), openssl, "crl2pkcs7", "-nocrl", "-certfile", file, "-outform", "DER").Output()
	}
	chain, err := s.authority().Issue(t.Context(), order(t, newKey(t)))
	if err != nil || len(chain) != 3 {
		t.Errorf("the answer is %v, %v", chain, err)
	}
}

// TestRecipe: the commands of docs/provisioning.md show what a server does with a request.
func TestRecipe(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"openssl", "curl", "sh"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("there is no %s", tool)
		}
	}
	s := newServer(t)
	folder := t.TempDir()
	must(t, os.WriteFile(filepath.Join(folder, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.web.cert.Raw}), 0o600))
	_, port, _ := cut(s.Listener.Addr().String())
	command := exec.CommandContext(t.Context(), "sh", "-c", `
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=test -keyout key.pem -outform DER | openssl base64 > request
curl --cacert ca.pem -u gatehouse:secret -H 'Content-Type: application/pkcs10' --data-binary @request \
  https://localhost:`+port+`/.well-known/est/simpleenroll | openssl base64 -d | openssl pkcs7 -inform DER -print_certs`)
	command.Dir = folder
	said, err := command.Output()
	if err != nil || !strings.Contains(string(said), "BEGIN CERTIFICATE") {
		t.Errorf("it says %v\n%s", err, said)
	}
}

// FuzzReadCerts: what is read is a few certificates.
func FuzzReadCerts(f *testing.F) {
	root := newSigner(f, "root", nil)
	content, err := pkcs7.DegenerateCertificate(root.cert.Raw)
	must(f, err)
	f.Add([]byte(base64.StdEncoding.EncodeToString(content)))
	f.Add([]byte("MAA="))
	f.Fuzz(func(t *testing.T, body []byte) {
		if found, err := est.ReadCerts("application/pkcs7-mime", body); err == nil && (len(found) == 0 || len(found) > 16) {
			t.Errorf("read are %d", len(found))
		}
	})
}
