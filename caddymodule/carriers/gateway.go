// SPDX-License-Identifier: Apache-2.0

package carriers

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/gateway"
)

func init() { caddy.RegisterModule(Gateway{}) }

// Gateway sends text messages through any provider that takes them by HTTP. In url, header, body and from, {env.NAME} and
// {file.PATH} are filled in when the server starts, as
// one value each; {to}, {from}, {text}, {id} and {ttl} with each message.
type Gateway struct {
	// The address: https, or http on this host. It may hold {id}, {from} and {ttl} behind the host.
	URL string `json:"url,omitempty"`
	// POST, PUT or GET. Default: POST.
	Method string `json:"method,omitempty"`
	// Further header fields.
	Header map[string]string `json:"header,omitempty"`
	// What the body is: json, form or none. Default: json.
	Format string `json:"format,omitempty"`
	// The body: a JSON document or a form with placeholders for values.
	Body string `json:"body,omitempty"`
	// Whether {to} and {text} may stand in the address, where they end up in logs.
	Exposed bool `json:"exposed,omitempty"`
	// The sender: what {from} stands for.
	From string `json:"from,omitempty"`
	// How numbers are written: e164 (+31612345678), digits (31612345678) or zeros (0031612345678). Default: e164.
	Number string `json:"number,omitempty"`
	// A name and a password by which the provider knows who is calling. The password is usually {env.NAME} or {file.PATH}.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// A token instead.
	Bearer string `json:"bearer,omitempty"`
	// A header field with a key instead, such as X-Api-Key.
	KeyField string `json:"key_field,omitempty"`
	Key      string `json:"key,omitempty"`
	// How requests are signed. Default: not at all.
	HMAC *HMAC `json:"hmac,omitempty"`
	// What the provider's answers mean.
	Answers Answers `json:"answers,omitzero"`
	// How the provider tells what became of messages. It needs status_callback.
	Receipts *Receipts `json:"receipts,omitempty"`
	// Where it tells that: <issuer>/sms/reports/<name>/<secret>.
	StatusCallback string `json:"status_callback,omitempty"`
	Proxied

	reported `json:"-"`
}

// HMAC says how a body is signed.
type HMAC struct {
	// The secret that both sides know, usually {env.NAME} or {file.PATH}.
	Secret string `json:"secret,omitempty"`
	// The header field of the signature, and what stands before it there, such as "sha256=".
	Field  string `json:"field,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	// sha256 or sha512. Default: sha256.
	Hash string `json:"hash,omitempty"`
	// hex or base64. Default: hex.
	Encoding string `json:"encoding,omitempty"`
	// The header field of the time, where the seconds since 1970 and a dot are signed before the body. Default: none.
	TimeField string `json:"time_field,omitempty"`
}

// Answers say what statuses and words of a provider mean.
type Answers struct {
	// The statuses of a message that was taken. Default: those from 200 to 299.
	Success []int `json:"success,omitempty"`
	// The JSON pointer to a word that says whether it was, and the words that say so.
	Accepted      string   `json:"accepted,omitempty"`
	AcceptedWords []string `json:"accepted_words,omitempty"`
	// The JSON pointer to the provider's id of the message. Receipts need it.
	ID string `json:"id,omitempty"`
	// The statuses of a message that was surely not taken and may be sent again. Default: 429.
	Retryable []int `json:"retryable,omitempty"`
	// The JSON pointer to the word for a refusal, and what such words mean: number, blocked, config, throttled, transient, refused or
	// ambiguous.
	Reason  string            `json:"reason,omitempty"`
	Classes map[string]string `json:"classes,omitempty"`
}

// Receipts say how a provider tells of deliveries.
type Receipts struct {
	// json or form. Default: json.
	Format string `json:"format,omitempty"`
	// The JSON pointer to an array of receipts. Default: each call is one.
	List string `json:"list,omitempty"`
	// JSON pointers into a receipt, or names of fields of a form.
	ID     string `json:"id,omitempty"`
	State  string `json:"state,omitempty"`
	Reason string `json:"reason,omitempty"`
	// What the words for states mean: sent, delivered or failed. Others are no news.
	Words map[string]string `json:"words,omitempty"`
	// What the words for reasons mean: number, blocked or ambiguous. Default: ambiguous.
	Classes map[string]string `json:"classes,omitempty"`
	// How they are signed. Default: the secret in the address is all that tells the provider from others.
	HMAC *HMAC `json:"hmac,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Gateway) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gatehouse.sms.http", New: func() caddy.Module { return new(Gateway) }}
}

// Provision builds the sender. It connects to nothing.
func (m *Gateway) Provision(ctx caddy.Context) error {
	c, err := m.config(ctx.Slogger())
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	address, err := known(m.StatusCallback, "status_callback")
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	if (address == "") != (c.Receipts == nil) {
		return errors.New("http: receipts need status_callback, the address that the provider was given, and status_callback needs receipts")
	}
	sender, err := gateway.New(c)
	if err != nil {
		return fmt.Errorf("http: %w", err)
	}
	m.reported, m.close = reported{Sender: sender, Reporter: sender, address: address}, sender.Close
	return nil
}

func (m *Gateway) config(logger *slog.Logger) (c gateway.Config, err error) {
	to, err := m.resolve()
	if err != nil {
		return c, err
	}
	c = gateway.Config{
		Method: m.Method, Header: map[string]string{}, Format: gateway.Format(m.Format), Exposed: m.Exposed,
		Number: gateway.Spelling(m.Number), Answers: m.Answers.plain(), Proxy: to.proxy, Roots: to.roots, Timeout: to.timeout,
		Places: to.places, Now: time.Now,
	}
	if m.URL == "" {
		return c, errors.New("it needs the address of the provider: url <address>")
	}
	if c.URL, err = address(m.URL); err != nil {
		return c, err
	}
	for name, value := range m.Header {
		if c.Header[name], err = filled(value, "header "+name, plain); err != nil {
			return c, err
		}
	}
	if c.From, err = known(m.From, "from"); err != nil {
		return c, err
	}
	escape := withinJSON
	if c.Format == gateway.Form {
		escape = url.QueryEscape
	}
	if c.Body, err = filled(m.Body, "body", escape); err != nil {
		return c, err
	}
	if c.Auth, err = m.auth(logger); err != nil {
		return c, err
	}
	c.Receipts, err = m.Receipts.plain(logger)
	return c, err
}

func (m *Gateway) auth(logger *slog.Logger) (a gateway.Auth, err error) {
	a = gateway.Auth{User: m.User, Field: m.KeyField}
	for _, o := range []struct {
		name, text string
		into       *sms.Secret
	}{{"basic_auth", m.Password, &a.Password}, {"bearer", m.Bearer, &a.Bearer}, {"api_key", m.Key, &a.Value}} {
		if *o.into, err = password(o.text, o.name, logger); err != nil {
			return a, err
		}
	}
	a.HMAC, err = m.HMAC.plain(logger)
	return a, err
}

func (h *HMAC) plain(logger *slog.Logger) (*gateway.HMAC, error) {
	if h == nil {
		return nil, nil
	}
	secret, err := password(h.Secret, "hmac", logger)
	return &gateway.HMAC{
		Secret: secret, Field: h.Field, Prefix: h.Prefix, Hash: h.Hash, Encoding: h.Encoding, TimeField: h.TimeField,
	}, err
}

func (a *Answers) plain() gateway.Answers {
	return gateway.Answers{
		Success: a.Success, Accepted: a.Accepted, AcceptedWords: a.AcceptedWords, ID: a.ID, Retryable: a.Retryable, Reason: a.Reason,
		Classes: words[sms.Class](a.Classes),
	}
}

func (r *Receipts) plain(logger *slog.Logger) (*gateway.Receipts, error) {
	if r == nil {
		return nil, nil
	}
	hmac, err := r.HMAC.plain(logger)
	return &gateway.Receipts{
		Format: gateway.Format(r.Format), List: r.List, ID: r.ID, State: r.State, Reason: r.Reason, Words: words[sms.State](r.Words),
		Classes: words[sms.Class](r.Classes), HMAC: hmac,
	}, err
}

func words[T ~string](of map[string]string) map[string]T {
	all := make(map[string]T, len(of))
	for word, means := range of {
		all[word] = T(means)
	}
	return all
}

// ours are the placeholders that are filled in when the server starts. All others belong to messages.
var ours = regexp.MustCompile(`\{(?:env|file)\.[^{}]*\}`)

// filled resolves our placeholders in a template, each so that it stays one value of it.
func filled(template, of string, escape func(string) string) (string, error) {
	var failed error
	text := ours.ReplaceAllStringFunc(template, func(placeholder string) string {
		value, err := known(placeholder, of)
		if err != nil {
			failed = err
		}
		return escape(value)
	})
	return text, failed
}

// address resolves the placeholders of an address: one that it begins with as it stands, others as a part of a path or a query.
func address(text string) (string, error) {
	begin := 0
	if at := ours.FindStringIndex(text); at != nil && at[0] == 0 {
		begin = at[1]
	}
	head, err := known(text[:begin], "url")
	if err != nil {
		return "", err
	}
	rest, err := filled(text[begin:], "url", func(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") })
	return head + rest, err
}

func plain(value string) string { return value }

// withinJSON writes a text as it stands between the quotes of a JSON string.
func withinJSON(value string) string {
	quoted, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// Interface guards.
var (
	_ sms.Sender         = (*Gateway)(nil)
	_ sms.Reporter       = (*Gateway)(nil)
	_ caddy.Provisioner  = (*Gateway)(nil)
	_ caddy.CleanerUpper = (*Gateway)(nil)
)
