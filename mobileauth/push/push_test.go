// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func message() push.Message {
	return push.Message{
		ID: "6f1c2a90-7f0e-4b1d-9a55-0123456789ab", Operation: "op_Ab3-9", Address: "feedfacefeedface",
		App: "com.example.bank", Expires: now.Add(time.Minute), StoredAt: now.Add(-time.Hour),
	}
}

func TestMessageCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*push.Message)
		reason string
	}{
		{"whole", func(*push.Message) {}, ""},
		{"no id", func(m *push.Message) { m.ID = "" }, "malformed_id"},
		{"upper case id", func(m *push.Message) { m.ID = strings.ToUpper(m.ID) }, "malformed_id"},
		{"id with a line behind it", func(m *push.Message) { m.ID += "\n" }, "malformed_id"},
		{"no operation", func(m *push.Message) { m.Operation = "" }, "malformed_operation"},
		{"an operation that is text", func(m *push.Message) { m.Operation = "Pay 5 EUR" }, "malformed_operation"},
		{"an operation of 64 bytes", func(m *push.Message) { m.Operation = strings.Repeat("o", 64) }, ""},
		{"an operation of 65 bytes", func(m *push.Message) { m.Operation = strings.Repeat("o", 65) }, "malformed_operation"},
		{"no address", func(m *push.Message) { m.Address = "" }, "no_address"},
		{"over now", func(m *push.Message) { m.Expires = now }, "expired"},
		{"never over", func(m *push.Message) { m.Expires = time.Time{} }, "expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := message()
			tt.change(&m)
			err := m.Check(now)
			if tt.reason == "" {
				if err != nil {
					t.Fatalf("Check = %v, want nil", err)
				}
				return
			}
			var f *push.Failure
			if !errors.As(err, &f) || f.Class != push.Refused || f.Reason != tt.reason {
				t.Fatalf("Check = %v, want %s for %s", err, push.Refused, tt.reason)
			}
		})
	}
}

func TestAMessageDoesNotPrintItsAddress(t *testing.T) {
	t.Parallel()
	m := message()
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("sending", "message", m)
	for _, text := range []string{
		fmt.Sprint(m), fmt.Sprintf("%+v", m), fmt.Sprintf("%#v", m), fmt.Sprintf("%v", []any{m}), logged.String(),
	} {
		if strings.Contains(text, m.Address) || !strings.Contains(text, m.ID) {
			t.Errorf("a message prints as %q", text)
		}
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		want push.Class
	}{
		{"nothing", nil, ""},
		{"dead", &push.Failure{Class: push.Dead}, push.Dead},
		{"config", &push.Failure{Class: push.Config}, push.Config},
		{"throttled", &push.Failure{Class: push.Throttled}, push.Throttled},
		{"overloaded", &push.Failure{Class: push.Overloaded}, push.Overloaded},
		{"refused", &push.Failure{Class: push.Refused}, push.Refused},
		{"transient", &push.Failure{Class: push.Transient}, push.Transient},
		{"wrapped", fmt.Errorf("asking: %w", &push.Failure{Class: push.Dead}), push.Dead},
		{"any other error", errors.New("a cable was cut"), push.Transient},
		{"no class", &push.Failure{}, push.Transient},
		{"a class of somebody else's", &push.Failure{Class: "deceased"}, push.Transient},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := push.ClassOf(tt.err); got != tt.want {
				t.Errorf("ClassOf(%v) = %q, want %q", tt.err, got, tt.want)
			}
		})
	}
}

func TestFailureSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	cause := errors.New("the connection broke")
	for _, tt := range []struct {
		failure *push.Failure
		want    string
	}{
		{&push.Failure{Class: push.Dead, Reason: "Unregistered", Status: 410}, "sending a push: dead: Unregistered (status 410)"},
		{&push.Failure{Class: push.Transient, Err: cause}, "sending a push: transient: the connection broke"},
		{&push.Failure{Class: push.Config, Status: 403}, "sending a push: config (status 403)"},
	} {
		if got := tt.failure.Error(); got != tt.want {
			t.Errorf("Error() = %q, want %q", got, tt.want)
		}
	}
	if err := fmt.Errorf("asking: %w", &push.Failure{Err: cause}); !errors.Is(err, cause) {
		t.Error("the cause of a failure is not found in it")
	}
}

func TestWord(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, said, want string }{
		{"a reason of Apple", "BadDeviceToken", "BadDeviceToken"},
		{"a code of Google", "SENDER_ID_MISMATCH", "SENDER_ID_MISMATCH"},
		{"nothing", "", ""},
		{"a page", "<html>token=feedface</html>", ""},
		{"a sentence", "device feedface is gone", ""},
		{"a line break", "Bad\nDeviceToken", ""},
		{"other alphabets", "Unregisterеd", ""},
		{"too long", strings.Repeat("a", 65), strings.Repeat("a", 64)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := push.Word(tt.said); got != tt.want {
				t.Errorf("Word(%q) = %q, want %q", tt.said, got, tt.want)
			}
		})
	}
}
