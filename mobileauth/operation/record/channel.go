// SPDX-License-Identifier: Apache-2.0

package record

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
)

// Channel is the way on which a question reaches a person, and the answer comes back. An operation that says none is [ByPush].
type Channel = mobiletype.Channel

// The channels.
const (
	ByPush = mobiletype.ByPush
	ByOTP  = mobiletype.ByOTP
	BySMS  = mobiletype.BySMS
)

const (
	// CodeDigits is the length of a code that is sent over SMS (NIST SP 800-63B-4, 3.1.3.2).
	CodeDigits = 6
	// SMSTimeToLive is how long a code is good where the start says nothing.
	SMSTimeToLive = 5 * time.Minute
	// MaxText is the longest text of a message, in bytes: 155 characters.
	MaxText = 4 * MaxShort
	// MaxSkipped is how many types can have been tried before the one that is used.
	MaxSkipped = 16
	// Unlimited lets an operation have any number of wrong answers: see [Way].
	Unlimited = mobiletype.Unlimited
	// MethodSMS is [Operation].Method where a code was typed.
	MethodSMS = "sms"
)

// otpBytes is the length of what a phone scans: 160 bits, which make 32 characters that a QR code has a compact form for.
const otpBytes = 20

// Way is how a question is put.
type Way struct {
	Channel Channel `json:"channel,omitempty"`
	// Type is the mobile type that is used, Of its method, and Named what it calls the assurance of an approval. They are empty
	// for an operation that was started by the ways to answer alone.
	Type  string            `json:"type,omitempty"`
	Of    mobiletype.Method `json:"of,omitempty"`
	Named string            `json:"named,omitempty"`
	// Attempts are the wrong answers that end the operation: zero takes [Limits].Tries, and [Unlimited] leaves it to what is
	// counted for the user.
	Attempts int `json:"attempts,omitempty"`
	// Resends is how often the same notification or code may still be sent again.
	Resends int `json:"resends,omitempty"`
	// SMS is the message, over [BySMS] alone.
	SMS *Texting `json:"sms,omitempty"`
}

// Texting is a message with a code.
type Texting struct {
	// To is the number in the form of E.164, and Masked what may be shown of it.
	To     string `json:"to"`
	Masked string `json:"masked"`
	// Other says that the client has named a number while the user has another.
	Other bool `json:"other,omitempty"`
	// Text is the message with the place of the code in it, Origin the host that the code is bound to.
	Text   string `json:"text,omitempty"`
	Origin string `json:"origin,omitempty"`
	// Code is drawn with the operation, and forgotten when that ends.
	Code string `json:"code,omitempty"`
}

// String shows what may be shown.
func (t Texting) String() string { return "message to " + t.Masked }

// GoString shows what may be shown.
func (t Texting) GoString() string { return t.String() }

// LogValue shows what may be shown.
func (t Texting) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Late is what takes over when nothing was fetched in time.
type Late struct {
	// At is when.
	At time.Time `json:"at"`
	// TimeToLive is how long the question can be answered from then on.
	TimeToLive time.Duration `json:"time_to_live"`
	Way        Way           `json:"way"`
}

// Skipped is a type that was not used.
type Skipped struct {
	Type string `json:"type"`
	// Reason is a word for machines: why the type could not begin, or "not_fetched" where it began and nothing was fetched.
	Reason string `json:"reason"`
}

// Reasons of the channels.
const (
	// ReasonNotSent failed because no message could be sent.
	ReasonNotSent = "not_sent"
	// SkippedNotFetched and SkippedNotSent are said of the type that a later one took over from.
	SkippedNotFetched = "not_fetched"
	SkippedNotSent    = "not_sent"
)

// Tries returns how many wrong answers end the operation, given the common limit; negative is any number.
func (w *Way) Tries(limit int) int {
	if w.Attempts == 0 {
		return limit
	}
	return w.Attempts
}

// Prove notes what an approval proves. Factor is what the phone proved in the words of package envelope; over SMS none.
func (o *Operation) Prove(factor string) {
	o.Used, o.AMR = mobiletype.Prove(o.Channel, factor)
	o.ACR = mobiletype.ACR(o.Used, o.Of, o.Named)
	o.Method, o.Factor = factor, factor != envelope.MethodPossession
	if o.Channel == BySMS {
		o.Method, o.Factor = MethodSMS, false
	}
}

// Switch lets the later way take over at a time: it is as if the operation had been asked so from the beginning, but for what is
// counted. So no device is named any more: none answers over SMS. The reason says what became of the first.
func (o *Operation) Switch(at time.Time, reason string) {
	o.Skipped = append(slices.Clip(o.Skipped), Skipped{Type: o.Type, Reason: reason})
	o.Way, o.AnswerBy, o.SwitchedAt = o.Late.Way, at.Add(o.Late.TimeToLive), at
	o.Late, o.Methods, o.Number, o.Push, o.DeviceID = nil, nil, "", "", ""
	o.SentAt, o.Resent = at, 0
	o.Version++
}

// forget removes what is of no use once an operation has ended.
func (o *Operation) forget() {
	o.OTP = ""
	if o.SMS != nil {
		kept := *o.SMS
		kept.Code = ""
		o.SMS = &kept
	}
	o.Late = nil
}

// Clone returns a copy that shares nothing with o that a store changes.
func (o *Operation) Clone() Operation {
	c := *o
	c.Methods, c.Display, c.Skipped = slices.Clone(o.Methods), slices.Clone(o.Display), slices.Clone(o.Skipped)
	return c
}

var (
	numberForm = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	originForm = regexp.MustCompile(`^[a-z0-9.-]{1,253}(?::[0-9]{1,5})?$`)
	reasonForm = regexp.MustCompile(`^[a-z_]{1,32}$`)
)

// checkWays refuses ways that do not fit what is asked of whom.
func (st *Start) checkWays() error {
	if err := st.Way.check(st.Kind); err != nil {
		return err
	}
	switch {
	case st.Kind == Registration && (st.Channel != "" || st.Late != nil):
		return invalid("channel", "a registration is put to nobody")
	case (st.UserID == "") != (st.Channel == ByOTP):
		return invalid("user_id", "who scans is not known, and everybody else is")
	case st.Channel == ByOTP && st.DeviceID != "":
		return invalid("device_id", "which phone scans is not known")
	case st.Channel == ByOTP && st.NumberMatch == NoNumber:
		return invalid("number_match", "what is scanned needs a number, or it can be shown to somebody else")
	case st.Channel == BySMS && st.Data != "":
		return invalid("signing_data", "nothing is signed over sms")
	case st.Late != nil && st.Data != "":
		return invalid("signing_data", "nothing is signed over sms, which would take over")
	case st.Channel == BySMS && (st.DeviceID != "" || len(st.Methods) > 0):
		return invalid("channel", "no device answers over sms")
	case len(st.Asked) > MaxID || !Printable(st.Asked):
		return invalid("type", "want at most %d bytes of printable text", MaxID)
	case len(st.Skipped) > MaxSkipped:
		return invalid("type", "more than %d types before it", MaxSkipped)
	}
	for _, s := range st.Skipped {
		if len(s.Type) > MaxID || !Printable(s.Type) || !reasonForm.MatchString(s.Reason) {
			return invalid("type", "a type before it is not well formed")
		}
	}
	return st.checkLate()
}

func (st *Start) checkLate() error {
	l := st.Late
	switch {
	case l == nil:
		return nil
	case st.Channel == ByOTP || st.Channel == BySMS || l.Way.Channel != BySMS:
		return invalid("fallback", "what takes over later is sms, from a phone of the user")
	case l.After < time.Second || l.TimeToLive < time.Second || l.TimeToLive > MaxTimeToLive:
		return invalid("fallback", "want it after 1 second or more, and for 10 minutes at most")
	}
	return l.Way.check(st.Kind)
}

func (w *Way) check(kind Kind) error {
	switch {
	case w.Channel != "" && w.Channel != ByPush && w.Channel != ByOTP && w.Channel != BySMS:
		return invalid("channel", "want push, otp or sms")
	case len(w.Type) > MaxID || !Printable(w.Type) || w.Of != "" && !w.Of.Known():
		return invalid("type", "want a type and its method")
	case len(w.Named) > mobiletype.MaxACR || !Printable(w.Named):
		return invalid("acr", "want at most %d bytes of printable text", mobiletype.MaxACR)
	case w.Attempts < Unlimited || w.Attempts > mobiletype.MaxAttempts:
		return invalid("attempts", "want 1 to %d, or any number", mobiletype.MaxAttempts)
	case w.Resends < 0 || w.Resends > mobiletype.MaxResends:
		return invalid("resends", "want 0 to %d", mobiletype.MaxResends)
	case (w.Channel == BySMS) != (w.SMS != nil):
		return invalid("phone_number", "belongs to sms, which needs one")
	case w.SMS == nil:
		return nil
	case kind != Authentication && kind != Authorisation:
		return invalid("channel", "nothing is signed over sms")
	}
	return w.SMS.check()
}

func (t *Texting) check() error {
	switch {
	case !numberForm.MatchString(t.To):
		return invalid("phone_number", "want the form of E.164, such as +31612345678")
	case len(t.Masked) > 64 || !Printable(t.Masked) || t.Masked == t.To:
		return invalid("phone_number", "want at most 64 bytes of what may be shown of it")
	case len(t.Text) > MaxText || !Printable(t.Text):
		return invalid("message", "want at most %d characters of printable text", MaxShort)
	case t.Origin != "" && !originForm.MatchString(t.Origin):
		return invalid("origin", "want a host")
	case t.Code != "":
		return invalid("code", "it is drawn")
	}
	return nil
}

// begun returns the way with what is drawn for it.
func (w *Way) begun() (Way, error) {
	out := *w
	if w.SMS == nil {
		return out, nil
	}
	text := *w.SMS
	var err error
	if text.Code, err = drawNumber(CodeDigits); err != nil {
		return Way{}, err
	}
	out.SMS = &text
	return out, nil
}

// put decides how the operation is put, and draws what that needs.
func (st *Start) put(o *Operation) (err error) {
	o.Asked, o.Skipped = st.Asked, slices.Clone(st.Skipped)
	if o.Way, err = st.Way.begun(); err != nil {
		return err
	}
	if st.Kind != Registration && o.Channel == "" {
		o.Channel = ByPush
	}
	switch o.Channel {
	case BySMS:
		o.Methods, o.Number, o.SentAt = nil, "", o.CreatedAt
	case ByOTP:
		if o.OTP, err = drawOTP(); err != nil {
			return err
		}
		o.OTPHash = HashOTP(o.OTP)
	case ByPush:
		o.SentAt = o.CreatedAt
	}
	if st.Late == nil {
		return nil
	}
	o.Late = &Late{At: o.CreatedAt.Add(st.Late.After), TimeToLive: st.Late.TimeToLive}
	if !o.Late.At.Before(o.AnswerBy) {
		return invalid("fallback", "it would take over after the end")
	}
	o.Late.Way, err = st.Late.Way.begun()
	return err
}

// drawOTP draws what a phone scans.
func drawOTP() (string, error) {
	drawn := make([]byte, otpBytes)
	if _, err := rand.Read(drawn); err != nil {
		return "", fmt.Errorf("drawing what a phone scans: %w", err)
	}
	return base32.StdEncoding.EncodeToString(drawn), nil
}

// HashOTP names an operation by what a phone scans. Without that the name is of no use.
func HashOTP(otp string) string {
	sum := sha256.Sum256([]byte("gatehouse otp v1\n" + otp))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// resendDelays are the pauses between the times that the same is sent; the last stays.
var resendDelays = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute}

// ResendAt returns from when on the same may be sent again.
func (o *Operation) ResendAt() time.Time {
	return o.SentAt.Add(resendDelays[min(o.Resent, len(resendDelays)-1)])
}
