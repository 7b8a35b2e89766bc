// SPDX-License-Identifier: Apache-2.0

package envelope_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
)

func TestReasons(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("registering: %w", envelope.Refuse("pgp", io.ErrUnexpectedEOF))
	if !errors.Is(err, envelope.ErrRefused) || !errors.Is(err, io.ErrUnexpectedEOF) || envelope.ReasonOf(err) != "pgp" || !strings.Contains(err.Error(), "pgp") {
		t.Errorf("%v has the reason %q", err, envelope.ReasonOf(err))
	}
	if envelope.ReasonOf(io.EOF) != envelope.ReasonOther || envelope.ReasonOf(nil) != envelope.ReasonOther {
		t.Error("an error without a reason has one")
	}
}

func TestSecretsInLogs(t *testing.T) {
	t.Parallel()
	code, err := envelope.ParseActivationCode(arcCode)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := envelope.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := secret.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(&said, nil))
	log.Info("registered", "code", code, "secret", secret, "invitation", envelope.Invitation{Code: code})
	if text := said.String(); strings.Contains(text, arcCode) || strings.Contains(text, string(encoded)) || !strings.Contains(text, "code=") {
		t.Errorf("the log says %q", text)
	}
}
