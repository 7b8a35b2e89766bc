// SPDX-License-Identifier: Apache-2.0

package application_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
	"github.com/gatehouse-id/gatehouse/authz/native/client/application"
)

const issuer = "https://auth.example.com"

var errPlatform = errors.New("the platform is away")

func config(change ...func(*application.Config)) application.Config {
	c := application.Config{
		ID: "bank", Platform: "ios", Version: "3.1", Issuer: issuer,
		Attest: func(_ context.Context, bound []byte) (json.RawMessage, error) {
			return json.Marshal(map[string]any{"format": "x", "bound": bound})
		},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func asked(fields ...string) client.Challenge {
	c := client.Challenge{Realm: "app", Data: map[string]string{"challenge": "c", "audience": issuer}}
	for _, f := range fields {
		c.Fields = append(c.Fields, client.Field{Name: f})
	}
	return c
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	// SHA-256 of "gatehouse application v1\nhttps://auth.example.com\nc", by sha256sum.
	evidence := `{"bound":"Btr/MG7WQVavzK4dvXPqG+vm5z4nzI98qi5OFdo53uw=","format":"x"}`
	for _, tt := range []struct {
		name      string
		config    application.Config
		challenge client.Challenge
		want      map[string]string
		err       error
	}{
		{"version", config(), asked("platform", "version"), map[string]string{"platform": "ios", "version": "3.1"}, nil},
		{"of any app", config(), asked("application", "platform", "version"), map[string]string{"application": "bank", "platform": "ios", "version": "3.1"}, nil},
		{"evidence", config(), asked("platform", "version", "evidence"), map[string]string{"platform": "ios", "version": "3.1", "evidence": evidence}, nil},
		{"nobody vouches", config(func(c *application.Config) { c.Attest = nil }), asked("evidence"), nil, application.ErrNoEvidence},
		{"the platform is away", config(func(c *application.Config) {
			c.Attest = func(context.Context, []byte) (json.RawMessage, error) { return nil, errPlatform }
		}), asked("evidence"), nil, errPlatform},
		{"another server", config(func(c *application.Config) { c.Issuer = "https://auth.example.org" }), asked("evidence"), nil, application.ErrIssuer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, err := application.New(tt.config)
			if err != nil {
				t.Fatal(err)
			}
			got, err := h.Answer(t.Context(), tt.challenge)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(tt.want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoticeIsShown before the app answers, and a person who does not want to go on does not.
func TestNoticeIsShown(t *testing.T) {
	t.Parallel()
	var shown []client.Notice
	stop := errors.New("not now")
	h, err := application.New(config(func(c *application.Config) {
		c.Notice = func(_ context.Context, n client.Notice) error {
			shown = append(shown, n)
			if n.ID == "stop" {
				return stop
			}
			return nil
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		id  string
		err error
	}{{"spring", nil}, {"stop", stop}} {
		c := asked("platform")
		c.Notice = &client.Notice{ID: tt.id}
		if _, err := h.Answer(t.Context(), c); !errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.id, err)
		}
	}
	if len(shown) != 2 {
		t.Errorf("people are shown %v", shown)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	h, err := application.New(config())
	if err != nil {
		t.Fatal(err)
	}
	c := asked("evidence")
	c.Failure = &client.Failure{Code: client.Refused}
	if _, err := h.Answer(t.Context(), c); !errors.Is(err, application.ErrRefused) {
		t.Errorf("refused: %v", err)
	}
	c.Failure = &client.Failure{Code: client.Unavailable, Seconds: 7}
	_, err = h.Answer(t.Context(), c)
	if wait, ok := errors.AsType[*client.WaitError](err); !ok || wait.After != 7*time.Second || wait.Error() != "try again in 7s" {
		t.Errorf("unavailable: %v", err)
	}
	for name, change := range map[string]func(*application.Config){
		"id": func(c *application.Config) { c.ID = "" }, "platform": func(c *application.Config) { c.Platform = "" },
		"version": func(c *application.Config) { c.Version = "" }, "issuer": func(c *application.Config) { c.Issuer = "" },
	} {
		if _, err := application.New(config(change)); err == nil {
			t.Errorf("built without %s", name)
		}
	}
}
