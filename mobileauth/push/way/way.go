// SPDX-License-Identifier: Apache-2.0

package way

import (
	"errors"

	"github.com/gatehouse-id/gatehouse/internal/provider"
	"github.com/gatehouse-id/gatehouse/mobileauth/push"
)

// Failure is what an error of a call that brought no answer means for what happens next. What it says holds no address, as
// [provider.Plain] has it. A proxy that does not connect, and a certificate that nobody vouches for, stand in the way of every other
// notification too.
func Failure(err error) *push.Failure {
	plain := provider.Plain(err)
	f := &push.Failure{Class: push.Transient, Reason: "connection", Err: plain}
	var proxy *provider.ProxyError
	behind := errors.As(plain, &proxy)
	switch {
	case behind:
		f.Class, f.Reason = push.Overloaded, "proxy"
	case errors.Is(plain, provider.ErrTimeout):
		f.Reason = "timeout"
	case errors.Is(plain, provider.ErrCancelled):
		f.Reason = "cancelled"
	}
	if provider.Permanent(plain) {
		f.Class = push.Config
		if !behind {
			f.Reason = "certificate"
		}
	}
	return f
}
