// SPDX-License-Identifier: Apache-2.0

package audit

import "context"

// Actor is who causes an event and from where. Records that are changed by back ends, operators, people and phones alike
// take it from the context, so that no transition can be written down without it.
type Actor struct {
	// By names the kind of actor and which one: "client:portal", "operator", "user:usr_…", "device:dev_…".
	By string
	// ClientID is the client that asked, if one did.
	ClientID  string
	ClientIP  string
	RequestID string
}

type actorKey struct{}

// WithActor returns a context that says who is acting.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns who is acting; the zero value where nobody was named.
func ActorOf(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}
