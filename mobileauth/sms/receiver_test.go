// SPDX-License-Identifier: Apache-2.0

package sms_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

const secret = "kGB2lDZ7C0iT_5r-QcwX1w"

// words reads a body of ids; one that begins with "no" is not authentic.
func words(_ *http.Request, body []byte) ([]sms.Report, bool) {
	if strings.HasPrefix(string(body), "no") {
		return nil, false
	}
	var reports []sms.Report
	for word := range strings.FieldsSeq(string(body)) {
		reports = append(reports, sms.Report{ID: word, State: sms.Delivered})
	}
	return reports, true
}

func TestReceiver(t *testing.T) {
	t.Parallel()
	var told []string
	handler, err := sms.Receiver{Secret: secret, Read: words, Told: func(ctx context.Context, r sms.Report) error {
		told = append(told, r.ID)
		switch r.ID {
		case "unknown":
			return fmt.Errorf("looking: %w", sms.ErrUnknown)
		case "broken":
			return errors.New("the store of 31612345678 is down")
		}
		return ctx.Err()
	}}.Handler()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		told                     []string
	}{
		{"one", "POST", "/reports/" + secret, "a", 204, []string{"a"}},
		{"several", "POST", "/reports/" + secret, "a b", 204, []string{"a", "b"}},
		{"no news", "POST", "/" + secret, "", 204, nil},
		{"a message that nobody knows", "POST", "/" + secret, "unknown b", 204, []string{"unknown", "b"}},
		{"a store that is down", "POST", "/" + secret, "a broken b", 503, []string{"a", "broken"}},
		{"not authentic", "POST", "/" + secret, "no", 404, nil},
		{"too much", "POST", "/" + secret, strings.Repeat("a", sms.MaxReport+1), 404, nil},
		{"as much as may be", "POST", "/" + secret, strings.Repeat("a", sms.MaxReport), 204, []string{strings.Repeat("a", sms.MaxReport)}},
		{"another method", "GET", "/" + secret, "a", 404, nil},
		{"another secret", "POST", "/" + strings.Repeat("x", len(secret)), "a", 404, nil},
		{"the secret and more", "POST", "/" + secret + "x", "a", 404, nil},
		{"the secret and a slash", "POST", "/" + secret + "/", "a", 404, nil},
		{"part of the secret", "POST", "/" + secret[:10], "a", 404, nil},
		{"no secret", "POST", "/", "a", 404, nil},
		{"the secret in another segment", "POST", "/" + secret + "/x", "a", 404, nil},
	} {
		told = nil
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, strings.NewReader(tt.body)))
		if w.Code != tt.status || strings.Contains(w.Body.String(), "612345") {
			t.Errorf("%s: %d %s, want %d", tt.name, w.Code, w.Body, tt.status)
		}
		if diff := cmp.Diff(tt.told, told); diff != "" {
			t.Errorf("%s: told (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestReceiverRefuses(t *testing.T) {
	t.Parallel()
	told := func(context.Context, sms.Report) error { return nil }
	for _, tt := range []struct {
		name     string
		receiver sms.Receiver
	}{
		{"no reader", sms.Receiver{Secret: secret, Told: told}},
		{"nobody to tell", sms.Receiver{Secret: secret, Read: words}},
		{"no secret", sms.Receiver{Read: words, Told: told}},
		{"a short secret", sms.Receiver{Secret: secret[:sms.MinSecret-1], Read: words, Told: told}},
		{"a secret of two segments", sms.Receiver{Secret: secret + "/x", Read: words, Told: told}},
		{"a secret that is escaped", sms.Receiver{Secret: secret + "%20", Read: words, Told: told}},
	} {
		if h, err := tt.receiver.Handler(); err == nil || h != nil || strings.Contains(err.Error(), secret[:10]) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	config := struct{ Token sms.Secret }{"s3cret"}
	encoded, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", config.Token, "config", config)
	text := fmt.Sprintf("%v %+v %#v %s %q %x %s %s", config, config, config, config.Token, config.Token, config.Token, encoded, &log)
	if strings.Contains(text, "s3cret") || strings.Contains(text, fmt.Sprintf("%x", "s3cret")) {
		t.Errorf("it prints as %s", text)
	}
}
