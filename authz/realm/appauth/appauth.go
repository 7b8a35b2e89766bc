// SPDX-License-Identifier: Apache-2.0

package appauth

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/mobileauth"
)

// Fields of the challenge, by name.
const (
	FieldApplication = "application" // asked only by a realm that is for every app
	FieldPlatform    = "platform"
	FieldVersion     = "version"
	// FieldMessage holds the id of the last notice that the app has shown; empty before the first.
	FieldMessage = "message_id"
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

// Config describes a [Guest].
type Config struct {
	// Application is the only app that the realm is for; empty is every one that Versions knows.
	Application string
	// Versions is required.
	Versions Versions
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
	platform, version := in.Fields[FieldPlatform], in.Fields[FieldVersion]
	switch {
	case app == "" || platform == "" || version == "":
		return realm.Credentials{}, g.ask(mobileauth.Notice{}, ""), nil
	case !mobileauth.ValidID(app) || !mobileauth.ValidPlatform(platform) || !mobileauth.ValidVersion(version):
		return realm.Credentials{Refusal: &realm.Refusal{Reason: ReasonMalformed}}, nil, nil
	}
	languages := strings.Join(in.Headers["Accept-Language"], ",")
	status, notice := g.Versions.Status(app, platform, version)
	if status == mobileauth.Notify && in.Fields[FieldMessage] != notice.ID {
		return realm.Credentials{}, g.ask(notice, notice.Text(languages, in.Locale)), nil
	}
	return realm.Credentials{
		Values: map[string]string{
			FieldApplication: app, FieldPlatform: platform, FieldVersion: version, valueLanguages: languages,
		},
		ClientIP: in.ClientIP, Locale: in.Locale, Subject: in.Subject,
	}, nil, nil
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
	return c
}

func told(notice mobileauth.Notice, text string) *realm.Notice {
	if notice.ID == "" {
		return nil
	}
	return &realm.Notice{ID: notice.ID, Text: text, URL: notice.URL}
}

// Verify judges the version. The proof of one that is let in names an app and nobody.
func (g *Guest) Verify(_ context.Context, c realm.Credentials) (realm.Result, error) {
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
	return result, nil
}

// Stands reports whether the version that a proof is about is still let in.
func (g *Guest) Stands(proof realm.Proof) bool {
	if proof.Application == nil {
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
