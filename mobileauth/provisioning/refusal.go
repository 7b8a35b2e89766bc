// SPDX-License-Identifier: Apache-2.0

package provisioning

import "time"

// Reason says, to operators, what is wrong with what a device has sent.
type Reason string

// Reasons of a [Refusal].
const (
	ReasonMalformed   Reason = "malformed"            // not what it should be at all
	ReasonTooLarge    Reason = "too_large"            // more bytes than a request has
	ReasonAttributes  Reason = "odd_attributes"       // an attribute or extension stands twice, or there are too many
	ReasonSubject     Reason = "odd_subject"          // a subject that no device has
	ReasonNames       Reason = "asks_for_names"       // names that are not the certificate's to have
	ReasonAuthority   Reason = "asks_for_authority"   // a request to be an authority
	ReasonKeyType     Reason = "key_type"             // a kind of key that is not accepted
	ReasonKeyWeak     Reason = "key_weak"             // too short, a bad exponent, or from a generator known to be broken
	ReasonAlgorithm   Reason = "signature_algorithm"  // signed with an algorithm that is not accepted
	ReasonPossession  Reason = "proof_of_possession"  // the request is not signed by its own key
	ReasonAnswer      Reason = "malformed_answer"     // the answer cannot be read
	ReasonSignature   Reason = "bad_signature"        // the answer is not signed by the key
	ReasonAudience    Reason = "wrong_audience"       // the answer is meant for somebody else
	ReasonNonce       Reason = "wrong_nonce"          // the answer is to another question
	ReasonReplayed    Reason = "replayed"             // the question was answered before
	ReasonRequestHash Reason = "another_request"      // the answer is to another certificate request
	ReasonApplication Reason = "unknown_application"  // an app that nobody has configured
	ReasonVersion     Reason = "version_disabled"     // a version of it that is switched off
	ReasonEntity      Reason = "wrong_entity"         // the certificate stands for something else
	ReasonGroup       Reason = "wrong_group"          // the app is not of the group
	ReasonKeyReused   Reason = "key_reused"           // the key is another installation's
	ReasonUnknown     Reason = "unknown_certificate"  // nothing was issued under that name
	ReasonNotYet      Reason = "certificate_not_yet"  // its time has not come
	ReasonExpired     Reason = "certificate_expired"  // its time is over
	ReasonRevoked     Reason = "certificate_revoked"  // it was revoked
	ReasonReplaced    Reason = "certificate_replaced" // it was renewed with another key
	ReasonFormer      Reason = "certificate_former"   // a former authority has issued it, and it has to be renewed first
	ReasonEarly       Reason = "renewal_too_early"    // another key is wanted before the last third of its time
	ReasonDistrusted  Reason = "authority_revoked"    // whoever has issued it was revoked
	ReasonPending     Reason = "certificate_pending"  // the authority has not decided yet
	ReasonManyAsked   Reason = "too_many_requests"    // the address asks too often
	ReasonManyDevices Reason = "too_many_devices"     // the address has had its share of new devices
	ReasonBudget      Reason = "budget_spent"         // there are more new devices, everywhere together, than were allowed

	ReasonRequestRefused     Reason = "request_refused"     // the operator does not want the device
	ReasonCertificateRefused Reason = "certificate_refused" // the operator does not want it now
)

// Refusal is the no to what a device has sent. Reason is for the audit trail; a device is told nothing of it.
type Refusal struct {
	Reason Reason
	// Installation is the device that it is about, where that is known.
	Installation string
	// RetryAfter is when it can be tried again, for [ReasonPending], [ReasonManyAsked], [ReasonManyDevices] and [ReasonBudget].
	RetryAfter time.Duration
	// Text is what the person is told, in the words of an operator's hook; mostly there is none.
	Text string

	cause error
}

// Error names the reason.
func (r *Refusal) Error() string { return "provisioning refused: " + string(r.Reason) }

// Unwrap returns what the reason was found by, for logs; nil where there is nothing more to say.
func (r *Refusal) Unwrap() error { return r.cause }

func refuse(reason Reason) error { return &Refusal{Reason: reason} }

func refuseFor(reason Reason, cause error) error { return &Refusal{Reason: reason, cause: cause} }
