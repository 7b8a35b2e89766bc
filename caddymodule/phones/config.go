// SPDX-License-Identifier: Apache-2.0

package phones

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/gatehouse-id/gatehouse/caddymodule/apps"
	"github.com/gatehouse-id/gatehouse/caddymodule/channels"
	"github.com/gatehouse-id/gatehouse/caddymodule/option"
	"github.com/gatehouse-id/gatehouse/internal/jose"
	"github.com/gatehouse-id/gatehouse/mobileauth/callback"
	"github.com/gatehouse-id/gatehouse/mobileauth/operation"
)

// Config says how phones are asked.
type Config struct {
	// The addresses that back ends may be called back at.
	Callbacks []Callback `json:"callbacks,omitempty"`
	// The clients that may name any public https address to be called back at, beside those of callbacks. Default: none.
	Unlisted unlisted `json:"callback_allow_list_off,omitempty"`
	// How long a question can be answered where whoever asks does not say. Default: 2m, at most 10m.
	AnswerWindow caddy.Duration `json:"answer_window,omitempty"`
	// How long an approval can be redeemed. Default: 1m.
	RedeemWindow caddy.Duration `json:"redeem_window,omitempty"`
	// How many digits are shown where a question began, to be typed on the phone. Default: 2; NIST SP 800-63B-4 asks for 6.
	NumberMatch int `json:"number_match,omitempty"`
	// The least number of digits that a back end may ask for. Default: 0, which also allows none.
	LeastNumberMatch int `json:"least_number_match,omitempty"`
	// How many wrong answers end a question. Default: 3.
	Attempts int `json:"attempts,omitempty"`
	// How many wrong answers in a row block a user for a while. Default: 5.
	UserAttempts int `json:"user_attempts,omitempty"`
	// How many questions to one user are open at once: 2 to 8, of which clients cannot take the last. Default: 5.
	Open int `json:"open,omitempty"`
	// How many of them one client has begun. Default: 2.
	OpenOfClient int `json:"open_of_client,omitempty"`
	// How many notifications a user gets in a minute, and since the last approval. Default: 5 and 10.
	PushesPerMinute    int `json:"pushes_per_minute,omitempty"`
	PushesSinceSuccess int `json:"pushes_since_success,omitempty"`
	// The attributes by which back ends can search for users.
	Searchable []string `json:"searchable,omitempty"`
	// How people are asked by named types, and over which channels.
	channels.Config
}

// Callback is an address that is told when a question was answered.
type Callback struct {
	// The address, compared letter by letter with what a back end asks for.
	URL string `json:"url"`
	// The name and password (usually {env.NAME} or {file.PATH}) that are sent along.
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty"`
	// The bearer token that is sent along.
	Bearer string `json:"bearer,omitempty"`
	// The networks beside the public internet in which it may be.
	Allow []string `json:"allow,omitempty"`
	// Whether it is told, of every user, that they did not begin what they were asked, and that wrong answers block them.
	Alerts bool `json:"alerts,omitempty"`
}

// Parse reads the option:
//
//	mobile {
//		callback             <url> { ... }
//		callback_allow_list  off <client...>
//		answer_window        <duration>
//		redeem_window        <duration>
//		number_match         <digits> [<least digits>]
//		attempts             <number> [<per user>]
//		open                 <number> [<of one client>]
//		pushes               <per minute> <since the last approval>
//		searchable           <attribute...>
//	}
//
// and what package channels reads.
func Parse(into **Config) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		c := new(Config)
		*into = c
		options, repeat := c.Options()
		maps.Copy(options, map[string]option.Parse{
			"callback": c.parseCallback, "callback_allow_list": c.Unlisted.parse, "answer_window": option.Duration(&c.AnswerWindow),
			"redeem_window": option.Duration(&c.RedeemWindow), "number_match": numbers(&c.NumberMatch, &c.LeastNumberMatch),
			"attempts": numbers(&c.Attempts, &c.UserAttempts), "open": numbers(&c.Open, &c.OpenOfClient),
			"pushes": numbers(&c.PushesPerMinute, &c.PushesSinceSuccess), "searchable": option.Strings(&c.Searchable),
		})
		return option.Block{Options: options, Repeat: append(repeat, "callback", "callback_allow_list")}.Parse(d)
	}
}

// numbers reads one number, or two.
func numbers(first, second *int) option.Parse {
	return func(d *caddyfile.Dispenser) error {
		if err := option.Number(first)(d); err != nil {
			return err
		}
		if d.CountRemainingArgs() == 0 {
			return nil
		}
		return option.Number(second)(d)
	}
}

// parseCallback reads:
//
//	callback <url> {
//		basic_auth <user> <password>
//		bearer     <token>
//		allow      <network...>
//		alerts
//	}
func (c *Config) parseCallback(d *caddyfile.Dispenser) error {
	var call Callback
	if err := option.String(&call.URL)(d); err != nil {
		return err
	}
	basic := func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) != 2 {
			return d.Err("basic_auth needs a user and a password")
		}
		call.User, call.Password = args[0], args[1]
		return nil
	}
	err := option.Block{Options: map[string]option.Parse{
		"basic_auth": basic, "bearer": option.String(&call.Bearer), "allow": option.Strings(&call.Allow),
		"alerts": option.Flag(&call.Alerts),
	}}.Parse(d)
	c.Callbacks = append(c.Callbacks, call)
	return err
}

// Check finds what contradicts itself in a configuration with these signature algorithms. It needs no secret.
func Check(c *Config, applications []apps.Config, algorithms []string) error {
	if !Wanted(c, applications) {
		return nil
	}
	if !slices.Contains(algorithms, string(jose.ES256)) {
		return fmt.Errorf("keys: phones are answered under %s: add it to algorithms", jose.ES256)
	}
	if c == nil {
		c = new(Config)
	}
	for _, name := range apps.Services(applications) {
		if !c.Known(name) {
			return fmt.Errorf("mobile: an application names the push service %q, which is not configured: add \"push %s\"", name, name)
		}
	}
	if err := c.Config.Check(); err != nil {
		return fmt.Errorf("mobile: %w", err)
	}
	if err := c.checkLimits(); err != nil {
		return fmt.Errorf("mobile: %w", err)
	}
	key := func() (jose.PrivateKey, error) { return jose.PrivateKey{}, errors.New("there is none") }
	receivers, err := c.receivers(func(string, string) (string, error) { return "secret", nil })
	if err == nil {
		_, err = callback.New(callback.Config{Receivers: receivers, Key: key, Now: time.Now})
	}
	if err != nil {
		return fmt.Errorf("mobile: %w", err)
	}
	return nil
}

// checkLimits refuses numbers out of their range by the name of the option, and whatever else does not go together.
func (c *Config) checkLimits() error {
	window := func(d caddy.Duration) bool {
		return d == 0 || d >= caddy.Duration(time.Second) && d <= caddy.Duration(operation.MaxTimeToLive)
	}
	for _, rule := range []struct {
		option, want string
		ok           bool
	}{
		{"answer_window", "1s to 10m", window(c.AnswerWindow)},
		{"redeem_window", "1s to 10m", window(c.RedeemWindow)},
		{"attempts", "1 to 10, and 1 to 10", c.Attempts <= 10 && c.UserAttempts <= 10},
		{"open", fmt.Sprintf("2 to %d", operation.MaxOpen), c.Open != 1 && c.Open <= operation.MaxOpen},
		{"pushes", "1 to 60, and 1 to 60", c.PushesPerMinute <= 60 && c.PushesSinceSuccess <= 60},
		{
			"number_match", fmt.Sprintf("%d to %d digits, and the least among them", operation.MinNumber, operation.MaxNumber),
			c.number() >= operation.MinNumber && c.number() <= operation.MaxNumber && c.LeastNumberMatch != 1,
		},
	} {
		if !rule.ok {
			return fmt.Errorf("%s: want %s", rule.option, rule.want)
		}
	}
	return c.limits().Check()
}

// receivers are the callbacks as they are called, with their secrets resolved.
func (c *Config) receivers(secret func(text, of string) (string, error)) ([]callback.Receiver, error) {
	var all []callback.Receiver
	for i := range c.Callbacks {
		r, err := c.Callbacks[i].receiver(secret)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// limits are those of operations.
func (c *Config) limits() operation.Limits {
	return operation.Limits{
		TimeToLive: time.Duration(c.AnswerWindow), Redeem: time.Duration(c.RedeemWindow), Number: c.number(),
		LeastNumber: c.LeastNumberMatch, Tries: c.Attempts, Failures: c.UserAttempts, Open: c.Open,
		OpenOfClient: c.OpenOfClient, PushesPerMinute: c.PushesPerMinute, PushesSinceSuccess: c.PushesSinceSuccess,
	}
}

// number is what is asked by default, which is no less than what has to be asked.
func (c *Config) number() int {
	return max(cmp.Or(c.NumberMatch, operation.MinNumber), c.LeastNumberMatch)
}

// receiver is the callback as it is called, with its secrets resolved.
func (c *Callback) receiver(secret func(text, of string) (string, error)) (r callback.Receiver, err error) {
	r.URL = c.URL
	if r.Credentials, err = c.credentials(secret); err != nil {
		return r, fmt.Errorf("callback %s: %w", c.URL, err)
	}
	if r.Allow, err = option.Networks("allow", c.Allow); err != nil {
		return r, fmt.Errorf("callback %s: %w", c.URL, err)
	}
	return r, nil
}

func (c *Callback) credentials(secret func(text, of string) (string, error)) (callback.Credentials, error) {
	switch {
	case c.User != "" && c.Bearer != "":
		return callback.Credentials{}, errors.New("it has basic_auth and bearer, and one call has one Authorization")
	case c.User != "":
		password, err := secret(c.Password, "callback "+c.URL)
		if err != nil {
			return callback.Credentials{}, err
		}
		return callback.Basic(c.User, password)
	case c.Bearer != "":
		token, err := secret(c.Bearer, "callback "+c.URL)
		if err != nil {
			return callback.Credentials{}, err
		}
		return callback.Bearer(token)
	}
	return callback.Credentials{}, nil
}
