// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"cmp"
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/authz/realm/formauth"
	"github.com/gatehouse-id/gatehouse/authz/realm/identitystore"
	"github.com/gatehouse-id/gatehouse/caddymodule"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/web"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
)

func init() {
	caddy.RegisterModule(Form{})
	caddy.RegisterModule(IdentityStore{})
}

// Form asks people to fill in fields of the login page, or of a page of its own.
type Form struct {
	// The fields, in order. Default: a user name and a password.
	Fields []FormField `json:"fields,omitempty"`
	// The field that says who the user is: it is filled in when an app suggests somebody, and left out for somebody who is known.
	// Default: username, when no fields are given.
	User string `json:"user,omitempty"`
	// The file in the theme's folder templates/login that is the page. Default: the common login page.
	Template string `json:"template,omitempty"`
	// What the page says above the fields.
	Message string `json:"message,omitempty"`
	// What the page says when the answers were wrong, whatever was wrong. Default: the common text.
	Refused string `json:"refused,omitempty"`

	authenticator *formauth.Authenticator
}

// FormField is one field of a form.
type FormField struct {
	// The name under which login modules know the answer.
	Name string `json:"name"`
	// What people read beside it: a text, or the key of one. Default: the name.
	Label string `json:"label,omitempty"`
	// text, password, email, tel, url or number. Default: text.
	Type string `json:"type,omitempty"`
	// What a browser may fill in, in HTML's words: one-time-code, off and so on.
	Autocomplete string `json:"autocomplete,omitempty"`
	// The keyboard of a phone: numeric, decimal, tel, email, url, search or none.
	InputMode string `json:"input_mode,omitempty"`
	// Whether there must be an answer.
	Required bool `json:"required,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Form) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.authenticators.form", New: func() caddy.Module { return new(Form) }}
}

// Provision builds the authenticator.
func (f *Form) Provision(caddy.Context) error { return f.build() }

func (f *Form) build() (err error) {
	c := formauth.Config{User: f.User, Template: f.Template, Message: f.Message, Refused: f.Refused}
	for _, field := range f.Fields {
		c.Fields = append(c.Fields, realm.Field{
			Name: field.Name, Label: cmp.Or(field.Label, field.Name), Type: field.Type, Autocomplete: field.Autocomplete,
			InputMode: field.InputMode, Required: field.Required,
		})
	}
	if err := formauth.CheckFields(c.Fields); err != nil {
		return err
	}
	f.authenticator, err = formauth.New(c)
	return err
}

// LoginPages names the page that the theme has to have, with what it has to ask.
func (f *Form) LoginPages() []web.OwnLogin {
	if f.Template == "" {
		return nil
	}
	page := web.OwnLogin{Template: f.Template}
	for _, field := range f.authenticator.Fields() {
		page.Fields = append(page.Fields, web.Field{Name: field.Name, Label: field.Label, Type: field.Type, Required: field.Required})
	}
	return []web.OwnLogin{page}
}

// ShowsTransaction tells that the page of the form shows what is approved with it.
func (f *Form) ShowsTransaction() bool { return true }

// Collect asks for what is missing.
func (f *Form) Collect(ctx context.Context, in realm.Input) (realm.Credentials, *realm.Challenge, error) {
	return f.authenticator.Collect(ctx, in)
}

// UnmarshalCaddyfile reads:
//
//	form {
//		field    <name> { ... }
//		user     <field>
//		template <file>
//		message  <text>
//		refused  <text>
//	}
func (f *Form) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	return read(d, option.Block{
		Options: map[string]option.Parse{
			"field": f.parseField, "user": option.String(&f.User), "template": option.String(&f.Template),
			"message": option.String(&f.Message), "refused": option.String(&f.Refused),
		},
		Repeat: []string{"field"},
	}, f.build)
}

// parseField reads:
//
//	field <name> {
//		label        <text>
//		type         <type>
//		autocomplete <words>
//		input_mode   <mode>
//		required
//	}
func (f *Form) parseField(d *caddyfile.Dispenser) error {
	var field FormField
	if err := option.String(&field.Name)(d); err != nil {
		return err
	}
	err := option.Block{Options: map[string]option.Parse{
		"label": option.String(&field.Label), "type": option.String(&field.Type), "autocomplete": option.String(&field.Autocomplete),
		"input_mode": option.String(&field.InputMode), "required": option.Flag(&field.Required),
	}}.Parse(d)
	f.Fields = append(f.Fields, field)
	return err
}

// IdentityStore verifies a user name and a password against the issuer's own users.
type IdentityStore struct {
	module *identitystore.Module
}

// CaddyModule returns the Caddy module information.
func (IdentityStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.login_modules.identity_store", New: func() caddy.Module { return new(IdentityStore) }}
}

// UseIdentity takes the issuer's users.
func (m *IdentityStore) UseIdentity(users *identity.Store) {
	m.module = &identitystore.Module{Users: users}
}

// Verify judges the credentials.
func (m *IdentityStore) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	return m.module.Verify(ctx, c)
}

// UnmarshalCaddyfile reads: identity_store
func (m *IdentityStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error { return nameOnly(d) }

// nameOnly reads a module that has no options.
func nameOnly(d *caddyfile.Dispenser) error {
	d.Next() // the module's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Block{}.Parse(d)
}

// Interface guards.
var (
	_ realm.Authenticator      = (*Form)(nil)
	_ realm.ShowsTransaction   = (*Form)(nil)
	_ caddymodule.LoginPager   = (*Form)(nil)
	_ realm.LoginModule        = (*IdentityStore)(nil)
	_ caddymodule.IdentityUser = (*IdentityStore)(nil)
	_ caddyfile.Unmarshaler    = (*Form)(nil)
	_ caddyfile.Unmarshaler    = (*IdentityStore)(nil)
)
