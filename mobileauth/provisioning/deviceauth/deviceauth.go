// SPDX-License-Identifier: Apache-2.0

package deviceauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth/attestation"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// Fields of the challenge, by name. An app answers with one of them, and with both to hand in a request.
const (
	FieldAnswer = "answer" // the signed answer
	FieldCSR    = "csr"    // a certificate request in DER, in base64url
	// FieldEvidence goes with a request, where evidence is wanted: what the platform says of app and key, an object with a format, as JSON.
	FieldEvidence = "evidence"
	// FieldFormer goes with a request that is signed by the key of a certificate of a former authority: that certificate in DER, in base64url.
	FieldFormer = "former"
)

// What the data of a challenge says, by name.
const (
	DataNonce       = "nonce"
	DataAudience    = "audience"
	DataRealm       = "realm"
	DataMode        = "mode"
	DataEntity      = "entity"
	DataCertificate = "certificate" // after a request: the chain, as PEM
	DataAttestation = "attestation" // what becomes of a request without evidence: required, preferred or record
	DataFormer      = "former"      // "accepted" where certificates of a former authority are renewed
)

// Mode says how a device comes to a certificate.
type Mode string

// The modes.
const (
	// None asks for no certificate: what a device says of itself is believed. It is for development.
	None Mode = "none"
	// Auto gives a certificate to every app that asks with a key of its own.
	Auto Mode = "auto"
	// Custom does that too where a hook of the operator's agrees, to the request or to each session.
	Custom Mode = "custom"
)

// Attributes of a proof. What a hook calls by one of these names is not taken.
const (
	AttributeEntity      = "entity"
	AttributeCertificate = "certificate" // its serial number
	AttributeModel       = "model"
	AttributeOS          = "os"
	AttributeOSVersion   = "os_version"
)

// methodSoftware is the authentication method of RFC 8176 2 for a key of which nobody knows where it lies.
const methodSoftware = "swk"

// messageMissing is the key of the text shown to people who come with a browser.
const messageMissing = "login.application"

// unprovenPrefix begins the ids of devices in mode none. No installation's id begins so.
const unprovenPrefix = "unproven_"

// Certificates issues certificates and judges answers by their keys. A [provisioning.Store] does.
type Certificates interface {
	Issue(ctx context.Context, m provisioning.Message) (provisioning.Certificate, error)
	Present(ctx context.Context, m provisioning.Message) (provisioning.Presence, error)
	Unproven(ctx context.Context, m provisioning.Message) (provisioning.Claims, error)
}

// Config describes a [Guest].
type Config struct {
	// Certificates judges. Required.
	Certificates Certificates
	// Audience is the issuer, for which answers are meant. Required.
	Audience string
	Mode     Mode
	// Entity is what a key has to stand for.
	Entity provisioning.Entity
	// Attestation is what becomes of a request without evidence: a mode of package provisioning; empty asks for none.
	Attestation string
	// Former tells that certificates of a former authority are renewed.
	Former bool
	// Minimum is the least that has to have been shown of a certificate's key; empty is nothing.
	Minimum attestation.Grade
}

// Guest is an authenticator and a login module in one. It keeps nothing between calls and is safe for concurrent use.
type Guest struct{ Config }

var (
	_ realm.Authenticator = (*Guest)(nil)
	_ realm.LoginModule   = (*Guest)(nil)
	_ realm.Reviewer      = (*Guest)(nil)
)

// New returns a guest, or an error that says what does not fit.
func New(c Config) (*Guest, error) {
	if c.Certificates == nil || c.Audience == "" {
		return nil, errors.New("asking for a device: somebody who judges, and an audience, are required")
	}
	if c.Mode != None && c.Mode != Auto && c.Mode != Custom {
		return nil, fmt.Errorf("asking for a device: mode %q is none of: none, auto, custom", c.Mode)
	}
	if _, err := provisioning.ParseEntity(c.Entity.String()); err != nil {
		return nil, fmt.Errorf("asking for a device: %w", err)
	}
	if c.Minimum != "" && (c.Mode == None || !c.Minimum.AtLeast(attestation.Software)) {
		return nil, fmt.Errorf("asking for a device: the grade %q cannot be shown", c.Minimum)
	}
	return &Guest{c}, nil
}

// state is what a challenge keeps.
type state struct {
	Nonce string `json:"nonce"`
}

// Collect asks for the device, hands in a certificate request, or collects the answer.
func (g *Guest) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	answer, csr := in.Fields[FieldAnswer], in.Fields[FieldCSR]
	switch {
	case !in.Native:
		return realm.Credentials{}, &realm.Challenge{Message: messageMissing, Stuck: true}, nil
	case answer == "" && csr == "":
		asked, err := g.ask(&in, "")
		return realm.Credentials{}, asked, err
	case csr != "" && g.Mode != None:
		return g.issue(ctx, &in)
	}
	nonce, err := nonceOf(&in)
	if err != nil {
		return realm.Credentials{}, nil, err
	}
	spent := ""
	if in.Spent {
		spent = "spent"
	}
	return realm.Credentials{
		Values: map[string]string{
			FieldAnswer: answer, DataNonce: nonce, valueSpent: spent, DataRealm: in.Realm, valueClient: in.Client.ID,
		},
		ClientIP: in.ClientIP, Subject: in.Subject,
	}, nil, nil
}

// Values that go to the login module beside the answer.
const (
	valueSpent  = "spent"
	valueClient = "client_id"
)

// nonceOf returns what the last challenge of the request has asked with; empty when there was none.
func nonceOf(in *realm.Input) (string, error) {
	if in.State == nil {
		return "", nil
	}
	var kept state
	if err := json.Unmarshal(in.State, &kept); err != nil {
		return "", fmt.Errorf("reading what a device was asked with: %w", err)
	}
	return kept.Nonce, nil
}

// ask returns a challenge with a nonce of its own, and the certificate that was just issued, if any.
func (g *Guest) ask(in *realm.Input, chain string) (*realm.Challenge, error) {
	nonce := randid.Secret()
	kept, err := json.Marshal(state{Nonce: nonce})
	if err != nil {
		return nil, fmt.Errorf("keeping what a device is asked with: %w", err)
	}
	c := &realm.Challenge{
		Fields: []realm.Field{
			{Name: FieldAnswer, Label: "Answer", Type: "text", Required: true}, {Name: FieldCSR, Label: "Certificate request", Type: "text"},
		},
		Data: map[string]string{
			DataNonce: nonce, DataAudience: g.Audience, DataRealm: in.Realm, DataMode: string(g.Mode), DataEntity: g.Entity.String(),
		},
		State: kept, Further: chain != "",
	}
	if chain != "" {
		c.Data[DataCertificate] = chain
	}
	if g.Attestation != "" {
		c.Data[DataAttestation] = g.Attestation
		c.Fields = append(c.Fields, realm.Field{Name: FieldEvidence, Label: "Evidence", Type: "text"})
	}
	if g.Former {
		c.Data[DataFormer] = "accepted"
		c.Fields = append(c.Fields, realm.Field{Name: FieldFormer, Label: "Former certificate", Type: "text"})
	}
	return c, nil
}

// issue hands in a certificate request, and asks again with what came of it.
func (g *Guest) issue(ctx context.Context, in *realm.Input) (realm.Credentials, *realm.Challenge, error) {
	nonce, err := nonceOf(in)
	if err != nil {
		return realm.Credentials{}, nil, err
	}
	der, err := base64.RawURLEncoding.Strict().DecodeString(in.Fields[FieldCSR])
	if err != nil {
		der = nil // no request is as short as that
	}
	former, err := base64.RawURLEncoding.Strict().DecodeString(in.Fields[FieldFormer])
	if err != nil {
		former = []byte{0} // which is no certificate
	}
	issued, err := g.Certificates.Issue(ctx, provisioning.Message{
		Question: g.question(in.Realm, nonce), Spent: in.Spent, Entity: g.Entity, Answer: in.Fields[FieldAnswer], CSR: der,
		Evidence: []byte(in.Fields[FieldEvidence]), Former: former,
		Caller: provisioning.Caller{ClientID: in.Client.ID, ClientIP: in.ClientIP, UserID: in.Subject},
	})
	if refusal, refused := errors.AsType[*provisioning.Refusal](err); refused {
		return realm.Credentials{Refusal: refusalOf(refusal)}, nil, nil
	}
	if err != nil {
		return realm.Credentials{}, nil, err
	}
	asked, err := g.ask(in, issued.PEM())
	return realm.Credentials{}, asked, err
}

func (g *Guest) question(named, nonce string) provisioning.Question {
	return provisioning.Question{Audience: g.Audience, Realm: named, Nonce: nonce}
}

// refusalOf is a refusal as a realm has it. A certificate that is over or revoked is nobody's guess, and neither are a version that is
// switched off and a budget that is spent: when that happens thousands are refused at once, many of them behind one address.
func refusalOf(r *provisioning.Refusal) *realm.Refusal {
	out := &realm.Refusal{Reason: string(r.Reason), RetryAfter: r.RetryAfter}
	switch r.Reason {
	case provisioning.ReasonExpired, provisioning.ReasonRevoked, provisioning.ReasonDistrusted, provisioning.ReasonReplaced,
		provisioning.ReasonVersion, provisioning.ReasonUnknown, provisioning.ReasonFormer, provisioning.ReasonPending,
		provisioning.ReasonManyDevices, provisioning.ReasonBudget:
		out.Blameless = true
	}
	if strings.HasPrefix(out.Reason, "attestation_") { // a phone shows what it can
		out.Blameless = true
	}
	if r.Text != "" {
		out.Notice = &realm.Notice{ID: "refused", Text: r.Text}
	}
	return out
}

// Verify judges an answer. The proof names a device and an app, and nobody.
func (g *Guest) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	m := provisioning.Message{
		Question: g.question(c.Values[DataRealm], c.Values[DataNonce]), Spent: c.Values[valueSpent] != "", Entity: g.Entity,
		Answer: c.Values[FieldAnswer],
		Caller: provisioning.Caller{ClientID: c.Values[valueClient], ClientIP: c.ClientIP, UserID: c.Subject},
	}
	var identity realm.Identity
	var err error
	if g.Mode == None {
		identity, err = g.unproven(ctx, m)
	} else {
		identity, err = g.proven(ctx, m)
	}
	if refusal, refused := errors.AsType[*provisioning.Refusal](err); refused {
		out := refusalOf(refusal)
		return realm.Result{Status: realm.Refused, Reason: out.Reason, Blameless: out.Blameless, Notice: out.Notice}, nil
	}
	if err != nil {
		return realm.Result{}, err
	}
	return realm.Result{Status: realm.Accepted, Identity: identity}, nil
}

// Stands reports whether what a proof says to have been shown is what is asked for by now.
func (g *Guest) Stands(proof realm.Proof) bool {
	return g.Minimum == "" || attestation.Grade(proof.Attestation).AtLeast(g.Minimum)
}

func (g *Guest) proven(ctx context.Context, m provisioning.Message) (realm.Identity, error) {
	there, err := g.Certificates.Present(ctx, m)
	if err != nil {
		return realm.Identity{}, err
	}
	shown := there.Certificate.Attestation.Grade
	if g.Minimum != "" && !shown.AtLeast(g.Minimum) {
		return realm.Identity{}, &provisioning.Refusal{Reason: provisioning.ReasonGrade, Installation: there.Certificate.Installation}
	}
	identity := g.identity(&there.Claims, there.Attributes)
	if shown.AtLeast(attestation.Software) {
		identity.Attestation = string(shown)
	}
	identity.Device, identity.AMR = there.Certificate.Installation, []string{methodSoftware}
	identity.Attributes[AttributeCertificate] = there.Certificate.Serial
	return identity, nil
}

func (g *Guest) unproven(ctx context.Context, m provisioning.Message) (realm.Identity, error) {
	claims, err := g.Certificates.Unproven(ctx, m)
	if err != nil {
		return realm.Identity{}, err
	}
	identity := g.identity(&claims, nil)
	identity.Device = unprovenPrefix + randid.Hash(claims.Installation)
	return identity, nil
}

// identity is what an answer says beside who has signed it, and what a hook has added.
func (g *Guest) identity(said *provisioning.Claims, added map[string]string) realm.Identity {
	attributes := map[string]string{}
	maps.Copy(attributes, added)
	for name, value := range map[string]string{
		AttributeEntity: g.Entity.String(), AttributeModel: said.Device.Model, AttributeOS: said.Device.OS,
		AttributeOSVersion: said.Device.OSVersion, AttributeCertificate: "",
	} {
		delete(attributes, name)
		if value != "" {
			attributes[name] = value
		}
	}
	return realm.Identity{
		Application: &realm.Application{ID: said.App.ID, Platform: said.App.Platform, Version: said.App.Version}, Attributes: attributes,
	}
}
