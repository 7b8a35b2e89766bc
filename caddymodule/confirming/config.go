// SPDX-License-Identifier: Apache-2.0

package confirming

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"
	"golang.org/x/text/language"

	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/caddymodule/phones"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm"
	"github.com/gatehouse-id/gatehouse/mobileauth/confirm/hold"
	"github.com/gatehouse-id/gatehouse/mobileauth/mobiletype"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Config says that requests have to be confirmed on the caller's phone, one by one.
type Config struct {
	// The mobile type by which the phone is asked. It is one of a push method.
	Type string `json:"type"`
	// What the phone shows, with fields of the request in braces: {json.NAME}, {form.NAME}, {query.NAME}, {header.NAME}, {path.N},
	// {path}, {method} and {host}.
	Message string `json:"message"`
	// The language of the message. Default: none is told.
	Language string `json:"language,omitempty"`
	// The header fields that an approval is bound to, beside Content-Type, Content-Encoding and those in the message.
	Headers []string `json:"headers,omitempty"`
	// How large a body may be, in bytes. Default: 65536, at most 1048576.
	MaxBody int64 `json:"max_body,omitempty"`
	// How long a request is held for its answer. Default: not at all, unless the request says "Prefer: wait=SECONDS".
	Wait caddy.Duration `json:"wait,omitempty"`
	// How many digits are shown to the caller, to be typed on the phone. Default: as for every question.
	NumberMatch int `json:"number_match,omitempty"`
}

// Parse reads the option:
//
//	confirm <type> {
//		message      [<language>] <text>
//		bind         body | header <name...>
//		max_body     <bytes>
//		wait         <duration>
//		number_match <digits>
//	}
//
// The body is always bound; "bind body" says so.
func Parse(into **Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		c := new(Config)
		*into = c
		if err := option.String(&c.Type)(d); err != nil {
			return err
		}
		return option.Block{
			Options: map[string]option.Parse{
				"message": c.parseMessage, "bind": c.parseBind, "max_body": c.parseMaxBody, "wait": option.Duration(&c.Wait),
				"number_match": option.Number(&c.NumberMatch),
			},
			Repeat: []string{"bind"},
		}.Parse(d)
	}
}

func (c *Config) parseMessage(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch len(args) {
	case 1:
		c.Message = args[0]
	case 2:
		c.Language, c.Message = args[0], args[1]
	default:
		return d.Err("message needs a text, in quotes, and may have its language before it")
	}
	return nil
}

func (c *Config) parseBind(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 1 && args[0] == "body":
		return nil
	case len(args) > 1 && args[0] == "header":
		c.Headers = append(c.Headers, args[1:]...)
		return nil
	}
	return d.Err("bind is followed by body, or by header and the names of fields")
}

// units are what a size may end with.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"KB", 1 << 10}, {"MB", 1 << 20}, {"B", 1}}

func (c *Config) parseMaxBody(d *caddyfile.Dispenser) error {
	var text string
	if err := option.String(&text)(d); err != nil {
		return err
	}
	unit := int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, unit = number, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 {
		return d.Err("max_body is a number of bytes, such as 65536 or 64KB")
	}
	c.MaxBody = n * unit
	return nil
}

// Check refuses what contradicts itself, and a type that cannot ask.
func (c *Config) Check(mobile *phones.Config) error {
	if _, err := confirm.ParseTemplate(c.Message); err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	if err := c.checkType(mobile); err != nil {
		return fmt.Errorf("confirm %q: %w", c.Type, err)
	}
	for _, name := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || slices.Contains(unbound, http.CanonicalHeaderKey(name)) {
			return fmt.Errorf("confirm: header %q cannot be bound", name)
		}
	}
	if c.Language != "" {
		if _, err := language.Parse(c.Language); err != nil {
			return fmt.Errorf("confirm: %q is no language, such as en or pt-BR", c.Language)
		}
	}
	switch wait := time.Duration(c.Wait); {
	case c.MaxBody < 0 || c.MaxBody > hold.MaxBody:
		return fmt.Errorf("confirm: max_body is %d; it is %d at most", c.MaxBody, hold.MaxBody)
	case wait < 0 || wait > hold.MaxWait:
		return fmt.Errorf("confirm: wait is %v; it is %v at most", wait, hold.MaxWait)
	case c.NumberMatch != 0 && (c.NumberMatch < operation.MinNumber || c.NumberMatch > operation.MaxNumber):
		return fmt.Errorf("confirm: number_match is %d; it is %d to %d digits", c.NumberMatch, operation.MinNumber, operation.MaxNumber)
	}
	return nil
}

// unbound are fields that are not the same when a request is sent again, or that no upstream gets.
var unbound = []string{
	"Authorization", "Cookie", "Connection", "Content-Length", "Date", "Expect", hold.OperationHeader, "Host", "Keep-Alive", "Prefer",
	"Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

func (c *Config) checkType(mobile *phones.Config) error {
	if mobile == nil {
		return errors.New(`it needs "mobile" with a type by which phones are asked`)
	}
	set, err := mobile.Set()
	if err != nil {
		return err
	}
	t, found := set.Get(c.Type)
	switch {
	case !found:
		return errors.New("there is no such type in mobile")
	case t.Channel() != mobiletype.ByPush:
		return fmt.Errorf("its method is %s, and a request is confirmed on a phone that signs what it shows", t.Method)
	}
	return nil
}

// rule returns what the configuration says, for a rule that asks for something else besides.
func (c *Config) rule(besides any) (*hold.Rule, error) {
	message, err := confirm.ParseTemplate(c.Message)
	if err != nil {
		return nil, err
	}
	said, err := json.Marshal([]any{c, besides})
	if err != nil {
		return nil, fmt.Errorf("naming a rule: %w", err)
	}
	name := sha256.Sum256(said)
	return &hold.Rule{
		Name: base64.RawURLEncoding.EncodeToString(name[:]), Type: c.Type, Message: message, Language: c.Language,
		Digits: c.NumberMatch, Headers: c.Headers, Body: cmp.Or(c.MaxBody, hold.DefaultBody), Wait: time.Duration(c.Wait),
	}, nil
}
