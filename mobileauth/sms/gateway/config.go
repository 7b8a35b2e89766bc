// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// Format is the type of a body.
type Format string

// The formats.
const (
	JSON Format = "json" // application/json
	Form Format = "form" // application/x-www-form-urlencoded
	None Format = "none" // no body: everything stands in the address
)

// Spelling is how numbers are written.
type Spelling string

// The spellings of one number.
const (
	E164   Spelling = "e164"   // +31612345678
	Digits Spelling = "digits" // 31612345678
	Zeros  Spelling = "zeros"  // 0031612345678
)

// MaxAnswer bounds what is read of an answer, in bytes.
const MaxAnswer = 64 << 10

// Config describes a provider.
type Config struct {
	// Method is POST, PUT or, for providers that read nothing but the address, GET. Default: POST.
	Method string
	// URL is https, or http on a loopback host, and may hold placeholders behind the host. It appears in no error and no log.
	URL string
	// Header are further fields, whose values may hold {id}, {from} and {ttl}. Those that the request itself is made of are refused.
	Header map[string]string
	// Format is the type of Body. Default: [JSON].
	Format Format
	// Body is the template.
	Body string
	// Exposed allows {to} and {text} in the address, where they end up in logs.
	Exposed bool
	// From fills {from}.
	From string
	// Number is how {to} is written. Default: [E164].
	Number Spelling
	// Auth says how the provider is told who is calling. None by default.
	Auth Auth
	// Answers say what the provider means.
	Answers Answers
	// Receipts say how it tells of deliveries; nil where it does not.
	Receipts *Receipts

	// Proxy is asked to connect to the provider. None by default: the environment is not asked.
	Proxy *url.URL
	// Roots are the certificate authorities that may vouch for the provider. Default: those of the system.
	Roots *x509.CertPool
	// Timeout bounds one request, and Places says how many are under way at once. Defaults: those of internal/provider.
	Timeout time.Duration
	Places  int
	// Now is the clock. Required.
	Now func() time.Time
}

// Answers say what statuses and words of a provider mean.
type Answers struct {
	// Success are the statuses of a message that was taken. Default: those from 200 to 299.
	Success []int
	// Accepted is the JSON pointer to a word that says whether it was, for providers that answer 200 to everything; it has to be one of
	// AcceptedWords then.
	Accepted      string
	AcceptedWords []string
	// ID is the JSON pointer to the provider's id of the message. Without it there are no receipts.
	ID string
	// Retryable are statuses of a message that was surely not taken and may be sent again. Default: 429. A provider that knows
	// repetitions by {id} may have 502, 503 and 504 here.
	Retryable []int
	// Reason is the JSON pointer to the provider's word for a refusal, and Classes what such words mean. Words that are not there mean
	// what the status does.
	Reason  string
	Classes map[string]sms.Class
}

// compiled is a configuration that was read.
type compiled struct {
	Config
	address string // scheme and host
	rest    string // path and query, with placeholders
	body    template
	header  map[string]string
	answers answers
	receipt *receipts
}

// own are the fields that the request itself is made of.
var own = []string{
	"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Host", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent",
}

func compile(c Config) (*compiled, error) {
	if c.Now == nil {
		return nil, errors.New("a clock is required")
	}
	x := &compiled{Config: c, header: map[string]string{}}
	var found []string
	for _, step := range []func(*[]string) error{x.readMethod, x.readURL, x.readHeader, x.readBody} {
		if err := step(&found); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{to, text} {
		if !slices.Contains(found, name) {
			return nil, fmt.Errorf("the placeholder {%s} stands nowhere", name)
		}
	}
	if slices.Contains(found, from) != (c.From != "") {
		return nil, errors.New("a sender needs the placeholder {from}, and the placeholder a sender")
	}
	if err := x.Auth.check(x.Format); err != nil {
		return nil, err
	}
	var err error
	if x.answers, err = readAnswers(c.Answers); err != nil {
		return nil, err
	}
	if c.Receipts != nil {
		if c.Answers.ID == "" {
			return nil, errors.New("receipts need the provider's id of a message in its answers")
		}
		x.receipt, err = readReceipts(*c.Receipts)
	}
	return x, err
}

func (x *compiled) readMethod(*[]string) error {
	if x.Method == "" {
		x.Method = http.MethodPost
	}
	if x.Format == "" {
		x.Format = JSON
	}
	if x.Number == "" {
		x.Number = E164
	}
	switch {
	case !slices.Contains([]string{http.MethodGet, http.MethodPost, http.MethodPut}, x.Method):
		return errors.New("the method is not POST, PUT or GET")
	case !slices.Contains([]Format{JSON, Form, None}, x.Format):
		return errors.New("the format is not json, form or none")
	case x.Method == http.MethodGet && x.Format != None:
		return errors.New("a request by GET has no body")
	case !slices.Contains([]Spelling{E164, Digits, Zeros}, x.Number):
		return errors.New("the spelling of numbers is not e164, digits or zeros")
	}
	return nil
}

func (x *compiled) readURL(found *[]string) error {
	scheme, rest, ok := strings.Cut(x.URL, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	x.address, x.rest = scheme+"://"+rest[:end], rest[end:]
	if !ok || strings.ContainsAny(rest, "# \t\r\n") || placeholder.MatchString(x.address) || provider.CheckURL(x.address) != nil {
		return errors.New("the address is not an https URL with a fixed host")
	}
	allowed := []string{id, from, ttl}
	if x.Exposed {
		allowed = bodies
	}
	more, err := names(x.rest, allowed...)
	if err != nil {
		return fmt.Errorf("the address: %w", err)
	}
	if _, err := url.Parse(x.address + placeholder.ReplaceAllString(x.rest, "x")); err != nil {
		return errors.New("the address is not an https URL with a fixed host")
	}
	*found = append(*found, more...)
	return nil
}

func (x *compiled) readHeader(found *[]string) error {
	for name, value := range x.Header {
		canonical := http.CanonicalHeaderKey(name)
		if _, twice := x.header[canonical]; twice || !validName(name) || slices.Contains(own, canonical) || !validValue(value) {
			return fmt.Errorf("the header field %q cannot be set, or its value cannot be sent", name)
		}
		more, err := names(value, id, from, ttl)
		if err != nil {
			return fmt.Errorf("the header field %q: %w", name, err)
		}
		x.header[canonical], *found = value, append(*found, more...)
	}
	if slices.ContainsFunc([]rune(x.From), func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("the sender has characters other than printable ASCII")
	}
	return nil
}

func (x *compiled) readBody(found *[]string) (err error) {
	var more []string
	switch {
	case x.Format == None && x.Body == "":
		return nil
	case x.Format == None || len(x.Body) > maxTemplate:
		return errors.New("there is a body where there is none, or it is too long")
	case x.Format == JSON:
		x.body, more, err = wrap(readJSON(x.Body))
	case x.Format == Form:
		x.body, more, err = wrap(readForm(x.Body))
	}
	if err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	*found = append(*found, more...)
	return nil
}

func wrap[T template](t T, found []string, err error) (template, []string, error) {
	return t, found, err
}

// validName admits the tokens of RFC 9110, section 5.6.2.
func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

func validValue(value string) bool {
	return value != "" && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// spell writes a number in E.164 form as the provider wants it.
func (x *compiled) spell(e164 string) string {
	switch x.Number {
	case Digits:
		return e164[1:]
	case Zeros:
		return "00" + e164[1:]
	case E164:
	}
	return e164
}
