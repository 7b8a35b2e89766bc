// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Errors of a call. None of them holds an address with what follows its host.
var (
	// ErrTimeout is a call that took too long.
	ErrTimeout = errors.New("it took too long")
	// ErrCancelled is a call that whoever asked for it gave up.
	ErrCancelled = errors.New("it was given up")
	// ErrConnection stands for what else goes wrong between two hosts. The library's own words may repeat what came over the wire.
	ErrConnection = errors.New("the connection broke, or the answer is not HTTP")
)

// ProxyError is a proxy that does not connect us to the service.
type ProxyError struct {
	// Status is what it answered: 407 and 403 mean that it does not want to, 502 and the like that it cannot.
	Status int
}

// Error names the status.
func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy does not connect (status %d)", e.Status)
}

// Refuses reports whether the proxy is not willing, rather than not able.
func (e *ProxyError) Refuses() bool { return e.Status >= 400 && e.Status < 500 }

// Plain is what of an error of net/http can be shown: neither an address, whose path or query may hold a secret, nor anything that
// the other side has said. It is [ErrTimeout], [ErrCancelled], a [ProxyError], an error of the network or of a certificate, or
// [ErrConnection].
func Plain(err error) error {
	var (
		proxy       *ProxyError
		network     *net.OpError
		certificate *tls.CertificateVerificationError
		timeout     net.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		return ErrTimeout
	case errors.Is(err, ErrCancelled), errors.Is(err, context.Canceled):
		return ErrCancelled
	case errors.As(err, &proxy):
		return proxy
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &network):
		return network
	case errors.As(err, &timeout) && timeout.Timeout():
		return ErrTimeout
	}
	return ErrConnection
}

// Permanent reports whether the error of a call goes away only when an operator changes something: a proxy that is not willing, and
// a certificate that one side does not take from the other.
func Permanent(err error) bool {
	var (
		proxy       *ProxyError
		network     *net.OpError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &proxy):
		return proxy.Refuses()
	case errors.As(err, &network):
		return network.Op == "remote error" // an alert of TLS
	}
	return errors.As(err, &certificate)
}

// RetryAfter reads the header field of that name, seconds or a date (RFC 9110, section 10.2.3); zero where it says nothing, and where
// the date is over.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
