// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/signedpost"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webhook"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/twilio"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
)

var local = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// secret reads the file that a placeholder names.
func secret(t *testing.T, printed, word string) string {
	t.Helper()
	path := strings.TrimSuffix(strings.TrimPrefix(value(t, printed, word), "{file."), "}")
	return string(file(t, path))
}

// base returns the address that was printed behind some words.
func base(t *testing.T, printed, words string) string {
	t.Helper()
	found := regexp.MustCompile(regexp.QuoteMeta(words) + `[^\n]*?(https://[0-9.:]+)`).FindStringSubmatch(printed)
	if found == nil {
		t.Fatalf("%s is not printed:\n%s", words, printed)
	}
	return found[1]
}

func TestTheOtherWaysWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	printed := launch(t, dir, "webpush,webhook,twilio")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(file(t, filepath.Join(dir, "ca.pem")))
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}

	key, err := webpush.ParseKey(file(t, value(t, printed, "vapid_key_file")))
	if err != nil {
		t.Fatal(err)
	}
	browsers, err := webpush.New(webpush.Config{
		Keys: []*webpush.Key{key}, Subject: value(t, printed, "contact"), Allow: local, Roots: roots, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(browsers.Close)
	token := secret(t, printed, "bearer")
	credentials, err := signedpost.Bearer(token)
	if err != nil {
		t.Fatal(err)
	}
	own, err := webhook.New(webhook.Config{
		Receiver: signedpost.Receiver{URL: value(t, printed, "url"), Allow: local, Credentials: credentials}, Roots: roots, Now: time.Now,
		Key: func() (jose.PrivateKey, error) { return jose.GenerateKey(jose.ES256) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Close)
	for _, way := range []struct {
		sender        push.Sender
		base, address string
	}{
		{browsers, base(t, printed, "# Browsers:"), subscribe(t, client, base(t, printed, "# Browsers:")+"/subscribe?key="+key.Public())},
		{own, base(t, printed, "signatures here:"), "phone 1"},
	} {
		m := push.Message{ID: "6f1c2a90-7f0e-4b1d-9a55-0123456789ab", Operation: "op_1", Address: way.address, Expires: time.Now().Add(time.Minute)}
		if err := way.sender.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if n := next(t, client, way.base+loopback.InboxPath+url.PathEscape(way.address)); n.Operation != "op_1" {
			t.Errorf("%s: the phone was told %+v", way.base, n)
		}
	}
	texts, err := twilio.New(twilio.Config{
		AccountSID: value(t, printed, "account_sid"), AuthToken: sms.Secret(secret(t, printed, "auth_token")), From: value(t, printed, "from"),
		BaseURL: value(t, printed, "endpoint"), Roots: roots, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(texts.Close)
	if _, err := texts.Send(t.Context(), sms.Message{ID: "m1", To: "+31612345678", Text: "739154", Expires: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if n := next(t, client, value(t, printed, "endpoint")+loopback.InboxPath+"+31612345678"); !strings.Contains(string(n.Payload), "739154") {
		t.Errorf("the phone was told %+v", n)
	}
}

// subscribe returns the address that a phone gets.
func subscribe(t *testing.T, client *http.Client, at string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	address, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%d: %v", response.StatusCode, err)
	}
	return string(address)
}
