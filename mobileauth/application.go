// SPDX-License-Identifier: Apache-2.0

package mobileauth

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// Status says what becomes of a version of an app.
type Status string

// The states of a version.
const (
	// Active versions are welcome.
	Active Status = "active"
	// Notify lets a version in, after its people were told something once.
	Notify Status = "notify"
	// NoRegistration lets a version in and registers no device with it.
	NoRegistration Status = "no_registration"
	// Disabled refuses a version, at once and wherever it is.
	Disabled Status = "disabled"
	// Unknown is the answer for an application or a platform that is not configured. No rule can have it.
	Unknown Status = "unknown"
)

// Statuses returns those that a rule can have.
func Statuses() []Status { return []Status{Active, Notify, NoRegistration, Disabled} }

// Limits on what an application is described with.
const (
	MaxID          = 64      // bytes in the id of an application
	MaxPlatform    = 32      // bytes in the name of a platform
	MaxVersion     = 64      // bytes in a version or a pattern
	MaxBundle      = 255     // bytes in a bundle identifier
	MaxMessage     = 1 << 10 // bytes in one message
	MaxMessages    = 32      // languages of one rule
	maxMessagesAll = 8 << 10 // bytes in all messages of one rule, so that an override fits the store however it is escaped
	MaxURL         = 1 << 10 // bytes in a URL
	MaxMessageID   = 64      // bytes in the id of a message
)

// Errors of the registry. They are wrapped by what says more.
var (
	// ErrInvalid says that an application or a rule cannot be so.
	ErrInvalid = errors.New("it is not valid")
	// ErrNoApplication says that there is no such application in the configuration.
	ErrNoApplication = errors.New("there is no such application")
	// ErrNoOverride says that the configured rule holds already.
	ErrNoOverride = errors.New("there is no such override")
)

// invalidError says what cannot be so, in words that need no more. It is an [ErrInvalid].
type invalidError string

func invalid(format string, args ...any) error { return invalidError(fmt.Sprintf(format, args...)) }

// Error returns the words.
func (e invalidError) Error() string { return string(e) }

// Unwrap returns the kind of error.
func (invalidError) Unwrap() error { return ErrInvalid }

// Application is an app of the operator's.
type Application struct {
	ID string `json:"id"`
	// Platforms are those it exists for, each with the identifier of the app there.
	Platforms map[string]string `json:"platforms"`
	// Rules are what the configuration says about its versions. Without any, all are active.
	Rules []Rule `json:"rules,omitempty"`
}

// Rule says what becomes of some versions.
type Rule struct {
	// Pattern is a version, the beginning of one with ".*", or "*".
	Pattern string `json:"version"`
	// Platform is the one on which the rule holds; empty is all of them.
	Platform string `json:"platform,omitempty"`
	Status   Status `json:"status"`
	// Messages are what people are told, by language.
	Messages map[string]string `json:"messages,omitempty"`
	// MessageID tells messages apart, so that an app shows each once. Default: one that changes with what the rule says.
	MessageID string `json:"message_id,omitempty"`
	// URL leads to what the message speaks of, such as the latest version.
	URL string `json:"url,omitempty"`
}

var (
	validID       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	validPlatform = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)
	validVersion  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_-]*$`)
)

// ValidID reports whether a text could be the id of an application.
func ValidID(id string) bool { return len(id) <= MaxID && validID.MatchString(id) }

// ValidPlatform reports whether a text could be the name of a platform.
func ValidPlatform(name string) bool {
	return len(name) <= MaxPlatform && validPlatform.MatchString(name)
}

// ValidVersion reports whether a text could be a version: letters, digits and ".+_-", at most [MaxVersion] of them.
func ValidVersion(version string) bool {
	return len(version) <= MaxVersion && validVersion.MatchString(version)
}

// CheckPattern refuses what is neither a version, nor the beginning of one with ".*", nor "*".
func CheckPattern(pattern string) error {
	begin, wild := strings.CutSuffix(pattern, ".*")
	if pattern == "*" || ValidVersion(begin) && (wild || !strings.Contains(pattern, "*")) && len(pattern) <= MaxVersion {
		return nil
	}
	return invalid("version %q is neither a version such as 2.1.0, nor a pattern such as 2.* or *", pattern)
}

// CheckStatus refuses what is none of [Statuses].
func CheckStatus(status Status) error {
	if slices.Contains(Statuses(), status) {
		return nil
	}
	return invalid("status %q is none of active, notify, no_registration, disabled", status)
}

// check returns the first thing about an application that cannot be so.
func (a *Application) check() error {
	if !ValidID(a.ID) {
		return invalid("its id is not one word of letters, digits and \"._-\" with at most %d characters", MaxID)
	}
	if len(a.Platforms) == 0 {
		return invalid("it has no platform")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Platforms)) {
		if !ValidPlatform(name) {
			return invalid("platform %q is not one word in lower case", name)
		}
		if id := a.Platforms[name]; id == "" || !printable(id, MaxBundle) {
			return invalid("platform %q has no identifier of 1 to %d bytes of printable text", name, MaxBundle)
		}
	}
	seen := map[key]bool{}
	for i := range a.Rules {
		r := &a.Rules[i]
		if err := a.checkRule(r); err != nil {
			return err
		}
		if seen[r.key()] {
			return invalid("%s stands twice", r.key())
		}
		seen[r.key()] = true
	}
	return nil
}

// checkRule returns the first thing about a rule of the application that cannot be so.
func (a *Application) checkRule(r *Rule) error {
	if err := CheckPattern(r.Pattern); err != nil {
		return err
	}
	if _, ok := a.Platforms[r.Platform]; r.Platform != "" && !ok {
		return invalid("%s: the application is not there for %q", r.key(), r.Platform)
	}
	if err := r.checkWords(); err != nil {
		return fmt.Errorf("%s: %w", r.key(), err)
	}
	return nil
}

func (r *Rule) checkWords() error {
	if err := CheckStatus(r.Status); err != nil {
		return err
	}
	if r.Status == Notify && len(r.Messages) == 0 {
		return invalid("notify needs a message")
	}
	if len(r.MessageID) > MaxMessageID || r.MessageID != "" && !validID.MatchString(r.MessageID) {
		return invalid("message_id is not one word with at most %d characters", MaxMessageID)
	}
	if err := checkURL(r.URL); err != nil {
		return err
	}
	return checkMessages(r.Messages)
}

func checkMessages(messages map[string]string) error {
	if len(messages) > MaxMessages {
		return invalid("there are messages in more than %d languages", MaxMessages)
	}
	total := 0
	for _, locale := range slices.Sorted(maps.Keys(messages)) {
		if _, err := language.Parse(locale); err != nil || len(locale) > MaxPlatform {
			return invalid("message %q is in no language; expected one such as en or nl-BE", locale)
		}
		if text := messages[locale]; text == "" || !printable(text, MaxMessage) {
			return invalid("message %q is not 1 to %d bytes of printable text", locale, MaxMessage)
		}
		total += len(locale) + len(messages[locale])
	}
	if total > maxMessagesAll {
		return invalid("the messages have more than %d bytes together", maxMessagesAll)
	}
	return nil
}

// checkURL admits what a person can safely be sent to: a page in a browser.
func checkURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || !printable(text, MaxURL) {
		return invalid("url %q does not begin with https:// and a host", text)
	}
	return nil
}

// printable refuses control characters, which forge lines in logs, and longer text.
func printable(text string, limit int) bool {
	return len(text) <= limit && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
