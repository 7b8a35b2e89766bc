// SPDX-License-Identifier: Apache-2.0

package logging_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/logging"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestAMessageIsInTheLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := logging.New(logging.Config{Logger: slog.New(slog.NewJSONHandler(&log, nil)), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text := "Your code: 739154\n@example.com #739154"
	id, err := s.Send(t.Context(), sms.Message{ID: "msg_1", To: "+31612345678", Text: text, Expires: now.Add(time.Minute)})
	if err != nil || id != "msg_1" {
		t.Errorf("Send = %q, %v", id, err)
	}
	var line struct {
		Level, To, Text, Encoding string
		Segments                  int
	}
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line.Level != "WARN" || line.To != "+31612345678" || line.Text != text || line.Segments != 1 || line.Encoding != "GSM-7" {
		t.Errorf("logged %+v", line)
	}
	log.Reset()
	if _, err := s.Send(t.Context(), sms.Message{ID: "msg_1", To: "+31612345678", Text: text, Expires: now}); sms.ClassOf(err) != sms.Refused || log.Len() != 0 {
		t.Errorf("Send of one that has expired = %v, logged %s", err, &log)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []logging.Config{{}, {Now: time.Now}, {Logger: slog.New(slog.DiscardHandler)}} {
		if s, err := logging.New(c); err == nil || s != nil {
			t.Errorf("New(%+v) succeeds", c)
		}
	}
}
