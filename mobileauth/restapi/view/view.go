// SPDX-License-Identifier: Apache-2.0

package view

import (
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// To is whom something is shown to.
type To struct {
	// Mine says that the caller has started it.
	Mine bool
	// Issuer is the server's identifier, Prefix the path of the API.
	Issuer, Prefix string
}

// Operation is an operation as the API shows one.
type Operation struct {
	ID          string          `json:"id"`
	Kind        operation.Kind  `json:"kind"`
	State       operation.State `json:"state"`
	Reason      string          `json:"reason,omitempty"`
	UserID      string          `json:"user_id,omitempty"`
	DeviceID    string          `json:"device_id,omitempty"`
	AnsweredBy  string          `json:"answered_by,omitempty"`
	Application string          `json:"application,omitempty"`
	ClientID    string          `json:"client_id"`
	ExternalID  string          `json:"external_id,omitempty"`
	Methods     []string        `json:"methods"`
	Method      string          `json:"method,omitempty"`
	Factor      bool            `json:"factor"`
	// Number is shown where the operation began, so only its client gets it, and only while it is of use.
	Number string `json:"number,omitempty"`
	// Display are the exact bytes that the person sees and the device signs.
	Display     string `json:"display,omitempty"`
	DisplayHash string `json:"display_hash,omitempty"`
	Tries       int    `json:"tries"`
	Statement   string `json:"statement,omitempty"`
	Receipt     string `json:"receipt,omitempty"`
	CallbackURL string `json:"callback_url,omitempty"`
	Push        string `json:"push,omitempty"`
	Version     uint64 `json:"version"`

	CreatedAt   time.Time `json:"created_at"`
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	AnsweredAt  time.Time `json:"answered_at,omitzero"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	AnswerBy    time.Time `json:"answer_by"`
	RedeemBy    time.Time `json:"redeem_by,omitzero"`
	RedeemedAt  time.Time `json:"redeemed_at,omitzero"`

	Way
}

// Of shows an operation. Who has scanned one that was put to nobody is told when that person has approved it, and to nobody before: a
// statement names the device as well.
func Of(o *operation.Operation, to To) Operation {
	out := Operation{
		ID: o.ID, Kind: o.Kind, State: o.State, Reason: o.Reason, UserID: o.UserID, DeviceID: o.DeviceID, AnsweredBy: o.AnsweredBy,
		Application: o.Application, ClientID: o.ClientID, ExternalID: o.ExternalID, Methods: o.Methods, Method: o.Method,
		Factor: o.Factor, Display: string(o.Display), DisplayHash: o.DisplayHash, Tries: o.Tries, Statement: o.Statement,
		Receipt: o.Receipt, CallbackURL: o.CallbackURL, Push: o.Push, Version: o.Version, CreatedAt: o.CreatedAt,
		DeliveredAt: o.DeliveredAt, AnsweredAt: o.AnsweredAt, EndedAt: o.EndedAt, AnswerBy: o.AnswerBy, RedeemBy: o.RedeemBy,
		RedeemedAt: o.RedeemedAt, Way: wayOf(o, to),
	}
	if out.Methods == nil {
		out.Methods = []string{}
	}
	if o.Nameless() {
		out.UserID, out.DeviceID, out.AnsweredBy, out.Statement = "", "", "", ""
	}
	if o.State.Open() && to.Mine {
		out.Number = o.Number
	}
	return out
}

// Way is how an operation is put, as the API shows it.
type Way struct {
	Channel operation.Channel `json:"channel,omitempty"`
	// AskedType was asked for, and Type is used. AuthMethod is the method that is, or that was when it was approved.
	AskedType  string              `json:"asked_type,omitempty"`
	Type       string              `json:"type,omitempty"`
	AuthMethod mobiletype.Method   `json:"auth_method,omitempty"`
	Skipped    []operation.Skipped `json:"skipped,omitempty"`
	ACR        string              `json:"acr,omitempty"`
	AMR        []string            `json:"amr,omitempty"`
	// PhoneNumber is what may be shown of it.
	PhoneNumber string    `json:"phone_number,omitempty"`
	Resends     int       `json:"resends,omitempty"`
	ResendAt    time.Time `json:"resend_at,omitzero"`
	SwitchAt    time.Time `json:"switch_at,omitzero"`
	SwitchedAt  time.Time `json:"switched_at,omitzero"`
	ClaimedAt   time.Time `json:"claimed_at,omitzero"`
	// OTP is what a phone scans, Link the text of the QR code with it. Only its client gets them, and only while they are of use.
	OTP  string `json:"otp,omitempty"`
	Link string `json:"link,omitempty"`
	QR   *QR    `json:"qr,omitempty"`
}

// QR says where the pictures of a QR code are.
type QR struct {
	PNG string `json:"png"`
	SVG string `json:"svg"`
}

// wayOf shows how an operation is put.
func wayOf(o *operation.Operation, to To) Way {
	w := Way{
		Channel: o.Channel, AskedType: o.Asked, Type: o.Type, AuthMethod: o.Used, Skipped: o.Skipped, ACR: o.ACR, AMR: o.AMR,
		SwitchedAt: o.SwitchedAt, ClaimedAt: o.ClaimedAt,
	}
	if w.AuthMethod == "" && o.Channel != "" {
		factor := ""
		if len(o.Methods) > 0 {
			factor = o.Methods[0]
		}
		w.AuthMethod, _ = mobiletype.Prove(o.Channel, factor)
	}
	if o.SMS != nil {
		w.PhoneNumber = o.SMS.Masked
	}
	if !o.State.Open() {
		return w
	}
	if o.Late != nil {
		w.SwitchAt = o.Late.At
	}
	if o.Resends > 0 && o.Channel != operation.ByOTP { // nothing was sent to whoever scans
		w.Resends, w.ResendAt = o.Resends, o.ResendAt()
	}
	if to.Mine && o.OTP != "" {
		w.OTP, w.Link = o.OTP, envelope.Scan{Issuer: to.Issuer, OTP: o.OTP}.Text()
		w.QR = &QR{PNG: to.Prefix + "/operations/" + o.ID + "/qr.png", SVG: to.Prefix + "/operations/" + o.ID + "/qr.svg"}
	}
	return w
}
