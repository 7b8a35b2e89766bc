// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// maxReceipts is how many are read of one call.
const maxReceipts = 100

// Receipts say how a provider tells of deliveries.
type Receipts struct {
	// Format is [JSON] or [Form]. Default: [JSON].
	Format Format
	// List is the JSON pointer to an array of receipts; the document is one receipt where it is empty.
	List string
	// ID, State and Reason are JSON pointers into a receipt, or names of fields of a form. Reason may be empty.
	ID, State, Reason string
	// Words are what the provider's words for states mean.
	Words map[string]sms.State
	// Classes are what its words for reasons mean for a number that did not get the message; others say nothing of it.
	Classes map[string]sms.Class
	// HMAC is how it signs. Without it the address is all that tells the provider from others.
	HMAC *HMAC
}

// receipts are rules that were read.
type receipts struct {
	Receipts
	list, id, state, reason pointer
}

func readReceipts(r Receipts) (*receipts, error) {
	x := &receipts{Receipts: r}
	if x.Format == "" {
		x.Format = JSON
	}
	switch {
	case x.Format != JSON && x.Format != Form:
		return nil, errors.New("the format of receipts is not json or form")
	case r.ID == "" || r.State == "" || len(r.Words) == 0:
		return nil, errors.New("receipts need to have an id, a state, and words for states")
	case x.Format == Form && r.List != "":
		return nil, errors.New("a form has no list of receipts")
	}
	for word, state := range r.Words {
		if word == "" || !state.Valid() {
			return nil, errors.New("a word for a state means neither sent nor delivered nor failed")
		}
	}
	for word, class := range r.Classes {
		if word == "" || class != sms.Number && class != sms.Blocked && class != sms.Ambiguous {
			return nil, errors.New("a word for a reason means neither number nor blocked nor ambiguous")
		}
	}
	if r.HMAC != nil {
		if err := r.HMAC.check(); err != nil {
			return nil, err
		}
	}
	if x.Format == Form {
		return x, nil
	}
	for _, p := range []struct {
		text string
		to   *pointer
	}{{r.List, &x.list}, {r.ID, &x.id}, {r.State, &x.state}, {r.Reason, &x.reason}} {
		var err error
		if *p.to, err = readPointer(p.text); err != nil {
			return nil, fmt.Errorf("a pointer into receipts: %w", err)
		}
	}
	return x, nil
}

// Reports returns the handler for the provider's receipts. The configuration has to say how they look.
func (s *Sender) Reports(secretPath, publicURL string, told sms.Told) (http.Handler, error) {
	if s.x.receipt == nil {
		return nil, errors.New("reading receipts: nothing is configured of them")
	}
	if u, err := url.Parse(publicURL); err != nil || !strings.HasSuffix(u.Path, "/"+secretPath) {
		return nil, errors.New("reading receipts: the public address does not end with the secret")
	}
	return sms.Receiver{Secret: secretPath, Told: told, Read: func(r *http.Request, body []byte) ([]sms.Report, bool) {
		if h := s.x.receipt.HMAC; h != nil && !h.verify(r.Header, body, s.x.Now()) {
			return nil, false
		}
		reports, ok := s.x.receipt.read(r.Header.Get("Content-Type"), body)
		for i := range reports {
			reports[i].At = s.x.Now()
		}
		return reports, ok
	}}.Handler()
}

// read returns the reports of one call; false where it is no call of this kind.
func (x *receipts) read(contentType string, body []byte) ([]sms.Report, bool) {
	kind, _, err := mime.ParseMediaType(contentType)
	if x.Format == Form {
		form, bad := url.ParseQuery(string(body))
		if x.Reason == "" {
			form.Del("") // a field without a name is no reason
		}
		twice := len(form[x.ID]) > 1 || len(form[x.State]) > 1 || len(form[x.Reason]) > 1
		if err != nil || kind != "application/x-www-form-urlencoded" || bad != nil || twice {
			return nil, false
		}
		return x.one(nil, form.Get(x.ID), form.Get(x.State), form.Get(x.Reason)), true
	}
	document := decode(body)
	if err != nil || kind != "application/json" || document == nil {
		return nil, false
	}
	list := []any{document}
	if x.List != "" {
		var ok bool
		if list, ok = x.list.find(document).([]any); !ok || len(list) > maxReceipts {
			return nil, false
		}
	}
	var reports []sms.Report
	for _, item := range list {
		reason := ""
		if x.Reason != "" {
			reason = x.reason.word(item)
		}
		reports = x.one(reports, x.id.word(item), x.state.word(item), reason)
	}
	return reports, true
}

// one adds a report, if it is news.
func (x *receipts) one(reports []sms.Report, id, state, reason string) []sms.Report {
	r := sms.Report{ID: id, State: x.Words[state]}
	if !r.State.Valid() || !plausible(id) {
		return reports
	}
	if r.State == sms.Failed {
		r.Class, r.Reason = sms.Ambiguous, sms.Word(reason)
		if class, ok := x.Classes[reason]; ok {
			r.Class = class
		}
	}
	return append(reports, r)
}
