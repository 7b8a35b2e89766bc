// SPDX-License-Identifier: Apache-2.0

package provisioning

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
)

// What becomes of a device by what it shows of itself.
const (
	AttestationRequired  = "required"  // without enough there is no certificate
	AttestationPreferred = "preferred" // with what is wrong there is none
	AttestationRecord    = "record"    // it is written down
)

// ReasonGrade is the reason of a device that has shown less than it has to. Other reasons of evidence begin with "attestation_" too.
const ReasonGrade Reason = "attestation_grade"

// Evidence is what a device sends to show that its app is genuine and where its key is.
type Evidence struct {
	Application, Platform string
	// Challenge is what evidence about a key is made for, and Bound what all other evidence is: see [Question.Challenge] and [Question.Bound].
	Challenge, Bound []byte
	// Key is that of the request.
	Key crypto.PublicKey
	// Raw is an object with a "format"; empty where none was sent.
	Raw []byte
}

// Judgement is what came of evidence.
type Judgement struct {
	Format string
	Grade  attestation.Grade
	// Wrong tells of evidence that was sent and is not good, and Reason, for the audit trail, what is.
	Wrong  bool
	Reason string
}

// Attested is what was shown of the key of a certificate.
type Attested struct {
	Format string            `json:"format,omitempty"`
	Grade  attestation.Grade `json:"grade,omitempty"`
	At     time.Time         `json:"at,omitzero"`
}

// Attestation says what devices have to show. The zero value asks for nothing.
type Attestation struct {
	// Mode is one of [AttestationRequired], [AttestationPreferred] and [AttestationRecord], and Minimum the least that is enough.
	Mode    string
	Minimum attestation.Grade
	// Judge judges evidence; an error says that nobody could.
	Judge func(ctx context.Context, e Evidence) (Judgement, error)
}

// check refuses what lets nobody in, or anybody.
func (a *Attestation) check() error {
	switch {
	case a.Mode == "":
	case a.Mode != AttestationRequired && a.Mode != AttestationPreferred && a.Mode != AttestationRecord:
		return fmt.Errorf("what devices have to show: %q is none of required, preferred and record", a.Mode)
	case a.Judge == nil || !a.Minimum.AtLeast(attestation.Software):
		return errors.New("what devices have to show: a grade and somebody who judges are required")
	}
	return nil
}

// Challenge is what a device has its key made for, where its platform says that of keys (Android's setAttestationChallenge).
func (q *Question) Challenge() [sha256.Size]byte {
	return sha256.Sum256([]byte("gatehouse certificate v1\n" + q.Audience + "\n" + q.Realm + "\n" + q.Nonce))
}

// Bound is what a device has its platform vouch for otherwise: the same and the SHA-256 of its public key in base64url.
func (q *Question) Bound(key string) [sha256.Size]byte {
	return sha256.Sum256([]byte("gatehouse certificate v1\n" + q.Audience + "\n" + q.Realm + "\n" + q.Nonce + "\n" + key))
}

// attest has what was sent judged. Where enough is known of the very key, nothing has to be sent, and what is worse changes nothing.
func (r *request) attest(ctx context.Context) error {
	rule := &r.c.Attestation
	if r.follows != nil && r.follows.Key == r.csr.Key {
		r.attested = r.follows.Attestation
	}
	known := r.attested.Grade.AtLeast(rule.Minimum)
	if rule.Mode == "" || known && len(r.m.Evidence) == 0 {
		return nil
	}
	challenge, bound := r.m.Question.Challenge(), r.m.Question.Bound(r.csr.Key)
	got, err := rule.Judge(ctx, Evidence{
		Application: r.app().ID, Platform: r.app().Platform, Challenge: challenge[:], Bound: bound[:], Key: r.csr.Parsed.PublicKey, Raw: r.m.Evidence,
	})
	if err != nil {
		return fmt.Errorf("judging what a device shows: %w", err)
	}
	enough := !got.Wrong && got.Grade.AtLeast(rule.Minimum)
	if known && (!enough || !got.Grade.AtLeast(r.attested.Grade)) {
		return nil
	}
	if rule.Mode == AttestationRequired && !enough || rule.Mode == AttestationPreferred && got.Wrong {
		refusal := &Refusal{Reason: cmp.Or(Reason(got.Reason), ReasonGrade)}
		if r.follows != nil {
			refusal.Installation = r.follows.Installation
		}
		return refusal
	}
	if !got.Wrong && got.Grade.AtLeast(attestation.Software) {
		r.attested = Attested{Format: got.Format, Grade: got.Grade, At: r.c.Now().UTC().Truncate(time.Millisecond)}
	}
	return nil
}
