// SPDX-License-Identifier: Apache-2.0

package grading_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/grading"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/playintegrity"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/testauthority"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletest"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at() time.Time { return now }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// unreadable is a list that nobody can read.
type unreadable struct{}

var errList = errors.New("the list is gone")

func (unreadable) Revoked(string) (bool, error) { return false, errList }

func android(t testing.TB, a *testauthority.Authority, revocations androidkey.Revocations) *androidkey.Verifier {
	t.Helper()
	v, err := androidkey.New(androidkey.Config{
		Roots: []*x509.Certificate{a.Root}, Packages: []string{"com.example.bank"}, Digests: [][]byte{a.AppDigest()}, Now: at,
		Revocations: revocations,
	})
	must(t, err)
	return v
}

func TestAppAttest(t *testing.T) {
	t.Parallel()
	authority, err := testauthority.New(at)
	must(t, err)
	v, err := appattest.New(appattest.Config{
		Roots: appattest.Pool([]*x509.Certificate{authority.Root}), App: "ABCDE12345.com.example.bank", Environment: appattest.Production, Now: at,
	})
	must(t, err)
	g := grading.Grader{{Application: "bank", Platform: "ios"}: {AppAttest: v}}
	keys, challenge := mobiletest.Keys(t).Public(), slices.Repeat([]byte{3}, 32)
	bound := envelope.AttestationHash(challenge, keys)
	p, err := testauthority.AppAttest("ABCDE12345.com.example.bank", bound[:])
	must(t, err)
	object, err := authority.Attest(p)
	must(t, err)
	grade := func(members map[string]any, known handset.Attestation, change func(*enrolment.Evidence)) handset.Attestation {
		t.Helper()
		members["format"] = "apple-appattest"
		e := enrolment.Evidence{
			Raw: evidence(t, members), Application: "bank", Platform: "ios", Keys: keys, Challenge: challenge, Known: known,
		}
		if change != nil {
			change(&e)
		}
		got, err := g.Grade(t.Context(), e)
		must(t, err)
		return got
	}
	expect := func(name string, got handset.Attestation, detail string) {
		t.Helper()
		want := handset.Attestation{Format: "apple-appattest", Result: handset.Failed, Grade: attestation.Unknown, Detail: detail}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	said := func() map[string]any {
		return map[string]any{"key_id": envelope.Bytes(p.KeyID()), "object": envelope.Bytes(object)}
	}
	none := handset.Attestation{}
	first := grade(said(), none, nil)
	if !first.Verified(attestation.TEE) || first.KeyID == "" || first.Key == "" || first.Counter != 0 {
		t.Fatalf("the object is %+v", first)
	}
	expect("other keys", grade(said(), none, func(e *enrolment.Evidence) { e.Keys = mobiletest.Keys(t).Public() }), appattest.ReasonNonce)
	expect("another challenge", grade(said(), none, func(e *enrolment.Evidence) { e.Challenge = nil }), appattest.ReasonNonce)
	expect("nothing", grade(map[string]any{}, none, nil), appattest.ReasonObject)
	expect("a number", grade(map[string]any{"object": 1}, none, nil), enrolment.DetailFormat)

	p.Counter = 4
	raw, err := p.Assert()
	must(t, err)
	asserts := func() map[string]any { return map[string]any{"assertion": envelope.Bytes(raw)} }
	second := grade(asserts(), first, nil)
	if !second.Verified(attestation.TEE) || second.KeyID != first.KeyID || second.Key != first.Key || second.Counter != 4 {
		t.Errorf("the assertion is %+v", second)
	}
	expect("the same assertion again", grade(asserts(), second, nil), appattest.ReasonCounter)
	expect("other keys", grade(asserts(), first, func(e *enrolment.Evidence) { e.Keys = mobiletest.Keys(t).Public() }), appattest.ReasonSignature)
	expect("of a phone that has shown nothing", grade(asserts(), none, nil), appattest.ReasonKey)
	both := said()
	both["assertion"] = envelope.Bytes(raw)
	expect("an object and an assertion", grade(both, first, nil), enrolment.DetailFormat)
}

func TestPlayIntegrity(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	secret, digest := slices.Repeat([]byte{5}, 32), slices.Repeat([]byte{7}, 32)
	v, err := playintegrity.New(playintegrity.Config{
		DecryptionKey: secret, VerificationKey: &key.PublicKey, Packages: []string{"com.example.bank"}, Digests: [][]byte{digest}, Now: at,
	})
	must(t, err)
	g := grading.Grader{{Application: "bank", Platform: "android"}: {PlayIntegrity: v}}
	play := testauthority.Play{EncryptionKey: secret, SigningKey: key}
	keys, challenge := mobiletest.Keys(t).Public(), slices.Repeat([]byte{3}, 32)
	bound := envelope.AttestationHash(challenge, keys)
	token, err := play.Token(map[string]any{
		"requestDetails": map[string]any{
			"requestPackageName": "com.example.bank", "nonce": base64.RawURLEncoding.EncodeToString(bound[:]), "timestampMillis": now.UnixMilli(),
		},
		"appIntegrity": map[string]any{
			"appRecognitionVerdict": "PLAY_RECOGNIZED", "packageName": "com.example.bank",
			"certificateSha256Digest": []string{base64.RawURLEncoding.EncodeToString(digest)},
		},
		"deviceIntegrity": map[string]any{"deviceRecognitionVerdict": []string{"MEETS_STRONG_INTEGRITY"}},
	})
	must(t, err)
	for _, tt := range []struct {
		name      string
		token     any
		challenge []byte
		want      handset.Attestation
	}{
		{"as it is", token, challenge, handset.Attestation{Result: handset.Verified, Grade: attestation.TEE}},
		{"another challenge", token, nil, handset.Attestation{Result: handset.Failed, Grade: attestation.Unknown, Detail: playintegrity.ReasonNonce}},
		{"no token", "", challenge, handset.Attestation{Result: handset.Failed, Grade: attestation.Unknown, Detail: playintegrity.ReasonToken}},
		{"a number", 1, challenge, handset.Attestation{Result: handset.Failed, Grade: attestation.Unknown, Detail: enrolment.DetailFormat}},
	} {
		tt.want.Format = playintegrity.Format
		got, err := g.Grade(t.Context(), enrolment.Evidence{
			Raw: evidence(t, map[string]any{"format": "play-integrity", "token": tt.token}), Application: "bank", Platform: "android",
			Keys: keys, Challenge: tt.challenge,
		})
		must(t, err)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// evidence is an object with a format.
func evidence(t testing.TB, members map[string]any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(members)
	must(t, err)
	return raw
}

func encoded(all [][]byte) (texts []envelope.Bytes) {
	for _, one := range all {
		texts = append(texts, one)
	}
	return texts
}

func TestAndroidKey(t *testing.T) {
	t.Parallel()
	authority, err := testauthority.New(at)
	must(t, err)
	keys, challenge := mobiletest.Keys(t).Public(), slices.Repeat([]byte{3}, 32)
	g := grading.Grader{
		{Application: "bank", Platform: "android"}: {AndroidKey: android(t, authority, nil)},
		{Application: "bank", Platform: "ios"}:     {},
		{Application: "down", Platform: "android"}: {AndroidKey: android(t, authority, unreadable{})},
	}
	chain, err := authority.Certify(testauthority.Keystore(keys.Sign.Public(), challenge, "com.example.bank", authority.AppDigest()))
	must(t, err)
	good := evidence(t, map[string]any{"format": "android-key", "chain": encoded(chain)})
	failed := func(detail string) handset.Attestation {
		return handset.Attestation{Format: "android-key", Result: handset.Failed, Grade: attestation.Unknown, Detail: detail}
	}
	unverified := handset.Attestation{Format: "android-key", Result: handset.Unverified, Grade: attestation.Unknown}
	for _, tt := range []struct {
		name string
		e    enrolment.Evidence
		want handset.Attestation
	}{
		{
			"as it is", enrolment.Evidence{Raw: good, Application: "bank", Platform: "android", Keys: keys, Challenge: challenge},
			handset.Attestation{Format: "android-key", Result: handset.Verified, Grade: attestation.TEE},
		},
		{
			"other keys", enrolment.Evidence{Raw: good, Application: "bank", Platform: "android", Keys: mobiletest.Keys(t).Public(), Challenge: challenge},
			failed(androidkey.ReasonKey),
		},
		{
			"another challenge", enrolment.Evidence{Raw: good, Application: "bank", Platform: "android", Keys: keys, Challenge: challenge[1:]},
			failed(androidkey.ReasonChallenge),
		},
		{
			"no challenge", enrolment.Evidence{Raw: good, Application: "bank", Platform: "android", Keys: keys},
			failed(androidkey.ReasonChallenge),
		},
		{"another platform", enrolment.Evidence{Raw: good, Application: "bank", Platform: "ios", Keys: keys, Challenge: challenge}, unverified},
		{"another app", enrolment.Evidence{Raw: good, Application: "wallet", Platform: "android", Keys: keys, Challenge: challenge}, unverified},
		{
			"nothing", enrolment.Evidence{Application: "bank", Platform: "android", Keys: keys, Challenge: challenge},
			handset.Attestation{Result: handset.Absent, Grade: attestation.Unknown},
		},
		{
			"no format", enrolment.Evidence{Raw: json.RawMessage(`{}`), Application: "bank", Platform: "android", Keys: keys},
			handset.Attestation{Result: handset.Failed, Grade: attestation.Unknown, Detail: enrolment.DetailFormat},
		},
		{
			"a format that nobody knows",
			enrolment.Evidence{Raw: json.RawMessage(`{"format":"none"}`), Application: "bank", Platform: "android", Keys: keys},
			handset.Attestation{Format: "none", Result: handset.Unverified, Grade: attestation.Unknown},
		},
		{
			"no chain", enrolment.Evidence{Raw: json.RawMessage(`{"format":"android-key"}`), Application: "bank", Platform: "android", Keys: keys},
			failed(androidkey.ReasonChain),
		},
		{
			"a chain that is text",
			enrolment.Evidence{Raw: json.RawMessage(`{"format":"android-key","chain":"x"}`), Application: "bank", Platform: "android", Keys: keys},
			failed(enrolment.DetailFormat),
		},
		{
			"padding", enrolment.Evidence{Raw: json.RawMessage(`{"format":"android-key","chain":["AA=="]}`), Application: "bank", Platform: "android", Keys: keys},
			failed(enrolment.DetailFormat),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := g.Grade(t.Context(), tt.e)
			must(t, err)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, err = g.Grade(t.Context(), enrolment.Evidence{Raw: good, Application: "down", Platform: "android", Keys: keys, Challenge: challenge})
	if !errors.Is(err, errList) {
		t.Errorf("without a list: %v", err)
	}
}
