// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/oauth"
)

// Admit is who may register.
type Admit string

// Whom the operator admits. A token or a statement that is sent has to be good whoever is admitted.
const (
	// AdmitEither is whoever has an initial access token or a software statement.
	AdmitEither Admit = "either"
	// AdmitBoth is whoever has both.
	AdmitBoth Admit = "both"
	// AdmitAnyone is anyone (RFC 7591 3: open registration).
	AdmitAnyone Admit = "anyone"
)

// Config describes a [Handler]. All fields are required but the limiters.
type Config struct {
	Issuer string
	Store  *registration.Store
	Admit  Admit
	// Addresses bounds what one address may register, and Tokens what one initial access token may. Nil has no bound.
	Addresses *limit.Limiter
	Tokens    *limit.Limiter
	// Strangers bounds, all together, those who register without an initial access token, and Updates what one instance may change. Nil has
	// no bound.
	Strangers *limit.Limiter
	Updates   *limit.Limiter
	// Challenges bounds, all together, how many are asked for. Nil has no bound.
	Challenges *limit.Limiter
	Trail      *audit.Trail
	Logger     *slog.Logger
}

// Handler is both endpoints. It is safe for concurrent use.
type Handler struct {
	Config
	reader *metadata.Reader
	prefix string // of the paths below which an instance is managed
	lanes  lanes
}

// New returns the endpoints, or an error when something is missing.
func New(c Config) (*Handler, error) {
	if c.Issuer == "" || c.Store == nil || c.Trail == nil || c.Logger == nil {
		return nil, errors.New("building the registration endpoint: issuer, store, trail and logger are required")
	}
	switch c.Admit {
	case AdmitEither, AdmitBoth, AdmitAnyone:
	default:
		return nil, errors.New("building the registration endpoint: nobody has said who is admitted")
	}
	return &Handler{
		Config: c, reader: c.Store.Reader, prefix: authz.BasePath(c.Issuer) + authz.PathRegister + "/", lanes: newLanes(),
	}, nil
}

// Reasons of a refusal, for the log and the audit trail.
var (
	errNoToken = errors.New("the request has no token")
	errBearer  = errors.New("the Authorization header is not one Bearer token")
	errLonely  = errors.New("a token alone is not enough")
)

// information is what a client is told (RFC 7591 3.2.1, RFC 7592 3).
type information struct {
	ClientID    string `json:"client_id"`
	IssuedAt    int64  `json:"client_id_issued_at"`
	AccessToken string `json:"registration_access_token"`
	ClientURI   string `json:"registration_client_uri"`
	metadata.Metadata
}

func (h *Handler) inform(i *registration.Instance, token string) information {
	return information{
		ClientID: i.ID, IssuedAt: i.CreatedAt.Unix(), AccessToken: token, ClientURI: h.Issuer + authz.PathRegister + "/" + i.ID,
		Metadata: i.Metadata,
	}
}

// Register is the client registration endpoint. There is no CORS: it is for apps, and not for pages in a browser.
func (h *Handler) Register(w http.ResponseWriter, r *http.Request) {
	if !httpx.Allow(w, r, http.MethodPost) {
		return
	}
	r = h.by(r)
	answer, err := h.register(r)
	if err != nil {
		h.refuse(w, r, audit.Event{Name: "client.register"}, err)
		return
	}
	httpx.NoStore(w)
	httpx.WriteJSON(w, http.StatusCreated, answer)
}

// by names who is acting: nobody who is known yet, from an address.
func (h *Handler) by(r *http.Request) *http.Request {
	caller := httpx.CallerOf(r.Context())
	return r.WithContext(audit.WithActor(r.Context(), audit.Actor{ClientIP: caller.ClientIP, RequestID: caller.RequestID}))
}

// register admits, reads, settles and registers, in this order: what costs more comes after what refuses.
func (h *Handler) register(r *http.Request) (information, error) {
	ctx := r.Context()
	ip := httpx.CallerOf(ctx).ClientIP
	if wait := h.Addresses.Take(limit.Address(ip)).Wait; wait > 0 {
		return information{}, oauth.TooMany(wait)
	}
	presented, initial, err := h.initial(r)
	if err != nil {
		return information{}, err
	}
	body, err := httpx.JSON(r, metadata.MaxBody)
	if err != nil {
		return information{}, err
	}
	place, err := h.lanes.enter(initial.ID)
	if err != nil {
		return information{}, err
	}
	defer place.Release()
	told, err := h.reader.Parse(body)
	if err != nil {
		return information{}, err
	}
	if err := h.admit(presented != "", told.Authority != ""); err != nil {
		return information{}, err
	}
	settled, err := h.reader.Settle(told, initial.Application)
	if err != nil {
		return information{}, err
	}
	shown, err := h.Store.Attest(ctx, told.Attestation, &settled)
	if err != nil {
		return information{}, failure(err)
	}
	if presented == "" {
		if wait := h.Strangers.Take(strangers).Wait; wait > 0 {
			return information{}, oauth.TooMany(wait)
		}
	}
	admission := registration.Admission{Initial: presented, Authority: told.Authority, ClientIP: ip, Attested: shown}
	var answer information
	err = run(ctx, place, func() error {
		i, token, err := h.Store.Register(ctx, settled, admission)
		answer = h.inform(&i, token)
		return err
	})
	if err != nil {
		return information{}, failure(err)
	}
	return answer, nil
}

// strangers is the one key of [Config].Strangers.
const strangers = ""

// initial reads the initial access token, if there is one, and refuses early whoever needs one and has none.
func (h *Handler) initial(r *http.Request) (presented string, t registration.InitialToken, err error) {
	if presented, t, err = h.presented(r); err != nil || presented == "" {
		return "", t, err
	}
	if wait := h.Tokens.Take(t.ID).Wait; wait > 0 {
		return "", t, oauth.TooMany(wait)
	}
	return presented, t, nil
}

// presented is initial without counting.
func (h *Handler) presented(r *http.Request) (presented string, t registration.InitialToken, err error) {
	presented, err = bearer(r)
	if errors.Is(err, errNoToken) && h.Admit != AdmitBoth && (h.Admit == AdmitAnyone || len(h.reader.Authorities) > 0) {
		return "", t, nil
	}
	if err != nil {
		return "", t, refused(err)
	}
	if t, err = h.Store.Initial(r.Context(), presented); err != nil {
		return "", t, failure(err)
	}
	return presented, t, nil
}

// admit judges what somebody has come with.
func (h *Handler) admit(token, statement bool) error {
	switch {
	case h.Admit == AdmitAnyone, h.Admit == AdmitEither && (token || statement), token && statement:
		return nil
	case token:
		return oauth.NewError(oauth.InvalidSoftwareStatement, "a software statement is needed").WithCause(errLonely)
	}
	return refused(errNoToken)
}

// bearer returns the token of a request (RFC 6750 2.1): it stands in the one Authorization header, and nowhere else.
func bearer(r *http.Request) (string, error) {
	lines := r.Header["Authorization"]
	if len(lines) == 0 {
		return "", errNoToken
	}
	scheme, token, ok := strings.Cut(lines[0], " ")
	if len(lines) > 1 || !ok || !strings.EqualFold(scheme, oauth.Bearer) || token == "" {
		return "", errBearer
	}
	return token, nil
}

// refused is the one answer to whoever has no good token.
func refused(cause error) *oauth.Error {
	return oauth.NewError(oauth.InvalidToken, "the token is not valid").WithCause(cause)
}

// failure is what a transition's error is told as.
func failure(err error) *oauth.Error {
	if errors.Is(err, registration.ErrToken) {
		return refused(err)
	}
	switch {
	case errors.Is(err, registration.ErrChallenge):
		return oauth.NewError(oauth.InvalidClientMetadata, "the challenge of the attestation is not valid: ask for another one").WithCause(err)
	case errors.Is(err, registration.ErrEvidence):
		return oauth.NewError(oauth.InvalidClientMetadata, "the attestation is missing, or not enough").WithCause(err)
	}
	return authz.Failure(err)
}

// refuse answers with an error, and notes why. Nothing of it is stored: strangers cause it as often as they like.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, e audit.Event, err error) {
	known := failure(err)
	if known.HTTPStatus() < http.StatusInternalServerError {
		e.Outcome, e.Reason = audit.Refused, known.Error()
		h.Trail.Log(r.Context(), e)
	}
	if known.HTTPStatus() == http.StatusUnauthorized {
		challenge := oauth.WWWAuthenticate{Scheme: oauth.Bearer, Realm: h.Issuer}
		if !errors.Is(err, errNoToken) { // RFC 6750 3.1: who has sent nothing is told no error
			challenge.Error, challenge.Description = known.Code, known.Description
		}
		w.Header().Set("WWW-Authenticate", challenge.String())
	}
	httpx.WriteError(w, r, known, h.Logger)
}
