// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning/status"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

var discard = slog.New(slog.DiscardHandler)

func TestNewNeedsItsParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(*status.Config){
		"issuers": func(c *status.Config) { c.Issuers = nil }, "certificates": func(c *status.Config) { c.Certificates = nil },
		"path": func(c *status.Config) { c.Path = "/x" }, "clock": func(c *status.Config) { c.Now = nil }, "logger": func(c *status.Config) { c.Logger = nil },
	} {
		c := status.Config{Issuers: w.issuers, Certificates: w.records, Path: path, Now: w.clock.Now, Logger: discard}
		change(&c)
		if _, err := status.New(c); err == nil {
			t.Errorf("without %s it was built", name)
		}
	}
	for name, change := range map[string]func(*status.IssuersConfig){
		"store": func(c *status.IssuersConfig) { c.DB = nil }, "sealer": func(c *status.IssuersConfig) { c.Sealer = nil },
		"clock": func(c *status.IssuersConfig) { c.Now = nil }, "logger": func(c *status.IssuersConfig) { c.Logger = nil },
		"slash": func(c *status.IssuersConfig) { c.Base = "https://auth.example.com" },
	} {
		c := status.IssuersConfig{DB: w.db, Sealer: w.sealer, Now: w.clock.Now, Logger: discard}
		change(&c)
		if _, err := status.NewIssuers(c); err == nil {
			t.Errorf("without %s it was built", name)
		}
	}
}

// TestCertificatesSayWhereToAsk, unless there is nowhere to.
func TestCertificatesSayWhereToAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.issue()[0]
	if want := "https://auth.example.com/provisioning/" + w.authority() + ".crl"; len(c.CRLDistributionPoints) != 1 || c.CRLDistributionPoints[0] != want {
		t.Errorf("the list is at %q, want %q", c.CRLDistributionPoints, want)
	}
	if len(c.OCSPServer) != 1 || c.OCSPServer[0] != "https://auth.example.com/provisioning/ocsp" {
		t.Errorf("answers are at %q", c.OCSPServer)
	}
	w.start("")
	if c = w.issue()[0]; len(c.CRLDistributionPoints)+len(c.OCSPServer) > 0 {
		t.Errorf("the list is at %q, answers at %q", c.CRLDistributionPoints, c.OCSPServer)
	}
	w.start("https://auth.example.com/")
	key := newKey(t)
	w.by = provisioning.Issuer{Key: key, Chain: []*x509.Certificate{w.certificate(&x509.Certificate{
		Subject: pkix.Name{CommonName: "signs no lists"}, KeyUsage: x509.KeyUsageCertSign,
	}, w.root, key)}}
	chain := w.issue()
	if c = chain[0]; len(c.CRLDistributionPoints) > 0 || len(c.OCSPServer) == 0 {
		t.Errorf("of an authority that signs no lists the list is at %q, answers at %q", c.CRLDistributionPoints, c.OCSPServer)
	}
	if got := w.send(http.MethodGet, path+w.authority()+".crl", nil); got.Code != http.StatusNotFound {
		t.Errorf("its list is %d", got.Code)
	}
	if got := w.told(c, chain[1]); got.Status != ocsp.Good {
		t.Errorf("its certificate is %d", got.Status)
	}
}

// TestRevoked: list and answer say it from the next request on, of this certificate and no other.
func TestRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, other := w.issue(), w.issue()
	by := one[1]
	if list := w.listed(by); len(list.RevokedCertificateEntries) != 0 || !list.NextUpdate.Equal(w.clock.Now().Add(24*time.Hour)) {
		t.Errorf("before, the list has %v, until %v", list.RevokedCertificateEntries, list.NextUpdate)
	}
	for _, chain := range [][]*x509.Certificate{one, other} {
		if got := w.told(chain[0], by); got.Status != ocsp.Good || !got.NextUpdate.Equal(w.clock.Now().Add(time.Hour)) || got.Certificate != nil {
			t.Errorf("before, the answer is %+v", got)
		}
	}
	first := w.listed(by).Number
	w.revoke(one[0])
	list := w.listed(by)
	if len(list.RevokedCertificateEntries) != 1 || list.RevokedCertificateEntries[0].SerialNumber.Cmp(one[0].SerialNumber) != 0 ||
		!list.RevokedCertificateEntries[0].RevocationTime.Equal(w.clock.Now()) {
		t.Errorf("the list has %v", list.RevokedCertificateEntries)
	}
	if list.Number.Cmp(first) <= 0 {
		t.Errorf("the second list has the number %v after %v", list.Number, first)
	}
	if got := w.told(one[0], by); got.Status != ocsp.Revoked || !got.RevokedAt.Equal(w.clock.Now()) {
		t.Errorf("the answer is %+v", got)
	}
	if got := w.told(other[0], by); got.Status != ocsp.Good {
		t.Errorf("the answer about another one is %+v", got)
	}
}

// TestReasons: others are told of a key that was replaced that it was, and nothing of why somebody was taken out.
func TestReasons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	replaced, revoked := w.issue(), w.issue()
	w.revoke(revoked[0])
	w.revoke(replaced[0])
	w.records.list[0].OverAt = w.clock.Now()
	for _, entry := range w.listed(replaced[1]).RevokedCertificateEntries {
		want := ocsp.Unspecified
		if entry.SerialNumber.Cmp(replaced[0].SerialNumber) == 0 {
			want = ocsp.Superseded
		}
		if entry.ReasonCode != want {
			t.Errorf("the list has %+v", entry)
		}
	}
	for want, chain := range map[int][]*x509.Certificate{ocsp.Superseded: replaced, ocsp.Unspecified: revoked} {
		if got := w.told(chain[0], chain[1]); got.Status != ocsp.Revoked || got.RevocationReason != want {
			t.Errorf("the answer is %+v, want the reason %d", got, want)
		}
	}
}

// TestKeptWork: what was signed is given out again, for a while.
func TestKeptWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain := w.issue()
	number, from := w.listed(chain[1]).Number, w.told(chain[0], chain[1]).ThisUpdate
	asked := w.records.asked
	w.clock.Advance(9 * time.Minute)
	if again, then := w.listed(chain[1]).Number, w.told(chain[0], chain[1]).ThisUpdate; again.Cmp(number) != 0 || !then.Equal(from) || w.records.asked != asked {
		t.Errorf("list %v after %v, answer of %v after %v, and the records were asked", again, number, then, from)
	}
	w.clock.Advance(time.Hour)
	if again, then := w.listed(chain[1]).Number, w.told(chain[0], chain[1]).ThisUpdate; again.Cmp(number) <= 0 || !then.Equal(w.clock.Now()) {
		t.Errorf("an hour later the list is %v after %v, the answer of %v", again, number, then)
	}
	got := w.send(http.MethodGet, path+w.authority()+".crl", nil)
	tag := got.Header().Get("ETag")
	if !strings.Contains(got.Header().Get("Cache-Control"), "max-age=300") || tag == "" {
		t.Errorf("caches are told %s", got.Header())
	}
	if got := w.send(http.MethodGet, path+w.authority()+".crl", nil, "If-None-Match", tag); got.Code != http.StatusNotModified {
		t.Errorf("a cache gets %d", got.Code)
	}
	w.revoke(chain[0])
	if got := w.send(http.MethodGet, path+w.authority()+".crl", nil, "If-None-Match", tag); got.Code != http.StatusOK {
		t.Errorf("after a revocation in the same second a cache gets %d", got.Code)
	}
}

// TestRotation: an authority that has taken another key, and another node, answer for what was issued with the one before, until that
// is over.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old := w.issue()
	w.clock.Advance(time.Second)
	w.rotate(newKey(t))
	fresh := w.issue()
	w.revoke(old[0])
	for range 2 {
		if list := w.listed(old[1]); len(list.RevokedCertificateEntries) != 1 {
			t.Errorf("the list of the key before has %v", list.RevokedCertificateEntries)
		}
		if list := w.listed(fresh[1]); len(list.RevokedCertificateEntries) != 0 {
			t.Errorf("the list of the key of today has %v", list.RevokedCertificateEntries)
		}
		if got := w.told(old[0], old[1]); got.Status != ocsp.Revoked {
			t.Errorf("the answer about the old one is %+v", got)
		}
		if got := w.told(fresh[0], fresh[1]); got.Status != ocsp.Good {
			t.Errorf("the answer about the new one is %+v", got)
		}
		w.start("") // another node, with nothing but the store
	}
	w.clock.Advance(3 * 365 * 24 * time.Hour)
	if got := w.send(http.MethodGet, path+provisioning.AuthorityID(old[1])+".crl", nil); got.Code != http.StatusNotFound {
		t.Errorf("when it is over its list is %d", got.Code)
	}
}

// stubborn is a key that gives itself to nobody.
type stubborn struct{ crypto.Signer }

// TestStubbornKey answers as long as the node has it; and the log says so.
func TestStubbornKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.rotate(stubborn{newKey(t)})
	chain := w.issue()
	if got := w.told(chain[0], chain[1]); got.Status != ocsp.Good || !strings.Contains(w.log.String(), "cannot be kept") {
		t.Errorf("the answer is %+v, and the log says %s", got, &w.log)
	}
	w.start("")
	request, err := ocsp.CreateRequest(chain[0], chain[1], nil)
	must(t, err)
	if got := w.ask(request); !bytes.Equal(got.Body.Bytes(), ocsp.UnauthorizedErrorResponse) {
		t.Errorf("another node answers %x", got.Body)
	}
}

// TestOtherKey: a renewal between the certificate and the key issues nothing.
func TestOtherKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.by.Key = newKey(t)
	if err := w.issuers.Before(t.Context(), w.by, new(x509.Certificate)); err == nil {
		t.Error("a key that does not fit is kept")
	}
	w.by.Key = w.rootKey
	w.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: storage.ErrUnavailable})
	w.by.Chain = []*x509.Certificate{w.root}
	if err := w.issuers.Before(t.Context(), w.by, new(x509.Certificate)); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("without a store: %v", err)
	}
}

// TestQuestions: what is no question, or about nobody's certificate, gets the answer that says so.
func TestQuestions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain := w.issue()
	good, err := ocsp.CreateRequest(chain[0], chain[1], nil)
	must(t, err)
	sha256, err := ocsp.CreateRequest(chain[0], chain[1], &ocsp.RequestOptions{Hash: crypto.SHA256})
	must(t, err)
	elsewhere, err := ocsp.CreateRequest(chain[0], w.root, nil)
	must(t, err)
	about := func(serial *big.Int) []byte {
		parsed, err := ocsp.ParseRequest(good)
		must(t, err)
		parsed.SerialNumber = serial
		der, err := parsed.Marshal()
		must(t, err)
		return der
	}
	for _, tt := range []struct {
		name string
		der  []byte
		want int // the status of the certificate; below 0 that of the answer
	}{
		{"a certificate", good, ocsp.Good},
		{"by SHA-256", sha256, ocsp.Good},
		{"never issued", about(big.NewInt(7)), ocsp.Unknown},
		{"no serial number", about(big.NewInt(0)), ocsp.Unknown},
		{"a negative one", about(new(big.Int).Neg(chain[0].SerialNumber)), ocsp.Unknown},
		{"another authority's", elsewhere, -int(ocsp.Unauthorized)},
		{"nothing", nil, -int(ocsp.Malformed)},
		{"something else", []byte("what about mine?"), -int(ocsp.Malformed)},
		{"with something behind it", append(bytes.Clone(good), 0), -int(ocsp.Malformed)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, got := range []*httptest.ResponseRecorder{
				w.ask(tt.der), w.send(http.MethodGet, path+"ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(tt.der)), nil),
			} {
				if got.Code != http.StatusOK || got.Header().Get("Content-Type") != "application/ocsp-response" {
					t.Fatalf("the answer is %d, %s", got.Code, got.Header())
				}
				response, err := ocsp.ParseResponse(got.Body.Bytes(), chain[1])
				failed, wrong := errors.AsType[ocsp.ResponseError](err)
				switch {
				case tt.want < 0 && (!wrong || int(failed.Status) != -tt.want || got.Header().Get("Cache-Control") != "no-store"):
					t.Errorf("the answer is %v, %v, %s", response, err, got.Header())
				case tt.want >= 0 && (err != nil || response.Status != tt.want):
					t.Errorf("the answer is %+v, %v", response, err)
				}
			}
		})
	}
}

// TestUnfit: what is no request of this kind is refused before it is read, and nobody asks without end.
func TestUnfit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain := w.issue()
	good, err := ocsp.CreateRequest(chain[0], chain[1], nil)
	must(t, err)
	long := bytes.Repeat([]byte{'A'}, 4096)
	for _, tt := range []struct {
		name, method, target, kind string
		body                       []byte
		want                       int
	}{
		{"another path", http.MethodGet, path + "keys", "", nil, http.StatusNotFound},
		{"above", http.MethodGet, "/base/x.crl", "", nil, http.StatusNotFound},
		{"no authority's list", http.MethodGet, path + "x.crl", "", nil, http.StatusNotFound},
		{"a list of nobody", http.MethodGet, path + ".crl", "", nil, http.StatusNotFound},
		{"a list by POST", http.MethodPost, path + "x.crl", "", nil, http.StatusMethodNotAllowed},
		{"no question", http.MethodGet, path + "ocsp", "", nil, http.StatusMethodNotAllowed},
		{"another type", http.MethodPost, path + "ocsp", "application/json", good, http.StatusUnsupportedMediaType},
		{"no type", http.MethodPost, path + "ocsp", "", good, http.StatusUnsupportedMediaType},
		{"a long question", http.MethodPost, path + "ocsp", "application/ocsp-request", long, http.StatusRequestEntityTooLarge},
		{"a long question in the path", http.MethodGet, path + "ocsp/" + string(long), "", nil, http.StatusRequestURITooLong},
	} {
		if got := w.send(tt.method, tt.target, tt.body, "Content-Type", tt.kind); got.Code != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got.Code, tt.want)
		}
	}
	for range 100 {
		w.ask(good)
	}
	if got := w.ask(good); got.Code != http.StatusTooManyRequests || got.Header().Get("Retry-After") == "" {
		t.Errorf("the 101st gets %d, %s", got.Code, got.Header())
	}
	w.clock.Advance(time.Second)
	if got := w.ask(good); got.Code != http.StatusOK {
		t.Errorf("a second later it gets %d", got.Code)
	}
}

// TestStoreDown: the latest list is given out as long as it is good, and nothing is guessed.
func TestStoreDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	chain := w.issue()
	number := w.listed(chain[1]).Number
	request, err := ocsp.CreateRequest(chain[0], chain[1], nil)
	must(t, err)
	w.clock.Advance(2 * time.Hour)
	down := func() { w.db.Inject(storagetest.Fault{Op: storagetest.OnView, Err: storage.ErrUnavailable}) }
	down()
	if again := w.listed(chain[1]).Number; again.Cmp(number) != 0 {
		t.Errorf("the list is %v after %v", again, number)
	}
	if got := w.ask(request); got.Code != http.StatusOK || !bytes.Equal(got.Body.Bytes(), ocsp.TryLaterErrorResponse) {
		t.Errorf("the answer is %d, %x", got.Code, got.Body)
	}
	w.clock.Advance(22 * time.Hour)
	if got := w.send(http.MethodGet, path+w.authority()+".crl", nil); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" {
		t.Errorf("when it is over the list is %d, %s", got.Code, got.Header())
	}
	w.start("") // nothing is known of any authority
	if got := w.send(http.MethodGet, path+w.authority()+".crl", nil); got.Code != http.StatusServiceUnavailable {
		t.Errorf("on another node the list is %d", got.Code)
	}
	w.db.Clear()
	w.records.err = storage.ErrUnavailable
	if got := w.ask(request); !bytes.Equal(got.Body.Bytes(), ocsp.TryLaterErrorResponse) {
		t.Errorf("without records the answer is %x", got.Body)
	}
	if got := w.send(http.MethodGet, path+w.authority()+".crl", nil); got.Code != http.StatusServiceUnavailable {
		t.Errorf("without records the list is %d", got.Code)
	}
	w.records.err = nil
	if got := w.told(chain[0], chain[1]); got.Status != ocsp.Good {
		t.Errorf("after that the answer is %+v", got)
	}
	if !strings.Contains(w.log.String(), "cannot be told") {
		t.Errorf("the log says %s", &w.log)
	}
}

// TestOpenSSL reads lists and answers, of authorities with either kind of key, before and after the authority has taken another one.
func TestOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("there is no openssl")
	}
	run := func(t *testing.T, good bool, want string, args ...string) {
		t.Helper()
		said, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput()
		if (err == nil) != good || !strings.Contains(string(said), want) {
			t.Errorf("openssl %s: %v, and it does not say %q\n%s", args[0], err, want, said)
		}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	for name, key := range map[string]crypto.Signer{"P-256": newKey(t), "RSA": rsaKey} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.rotate(key)
			good, bad := w.issue(), w.issue()
			w.revoke(bad[0])
			w.rotate(newKey(t))
			w.issue()
			server := httptest.NewServer(w.handler)
			defer server.Close()
			root, issuer := w.write("root.pem", "CERTIFICATE", w.root.Raw), w.write("issuer.pem", "CERTIFICATE", good[1].Raw)
			der := w.send(http.MethodGet, path+provisioning.AuthorityID(good[1])+".crl", nil).Body.Bytes()
			file := w.write("list.pem", "X509 CRL", der)
			run(t, true, "verify OK", "crl", "-in", file, "-CAfile", issuer, "-noout", "-text")
			for _, tt := range []struct {
				chain []*x509.Certificate
				good  bool
				says  string
			}{{good, true, ": good"}, {bad, false, ": revoked"}} {
				leaf := w.write("leaf.pem", "CERTIFICATE", tt.chain[0].Raw)
				run(t, tt.good, "", "verify", "-x509_strict", "-crl_check", "-CRLfile", file, "-CAfile", root, "-untrusted", issuer, leaf)
				run(t, true, tt.says, "ocsp", "-issuer", issuer, "-cert", leaf, "-CAfile", root, "-url", server.URL+path+"ocsp")
			}
			run(t, true, ": unknown", "ocsp", "-issuer", issuer, "-serial", "7", "-CAfile", root, "-url", server.URL+path+"ocsp")
			leaves := w.write("other.pem", "CERTIFICATE", w.root.Raw)
			run(t, false, "unauthorized", "ocsp", "-issuer", root, "-cert", leaves, "-CAfile", root, "-url", server.URL+path+"ocsp")
		})
	}
}

// FuzzOCSP: whatever is asked gets an answer, and nothing that was never issued is good.
func FuzzOCSP(f *testing.F) {
	w := newWorld(f)
	chain := w.issue()
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		request, err := ocsp.CreateRequest(chain[0], chain[1], &ocsp.RequestOptions{Hash: hash})
		must(f, err)
		f.Add(request)
	}
	f.Add([]byte{0x30, 0x00})
	f.Fuzz(func(t *testing.T, der []byte) {
		w.t = t
		w.clock.Advance(time.Second)
		got := w.ask(der)
		if got.Code == http.StatusRequestEntityTooLarge {
			return
		}
		response, err := ocsp.ParseResponse(got.Body.Bytes(), chain[1])
		if _, wrong := errors.AsType[ocsp.ResponseError](err); err != nil && !wrong || got.Code != http.StatusOK {
			t.Fatalf("the answer is %d: %v", got.Code, err)
		}
		if err == nil && response.Status == ocsp.Good && response.SerialNumber.Cmp(chain[0].SerialNumber) != 0 {
			t.Errorf("%v is good", response.SerialNumber)
		}
	})
}

func BenchmarkOCSP(b *testing.B) {
	w := newWorld(b)
	chain := w.issue()
	request, err := ocsp.CreateRequest(chain[0], chain[1], nil)
	must(b, err)
	b.ReportAllocs()
	for b.Loop() {
		w.clock.Advance(time.Second)
		if got := w.ask(request); got.Code != http.StatusOK {
			b.Fatal(got.Code)
		}
	}
}
