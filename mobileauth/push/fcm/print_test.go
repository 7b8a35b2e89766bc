// SPDX-License-Identifier: Apache-2.0

package fcm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/fcm"
)

func TestCredentialsDoNotPrint(t *testing.T) {
	t.Parallel()
	account := build(t, nil).account(t)
	for _, v := range []any{account, fcm.Config{Account: account}} {
		var logged bytes.Buffer
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "v", v)
		for _, text := range []string{fmt.Sprint(v), fmt.Sprintf("%+v", v), fmt.Sprintf("%#v", v), logged.String()} {
			if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "45 45 45") {
				t.Errorf("it prints as %s", text)
			}
		}
		if data, err := json.Marshal(v); err == nil {
			t.Errorf("it is written as %s", data)
		}
	}
}

// Whatever an answer says, only the two words with their status make an address dead, and nothing of it but a word is repeated.
func FuzzAnswer(f *testing.F) {
	f.Add(404, []byte(errorOf(404, "NOT_FOUND", firebase("UNREGISTERED")).Body))
	f.Add(403, []byte(errorOf(403, "PERMISSION_DENIED", firebase("SENDER_ID_MISMATCH")).Body))
	f.Add(429, []byte(errorOf(429, "RESOURCE_EXHAUSTED", firebase("QUOTA_EXCEEDED")).Body))
	f.Add(503, []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, got := range []*push.Failure{fcm.JudgeAnswer(status, body), fcm.JudgeToken(status, body)} {
			if got.Class == push.Dead && (got.Reason != "UNREGISTERED" || status != 404) && (got.Reason != "SENDER_ID_MISMATCH" || status != 403) {
				t.Errorf("%d %q makes an address dead: %v", status, body, got)
			}
			if got.Reason == "" || push.Word(got.Reason) != got.Reason || push.ClassOf(got) != got.Class || got.Status != status {
				t.Errorf("%d %q is %+v", status, body, got)
			}
		}
	})
}

func FuzzParseServiceAccount(f *testing.F) {
	f.Add([]byte(`{"type":"service_account","project_id":"p","private_key_id":"k","private_key":"","client_email":"a@b","token_uri":"https://x"}`))
	f.Add([]byte("AIzaSyA"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := fcm.ParseServiceAccount(data)
		if (err == nil) != (a != nil) {
			t.Errorf("ParseServiceAccount = %v, %v", a, err)
		}
	})
}
