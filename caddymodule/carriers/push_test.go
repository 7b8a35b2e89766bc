// SPDX-License-Identifier: Apache-2.0

package carriers_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	sender "github.com/gatehouse-id/gatehouse/mobileauth/push/webpush"
	"github.com/gatehouse-id/gatehouse/tests/services/apns"
	"github.com/gatehouse-id/gatehouse/tests/services/fcm"
	"github.com/gatehouse-id/gatehouse/tests/services/loopback"
	"github.com/gatehouse-id/gatehouse/tests/services/proxy"
	"github.com/gatehouse-id/gatehouse/tests/services/webhook"
	"github.com/gatehouse-id/gatehouse/tests/services/webpush"
)

// vapid returns the file of a VAPID key.
func vapid(t *testing.T) string {
	t.Helper()
	_, file, err := sender.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "vapid.pem", file)
}

// arrives sends a notification and expects it in an inbox.
func arrives(t *testing.T, s push.Sender, inbox *loopback.Inbox, address string) {
	t.Helper()
	if err := s.Check(address); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), notification(address)); err != nil {
		t.Fatal(err)
	}
	if n, ok := inbox.Take(t.Context(), address); !ok || n.Operation != "op_Ab3-9" {
		t.Errorf("the phone was told %+v", n)
	}
}

var token = strings.Repeat("a1", 32)

func TestAPNs(t *testing.T) {
	t.Parallel()
	a, ca := authority(t)
	key, err := apns.NewKey("TEAM000001", "KEY0000001")
	if err != nil {
		t.Fatal(err)
	}
	p8, err := key.P8()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "AuthKey.p8", p8)
	c := apns.Config{Authority: a, Now: time.Now, Keys: []*apns.Key{key}, Open: true}
	production := closing(t, func() (*apns.Service, error) { return apns.Start(c) })
	c.Sandbox = true
	sandbox := closing(t, func() (*apns.Service, error) { return apns.Start(c) })
	between := closing(t, func() (*proxy.Proxy, error) { return proxy.Start(proxy.Config{User: "me", Password: "pr0xy-secret"}) })
	s := guest[push.Sender](t, "gatehouse.push.apns", fmt.Sprintf(`apns {
		team_id TEAM000001
		key_id KEY0000001
		key_file %s
		title_key TT
		category CC
		endpoint %s
		sandbox_endpoint %s
		proxy {file.%s}
		ca_file %s
	}`, path, production.URL, sandbox.URL, write(t, "proxy", []byte(between.URL.String())), ca), "pr0xy-secret", strings.Split(string(p8), "\n")[1])
	arrives(t, s, &production.Inbox, token)
	if asked := between.Asked(); len(asked) != 1 || !strings.HasSuffix(production.URL, asked[0]) {
		t.Errorf("the proxy was asked for %q", asked)
	}
	if sent := string(production.Requests()[0].Payload); !strings.Contains(sent, "TT") || !strings.Contains(sent, "CC") {
		t.Errorf("sent: %s", sent)
	}
	m := notification(token)
	m.Sandbox = true
	if err := s.Send(t.Context(), m); err != nil || sandbox.Stats().Accepted != 1 || production.Stats().Accepted != 1 {
		t.Errorf("in development: %v, %+v", err, sandbox.Stats())
	}
}

// TestAPNsByCertificate: the deprecated credential works too.
func TestAPNsByCertificate(t *testing.T) {
	t.Parallel()
	a, ca := authority(t)
	service := closing(t, func() (*apns.Service, error) { return apns.Start(apns.Config{Authority: a, Now: time.Now, Open: true}) })
	certificate, err := apns.Certificate(a, "com.example.bank", false, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	for _, c := range certificate.Certificate {
		_ = pem.Encode(&file, &pem.Block{Type: "CERTIFICATE", Bytes: c})
	}
	_ = pem.Encode(&file, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	s := guest[push.Sender](t, "gatehouse.push.apns", fmt.Sprintf("apns {\ncertificate_file %s\nendpoint %s\nca_file %s\n}",
		write(t, "certificate.pem", file.Bytes()), service.URL, ca))
	arrives(t, s, &service.Inbox, token)
}

func TestFCM(t *testing.T) {
	t.Parallel()
	a, ca := authority(t)
	google := closing(t, func() (*fcm.Service, error) {
		return fcm.Start(fcm.Config{Authority: a, Now: time.Now, Project: "gatehouse-tests", Open: true})
	})
	account, err := google.Account()
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, "account.json", account)
	s := guest[push.Sender](t, "gatehouse.push.fcm", fmt.Sprintf("fcm {\nservice_account_file %s\ntoken_host %s\nendpoint %s\nca_file %s\n}",
		path, google.TokenHost(), google.URL, ca), "PRIVATE KEY")
	arrives(t, s, &google.Inbox, strings.Repeat("f", 140))
	// Nobody fetches tokens from a host that only the file names.
	if _, err := provision(t, "gatehouse.push.fcm", "fcm {\nservice_account_file "+path+"\n}"); err == nil || strings.Contains(err.Error(), "PRIVATE") {
		t.Errorf("a token host that was not allowed: %v", err)
	}
}

func TestWebPush(t *testing.T) {
	t.Parallel()
	a, ca := authority(t)
	service := closing(t, func() (*webpush.Service, error) { return webpush.Start(webpush.Config{Authority: a, Now: time.Now}) })
	key, file, err := sender.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	subscribed, err := service.Subscribe(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	const options = `webpush {
		vapid_key_file %s %s
		contact mailto:ops@example.com
		hosts 127.0.0.1
		%s
		declarative {
			title "A question"
			navigate https://example.com/q
		}
		ca_file %s
	}`
	path := write(t, "vapid.pem", file)
	s := guest[push.Sender](t, "gatehouse.push.webpush", fmt.Sprintf(options, path, vapid(t), "allow 127.0.0.1", ca), strings.Split(string(file), "\n")[1])
	arrives(t, s, &service.Inbox, subscribed.JSON)
	if sent := string(service.Messages()[0].Payload); !strings.Contains(sent, "A question") || !strings.Contains(sent, "operation=op_Ab3-9") {
		t.Errorf("sent: %s", sent)
	}
	// What is not allowed is not called.
	s = guest[push.Sender](t, "gatehouse.push.webpush", fmt.Sprintf(options, path, vapid(t), "allow 192.0.2.0/24", ca))
	if err := s.Send(t.Context(), notification(subscribed.JSON)); err == nil || len(service.Messages()) != 1 {
		t.Errorf("an address that is not allowed: %v", err)
	}
}

// TestWebhook: it sends nothing before it has the issuer's key, and then what the service verifies.
func TestWebhook(t *testing.T) {
	t.Parallel()
	a, ca := authority(t)
	key, err := jose.GenerateKey(jose.ES256)
	if err != nil {
		t.Fatal(err)
	}
	private, err := jose.MarshalPrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, authorization, option, secret string }{
		{"by a token", "Bearer b3arer-secret", "bearer {file.%s}", "b3arer-secret"},
		{"by a password", "Basic bWU6cGFzcy1zZWNyZXQ=", "basic_auth me {file.%s}", "pass-secret"},
		{"by the signature alone", "", "allow 127.0.0.2 # %s", "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			service := closing(t, func() (*webhook.Service, error) {
				return webhook.Start(webhook.Config{
					Authority: a, Now: time.Now, Keys: fmt.Appendf(nil, `{"keys":[%s]}`, private), Authorization: c.authorization,
				})
			})
			s := guest[interface {
				push.Sender
				Sign(key func() (jose.PrivateKey, error)) error
			}](t, "gatehouse.push.webhook", fmt.Sprintf("webhook {\nurl %s/push\n%s\nallow 127.0.0.1\nca_file %s\n}",
				service.URL, fmt.Sprintf(c.option, write(t, "secret", []byte(c.secret))), ca), c.secret)
			if err := s.Send(t.Context(), notification("user 7")); err == nil || len(service.Requests()) != 0 {
				t.Errorf("without a key: %v", err)
			}
			if err := s.Sign(func() (jose.PrivateKey, error) { return key, nil }); err != nil {
				t.Fatal(err)
			}
			arrives(t, s, &service.Inbox, "user 7")
		})
	}
}
