// SPDX-License-Identifier: Apache-2.0

package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
	"github.com/gatehouse-id/gatehouse/validation"
	"github.com/gatehouse-id/gatehouse/validation/internal/sieve"
)

const (
	// DefaultRememberFor is for how long an answer is believed, unless configured.
	DefaultRememberFor = 10 * time.Second
	// MaxRememberFor is the longest that can be configured: so much later a revocation is noticed.
	MaxRememberFor = 5 * time.Minute
	// refusedFor is for how long a token that is not active is refused without asking again.
	refusedFor = 5 * time.Second
	// refusedBytes bounds the memory of such tokens. It is apart, so that a flood of them drives nothing else out.
	refusedBytes = 1 << 20
	// maxAnswer is how long an answer about a token may be.
	maxAnswer = 64 << 10
	// atOnce is how many questions are under way at any time; others wait for as long as their requests do.
	atOnce = 64
)

// IntrospectorConfig says which endpoint is asked, by whom, and which answers count.
type IntrospectorConfig struct {
	// Issuer is who answers: https, or http on a loopback host. An answer that names another is refused. Required.
	Issuer string
	// Endpoint is the address of the introspection endpoint. Required.
	Endpoint string
	// ClientID and ClientSecret authenticate the resource server to the issuer (client_secret_basic). Required.
	ClientID     string
	ClientSecret string
	// Audience are the names of this resource; a valid token is for one of them. Required.
	Audience []string
	// Client carries the requests. Its cookies and its rule for redirects are not used. Required.
	Client *http.Client
	// Now is the clock. Required.
	Now func() time.Time
	// Incomplete accepts answers that lack aud or token_type, which RFC 7662 leaves to the issuer. With it, whether the
	// token is meant for this resource and is no refresh token rests on the issuer's judgement alone.
	Incomplete bool
	// Leeway is how long after its exp a token is still accepted, at most [validation.MaxLeeway]. Default: not at all.
	Leeway time.Duration
	// RememberFor is for how long an answer is believed, at most [MaxRememberFor] and never beyond the token's exp.
	// Default: [DefaultRememberFor]. Less than zero asks for each request.
	RememberFor time.Duration
	// CacheBytes bounds the memory for answers. Default: [validation.DefaultCacheBytes].
	CacheBytes int64
	// Logger, unless nil, is told when the endpoint does not answer.
	Logger *slog.Logger
}

// Introspector asks an issuer about each token. It is a [validation.Authority], safe for concurrent use.
//
// Its memory is its own: the digests in it are under a key that it alone has, and cover issuer, endpoint and client, so
// that an answer given to one is never taken for an answer to another (RFC 7662 section 4).
type Introspector struct {
	config  IntrospectorConfig
	client  *client
	digest  *sieve.Digester
	active  *sieve.Cache[*validation.Principal]
	refused *sieve.Cache[struct{}]
	flights singleflight.Group
	places  chan struct{}
}

// NewIntrospector returns an introspector, or an error that says what the configuration lacks. It asks nothing.
func NewIntrospector(c IntrospectorConfig) (*Introspector, error) {
	if c.RememberFor == 0 {
		c.RememberFor = DefaultRememberFor
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = validation.DefaultCacheBytes
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("preparing introspection at %q: %w", host(c.Endpoint), err)
	}
	digest, err := sieve.NewDigester(c.Issuer, c.Endpoint, c.ClientID)
	if err != nil {
		return nil, err
	}
	return &Introspector{
		config: c, client: newClient(c.Client, false), digest: digest, active: sieve.New[*validation.Principal](max(0, c.CacheBytes)),
		refused: sieve.New[struct{}](refusedBytes), places: make(chan struct{}, atOnce),
	}, nil
}

func (c *IntrospectorConfig) check() error {
	switch {
	case c.ClientID == "" || c.ClientSecret == "":
		return errors.New("a client and its secret are required")
	case len(c.Audience) == 0 || slices.Contains(c.Audience, ""):
		return errors.New("an audience is required, and none may be empty")
	case c.Client == nil || c.Now == nil:
		return errors.New("an HTTP client and a clock are required")
	case c.Leeway < 0 || c.Leeway > validation.MaxLeeway:
		return fmt.Errorf("the leeway is not between 0 and %s", validation.MaxLeeway)
	case c.RememberFor > MaxRememberFor:
		return fmt.Errorf("answers are remembered for at most %s", MaxRememberFor)
	}
	if err := checkAddress(c.Issuer, true); err != nil {
		return fmt.Errorf("the issuer: %w", err)
	}
	if err := checkAddress(c.Endpoint, true); err != nil {
		return fmt.Errorf("the endpoint: %w", err)
	}
	return nil
}

// Now returns the time by the introspector's clock.
func (i *Introspector) Now() time.Time { return i.config.Now() }

// Validate returns what the issuer says about a token if it is active now and its sender holds what it is bound to. Otherwise the
// error is a [validation.Error]: invalid_token, invalid_dpop_proof for a proof that was used before, or temporarily_unavailable when
// the issuer does not answer.
func (i *Introspector) Validate(ctx context.Context, c validation.Credential) (*validation.Principal, error) {
	p, err := i.inspect(ctx, c.Token)
	if err == nil {
		err = c.Redeem(p, i.config.Now())
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (i *Introspector) inspect(ctx context.Context, raw string) (*validation.Principal, error) {
	if !isB64Token(raw) {
		return nil, validation.Invalid(validation.ErrMalformed)
	}
	now := i.config.Now()
	key := i.digest.Sum(raw)
	if p, ok := i.active.Get(key, now); ok {
		return i.stands(*p, now)
	}
	if _, ok := i.refused.Get(key, now); ok {
		return nil, validation.Invalid(validation.ErrInactive)
	}
	p, err := i.together(ctx, key, raw)
	if err != nil {
		return nil, i.refusal(ctx, err)
	}
	return i.stands(p, i.config.Now())
}

// stands judges the token's times.
func (i *Introspector) stands(p *validation.Principal, now time.Time) (*validation.Principal, error) {
	if err := p.CheckTime(now, i.config.Leeway); err != nil {
		return nil, validation.Invalid(err)
	}
	return p, nil
}

// together asks once for all requests that present the same token at the same time.
func (i *Introspector) together(ctx context.Context, key sieve.Key, raw string) (*validation.Principal, error) {
	apart := context.WithoutCancel(ctx) // the one that came first may go away
	answers := i.flights.DoChan(string(key[:]), func() (any, error) { return i.learn(apart, key, raw) })
	select {
	case answer := <-answers:
		p, _ := answer.Val.(*validation.Principal)
		return p, answer.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the issuer: %w", ctx.Err())
	}
}

// learn asks the issuer and remembers what it answered.
func (i *Introspector) learn(ctx context.Context, key sieve.Key, raw string) (p *validation.Principal, err error) {
	defer func() {
		// Nobody would catch a panic of the client's transport here.
		if r := recover(); r != nil {
			p, err = nil, fmt.Errorf("asking the issuer: a panic: %v", r)
		}
	}()
	body, err := i.ask(ctx, raw)
	if err != nil {
		return nil, err
	}
	now := i.config.Now()
	if p, err = i.read(body); err != nil {
		if errors.Is(err, validation.ErrInactive) {
			i.refused.Put(key, struct{}{}, 0, now.Add(refusedFor), now)
		}
		return nil, err
	}
	const principal = 512 // what a principal takes beside the text of the answer
	until := now.Add(i.config.RememberFor)
	if end := p.ExpiresAt.Add(i.config.Leeway); !p.ExpiresAt.IsZero() && end.Before(until) {
		until = end
	}
	i.active.Put(key, p, len(body)+principal, until, now)
	return p, nil
}

// ask sends the token to the endpoint (RFC 7662 2.1).
func (i *Introspector) ask(ctx context.Context, raw string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case i.places <- struct{}{}:
		defer func() { <-i.places }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to ask the issuer: %w", ctx.Err())
	}
	form := url.Values{"token": {raw}, "token_type_hint": {"access_token"}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, i.config.Endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("asking the issuer: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// Both are form-encoded before they are put together (RFC 6749 2.3.1).
	r.SetBasicAuth(url.QueryEscape(i.config.ClientID), url.QueryEscape(i.config.ClientSecret))
	body, _, err := i.client.do(r, maxAnswer)
	return body, err
}

// read judges an answer: active, from this issuer, for this resource, about an access token that its bearer may use.
func (i *Introspector) read(body []byte) (*validation.Principal, error) {
	var answer struct {
		Active    bool   `json:"active"`
		TokenType string `json:"token_type"`
		TokenUse  string `json:"token_use"`
	}
	if err := jose.UnmarshalObject(body, &answer); err != nil {
		return nil, fmt.Errorf("reading the issuer's answer: %w", err)
	}
	if !answer.Active {
		return nil, validation.ErrInactive
	}
	p, err := validation.ReadPrincipal(body)
	if err != nil {
		return nil, err
	}
	bound := p.Confirmation != nil && p.Confirmation.Key != ""
	known := strings.EqualFold(answer.TokenType, oauth.Bearer) || answer.TokenType == "" && i.config.Incomplete ||
		bound && strings.EqualFold(answer.TokenType, oauth.DPoP) // RFC 9449 6.2
	ours := slices.ContainsFunc(p.Audience, func(a string) bool { return slices.Contains(i.config.Audience, a) })
	switch {
	case !known || answer.TokenUse != "" && answer.TokenUse != "access_token":
		return nil, validation.ErrType
	case p.Issuer != "" && p.Issuer != i.config.Issuer:
		return nil, validation.ErrIssuer
	case !ours && (len(p.Audience) > 0 || !i.config.Incomplete):
		return nil, validation.ErrAudience
	case p.Subject == "" && p.ClientID == "":
		return nil, validation.ErrClaims
	}
	p.Issuer = i.config.Issuer
	return p, nil
}

// tokenErrors are the causes that lie with the token; whatever else went wrong lies with us or the issuer.
var tokenErrors = []error{
	validation.ErrInactive, validation.ErrClaims, validation.ErrBound, validation.ErrType, validation.ErrIssuer, validation.ErrAudience,
}

func (i *Introspector) refusal(ctx context.Context, err error) error {
	if slices.ContainsFunc(tokenErrors, func(cause error) bool { return errors.Is(err, cause) }) {
		return validation.Invalid(err)
	}
	if i.config.Logger != nil {
		i.config.Logger.LogAttrs(ctx, slog.LevelWarn, "introspection went wrong",
			slog.String("issuer", i.config.Issuer), slog.String("cause", err.Error()))
	}
	return oauth.Unavailable(err)
}

// isB64Token reports whether raw is a b64token of acceptable length (RFC 6750 2.1). Nothing else is worth a question.
func isB64Token(raw string) bool {
	body := strings.TrimRight(raw, "=")
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return body != "" && len(raw) <= jose.MaxToken
}
