// SPDX-License-Identifier: Apache-2.0

package deviceapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/audit"
	"github.com/gatehouse-id/gatehouse/internal/httpx"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/mobileauth/envelope"
	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// RetryAfter is what a phone is told when the store does not answer, in seconds.
const RetryAfter = 5

// Keys are the server's encryption keys. An exchange.Ring is one.
type Keys interface {
	// Find returns the private key of that name, which is whatever a stranger wrote.
	Find(ctx context.Context, kid string) (jose.DecryptionKey, bool, error)
	// Publics returns the published keys, the current one first.
	Publics() []jose.EncryptionKey
}

// Signer is what answers are signed with.
type Signer interface {
	// SignerFor returns the key that signs with the algorithm.
	SignerFor(alg jose.Algorithm) (jose.PrivateKey, error)
	// Publics returns the published keys.
	Publics() []jose.PublicKey
}

// Enrolment registers devices and judges what they say about others. An enrolment.Store is one.
//
// A message that is refused is an error that wraps [envelope.ErrRefused] or one of the package handset; any other error means
// that nothing happened.
type Enrolment interface {
	// Register takes a registration whose signature was checked. With a key that the server keeps for this device alone it
	// returns that too.
	Register(ctx context.Context, in envelope.Request, r envelope.Registration) (envelope.RegistrationAnswer, *jose.EncryptionKey, error)
	// Describe returns what a device may know about itself.
	Describe(ctx context.Context, d handset.Device) (envelope.DeviceAnswer, error)
	// Transfer invites a new phone in the place of the one that asks.
	Transfer(ctx context.Context, m handset.Message, p handset.Proof) (envelope.TransferAnswer, handset.Verdict, error)
	// Judge releases or rejects another device of the same user, as the statement says.
	Judge(ctx context.Context, m handset.Message, p handset.Proof) (handset.Verdict, error)
	Changes
}

// Changes are what a device changes about itself that the policy of its application has a say in. An enrolment.Store makes them.
type Changes interface {
	// ChangePush sets where notifications reach the device; nil is nowhere.
	ChangePush(ctx context.Context, m handset.Message, push *handset.Push) (handset.Device, error)
	// ChangeFactor sets the secret of a factor; without one it removes the factor.
	ChangeFactor(ctx context.Context, m handset.Message, p handset.Proof, kind string, secret *envelope.Secret) (
		handset.Device, handset.Verdict, error)
	// ChangeKeys replaces both keys; evidence about the new ones may come with them.
	ChangeKeys(ctx context.Context, m handset.Message, p handset.Proof, keys envelope.PublicKeys, evidence json.RawMessage) (
		handset.Device, handset.Verdict, error)
	Attesting
}

// Attesting is what a registered device shows again. An enrolment.Store judges it.
type Attesting interface {
	// Challenge sets what evidence has to be made for.
	Challenge(ctx context.Context, m handset.Message) (envelope.AttestationAnswer, error)
	// Attest judges evidence about the keys that the device has.
	Attest(ctx context.Context, m handset.Message, evidence json.RawMessage) (envelope.AttestationAnswer, error)
}

// Log is where refused messages are noted. An audit.Trail is one.
type Log interface {
	Log(ctx context.Context, e audit.Event)
}

// Config is what a [Handler] needs. All fields but Parsed, Watch, Refusals and Messages are required.
type Config struct {
	// Issuer is the audience of messages; the endpoints are below it.
	Issuer  string
	Keys    Keys
	Signer  Signer
	Devices *handset.Store
	// Parsed remembers the keys of devices. Nil is a cache of its own.
	Parsed     *handset.KeyCache
	Operations *operation.Store
	Enrolment  Enrolment
	Audit      Log
	Logger     *slog.Logger
	Now        func() time.Time
	// Watch is called before a message that may take a device out is acted upon, and what it returns before it is answered: so
	// that what rests on the device is dead everywhere by then. Nil does nothing.
	Watch func() (settle func(ctx context.Context) error)
	// Refusals slows an address down whose messages are refused. Nil does not.
	Refusals *limit.Limiter
	// Messages bounds what one device sends, by its id: a registered phone, too, can be somebody's who means ill. Nil does not.
	Messages *limit.Limiter
}

func (c Config) check() error {
	if c.Issuer == "" || c.Keys == nil || c.Signer == nil || c.Devices == nil || c.Operations == nil || c.Enrolment == nil ||
		c.Audit == nil || c.Logger == nil || c.Now == nil {
		return errors.New("building the phones' endpoints: something is missing")
	}
	return nil
}

// Handler answers phones. It is safe for concurrent use.
type Handler struct {
	Config
	endpoints map[string]endpoint
	asked     *memory
	decoy     decoy
	last      atomic.Pointer[publication]
}

// New returns a handler for everything below [Prefix].
func New(c Config) (*Handler, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Parsed == nil {
		c.Parsed = new(handset.KeyCache)
	}
	decoy, err := newDecoy()
	if err != nil {
		return nil, fmt.Errorf("building the phones' endpoints: %w", err)
	}
	h := &Handler{Config: c, asked: newMemory(2 * envelope.Window), decoy: decoy}
	h.endpoints = map[string]endpoint{
		envelope.PathFetch: h.fetch, envelope.PathClaim: h.claim, envelope.PathAnswer: h.answer,
		envelope.PathPush: h.push, envelope.PathFactor: h.factor, envelope.PathKeys: h.keys,
		envelope.PathDevice: h.device, envelope.PathDisconnect: h.disconnect,
		envelope.PathTransfer: h.transfer, envelope.PathRelease: h.release, envelope.PathAttestation: h.attestation,
	}
	return h, nil
}

// Prefix is what the paths of all endpoints begin with, below the issuer.
const Prefix = "/mobile/"

// ServeHTTP answers a request whose path is one of the endpoints, without the issuer's own path in front.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == envelope.PathPending {
		h.servePending(w, r)
		return
	}
	path := r.URL.Path
	serve, ok := h.endpoints[path]
	if !ok && path != envelope.PathRegistrations {
		httpx.NoStore(w)
		problem(w, http.StatusNotFound, "not_found", "There is no such endpoint", 0)
		return
	}
	raw, ok := h.receive(w, r)
	if !ok {
		return
	}
	sealed, err := h.serve(r.Context(), serve, path, raw)
	h.respond(w, r, sealed, err)
}

// receive returns what a phone has sent; false when the request was answered already.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (raw string, ok bool) {
	httpx.NoStore(w)
	if !httpx.Allow(w, r, http.MethodPost) {
		return "", false
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != envelope.ContentType {
		problem(w, http.StatusUnsupportedMediaType, "media_type", "The body has to be "+envelope.ContentType, 0)
		return "", false
	}
	if wait := h.Refusals.Wait(h.address(r)); wait > 0 {
		slowDown(w, wait, "Too many messages were refused")
		return "", false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(envelope.Limit(r.URL.Path))))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		problem(w, http.StatusRequestEntityTooLarge, "too_large", "The message is too large", 0)
		return "", false
	}
	return string(body), err == nil // where it is not, the phone is gone
}

// respond writes a sealed answer, or what is told of an error.
func (h *Handler) respond(w http.ResponseWriter, r *http.Request, sealed string, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", envelope.ContentType)
	_, _ = io.WriteString(w, sealed)
}

// serve opens a message, does what it asks and seals the answer.
func (h *Handler) serve(ctx context.Context, do endpoint, path, raw string) (string, error) {
	unverified, err := h.open(ctx, path, raw)
	if err != nil {
		return "", err
	}
	defer h.watch(ctx, path)()
	if do == nil {
		return h.register(ctx, unverified)
	}
	c, err := h.whose(ctx, unverified)
	if err != nil {
		return "", err
	}
	out, err := do(h.acting(ctx, c.device.ID), c)
	if err != nil {
		return "", h.blame(err, c.device.ID)
	}
	return h.pay(&c.owed, out)
}

// watch returns what is to be done before the answer to a message goes out. That it fails is no fault of the phone's, whose
// message has had its effect: it is logged.
func (h *Handler) watch(ctx context.Context, path string) (settle func()) {
	asks := path == envelope.PathFetch || path == envelope.PathDevice
	if h.Watch == nil || asks {
		return func() {}
	}
	tell := h.Watch()
	return func() {
		if err := tell(context.WithoutCancel(ctx)); err != nil {
			h.Logger.WarnContext(ctx, "telling the gates of a device that is out", "error", err)
		}
	}
}

// acting says in the context who does what follows.
func (h *Handler) acting(ctx context.Context, deviceID string) context.Context {
	caller := httpx.CallerOf(ctx)
	return audit.WithActor(ctx, audit.Actor{
		By: "device:" + deviceID, ClientIP: caller.ClientIP, RequestID: caller.RequestID,
	})
}

func (h *Handler) address(r *http.Request) string {
	return limit.Address(httpx.CallerOf(r.Context()).ClientIP)
}

// refusal is a message that is refused, and whose it claimed to be.
type refusal struct {
	device string
	reason string
	err    error
}

// Error says what was wrong, for the audit.
func (r *refusal) Error() string { return r.reason + ": " + r.err.Error() }

// Unwrap returns what was wrong.
func (r *refusal) Unwrap() error { return r.err }

// blame makes a refusal of an error that is the message's own fault. Any other is left as it is.
func (h *Handler) blame(err error, deviceID string) error {
	if already := new(refusal); errors.As(err, &already) {
		return err
	}
	for _, known := range []struct {
		err    error
		reason string
	}{
		{handset.ErrReplay, "replay"}, {handset.ErrNotFound, "unknown_device"}, {handset.ErrUnusable, "device_unusable"},
		{operation.ErrDevice, "device_unusable"},
	} {
		if errors.Is(err, known.err) {
			return &refusal{deviceID, known.reason, err}
		}
	}
	if errors.Is(err, envelope.ErrRefused) {
		return &refusal{deviceID, string(envelope.ReasonOf(err)), err}
	}
	return err
}

// fail answers for an error: one body for every message that is refused, and 503 for what nobody could judge.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if refused := new(refusal); errors.As(err, &refused) {
		h.Refusals.Count(h.address(r))
		caller := httpx.CallerOf(r.Context())
		h.Audit.Log(r.Context(), audit.Event{
			Name: "device.message", Outcome: audit.Refused, Reason: refused.reason, DeviceID: printable(refused.device),
			ClientIP: caller.ClientIP, RequestID: caller.RequestID,
		})
		problem(w, http.StatusBadRequest, "message_refused", "The message was refused", h.Now().Unix())
		return
	}
	if hasty := new(haste); errors.As(err, &hasty) {
		slowDown(w, hasty.wait, "The phone sends too many messages")
		return
	}
	if r.Context().Err() != nil {
		return // the phone is gone
	}
	h.Logger.ErrorContext(r.Context(), "answering a phone", "path", r.URL.Path, "error", err)
	w.Header().Set("Retry-After", fmt.Sprint(RetryAfter))
	problem(w, http.StatusServiceUnavailable, "unavailable", "Nothing was done; try again later", 0)
}

// haste is a device that sends more than it may.
type haste struct{ wait time.Duration }

// Error says so.
func (*haste) Error() string { return "the device sends too many messages" }

// slowDown answers 429.
func slowDown(w http.ResponseWriter, wait time.Duration, title string) {
	w.Header().Set("Retry-After", httpx.Seconds(wait))
	problem(w, http.StatusTooManyRequests, "slow_down", title, 0)
}

// printable bounds what a stranger says about himself before it is logged.
func printable(device string) string {
	return strings.ToValidUTF8(device[:min(len(device), 128)], "")
}

// problem answers with a problem document (RFC 9457). The time is the server's, and is left out where it is zero.
func problem(w http.ResponseWriter, status int, code, title string, at int64) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	body := fmt.Sprintf(`{"type":"about:blank","title":%q,"status":%d,"code":%q`, title, status, code)
	if at != 0 {
		body += fmt.Sprintf(`,"time":%d`, at)
	}
	_, _ = io.WriteString(w, body+"}\n")
}
