// SPDX-License-Identifier: Apache-2.0

package mobiletype

import (
	"slices"
	"strings"
)

// Method is a way to ask a person.
type Method string

// The methods.
const (
	// Push is a question on a phone; that the phone answers is enough.
	Push Method = "push"
	// PushPIN asks for the PIN beside it.
	PushPIN Method = "push_pin"
	// PushFingerprint asks for a fingerprint or a face. The PIN always does instead.
	PushFingerprint Method = "push_fingerprint"
	// PushCustom asks for a factor of the operator's own, see [Type].Custom. The PIN always does instead.
	PushCustom Method = "push_custom"
	// OTP shows something that any enrolled phone may scan: who answers is known afterwards.
	OTP Method = "otp"
	// SMS sends a code to a phone number.
	SMS Method = "sms"
)

// Methods are all there are.
func Methods() []Method { return []Method{Push, PushPIN, PushFingerprint, PushCustom, OTP, SMS} }

// Known reports whether m is a method.
func (m Method) Known() bool { return slices.Contains(Methods(), m) }

// Channel is the way on which a question reaches a person, and the answer comes back.
type Channel string

// The channels.
const (
	ByPush Channel = "push" // an enrolled phone of a known user, with or without notification
	ByOTP  Channel = "otp"  // an enrolled phone that scans
	BySMS  Channel = "sms"  // a code, typed where the question began
)

// Channel returns the way of a method.
func (m Method) Channel() Channel {
	switch m {
	case SMS:
		return BySMS
	case OTP:
		return ByOTP
	case Push, PushPIN, PushFingerprint, PushCustom:
	}
	return ByPush
}

// The names of what a phone proves, as package envelope has them.
const (
	possession = "possession"
	pin        = "pin"
	biometric  = "biometric"
	custom     = "custom:"
)

// Factor returns what a phone has to prove where the method is asked; empty where no phone answers. Name is that of a custom
// factor.
func (m Method) Factor(name string) string {
	switch m {
	case PushPIN:
		return pin
	case PushFingerprint:
		return biometric
	case PushCustom:
		return custom + name
	case SMS:
		return ""
	case Push, OTP:
	}
	return possession
}

// rank orders methods by what they prove. A code over SMS can be had with a SIM of somebody else's; a scanned question can be
// relayed; what a factor of the operator's own is worth nobody here knows, but it comes on top of possession.
func (m Method) rank() int {
	switch m {
	case OTP:
		return 1
	case Push:
		return 2
	case PushCustom:
		return 3
	case PushPIN, PushFingerprint:
		return 4
	case SMS:
	}
	return 0
}

// Reaches reports whether m proves at least as much as asked does.
func (m Method) Reaches(asked Method) bool { return m.rank() >= asked.rank() }

// Prove returns what an approval over a channel proves: the method that was really used, and the values of amr (RFC 8176) for
// it. Factor is what the phone proved, in the words of package envelope; over SMS there is none.
func Prove(channel Channel, factor string) (Method, []string) {
	if channel == BySMS {
		return SMS, []string{"sms"}
	}
	switch {
	case factor == pin:
		return PushPIN, []string{"pop", "pin", "mfa"}
	case factor == biometric:
		return PushFingerprint, []string{"pop", "fpt", "mfa"}
	case strings.HasPrefix(factor, custom):
		return PushCustom, []string{"pop", "mfa"}
	case channel == ByOTP:
		return OTP, []string{"pop", "mca"}
	}
	return Push, []string{"pop"}
}

// ACR returns the name of the assurance that a method, really used, gives: the one that the operator has named, if the method
// proves at least what the type that was used asks, and otherwise the method's own name.
func ACR(used Method, of Method, named string) string {
	if named != "" && used.Reaches(of) {
		return named
	}
	return string(used)
}
