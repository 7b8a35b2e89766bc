// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth/device"
)

const (
	// addressMark stands for the phone's address in the address of an inbox.
	addressMark = "{address}"
	// maxNotice bounds a notification, in bytes: more than any push service carries.
	maxNotice = 64 << 10
)

// reach is where notifications of the phone go.
type reach struct {
	Service string `json:"service"`
	Address string `json:"address"`
	// Web opens those of Web Push.
	Web *subscription `json:"web,omitempty"`
}

// inbox is where the copy of a push service leaves what it delivers to the phone.
type inbox struct {
	client *http.Client
	at     string
	web    *subscription
}

var (
	// errInbox: the copy of the push service was not reached.
	errInbox = errors.New("the inbox does not answer")
	// errNotice: what arrived wakes nobody. The next may.
	errNotice = errors.New("reading a notification")
)

// inbox returns the phone's, of an address as "tests/services" prints it.
func (s *session) inbox(template string) (*inbox, error) {
	if s.phone.Push == nil {
		return nil, errors.New(`this phone has no push address: set one with "device push"`)
	}
	if u, err := url.Parse(strings.ReplaceAll(template, addressMark, "x")); err != nil || u.Scheme != "https" && u.Scheme != "http" ||
		u.Host == "" || !strings.Contains(template, addressMark) {
		return nil, fmt.Errorf("an inbox is an http address with %s in the place of the phone's", addressMark)
	}
	address := s.phone.Push.Address
	if s.phone.Push.Web != nil {
		address = s.phone.Push.Web.Endpoint
	}
	client, err := s.client()
	return &inbox{client, strings.ReplaceAll(template, addressMark, url.PathEscape(address)), s.phone.Push.Web}, err
}

// next waits for the next notification and returns the operation that it names; none where there was no notification for a while.
func (b *inbox) next(ctx context.Context) (operation string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.at, nil)
	if err != nil {
		return "", errors.New("listening to the inbox: its address is none")
	}
	response, err := b.client.Do(r)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errInbox, withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }() // it has been read
	switch response.StatusCode {
	case http.StatusNoContent:
		return "", nil
	case http.StatusOK:
	default:
		return "", fmt.Errorf("listening to the inbox: it answers %d: is it the one of this phone's push service?", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxNotice))
	if err != nil {
		return "", fmt.Errorf("%w: %w", errInbox, err)
	}
	return b.read(body)
}

// read returns the operation of a notice: the one that the service has read in it, or that is encrypted for the phone alone.
func (b *inbox) read(body []byte) (string, error) {
	var notice struct {
		Operation string          `json:"operation"`
		Payload   json.RawMessage `json:"payload"`
	}
	if err := json.Unmarshal(body, &notice); err != nil {
		return "", fmt.Errorf("%w: it is not the JSON of one", errNotice)
	}
	if b.web == nil {
		if notice.Operation == "" {
			return "", fmt.Errorf("%w: it names no operation", errNotice)
		}
		return notice.Operation, nil
	}
	var text string
	if err := json.Unmarshal(notice.Payload, &text); err != nil {
		return "", errSealed
	}
	sealed, err := b64.DecodeString(text)
	if err != nil {
		return "", errSealed
	}
	plain, err := b.web.open(sealed)
	if err != nil {
		return "", err
	}
	var content struct {
		Op string `json:"op"`
	}
	if err := json.Unmarshal(plain, &content); err != nil || content.Op == "" {
		return "", fmt.Errorf("%w: it names no operation", errNotice)
	}
	return content.Op, nil
}

// listen shows what the phone is notified of, and asks the server for nothing else.
func (s *session) listen(template string) error {
	box, err := s.inbox(template)
	if err != nil {
		return err
	}
	s.cmd.PrintErrln("Waiting for notifications; Ctrl-C ends.")
	var told string // of which the question was not fetched yet
	for s.ctx.Err() == nil {
		if told == "" {
			told, err = box.next(s.ctx)
		}
		if err == nil && told != "" {
			if err = s.notified(told); !unreached(err) {
				told = ""
			}
		}
		switch {
		case errors.Is(err, errNotice):
			s.cmd.PrintErrln(err)
			err = nil
		case errors.Is(err, errInbox) && s.ctx.Err() == nil:
			s.cmd.PrintErrln("The inbox does not answer; trying again.")
			err = s.breathe()
		}
		if err := s.outlast(err, false); err != nil {
			return err
		}
		err = nil
	}
	return nil
}

// notified shows the question that a notification is about. There need not be one: it may have been answered meanwhile, and a
// notification that an operator sends as a test is about none.
func (s *session) notified(operation string) error {
	q, err := s.device.Fetch(s.ctx, operation)
	if errors.Is(err, device.ErrGone) || errors.Is(err, device.ErrNotAllowed) {
		return s.say(map[string]string{"operation": operation, "state": "gone"}, "A notification arrived; nothing that it is about is open.")
	}
	if err != nil {
		return err
	}
	return s.decide(q)
}

// withoutURL is what went wrong with a request, without its address, which leads to the phone.
func withoutURL(err error) error {
	if where := new(url.Error); errors.As(err, &where) {
		return where.Err
	}
	return err
}
