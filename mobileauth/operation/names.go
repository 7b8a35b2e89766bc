// SPDX-License-Identifier: Apache-2.0

package operation

import "github.com/gatehouse-id/gatehouse/mobileauth/operation/record"

// What an operation is stands in package record; these are its names for everybody who works with a [Store].
type (
	// Operation is one question to one user. See record.Operation.
	Operation = record.Operation
	// Kind says what is asked.
	Kind = record.Kind
	// State is where an operation stands.
	State = record.State
	// Start describes an operation to start. See record.Start.
	Start = record.Start
	// Context is what the person is shown before answering.
	Context = record.Context
	// Field is one labelled value of a [Context].
	Field = record.Field
	// Limits bound what one user, and whoever starts operations for them, can do. See record.Limits.
	Limits = record.Limits
	// Way is how a question is put. See record.Way.
	Way = record.Way
	// Texting is a message with a code. See record.Texting.
	Texting = record.Texting
	// StartLate is what takes over, and when. See record.StartLate.
	StartLate = record.StartLate
	// Skipped is a type that was not used.
	Skipped = record.Skipped
	// Channel is the way on which a question reaches a person, and the answer comes back.
	Channel = record.Channel
	// FieldError names the field that breaks a rule. Its text never repeats the value.
	FieldError = record.FieldError
)

// The kinds of operations.
const (
	Registration   = record.Registration
	Authentication = record.Authentication
	Authorisation  = record.Authorisation
	Signature      = record.Signature
)

// The states of an operation. See the package for the ways between them.
const (
	Pending   = record.Pending
	Delivered = record.Delivered
	Approved  = record.Approved
	Denied    = record.Denied
	Failed    = record.Failed
	Expired   = record.Expired
	Cancelled = record.Cancelled
	Redeemed  = record.Redeemed
)

// The channels.
const (
	ByPush = record.ByPush
	ByOTP  = record.ByOTP
	BySMS  = record.BySMS
)

// Reasons that stand with a state.
const (
	ReasonAttempts      = record.ReasonAttempts
	ReasonUserBlocked   = record.ReasonUserBlocked
	ReasonFactorLimit   = record.ReasonFactorLimit
	ReasonDeviceRevoked = record.ReasonDeviceRevoked
	ReasonUserRevoked   = record.ReasonUserRevoked
	ReasonNotSent       = record.ReasonNotSent
)

// What [Operation].Push says.
const (
	PushNone       = record.PushNone
	PushQueued     = record.PushQueued
	PushHeldBudget = record.PushHeldBudget
	PushHeldNotMe  = record.PushHeldNotMe
)

// Bounds and special values of a [Start] and of [Limits].
const (
	NoNumber        = record.NoNumber
	Unlimited       = record.Unlimited
	MaxTimeToLive   = record.MaxTimeToLive
	MaxOpen         = record.MaxOpen
	MinNumber       = record.MinNumber
	MaxNumber       = record.MaxNumber
	MaxID           = record.MaxID
	MaxCallback     = record.MaxCallback
	MaxMethods      = record.MaxMethods
	MaxRegistration = record.MaxRegistration
	MaxDisplay      = record.MaxDisplay
	MaxShort        = record.MaxShort
	MaxMedium       = record.MaxMedium
	MaxLong         = record.MaxLong
	MaxSecure       = record.MaxSecure
	MaxData         = record.MaxData
)
