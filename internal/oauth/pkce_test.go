// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// The vector of RFC 7636 Appendix B.
const (
	vectorVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	vectorChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

func TestRFC7636AppendixB(t *testing.T) {
	t.Parallel()
	if got := oauth.Challenge(vectorVerifier); got != vectorChallenge {
		t.Errorf("got %q", got)
	}
	if !oauth.VerifierMatches(vectorChallenge, vectorVerifier) {
		t.Error("the vector does not match")
	}
}

func TestValidVerifier(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct {
		name, text string
		want       bool
	}{
		{"RFC7636/4.1 43 characters", long(43), true},
		{"RFC7636/4.1 128 characters", long(128), true},
		{"RFC7636/4.1 every unreserved character", unreserved, true},
		{"RFC7636/4.1 42 characters", long(42), false},
		{"RFC7636/4.1 129 characters", long(129), false},
		{"RFC7636/4.1 empty", "", false},
		{"RFC7636/4.1 plus", long(42) + "+", false},
		{"RFC7636/4.1 slash", long(42) + "/", false},
		{"RFC7636/4.1 equals", long(43) + "=", false},
		{"RFC7636/4.1 percent", long(42) + "%", false},
		{"RFC7636/4.1 space", long(42) + " ", false},
		{"RFC7636/4.1 NUL", long(43) + "\x00", false},
		{"RFC7636/4.1 not ASCII", long(42) + "é", false},
		{"RFC7636/4.1 line break", long(43) + "\n", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := oauth.ValidVerifier(test.text); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestParseChallenge(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, challenge, method string
		refused                 bool
	}{
		{name: "RFC7636/4.2 s256", challenge: vectorChallenge, method: "S256"},
		{name: "RFC7636/4.4.1 missing", method: "S256", refused: true},
		{name: "RFC7636/4.4.1 missing altogether", refused: true},
		{name: "RFC7636/4.3 default-plain", challenge: vectorChallenge, refused: true},
		{name: "RFC7636/7.2 no-downgrade", challenge: vectorVerifier, method: "plain", refused: true},
		{name: "RFC7636/4.3 method in another case", challenge: vectorChallenge, method: "s256", refused: true},
		{name: "RFC7636/4.3 unknown method", challenge: vectorChallenge, method: "S512", refused: true},
		{name: "RFC7636/4.2 padded", challenge: vectorChallenge + "=", method: "S256", refused: true},
		{name: "RFC7636/4.2 too short", challenge: vectorChallenge[:42], method: "S256", refused: true},
		{name: "RFC7636/4.2 too long", challenge: vectorChallenge + "AA", method: "S256", refused: true},
		{name: "RFC7636/4.2 standard alphabet", challenge: strings.Replace(vectorChallenge, "-", "+", 1), method: "S256", refused: true},
		{name: "RFC7636/4.2 stray bits", challenge: vectorChallenge[:42] + "N", method: "S256", refused: true},
		{name: "RFC7636/4.2 line break", challenge: vectorChallenge[:20] + "\n" + vectorChallenge[20:], method: "S256", refused: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := oauth.ParseChallenge(test.challenge, test.method)
			if test.refused {
				if codeOf(err) != oauth.InvalidRequest || got != "" {
					t.Fatalf("got %q, %v, want invalid_request", got, err)
				}
				return
			}
			if err != nil || got != test.challenge {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestVerifierMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, challenge, verifier string
		want                      bool
	}{
		{"RFC7636/4.6 match", vectorChallenge, vectorVerifier, true},
		{"RFC7636/4.6 mismatch", vectorChallenge, strings.Repeat("a", 43), false},
		{"RFC7636/4.6 missing verifier", vectorChallenge, "", false},
		{"RFC9700/2.1.1 no challenge was sent", "", vectorVerifier, false},
		{"RFC9700/4.8.2 neither", "", "", false},
		{"RFC7636/7.2 challenge as verifier", vectorChallenge, vectorChallenge, false},
		{"RFC7636/7.2 plain", vectorVerifier, vectorVerifier, false},
		{"RFC7636/4.1 short verifier of a matching hash", oauth.Challenge("short"), "short", false},
		{"RFC7636/4.2 padded challenge", vectorChallenge + "=", vectorVerifier, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := oauth.VerifierMatches(test.challenge, test.verifier); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestChallengeRoundTrip(t *testing.T) {
	t.Parallel()
	verifiers := rapid.StringOfN(rapid.RuneFrom([]rune(unreserved)), 43, 128, -1)
	rapid.Check(t, func(t *rapid.T) {
		verifier, other := verifiers.Draw(t, "verifier"), verifiers.Draw(t, "other")
		challenge, err := oauth.ParseChallenge(oauth.Challenge(verifier), oauth.MethodS256)
		if err != nil || !oauth.VerifierMatches(challenge, verifier) {
			t.Fatalf("%q does not match its own challenge: %v", verifier, err)
		}
		if oauth.VerifierMatches(challenge, other) != (verifier == other) {
			t.Fatalf("%q and %q", verifier, other)
		}
	})
}

func FuzzVerifierMatches(f *testing.F) {
	f.Add(vectorChallenge, vectorVerifier)
	f.Add("", "")
	f.Add(oauth.Challenge("short"), "short")
	f.Add(vectorVerifier, vectorVerifier)
	f.Fuzz(func(t *testing.T, challenge, verifier string) {
		// Written out independently: the rule of RFC 7636 4.6 for S256 and the grammar of 4.1.
		sum := sha256.Sum256([]byte(verifier))
		want := base64.RawURLEncoding.EncodeToString(sum[:]) == challenge &&
			len(verifier) >= 43 && len(verifier) <= 128 && strings.Trim(verifier, unreserved) == ""
		for _, given := range []string{challenge, oauth.Challenge(verifier)} {
			want := want || given != challenge && len(verifier) >= 43 && len(verifier) <= 128 && strings.Trim(verifier, unreserved) == ""
			if got := oauth.VerifierMatches(given, verifier); got != want {
				t.Fatalf("VerifierMatches(%q, %q) is %t", given, verifier, got)
			}
		}
	})
}
