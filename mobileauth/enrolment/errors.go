// SPDX-License-Identifier: Apache-2.0

package enrolment

import (
	"errors"
	"fmt"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Errors of starting. Those of package operation stand beside them.
var (
	// ErrInvalid says that a value breaks a rule.
	ErrInvalid = operation.ErrInvalid
	// ErrApplication says that no application of that name registers devices.
	ErrApplication = errors.New("no such application registers devices")
	// ErrOff says that the application's policy has switched off what was asked.
	ErrOff = errors.New("the policy of the application does not allow this")
	// ErrSingle says that the user has a device, and may have no second one.
	ErrSingle = errors.New("the user has a device already")
	// ErrTransition says that the state of the device or operation does not allow what was asked.
	ErrTransition = operation.ErrTransition
)

// Reasons of refusals, for the audit. Some are also reasons of a failed operation.
const (
	ReasonUnknown     = "activation_unknown"  // no registration waits for such a code
	ReasonOver        = "activation_over"     // the registration is not open any more
	ReasonUsed        = "activation_used"     // another phone has registered with the code
	ReasonProof       = "activation_proof"    // the code is not proven
	ReasonAttempts    = "activation_attempts" // too many wrong proofs
	ReasonUser        = "user"                // the user is not active
	ReasonApplication = "application"         // another application than the registration is for, or none
	ReasonVersion     = "application_version" // this version registers no devices
	ReasonSingle      = "single"              // the user has a device, and may have no second one
	ReasonPIN         = "pin_missing"         // a PIN is required
	ReasonFactor      = "factor_not_allowed"  // a factor that the policy does not have
	ReasonPGP         = "pgp"                 // no usable OpenPGP key where one is needed
	ReasonAttestation = "attestation"         // what the reasons of an insufficient attestation begin with
	ReasonDevice      = "device"              // the record of the device was refused
	ReasonDigits      = "digits"              // the digits differ
	ReasonRegistered  = "not_registered"      // no phone has registered yet
	ReasonGone        = "device_gone"         // the device that was registered is not there any more
	ReasonTarget      = "target"              // there is no such device to judge
	ReasonPolicy      = "policy"              // switched off
	ReasonTransfer    = "transfer"            // a device in the place of another waits for that one
	ReasonSecond      = "second_device"       // a second device waits for somebody to vouch for it
	ReasonUnproofed   = "unproofed"           // a first device waits for somebody to vouch for it
	ReasonUnattested  = "unattested"          // a device waits because it is not known to be genuine
	ReasonRejected    = "rejected"            // an older device, or whoever began, said no
	ReasonReplaced    = "replaced"            // a newer device has its place
	ReasonDisplaced   = "transferred"         // a device that was moved to another phone
	ReasonRecovery    = "recovery_code"       // not a recovery code of the user's that was not used
)

// refuse makes a refused message of a reason.
func refuse(reason string) error {
	return envelope.Refuse(envelope.Reason(reason), errors.New("registering a device"))
}

func refuseFor(reason string, err error) error {
	return envelope.Refuse(envelope.Reason(reason), fmt.Errorf("registering a device: %w", err))
}

func invalid(field, format string, args ...any) error {
	return &operation.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}
