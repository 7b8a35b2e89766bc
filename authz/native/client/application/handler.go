// SPDX-License-Identifier: Apache-2.0

package application

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/gatehouse-id/gatehouse/authz/native/client"
)

// Attester has the platform say that the app is genuine, and returns that as an object with a "format". It is made for bound: the challenge
// of an Android key that is made for the occasion, the clientDataHash of App Attest, or the nonce of Play Integrity in base64url.
type Attester func(ctx context.Context, bound []byte) (json.RawMessage, error)

// Config describes a [Handler]. ID, Platform and Version are required.
type Config struct {
	// ID is the app's at the server, Platform and Version are what it is.
	ID, Platform, Version string
	// Issuer is the server to which the app shows that it is genuine. Required with Attest.
	Issuer string
	// Attest is for realms that ask for evidence. Without it they are answered with [ErrNoEvidence].
	Attest Attester
	// Notice, unless nil, shows people what they are to know, such as that there is an update.
	Notice func(ctx context.Context, n client.Notice) error
}

// Handler answers a realm that asks an app what it is. It is safe for concurrent use.
type Handler struct{ c Config }

var _ client.Handler = (*Handler)(nil)

var (
	// ErrRefused says that the server does not let this version of the app in, or does not take it for genuine.
	ErrRefused = errors.New("the server does not accept this app")
	// ErrNoEvidence says that the server wants evidence and that nobody makes any.
	ErrNoEvidence = errors.New("the server asks for evidence that this app is genuine, and nothing here makes any")
	// ErrIssuer says that the challenge comes from another server than the app's own.
	ErrIssuer = errors.New("another server asks for evidence that this app is genuine")
)

// New returns a handler, or an error that says what is missing.
func New(c Config) (*Handler, error) {
	if c.ID == "" || c.Platform == "" || c.Version == "" || c.Attest != nil && c.Issuer == "" {
		return nil, errors.New("answering for an app: its id, platform and version are required, and an issuer to show evidence to")
	}
	return &Handler{c}, nil
}

// Answer says what the app is. An app that was refused is [ErrRefused]: what it is does not change by asking again.
func (h *Handler) Answer(ctx context.Context, c client.Challenge) (map[string]string, error) {
	if err := c.Failure.Wait(); err != nil {
		return nil, err
	}
	if c.Failure != nil {
		return nil, ErrRefused
	}
	if c.Notice != nil && h.c.Notice != nil {
		if err := h.c.Notice(ctx, *c.Notice); err != nil {
			return nil, err
		}
	}
	answers := map[string]string{"platform": h.c.Platform, "version": h.c.Version}
	if asks(&c, "application") {
		answers["application"] = h.c.ID
	}
	if !asks(&c, "evidence") {
		return answers, nil
	}
	evidence, err := h.evidence(ctx, c.Data)
	answers["evidence"] = string(evidence)
	return answers, err
}

func asks(c *client.Challenge, field string) bool {
	return slices.ContainsFunc(c.Fields, func(f client.Field) bool { return f.Name == field })
}

// evidence has the platform vouch. What another server has asked is not answered: it could hand it on to ours.
func (h *Handler) evidence(ctx context.Context, data map[string]string) (json.RawMessage, error) {
	switch {
	case h.c.Attest == nil:
		return nil, ErrNoEvidence
	case data["challenge"] == "" || data["audience"] != h.c.Issuer:
		return nil, ErrIssuer
	}
	bound := sha256.Sum256([]byte("gatehouse application v1\n" + h.c.Issuer + "\n" + data["challenge"]))
	evidence, err := h.c.Attest(ctx, bound[:])
	if err != nil {
		return nil, fmt.Errorf("having the platform vouch for this app: %w", err)
	}
	return evidence, nil
}
