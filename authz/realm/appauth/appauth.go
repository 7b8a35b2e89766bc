// SPDX-License-Identifier: Apache-2.0

package appauth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

// Fields of the challenge, by name.
const (
	FieldApplication = "application" // asked only by a realm that is for every app
	FieldPlatform    = "platform"
	FieldVersion     = "version"
	// FieldMessage holds the id of the last notice that the app has shown; empty before the first.
	FieldMessage = "message_id"
	// FieldEvidence holds, where a realm asks for it, what the platform says of the app: an object with a format, as JSON.
	FieldEvidence = "evidence"
)

// What the data of a challenge says, where it asks for evidence.
const (
	DataChallenge = "challenge" // what the evidence is made for, with DataAudience: see [Bound]
	DataAudience  = "audience"
)

// AttributeRegistration is the attribute of a proof by whose app no device may be registered; it then has the value
// [RegistrationRefused].
const (
	AttributeRegistration = "registration"
	RegistrationRefused   = "refused"
)

// Reasons of a refusal, for the audit trail.
const (
	ReasonDisabled  = "version_disabled"
	ReasonUnknown   = "unknown_application"
	ReasonMalformed = "malformed_answer"
	ReasonReplayed  = "replayed"          // the challenge was answered before
	ReasonGrade     = "attestation_grade" // what was shown is less than the realm asks for
)

// messageMissing is the key of the text shown to people who come with a browser.
const messageMissing = "login.application"

// messageRefused is the key of what people read instead of advice to look at what they typed.
const messageRefused = "login.version"

// valueLanguages is the value under which the languages of the caller go to the login module.
const valueLanguages = "languages"

// Versions judges the versions of apps. A [mobileauth.Registry] does.
type Versions interface {
	// Status returns what becomes of a version of an app on a platform, and what its people are told. It answers from memory.
	Status(app, platform, version string) (mobileauth.Status, mobileauth.Notice)
}

// Evidence is what an app shows to be genuine.
type Evidence struct {
	Application, Platform string
	// Bound is what it has to be made for.
	Bound []byte
	// Raw is the evidence as it came.
	Raw []byte
}

// Config describes a [Guest].
type Config struct {
	// Application is the only app that the realm is for; empty is every one that Versions knows.
	Application string
	// Versions is required.
	Versions Versions
	// Attestation is the least grade that an app has to show with evidence; empty asks for none. With it Audience, the issuer for which
	// evidence is made, and Genuine and AtLeast are required.
	Attestation, Audience string
	// Genuine returns the grade of evidence and, where it is less than least, the reason for the audit trail. An error says that nobody
	// could judge.
	Genuine func(ctx context.Context, e Evidence, least string) (grade, reason string, err error)
	// AtLeast reports whether a grade is as good as another.
	AtLeast func(grade, least string) bool
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
	if c.Versions == nil {
		return nil, errors.New("asking for the version of an app: somebody who judges it is required")
	}
	if c.Application != "" && !mobileauth.ValidID(c.Application) {
		return nil, fmt.Errorf("asking for the version of an app: %q is no id of one", c.Application)
	}
	if c.Attestation != "" && (c.Audience == "" || c.Genuine == nil || c.AtLeast == nil) {
		return nil, errors.New("asking an app to show that it is genuine: an audience and somebody who judges are required")
	}
	return &Guest{c}, nil
}

// Collect asks the app which version it is, and shows what its people are to know before it is let in. A browser is told that this
// is for apps. Answers that cannot be any are refused.
func (g *Guest) Collect(_ context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	if !in.Native {
		return realm.Credentials{}, &realm.Challenge{Message: messageMissing, Stuck: true}, nil
	}
	app := g.Application
	if app == "" {
		app = in.Fields[FieldApplication]
	}
	platform, version, evidence := in.Fields[FieldPlatform], in.Fields[FieldVersion], in.Fields[FieldEvidence]
	switch {
	case app == "" || platform == "" || version == "" || g.Attestation != "" && (evidence == "" || len(in.State) == 0):
		return realm.Credentials{}, g.ask(mobileauth.Notice{}, ""), nil
	case !mobileauth.ValidID(app) || !mobileauth.ValidPlatform(platform) || !mobileauth.ValidVersion(version):
		return realm.Credentials{Refusal: &realm.Refusal{Reason: ReasonMalformed}}, nil, nil
	}
	languages := strings.Join(in.Headers["Accept-Language"], ",")
	status, notice := g.Versions.Status(app, platform, version)
	if status == mobileauth.Notify && in.Fields[FieldMessage] != notice.ID {
		return realm.Credentials{}, g.ask(notice, notice.Text(languages, in.Locale)), nil
	}
	values := map[string]string{FieldApplication: app, FieldPlatform: platform, FieldVersion: version, valueLanguages: languages}
	if g.Attestation != "" {
		if in.Spent {
			return realm.Credentials{Refusal: &realm.Refusal{Reason: ReasonReplayed}}, nil, nil
		}
		values[FieldEvidence], values[DataChallenge] = evidence, string(in.State)
	}
	return realm.Credentials{Values: values, ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject}, nil, nil
}

// Bound is what evidence is made for: whatever a platform lets an app say with it, of 32 bytes. A challenge is set for one answer, and what
// was made for another issuer says nothing here.
func Bound(audience, challenge string) [sha256.Size]byte {
	return sha256.Sum256([]byte("gatehouse application v1\n" + audience + "\n" + challenge))
}

// ask returns the challenge. With a notice it asks the same once more, and for the notice's id.
func (g *Guest) ask(notice mobileauth.Notice, text string) *realm.Challenge {
	c := &realm.Challenge{Notice: told(notice, text), Refused: messageRefused, Further: notice.ID != ""}
	if g.Application == "" {
		c.Fields = append(c.Fields, realm.Field{Name: FieldApplication, Label: "Application", Type: "text", Required: true})
	} else {
		c.Data = map[string]string{FieldApplication: g.Application}
	}
	c.Fields = append(c.Fields,
		realm.Field{Name: FieldPlatform, Label: "Platform", Type: "text", Required: true},
		realm.Field{Name: FieldVersion, Label: "Version", Type: "text", Required: true},
		realm.Field{Name: FieldMessage, Label: "Message", Type: "hidden", Value: notice.ID},
	)
	if g.Attestation == "" {
		return c
	}
	challenge := randid.Secret()
	if c.Data == nil {
		c.Data = map[string]string{}
	}
	c.Data[DataChallenge], c.Data[DataAudience], c.State = challenge, g.Audience, []byte(challenge)
	c.Fields = append(c.Fields, realm.Field{Name: FieldEvidence, Label: "Evidence", Type: "text", Required: true})
	return c
}

func told(notice mobileauth.Notice, text string) *realm.Notice {
	if notice.ID == "" {
		return nil
	}
	return &realm.Notice{ID: notice.ID, Text: text, URL: notice.URL}
}

// Verify judges the version, and then the evidence where some is asked for. The proof of one that is let in names an app and nobody.
func (g *Guest) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	app := &realm.Application{ID: c.Values[FieldApplication], Platform: c.Values[FieldPlatform], Version: c.Values[FieldVersion]}
	status, notice := g.judge(app)
	result := realm.Result{Status: realm.Accepted, Identity: realm.Identity{Application: app}}
	switch status {
	case mobileauth.Active, mobileauth.Notify:
	case mobileauth.NoRegistration:
		result.Identity.Attributes = map[string]string{AttributeRegistration: RegistrationRefused}
	case mobileauth.Disabled:
		text := notice.Text(c.Values[valueLanguages], c.Locale)
		return realm.Result{Status: realm.Refused, Reason: ReasonDisabled, Notice: told(notice, text), Blameless: true}, nil
	default:
		return realm.Result{Status: realm.Refused, Reason: ReasonUnknown, Blameless: true}, nil
	}
	if g.Attestation == "" {
		return result, nil
	}
	bound := Bound(g.Audience, c.Values[DataChallenge])
	grade, reason, err := g.Genuine(ctx, Evidence{
		Application: app.ID, Platform: app.Platform, Bound: bound[:], Raw: []byte(c.Values[FieldEvidence]),
	}, g.Attestation)
	if err != nil {
		return realm.Result{}, fmt.Errorf("judging whether an app is genuine: %w", err)
	}
	if reason != "" || !g.AtLeast(grade, g.Attestation) {
		return realm.Result{Status: realm.Refused, Reason: cmp.Or(reason, ReasonGrade), Blameless: true}, nil
	}
	result.Identity.Attestation = grade
	return result, nil
}

// Stands reports whether the version that a proof is about is still let in, and has shown what is asked for by now.
func (g *Guest) Stands(proof realm.Proof) bool {
	if proof.Application == nil || g.Attestation != "" && !g.AtLeast(proof.Attestation, g.Attestation) {
		return false
	}
	status, _ := g.judge(proof.Application)
	return status == mobileauth.Active || status == mobileauth.Notify || status == mobileauth.NoRegistration
}

func (g *Guest) judge(app *realm.Application) (mobileauth.Status, mobileauth.Notice) {
	if g.Application != "" && app.ID != g.Application {
		return mobileauth.Unknown, mobileauth.Notice{}
	}
	return g.Versions.Status(app.ID, app.Platform, app.Version)
}
