// SPDX-License-Identifier: Apache-2.0

package way_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
	"github.com/gatehouse-id/gatehouse/mobileauth/push/way"
)

func TestFailure(t *testing.T) {
	t.Parallel()
	called := func(err error) error {
		return &url.Error{Op: "Post", URL: "https://push.example/3/device/secret-address", Err: err}
	}
	for _, c := range []struct {
		name   string
		err    error
		class  push.Class
		reason string
	}{
		{"no answer in time", called(context.DeadlineExceeded), push.Transient, "timeout"},
		{"given up", called(context.Canceled), push.Transient, "cancelled"},
		{"the connection broke", called(errors.New("http2: stream reset by secret-address")), push.Transient, "connection"},
		{"the proxy cannot", called(&provider.ProxyError{Status: 502}), push.Overloaded, "proxy"},
		{"the proxy does not want to", called(&provider.ProxyError{Status: 407}), push.Config, "proxy"},
		{
			"nobody vouches for the service", called(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}),
			push.Config, "certificate",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := way.Failure(c.err)
			if f.Class != c.class || f.Reason != c.reason {
				t.Errorf("%s %q, want %s %q", f.Class, f.Reason, c.class, c.reason)
			}
			if strings.Contains(f.Error(), "secret-address") {
				t.Errorf("the address stands in %q", f.Error())
			}
		})
	}
}
