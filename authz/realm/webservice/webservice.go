// SPDX-License-Identifier: Apache-2.0

package webservice

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/authz/realm"
	"github.com/gatehouse-id/gatehouse/internal/callout"
)

// AttributeLogin is the attribute of a proof that holds the login name, so that a later form can be prefilled.
const AttributeLogin = "login"

// methodPassword is the authentication method of RFC 8176 2.
const methodPassword = "pwd"

// Limits of what is sent, in bytes.
const (
	maxUsername  = 512
	maxPassword  = 4 << 10
	maxFieldName = 64
)

// How long to wait where the service asks for it: when it does not say, and at least and at most when it does.
const (
	waitDefault = 30 * time.Second
	waitLeast   = time.Second
	waitMost    = 15 * time.Minute
	// maxSeconds keeps what a service says from overflowing before it is bounded.
	maxSeconds = 24 * 60 * 60
)

// Reasons of a refusal, for the audit trail. One by status has the status in its reason.
const (
	reasonMalformed = "malformed"
	reasonNotOK     = "service_not_ok"
	reasonNoID      = "service_no_id"
	reasonStatus    = "service_status_"
)

// What can be sent.
const (
	SendUsername = "username"
	SendPassword = "password"
	SendClientIP = "client_ip"
	SendRealm    = "realm"
	SendLocale   = "locale"
)

// sendable is what is sent under its own name unless something is chosen.
var sendable = []string{SendUsername, SendPassword, SendClientIP, SendRealm, SendLocale}

// Service judges by one POST. It is a [callout.Client].
type Service interface {
	Post(ctx context.Context, what any) (answer []byte, err error)
}

// Config describes the service and how it is understood. Service, ID, Now and Logger are required.
type Config struct {
	Service Service
	// Name is what the log calls the service.
	Name string
	// Send says under which name each of what can be sent is sent. What it does not name is not sent; user name and password
	// must be. Default: all of it, under its own name.
	Send map[string]string
	// ID and Display are the paths to the user's id and name in the answer, and Attributes those to the identity's attributes; see
	// [ParsePath].
	ID, Display string
	Attributes  map[string]string
	// OK is the path to what must be true in the answer; empty asks for an id only.
	OK string
	// UserField and PasswordField are the answers it looks at. Default: username and password.
	UserField, PasswordField string
	// Breaker says when the service is left alone.
	Breaker Breaker
	Now     func() time.Time
	Logger  *slog.Logger
}

// Module is the login module. It is safe for concurrent use.
type Module struct {
	service Service
	send    map[string]string
	reader  reader
	breaker *breaker
	now     func() time.Time

	userField, passwordField string
}

// New returns a login module, or an error that says what in the configuration does not fit. It connects to nothing yet.
func New(c Config) (*Module, error) {
	if c.Service == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("a web service needs an address, a clock and a logger")
	}
	send, err := checkSend(c.Send)
	if err != nil {
		return nil, err
	}
	reader, err := newReader(&c)
	if err != nil {
		return nil, err
	}
	breaker, err := newBreaker(&c)
	if err != nil {
		return nil, err
	}
	return &Module{
		service: c.Service, send: send, reader: reader, breaker: breaker, now: c.Now,
		userField: cmp.Or(c.UserField, "username"), passwordField: cmp.Or(c.PasswordField, "password"),
	}, nil
}

func checkSend(send map[string]string) (map[string]string, error) {
	if len(send) == 0 {
		send = map[string]string{}
		for _, what := range sendable {
			send[what] = what
		}
	}
	names := map[string]bool{}
	for what, name := range send {
		switch {
		case !slices.Contains(sendable, what):
			return nil, fmt.Errorf("send %q: it cannot be sent, only %s", what, strings.Join(sendable, ", "))
		case name == "" || !realm.ValidText(name, maxFieldName):
			return nil, fmt.Errorf("send %q: the name is none", what)
		case names[name]:
			return nil, fmt.Errorf("send: two things have the name %q", name)
		}
		names[name] = true
	}
	if send[SendUsername] == "" || send[SendPassword] == "" {
		return nil, errors.New("send: username and password are both needed")
	}
	return send, nil
}

// NeedsLogin tells that the service knows users by their login name only, whoever the issuer knows them as.
func (m *Module) NeedsLogin() bool { return true }

// Verify has the service judge a login name and a password. An error means that it has not; while it is left alone, that is
// [ErrOpen].
func (m *Module) Verify(ctx context.Context, c realm.Credentials) (realm.Result, error) {
	username, password := c.Values[m.userField], c.Values[m.passwordField]
	if !acceptable(username, password) {
		return refused(reasonMalformed), nil
	}
	result, err := m.breaker.guard(ctx, func() (realm.Result, error) { return m.ask(ctx, m.question(username, password, c)) })
	if err != nil {
		return realm.Result{}, fmt.Errorf("asking the web service: %w", err)
	}
	if result.Status == realm.Accepted && result.Identity.Attributes[AttributeLogin] == "" {
		result.Identity.Attributes[AttributeLogin] = username
	}
	return result, nil
}

// acceptable keeps away from the service what no user has. JSON has no place for what is not UTF-8: two passwords would be one.
func acceptable(username, password string) bool {
	return username != "" && realm.ValidText(username, maxUsername) &&
		password != "" && len(password) <= maxPassword && utf8.ValidString(password)
}

func refused(reason string) realm.Result { return realm.Result{Status: realm.Refused, Reason: reason} }

func (m *Module) question(username, password string, c realm.Credentials) map[string]string {
	question := map[string]string{}
	for what, value := range map[string]string{
		SendUsername: username, SendPassword: password, SendClientIP: c.ClientIP, SendRealm: c.Realm, SendLocale: c.Locale,
	} {
		if name := m.send[what]; name != "" {
			question[name] = value
		}
	}
	return question
}

// ask asks once.
func (m *Module) ask(ctx context.Context, question map[string]string) (realm.Result, error) {
	answer, err := m.service.Post(ctx, question)
	var status *callout.StatusError
	switch {
	case errors.As(err, &status):
		return m.byStatus(status)
	case err != nil:
		return realm.Result{}, err
	}
	return m.reader.judge(answer)
}

// byStatus judges by a status that speaks of the login.
func (m *Module) byStatus(said *callout.StatusError) (realm.Result, error) {
	reason := fmt.Sprint(reasonStatus, said.Status)
	switch said.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return refused(reason), nil
	case http.StatusLocked, http.StatusTooManyRequests:
		return realm.Result{Status: realm.Throttled, Reason: reason, RetryAfter: m.wait(said.RetryAfter)}, nil
	}
	return realm.Result{}, said
}

// wait reads Retry-After (RFC 9110 10.2.3), in seconds or as a date.
func (m *Module) wait(after string) time.Duration {
	wait := waitDefault
	if seconds, err := strconv.Atoi(after); err == nil {
		wait = time.Duration(min(seconds, maxSeconds)) * time.Second
	} else if date, err := http.ParseTime(after); err == nil {
		wait = date.Sub(m.now())
	}
	return min(max(wait, waitLeast), waitMost)
}
