// SPDX-License-Identifier: Apache-2.0

package hooks

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// What a service is asked, by the member "hook".
const (
	ValidateCSR         = "validate_csr"
	ValidateCertificate = "validate_certificate"
)

// Poster says something to a service and returns its answer. An internal/callout.Client does: it follows no redirect, waits for no
// longer than was agreed, and reads no more.
type Poster interface {
	Post(ctx context.Context, what any) ([]byte, error)
}

// Service is a service that is asked. It is safe for concurrent use if its Poster is.
type Service struct{ to Poster }

var (
	_ provisioning.RequestValidator     = (*Service)(nil)
	_ provisioning.CertificateValidator = (*Service)(nil)
)

// New returns a service.
func New(to Poster) (*Service, error) {
	if to == nil {
		return nil, errors.New("building a hook: a service to ask is required")
	}
	return &Service{to}, nil
}

// question is what both questions have in common.
type question struct {
	Hook   string `json:"hook"`
	Realm  string `json:"realm"`
	Entity string `json:"entity"`
	// Installation is what the device is called, and Key the SHA-256 of its public key in base64url.
	Installation string              `json:"installation"`
	Key          string              `json:"key"`
	App          provisioning.App    `json:"app"`
	Device       provisioning.Device `json:"device"`
	Custom       map[string]string   `json:"custom"`
	ClientID     string              `json:"client_id"`
	ClientIP     string              `json:"client_ip"`
	UserID       string              `json:"user_id,omitempty"`
}

func ask(hook, realm string, claims *provisioning.Claims, by *provisioning.Caller) question {
	custom := claims.Custom
	if custom == nil {
		custom = map[string]string{}
	}
	return question{
		Hook: hook, Realm: realm, App: claims.App, Device: claims.Device, Custom: custom,
		ClientID: by.ClientID, ClientIP: by.ClientIP, UserID: by.UserID,
	}
}

// ValidateRequest asks about a device that wants its first certificate.
func (s *Service) ValidateRequest(ctx context.Context, a provisioning.Applicant) (provisioning.Verdict, error) {
	q := struct {
		question
		// CSR is the request in PEM, and Subject what it wishes to be called.
		CSR     string `json:"csr"`
		Subject string `json:"subject"`
	}{
		ask(ValidateCSR, a.Realm, &a.Claims, &a.Caller),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: a.CSR.Raw})), a.CSR.Parsed.Subject.String(),
	}
	q.Entity, q.Installation, q.Key = a.Entity.String(), a.Installation, a.CSR.Key
	var said struct {
		answer
		Subject *subject `json:"subject"`
	}
	if err := s.post(ctx, q, &said); err != nil {
		return provisioning.Verdict{}, err
	}
	verdict, err := said.verdict()
	if said.Subject != nil && err == nil {
		if !verdict.Accepted {
			return provisioning.Verdict{}, fmt.Errorf("a refusal with a subject: %w", errAnswer)
		}
		verdict.Subject = said.Subject.name()
	}
	return verdict, err
}

// shown is a certificate as a service sees it.
type shown struct {
	Serial     string            `json:"serial"`
	Subject    string            `json:"subject"`
	IssuedAt   time.Time         `json:"issued_at"`
	NotBefore  time.Time         `json:"not_before"`
	NotAfter   time.Time         `json:"not_after"`
	Attributes map[string]string `json:"attributes"`
	PEM        string            `json:"pem"`
}

// ValidateCertificate asks about a device that begins a session.
func (s *Service) ValidateCertificate(ctx context.Context, session provisioning.Session) (provisioning.Verdict, error) {
	c := &session.Certificate
	attributes := c.Attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	q := struct {
		question
		Certificate shown `json:"certificate"`
	}{
		ask(ValidateCertificate, session.Realm, &session.Claims, &session.Caller),
		shown{
			Serial: c.Serial, Subject: c.Subject(), IssuedAt: c.IssuedAt, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
			Attributes: attributes, PEM: c.PEM(),
		},
	}
	q.Entity, q.Installation, q.Key = c.Entity().String(), c.Installation, c.Key
	var said struct{ answer }
	if err := s.post(ctx, q, &said); err != nil {
		return provisioning.Verdict{}, err
	}
	return said.verdict()
}

// answer is what both answers have in common.
type answer struct {
	Accept     *bool             `json:"accept"`
	Message    string            `json:"message"`
	Attributes map[string]string `json:"attributes"`
}

// errAnswer says that an answer was not understood.
var errAnswer = errors.New("the service's answer says nothing that can be done")

func (a *answer) verdict() (provisioning.Verdict, error) {
	switch {
	case a.Accept == nil:
		return provisioning.Verdict{}, fmt.Errorf("neither a yes nor a no: %w", errAnswer)
	case *a.Accept && a.Message != "":
		return provisioning.Verdict{}, fmt.Errorf("a yes with a message, which nobody would see: %w", errAnswer)
	case !*a.Accept && len(a.Attributes) > 0:
		return provisioning.Verdict{}, fmt.Errorf("a no with attributes: %w", errAnswer)
	}
	return provisioning.Verdict{Accepted: *a.Accept, Text: a.Message, Attributes: a.Attributes}, nil
}

// subject is the subject of a certificate, each part once.
type subject struct {
	CommonName         string `json:"common_name"`
	SerialNumber       string `json:"serial_number"`
	Organization       string `json:"organization"`
	OrganizationalUnit string `json:"organizational_unit"`
	Locality           string `json:"locality"`
	Province           string `json:"province"`
	Country            string `json:"country"`
}

func (s *subject) name() pkix.Name {
	one := func(text string) []string {
		if text == "" {
			return nil
		}
		return []string{text}
	}
	return pkix.Name{
		CommonName: s.CommonName, SerialNumber: s.SerialNumber, Organization: one(s.Organization), OrganizationalUnit: one(s.OrganizationalUnit),
		Locality: one(s.Locality), Province: one(s.Province), Country: one(s.Country),
	}
}

// post asks, and reads an answer strictly: one object, no member twice, none in the wrong case, and none that is not known, since it may
// be meant to restrict. Errors hold nothing of it.
func (s *Service) post(ctx context.Context, question, into any) error {
	text, err := s.to.Post(ctx, question)
	if err != nil {
		return err
	}
	if err := jose.UnmarshalObject(text, into); err != nil {
		return fmt.Errorf("no JSON object without doubt: %w", errAnswer)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("a member that is not known, or of another type: %w", errAnswer)
	}
	return nil
}
