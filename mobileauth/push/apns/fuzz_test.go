// SPDX-License-Identifier: Apache-2.0

package apns_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/apns"
)

// Whatever an answer says, only a plain 410 makes an address dead, and nothing of it but a word is repeated.
func FuzzAnswer(f *testing.F) {
	f.Add(410, []byte(`{"reason":"Unregistered","timestamp":1700000000000}`))
	f.Add(410, []byte(`{"reason":"Unregistered","timestamp":-1}`))
	f.Add(403, []byte(`{"reason":"InvalidProviderToken"}`))
	f.Add(400, []byte(`{"reason":"device feedface is bad"}`))
	f.Add(503, []byte("<html>"))
	f.Add(200, []byte(`{"reason":7}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		got := apns.JudgeAnswer(status, body, start)
		if got.Class == push.Dead && (status != 410 || !strings.Contains(string(body), "timestamp") && got.Reason != "Unregistered" &&
			got.Reason != "ExpiredToken") {
			t.Errorf("%d %q makes an address dead", status, body)
		}
		if got.Reason == "" || push.Word(got.Reason) != got.Reason {
			t.Errorf("%d %q has the reason %q", status, body, got.Reason)
		}
		if push.ClassOf(got) != got.Class || got.Status != status || got.RetryAfter < 0 || got.RetryAfter > time.Hour {
			t.Errorf("%d %q is %+v", status, body, got)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pkcs8(f, key))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := apns.ParseKey(data)
		if (err == nil) != (key != nil) || err != nil && !errors.Is(err, apns.ErrCredential) {
			t.Errorf("ParseKey = %v, %v", key, err)
		}
	})
}

func FuzzParsePKCS12(f *testing.F) {
	for _, name := range []string{"push.p12", "modern.p12"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "correct")
	}
	f.Fuzz(func(t *testing.T, data []byte, password string) {
		if len(data) > 4<<10 || strings.Contains(string(data), "\x02\x04") {
			t.Skip() // a count of iterations beyond three bytes takes its time
		}
		cert, err := apns.ParsePKCS12(data, password)
		if (err == nil) != (cert != nil) || err != nil && !errors.Is(err, apns.ErrCredential) {
			t.Errorf("ParsePKCS12 = %v, %v", cert, err)
		}
	})
}
