// SPDX-License-Identifier: Apache-2.0

package callout_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/callout"
)

func TestStatusError(t *testing.T) {
	t.Parallel()
	for _, status := range []int{201, 204, 302, 401, 404, 429, 500} {
		client := backend(t, callout.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "7")
			answering(status, "application/json", "")(w, r)
		})
		answer, err := client.Post(t.Context(), "x")
		var said *callout.StatusError
		if !errors.As(err, &said) || said.Status != status || said.RetryAfter != "7" || answer != nil {
			t.Errorf("status %d: %q, %v", status, answer, err)
		}
		if !errors.Is(err, callout.ErrAnswer) {
			t.Errorf("status %d is no ErrAnswer: %v", status, err)
		}
	}
}

// certificate is one that vouches for itself.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gatehouse"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A back end that wants to see a certificate sees the one that was configured, and has no answer for those without.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	shown := certificate(t)
	trusted, err := x509.ParseCertificate(shown.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(trusted)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answering(http.StatusOK, "application/json", `"`+r.TLS.PeerCertificates[0].Subject.CommonName+`"`)(w, r)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for name, tt := range map[string]struct {
		certificates []tls.Certificate
		want         string
	}{
		"the right one": {[]tls.Certificate{shown}, `"gatehouse"`}, "none": {nil, ""}, "another": {[]tls.Certificate{certificate(t)}, ""},
	} {
		client, err := callout.New(callout.Config{URL: server.URL, Roots: roots, Certificates: tt.certificates})
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Post(t.Context(), "x")
		client.Close()
		if string(answer) != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
}
