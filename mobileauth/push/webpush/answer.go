// SPDX-License-Identifier: Apache-2.0

package webpush

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/egress"
	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// maxWait bounds how long a service may have us wait: whoever named it could have it say anything.
const maxWait = time.Hour

// hand makes the call and judges what comes of it.
func (s *Sender) hand(ctx context.Context, r *http.Request) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	leave, err := s.shares.enter(ctx, r.URL.Hostname())
	if err != nil {
		return broken(err)
	}
	defer leave()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return broken(ctx.Err())
	}
	response, err := s.transport.RoundTrip(r.WithContext(ctx)) // which follows no redirect
	if err != nil {
		return broken(err)
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	if response.StatusCode >= 200 && response.StatusCode <= 299 {
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) // the connection is used again
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		body = nil // the status says enough
	}
	return s.judge(response, body)
}

// broken is what of a call that failed can be said.
func broken(err error) *push.Failure {
	f := &push.Failure{Class: push.Transient, Reason: "network", Err: provider.Plain(err)}
	var certificate *tls.CertificateVerificationError
	var proxy *provider.ProxyError
	switch {
	case errors.Is(err, egress.ErrAddress):
		f.Class, f.Reason, f.Err = push.Refused, "address_not_public", egress.ErrAddress
	case errors.As(err, &certificate):
		f.Reason = "certificate"
	case errors.As(err, &proxy) && proxy.Status == http.StatusProxyAuthRequired:
		f.Class, f.Reason = push.Config, "proxy" // it does not know us, wherever we want to go
	case errors.As(err, &proxy) && proxy.Refuses():
		f.Class, f.Reason = push.Refused, "proxy" // it does not go there, and a device has named the host and the port
	case errors.As(err, &proxy):
		f.Reason = "proxy"
	case errors.Is(f.Err, provider.ErrTimeout):
		f.Reason = "timeout"
	case errors.Is(f.Err, provider.ErrCancelled):
		f.Reason = "cancelled"
	}
	return f
}

// judge says what an answer means for this subscription. It never means anything for others: RFC 8030 has no word for that, and the
// host was named by a device.
func (s *Sender) judge(response *http.Response, body []byte) *push.Failure {
	status := response.StatusCode
	f := &push.Failure{
		Class: push.Refused, Reason: "status_" + strconv.Itoa(status), Status: status,
		RetryAfter: min(provider.RetryAfter(response.Header, s.now()), maxWait),
	}
	if said := reason(body); said != "" {
		f.Reason = said
	}
	switch {
	case status == http.StatusNotFound || status == http.StatusGone:
		f.Class = push.Dead // RFC 8030, section 7.3, and what services do
	case status == http.StatusTooManyRequests:
		f.Class = push.Throttled
	case status == http.StatusRequestTimeout || status >= 500:
		f.Class = push.Transient
	}
	return f
}

// reason returns the word of services that have one: Apple's {"reason":"BadJwtToken"}, Mozilla's {"errno":109}.
func reason(body []byte) string {
	var said struct {
		Reason string `json:"reason"`
		Errno  int    `json:"errno"`
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	if said.Reason == "" && said.Errno > 0 && said.Errno < 10_000 {
		return "errno_" + strconv.Itoa(said.Errno)
	}
	return push.Word(said.Reason)
}
