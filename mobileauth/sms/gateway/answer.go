// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms/call"
)

// answers are rules that were read.
type answers struct {
	Answers
	accepted, id, reason pointer
}

// maxID bounds a provider's id, in bytes.
const maxID = 128

func readAnswers(a Answers) (answers, error) {
	x := answers{Answers: a}
	for _, p := range []struct {
		text string
		to   *pointer
	}{{a.Accepted, &x.accepted}, {a.ID, &x.id}, {a.Reason, &x.reason}} {
		var err error
		if *p.to, err = readPointer(p.text); err != nil {
			return x, fmt.Errorf("a pointer into the answers: %w", err)
		}
	}
	if (a.Accepted == "") != (len(a.AcceptedWords) == 0) {
		return x, errors.New("a pointer to whether a message was accepted needs words that say so")
	}
	if len(a.Retryable) == 0 {
		x.Retryable = []int{http.StatusTooManyRequests}
	}
	for _, status := range slices.Concat(a.Success, a.Retryable) {
		if status < 200 || status > 599 {
			return x, errors.New("a status is not from 200 to 599")
		}
		if slices.Contains(a.Success, status) && slices.Contains(x.Retryable, status) {
			return x, errors.New("a status says that a message was taken, and that it may be sent again")
		}
	}
	for word, class := range a.Classes {
		if sms.ClassOf(&sms.Failure{Class: class}) != class {
			return x, fmt.Errorf("the class %q of a word is none", class)
		}
		if word == "" || a.Reason == "" {
			return x, errors.New("words need a pointer to where they stand")
		}
	}
	return x, nil
}

// read returns the id of a message that was taken, or why it was not.
func (x *answers) read(a *call.Answer, now time.Time) (string, error) {
	taken := a.Status >= 200 && a.Status <= 299
	if len(x.Success) > 0 {
		taken = slices.Contains(x.Success, a.Status)
	}
	document := decode(a.Body)
	if !taken {
		return "", x.refusal(a, document, now)
	}
	if x.Accepted != "" && document != nil {
		if word := x.accepted.word(document); word != "" && !slices.Contains(x.AcceptedWords, word) {
			return "", x.refusal(a, document, now)
		} else if word == "" {
			document = nil // it says neither that it was nor that it was not
		}
	}
	id := x.id.word(document)
	kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	// A page comes from something in front of the provider. Where the answer was to say more than a status, and does not, nobody knows.
	if kind == "text/html" || document == nil && (x.Accepted != "" || x.ID != "") || x.ID != "" && !plausible(id) {
		return "", &sms.Failure{Class: sms.Ambiguous, Reason: "malformed_answer", Status: a.Status}
	}
	if x.ID == "" {
		return "", nil
	}
	return id, nil
}

// plausible admits ids that can be kept and compared.
func plausible(id string) bool {
	return id != "" && len(id) <= maxID && !slices.ContainsFunc([]byte(id), func(c byte) bool { return c <= ' ' || c >= 0x7f })
}

func (x *answers) refusal(a *call.Answer, document any, now time.Time) *sms.Failure {
	f := &sms.Failure{
		Class: x.classOf(a.Status), Reason: "status_" + strconv.Itoa(a.Status), Status: a.Status, RetryAfter: provider.RetryAfter(a.Header, now),
	}
	if x.Reason == "" {
		return f
	}
	word := x.reason.word(document)
	if shown := sms.Word(word); shown != "" {
		f.Reason = shown
	}
	// After an error of the server's nobody knows what was done, whatever it says, unless the status was said to be harmless.
	if class, ok := x.Classes[word]; ok && (a.Status < 500 || slices.Contains(x.Retryable, a.Status)) {
		f.Class = class
	}
	return f
}

func (x *answers) classOf(status int) sms.Class {
	switch {
	case slices.Contains(x.Retryable, status) && status == http.StatusTooManyRequests:
		return sms.Throttled
	case slices.Contains(x.Retryable, status):
		return sms.Transient
	case status == http.StatusRequestTimeout || status >= 500 || status < 200:
		return sms.Ambiguous
	case status >= 300 && status < 400, status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound,
		status == http.StatusMethodNotAllowed, status == http.StatusUnsupportedMediaType:
		return sms.Config
	case status < 300 && x.Accepted == "":
		return sms.Ambiguous // a success, but none of those that were named
	}
	return sms.Refused
}
