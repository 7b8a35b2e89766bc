// SPDX-License-Identifier: Apache-2.0

package httpx

import "context"

// Caller is what whoever runs the server knows about the origin of a request.
type Caller struct {
	// ClientIP is the address that the operator trusts to be the caller's; never a header as it came.
	ClientIP string
	// RequestID ties an answer to its log lines. It may be shown to people.
	RequestID string
}

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller of a context; the zero value when there is none.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
