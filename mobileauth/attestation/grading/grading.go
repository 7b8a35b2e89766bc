// SPDX-License-Identifier: Apache-2.0

package grading

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/androidkey"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/appattest"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation/playintegrity"
	"github.com/gatehouse-id/gatehouse/mobileauth/enrolment"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
)

// Place is an application on a platform.
type Place struct{ Application, Platform string }

// Verifiers are those of one place; nil takes no evidence of that format.
type Verifiers struct {
	AndroidKey    *androidkey.Verifier
	AppAttest     *appattest.Verifier
	PlayIntegrity *playintegrity.Verifier
}

// Grader judges evidence by its format. It is an enrolment.Grader, and safe for concurrent use. What nobody is configured for is
// written down, and counts for nothing.
type Grader map[Place]Verifiers

var _ enrolment.Grader = Grader(nil)

// Subject is what evidence is about.
type Subject struct {
	Place
	// Raw is the evidence: an object with a "format"; empty when none was sent.
	Raw json.RawMessage
	// Challenge is what evidence about a key is made for, and Bound what all other evidence is: a hash over the challenge and over the keys
	// for which it vouches.
	Challenge, Bound []byte
	// Key is the one that evidence about a key has to be about, or AnyKey says that it does not matter which one it is.
	Key    crypto.PublicKey
	AnyKey bool
	// Known is what was shown before.
	Known handset.Attestation
}

// Grade judges evidence about the keys of a phone. Whatever is wrong with it is handset.Failed, with the reason as detail.
func (g Grader) Grade(ctx context.Context, e enrolment.Evidence) (handset.Attestation, error) {
	bound := envelope.AttestationHash(e.Challenge, e.Keys)
	return g.Judge(ctx, &Subject{
		Place: Place{e.Application, e.Platform}, Raw: e.Raw, Challenge: e.Challenge, Bound: bound[:], Key: e.Keys.Sign.Public(), Known: e.Known,
	})
}

// Enough returns the grade of evidence, and why it is not as good as least; no reason where it is.
func (g Grader) Enough(ctx context.Context, s *Subject, least attestation.Grade) (shown attestation.Grade, reason string, err error) {
	a, err := g.Judge(ctx, s)
	if err != nil {
		return attestation.Unknown, "", err
	}
	if !a.Verified(least) {
		reason = enrolment.AttestationReason(&a)
	}
	return a.Grade, reason, nil
}

// Judge judges evidence. Whatever is wrong with it is handset.Failed, with the reason as detail.
func (g Grader) Judge(ctx context.Context, s *Subject) (handset.Attestation, error) {
	unverified, err := enrolment.Unverified{}.Grade(ctx, enrolment.Evidence{Raw: s.Raw})
	if err != nil || unverified.Result != handset.Unverified {
		return unverified, err
	}
	verifiers := g[s.Place]
	var judge func(*Subject) (handset.Attestation, error)
	switch {
	case unverified.Format == androidkey.Format && verifiers.AndroidKey != nil:
		judge = verifiers.androidKey
	case unverified.Format == appattest.Format && verifiers.AppAttest != nil:
		judge = verifiers.appAttest
	case unverified.Format == playintegrity.Format && verifiers.PlayIntegrity != nil:
		judge = verifiers.playIntegrity
	default:
		return unverified, nil
	}
	a, err := judge(s)
	switch {
	case errors.Is(err, attestation.ErrRejected):
		return handset.Attestation{
			Format: unverified.Format, Result: handset.Failed, Grade: attestation.Unknown, Detail: attestation.ReasonOf(err),
		}, nil
	case err != nil:
		return handset.Attestation{}, fmt.Errorf("judging evidence of the format %s: %w", unverified.Format, err)
	}
	a.Format, a.Result = unverified.Format, handset.Verified
	return a, nil
}

// read reads the members of evidence; one that is not of its type is a rejection.
func read(raw json.RawMessage, into any) error {
	if err := jose.UnmarshalObject(raw, into); err != nil {
		return attestation.Reject(enrolment.DetailFormat, "reading evidence: %w", err)
	}
	return nil
}

// androidKey judges the certificates of a keystore for the key, which was made for the challenge.
func (v *Verifiers) androidKey(s *Subject) (handset.Attestation, error) {
	var body struct {
		Chain []envelope.Bytes `json:"chain"`
	}
	if err := read(s.Raw, &body); err != nil {
		return handset.Attestation{}, err
	}
	chain := make([][]byte, 0, len(body.Chain))
	for _, der := range body.Chain {
		chain = append(chain, der)
	}
	if s.AnyKey {
		verdict, err := v.AndroidKey.VerifyApp(chain, s.Challenge)
		return handset.Attestation{Grade: verdict.Grade}, err
	}
	verdict, err := v.AndroidKey.Verify(chain, s.Challenge, s.Key)
	return handset.Attestation{Grade: verdict.Grade}, err
}

// b64 is how a key of the platform's is kept.
var b64 = base64.RawURLEncoding

// appAttest judges the object in which Apple certifies a key for this phone, or an assertion by the key that it has shown before. Both
// are made for what binds the challenge and the keys.
func (v *Verifiers) appAttest(s *Subject) (handset.Attestation, error) {
	var body struct {
		KeyID     envelope.Bytes `json:"key_id"`
		Object    envelope.Bytes `json:"object"`
		Assertion envelope.Bytes `json:"assertion"`
	}
	if err := read(s.Raw, &body); err != nil {
		return handset.Attestation{}, err
	}
	if len(body.Assertion) > 0 {
		if len(body.Object) > 0 {
			return handset.Attestation{}, attestation.Reject(enrolment.DetailFormat, "reading an object and an assertion at once")
		}
		return v.assertion(&s.Known, body.Assertion, s.Bound)
	}
	attested, err := v.AppAttest.Attest(body.Object, body.KeyID, s.Bound)
	if err != nil {
		return handset.Attestation{}, err
	}
	point, err := appattest.MarshalKey(attested.Key)
	// The Secure Enclave has Apple's key. That it has those of the phone too, for which that one vouches, nothing shows.
	return handset.Attestation{
		Grade: attestation.TEE, KeyID: b64.EncodeToString(attested.KeyID), Key: b64.EncodeToString(point),
	}, err
}

func (v *Verifiers) assertion(known *handset.Attestation, raw, bound []byte) (handset.Attestation, error) {
	if known.Format != appattest.Format || known.Key == "" {
		return handset.Attestation{}, attestation.Reject(appattest.ReasonKey, "judging an assertion of a phone that has shown no key")
	}
	point, err := b64.DecodeString(known.Key)
	if err != nil {
		return handset.Attestation{}, fmt.Errorf("reading a stored key: %w", err)
	}
	key, err := appattest.ParseKey(point)
	if err != nil {
		return handset.Attestation{}, err
	}
	counter, err := v.AppAttest.Assert(raw, key, bound, known.Counter)
	return handset.Attestation{Grade: attestation.TEE, KeyID: known.KeyID, Key: known.Key, Counter: counter}, err
}

// playIntegrity judges a verdict of Google's that was asked for with the bound hash as its nonce.
func (v *Verifiers) playIntegrity(s *Subject) (handset.Attestation, error) {
	var body struct {
		Token string `json:"token"`
	}
	if err := read(s.Raw, &body); err != nil {
		return handset.Attestation{}, err
	}
	grade, err := v.PlayIntegrity.Verify(body.Token, s.Bound)
	return handset.Attestation{Grade: grade}, err
}
