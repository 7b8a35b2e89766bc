// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/endpoint"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/authz/server"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Config lets the instances of apps register as clients.
type Config struct {
	// Who may register: "either" is whoever has an initial access token or a software statement, "both" whoever has both, and "anyone"
	// anyone. Default: either.
	Admit string `json:"admit,omitempty"`
	// After how long an instance that nobody uses is forgotten, 2d at least. Default: 90d.
	Unused caddy.Duration `json:"unused,omitempty"`
	// How many one address may register. Default: 60 at once and then one a second.
	PerAddress *Rate `json:"per_address,omitempty"`
	// How many may register by one initial access token. Default: 1000 at once and then 20 a second.
	PerToken *Rate `json:"per_token,omitempty"`
	// How many may register in a day without an initial access token, on each node. Default: 50000.
	PerDay int `json:"per_day,omitempty"`
	// The apps whose instances may register.
	Applications []Application `json:"applications,omitempty"`
	// Whose software statements are believed (RFC 7591 2.3). Default: nobody's.
	Statements []Statement `json:"software_statements,omitempty"`
}

// Rate is so many at once, and then one in each interval.
type Rate struct {
	// How many at once.
	Burst int `json:"burst"`
	// How long it takes until one more may.
	Every caddy.Duration `json:"every"`
}

// Application is an app whose instances may register: what each may have at most. They authenticate by private_key_jwt, each with a
// key of its own.
type Application struct {
	// Its name, which instances give as software_id.
	ID string `json:"id"`
	// The name people see. Default: its id.
	Name string `json:"name,omitempty"`
	// Where an instance may be sent after login, exactly.
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	// Where an instance may be sent after logout, exactly.
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	// authorization_code, refresh_token, client_credentials. Default: authorization_code, when it has a redirect URI or is native.
	Grants []string `json:"grants,omitempty"`
	// The scopes an instance may ask for.
	Scopes []string `json:"scopes,omitempty"`
	// The scopes an instance gets when it names none. Default: the issuer's default_scope.
	DefaultScopes []string `json:"default_scopes,omitempty"`
	// The types of authorization_details an instance may ask for. Default: none.
	DetailTypes []string `json:"authorization_details_types,omitempty"`
	// The audience of its access tokens. Default: the issuer's.
	Audience []string `json:"audience,omitempty"`
	// Whether it is the operator's own, so that people are not asked for consent.
	FirstParty bool `json:"first_party,omitempty"`
	// Whether it answers challenges on screens of its own, for which it must be first_party.
	Native bool `json:"native,omitempty"`
	// Whether all access tokens of an instance are bound to a key of its own (DPoP, RFC 9449 5.2).
	BoundTokens bool `json:"dpop_bound_access_tokens,omitempty"`
	// Lifetime of its access tokens. Default: the issuer's.
	AccessTTL caddy.Duration `json:"access_ttl,omitempty"`
	// Lifetime of its refresh tokens. Default: the issuer's.
	RefreshTTL caddy.Duration `json:"refresh_ttl,omitempty"`
	// Signature algorithm of its ID tokens, where an instance names none. Default: the issuer's first.
	IDTokenAlg string `json:"id_token_alg,omitempty"`
	// The least grade that an instance has to show of its app and key to register: hardware, tee or software. Default: nothing is asked.
	Attestation string `json:"attestation,omitempty"`
}

// Statement is an issuer of software statements.
type Statement struct {
	// The iss of its statements.
	Issuer string `json:"issuer"`
	// A file with its public keys (JWKS).
	JWKSFile string `json:"jwks_file,omitempty"`
	// What its statements may set of the metadata. Default: software_id software_version client_name.
	May []string `json:"may,omitempty"`
	// The apps of this registration that it may speak for. Default: all.
	Applications []string `json:"applications,omitempty"`
}

// usual is what a statement may set unless it is said.
var usual = []string{"software_id", "software_version", "client_name"}

// Parts is what the configuration around this one knows.
type Parts struct {
	Issuer string
	DB     storage.DB
	// Algorithms are those of the signing keys, the default first.
	Algorithms []string
	// Terms returns a client that may do what an instance of an app may.
	Terms func(*Application) (*authz.Client, error)
	// Judge judges what instances show.
	Judge registration.Judge
	// Read reads a file. Nil reads none, and is enough to find what contradicts itself.
	Read func(path string) ([]byte, error)
	Now  func() time.Time
}

// Server returns what the authorization server needs to let instances register, and nil where none may.
func (c *Config) Server(p Parts) (*server.Registration, error) {
	if c == nil {
		return nil, nil
	}
	r, err := c.build(p)
	if err != nil {
		return nil, fmt.Errorf("registration: %w", err)
	}
	return r, nil
}

func (c *Config) build(p Parts) (*server.Registration, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	reader, err := c.reader(p)
	if err != nil {
		return nil, err
	}
	return &server.Registration{
		DB: p.DB, Reader: reader, Judge: p.Judge, Admit: endpoint.Admit(cmp.Or(c.Admit, string(endpoint.AdmitEither))), Unused: time.Duration(c.Unused),
		PerAddress: c.PerAddress.rate(), PerToken: c.PerToken.rate(), PerDay: c.PerDay,
	}, nil
}

func (r *Rate) rate() server.Rate {
	if r == nil {
		return server.Rate{}
	}
	return server.Rate{Burst: r.Burst, Every: time.Duration(r.Every)}
}

// maxPerDay bounds what may be allowed in a day: more than that is no bound.
const maxPerDay = 100_000_000

// AsksEvidence reports whether instances of any application have to show something.
func (c *Config) AsksEvidence() bool {
	return c != nil && slices.ContainsFunc(c.Applications, func(a Application) bool { return a.Attestation != "" })
}

// Open says who may register whom the operator has not given anything; empty is nobody.
func (c *Config) Open() string {
	switch {
	case c == nil:
		return ""
	case endpoint.Admit(c.Admit) == endpoint.AdmitAnyone:
		return "admit is anyone: anyone may register"
	case endpoint.Admit(c.Admit) != endpoint.AdmitBoth && len(c.Statements) > 0:
		return "a software statement is enough: whoever has a copy of the app may register"
	}
	return ""
}

func (c *Config) check() error {
	if !slices.Contains([]endpoint.Admit{"", endpoint.AdmitEither, endpoint.AdmitBoth, endpoint.AdmitAnyone}, endpoint.Admit(c.Admit)) {
		return fmt.Errorf("admit %q is none of %s, %s and %s", c.Admit, endpoint.AdmitEither, endpoint.AdmitBoth, endpoint.AdmitAnyone)
	}
	if endpoint.Admit(c.Admit) == endpoint.AdmitBoth && len(c.Statements) == 0 {
		return errors.New("admit both: nobody's software statements are believed: add a software_statement")
	}
	if unused := time.Duration(c.Unused); unused != 0 && unused < registration.MinUnused {
		return fmt.Errorf("unused is %s: an instance is forgotten after %s at least", unused, registration.MinUnused)
	}
	if c.PerDay < 0 || c.PerDay > maxPerDay {
		return fmt.Errorf("per_day is %d at most", maxPerDay)
	}
	for i := range c.Applications {
		a := &c.Applications[i]
		own := func(scope string) bool { return strings.HasPrefix(scope, wire.ScopePrefix) }
		if j := slices.IndexFunc(a.Scopes, own); j >= 0 {
			return fmt.Errorf("application %q: the scope %q is for back ends, and an instance is an app in the hands of its user", a.ID, a.Scopes[j])
		}
	}
	for name, rate := range map[string]*Rate{"per_address": c.PerAddress, "per_token": c.PerToken} {
		if rate != nil && (rate.Burst < 1 || rate.Every <= 0) {
			return fmt.Errorf("%s needs a number above 0 and an interval", name)
		}
	}
	return nil
}

func (c *Config) reader(p Parts) (*metadata.Reader, error) {
	reader := &metadata.Reader{Issuer: p.Issuer, Now: p.Now}
	for _, name := range p.Algorithms {
		reader.Algorithms = append(reader.Algorithms, jose.Algorithm(name))
	}
	for i := range c.Applications {
		terms, err := p.Terms(&c.Applications[i])
		if err != nil {
			return nil, err
		}
		reader.Applications = append(reader.Applications, &metadata.Application{
			ID: c.Applications[i].ID, Terms: *terms, Attestation: c.Applications[i].Attestation,
		})
	}
	for i := range c.Statements {
		authority, err := c.Statements[i].authority(p.Read)
		if err != nil {
			return nil, fmt.Errorf("software_statement %q: %w", c.Statements[i].Issuer, err)
		}
		reader.Authorities = append(reader.Authorities, authority)
	}
	return reader, reader.Check()
}

func (s *Statement) authority(read func(path string) ([]byte, error)) (*metadata.Authority, error) {
	a := &metadata.Authority{Issuer: s.Issuer, May: s.May, Applications: s.Applications}
	if len(a.May) == 0 {
		a.May = usual
	}
	if s.JWKSFile == "" {
		return nil, errors.New("it needs a jwks_file")
	}
	if read == nil {
		key, err := jose.GenerateKey(jose.ES256)
		a.Keys = []jose.PublicKey{key.Public()} // stands for those of the file
		return a, err
	}
	data, err := read(s.JWKSFile)
	if err != nil {
		return nil, fmt.Errorf("jwks_file: %w", err)
	}
	if a.Keys, err = jose.ParseSet(data); err != nil {
		return nil, fmt.Errorf("jwks_file %q: %w", s.JWKSFile, err)
	}
	return a, nil
}
