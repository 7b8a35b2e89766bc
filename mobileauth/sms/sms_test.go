// SPDX-License-Identifier: Apache-2.0

package sms_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

func TestMessagesPrintAsTheirID(t *testing.T) {
	t.Parallel()
	m := sms.Message{ID: "m1", To: "+31612345678", Text: "Your code: 123456"}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("x", "message", m, "at", &m)
	text := fmt.Sprintf("%v %+v %#v %s %v %s", m, m, m, m, &m, &log)
	if strings.Contains(text, "345678") || strings.Contains(text, "code") {
		t.Errorf("it prints as %s", text)
	}
	if got := m.String(); got != `message "m1"` {
		t.Errorf("String = %s", got)
	}
}

func TestMessageCheck(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		change func(*sms.Message)
		reason string
	}{
		{"whole", func(*sms.Message) {}, ""},
		{"no id", func(m *sms.Message) { m.ID = "" }, "no_id"},
		{"no number", func(m *sms.Message) { m.To = "" }, "malformed_number"},
		{"a number in national form", func(m *sms.Message) { m.To = "0612345678" }, "malformed_number"},
		{"a number with blanks", func(m *sms.Message) { m.To = "+31 612345678" }, "malformed_number"},
		{"a number with a line behind it", func(m *sms.Message) { m.To += "\n" }, "malformed_number"},
		{"a number of 16 digits", func(m *sms.Message) { m.To = "+1234567890123456" }, "malformed_number"},
		{"no text", func(m *sms.Message) { m.Text = "" }, "malformed_text"},
		{"no UTF-8", func(m *sms.Message) { m.Text = "\xff" }, "malformed_text"},
		{"the longest text", func(m *sms.Message) { m.Text = strings.Repeat("🎉", sms.MaxText/2) }, ""},
		{"a longer text", func(m *sms.Message) { m.Text = strings.Repeat("🎉", sms.MaxText/2) + "x" }, "malformed_text"},
		{"over now", func(m *sms.Message) { m.Expires = now }, "expired"},
		{"never over", func(m *sms.Message) { m.Expires = time.Time{} }, "expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := sms.Message{ID: "m1", To: "+31612345678", Text: "123456", Expires: now.Add(time.Nanosecond)}
			tt.change(&m)
			err := m.Check(now)
			var f *sms.Failure
			if tt.reason == "" && err != nil || tt.reason != "" && (!errors.As(err, &f) || f.Reason != tt.reason || f.Class != sms.Refused) {
				t.Errorf("Check = %v, want %q", err, tt.reason)
			}
		})
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	for _, class := range []sms.Class{
		sms.Ambiguous, sms.Number, sms.Blocked, sms.Config, sms.Throttled, sms.Transient, sms.Refused,
	} {
		err := fmt.Errorf("asking: %w", &sms.Failure{Class: class})
		if got := sms.ClassOf(err); got != class {
			t.Errorf("ClassOf = %q, want %q", got, class)
		}
		if got, want := class.Repeatable(), class == sms.Throttled || class == sms.Transient; got != want {
			t.Errorf("%s may be repeated: %v", class, got)
		}
	}
	for _, err := range []error{errors.New("x"), &sms.Failure{}, &sms.Failure{Class: "again"}} {
		if got := sms.ClassOf(err); got != sms.Ambiguous || got.Repeatable() {
			t.Errorf("ClassOf(%v) = %q", err, got)
		}
	}
	if sms.ClassOf(nil) != "" {
		t.Error("nothing is a failure")
	}
	if (&sms.Failure{}).Class.Repeatable() {
		t.Error("a failure that nobody has classified is repeated")
	}
}

func TestFailureSays(t *testing.T) {
	t.Parallel()
	cause := errors.New("the connection broke")
	for _, tt := range []struct {
		failure *sms.Failure
		want    string
	}{
		{&sms.Failure{Class: sms.Number, Reason: "21211", Status: 400, RetryAfter: time.Second}, "sending a text message: number: 21211 (status 400)"},
		{&sms.Failure{Class: sms.Ambiguous, Reason: "broken", Err: cause}, "sending a text message: ambiguous: broken: the connection broke"},
		{&sms.Failure{}, "sending a text message: ambiguous"},
	} {
		if got := tt.failure.Error(); got != tt.want {
			t.Errorf("Error = %q, want %q", got, tt.want)
		}
		if tt.failure.Err != nil && !errors.Is(tt.failure, cause) {
			t.Error("the cause is lost")
		}
	}
}

func TestWord(t *testing.T) {
	t.Parallel()
	for _, tt := range [][2]string{
		{"", ""}, {"21211", "21211"}, {"no_such-number.x", "no_such-number.x"}, {"No such number", ""}, {"x\n", ""}, {"é", ""}, {"+31612345678", ""},
		{"31612345678", ""}, {"code_123456", ""}, {"E12345", "E12345"}, {"12345.12345", "12345.12345"},
		{strings.Repeat("x", 100), strings.Repeat("x", sms.MaxReason)},
	} {
		if got := sms.Word(tt[0]); got != tt[1] {
			t.Errorf("Word(%q) = %q, want %q", tt[0], got, tt[1])
		}
	}
}

// Reports only go forward, in whatever order and however often they come.
func TestSupersedes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		state, known sms.State
		want         bool
	}{
		{sms.Sent, "", true}, {sms.Delivered, "", true}, {sms.Failed, "", true},
		{sms.Sent, sms.Sent, false}, {sms.Delivered, sms.Sent, true}, {sms.Failed, sms.Sent, true},
		{sms.Sent, sms.Delivered, false}, {sms.Delivered, sms.Delivered, false}, {sms.Failed, sms.Delivered, false},
		{sms.Sent, sms.Failed, false}, {sms.Delivered, sms.Failed, false}, {sms.Failed, sms.Failed, false},
		{"", "", false}, {"read", "", false}, {"read", sms.Sent, false}, {sms.Delivered, "read", false},
	} {
		if got := tt.state.Supersedes(tt.known); got != tt.want {
			t.Errorf("%q after %q: %v", tt.state, tt.known, got)
		}
	}
}
