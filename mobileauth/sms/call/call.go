// SPDX-License-Identifier: Apache-2.0

package call

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/sms"
)

// Answer is what a gateway said, whatever it was.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request once. An error is a [sms.Failure]: [sms.Transient] or, where only the configuration can help, [sms.Config] for a
// request of which nothing was written; [sms.Ambiguous] for any other. It repeats nothing that was said or configured.
func Do(through http.RoundTripper, r *http.Request) (*Answer, error) {
	var written atomic.Bool
	trace := &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { written.Store(true) }, // before anything leaves the buffer
		WroteHeaders:     func() { written.Store(true) },
	}
	response, err := through.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		return nil, judge(provider.Plain(err), written.Load())
	}
	defer func() { _ = response.Body.Close() }() // it was read, or is of no use
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, judge(provider.Plain(err), true)
	}
	return &Answer{Status: response.StatusCode, Header: response.Header, Body: body}, nil
}

func judge(err error, written bool) *sms.Failure {
	f := &sms.Failure{Class: sms.Transient, Reason: "network", Err: err}
	var proxy *provider.ProxyError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, provider.ErrTimeout):
		f.Reason = "timeout"
	case errors.Is(err, provider.ErrCancelled):
		f.Reason = "cancelled"
	case errors.As(err, &proxy):
		f.Reason = "proxy"
		if proxy.Refuses() {
			f.Class = sms.Config
		}
	case errors.As(err, &certificate):
		f.Class, f.Reason = sms.Config, "certificate"
	}
	if written {
		f.Class = sms.Ambiguous
	}
	return f
}
