// SPDX-License-Identifier: Apache-2.0

package device

import (
	"context"
	"fmt"
)

// An heir is the key that is to follow the one of an identity. It is kept beside that, under a name of its own, before anybody hears of it:
// the server takes one such key and no third, so it has to be there when the answer was lost. It has the installation of the identity.
//
//	no heir ─► heir without certificate ─► heir with certificate ─► shown: it is the identity
//	   ▲                │ refused
//	   └────────────────┘
//
// The identity is as it was up to the last step, which is one write. Whatever comes between two steps, the next answer goes on from there.

func heirName(audience, entity string) string { return name(audience, entity) + ", to follow" }

func (a *answering) heirName() string {
	return heirName(a.asked.Data["audience"], a.asked.Data["entity"])
}

// settle reads the heir and does what the last answers have led to: one that was shown, or whose predecessor is over, is the identity from
// now on, and one that the server has refused to certify is none any more.
func (a *answering) settle(ctx context.Context) error {
	identity, err := a.c.Storage.Load(ctx, a.heirName())
	if err != nil || identity.Key == nil {
		return err
	}
	if a.heir, err = hold(identity); err != nil {
		return err
	}
	refused := a.sent == rekeying && a.asked.Failure != nil
	if identity.Installation != a.own.Installation || a.heir.of(a.own.Key.Public()) || refused {
		return a.disinherit(ctx) // it is of an identity that was forgotten, or has followed already
	}
	if a.heir.leaf == nil || !a.begins || a.sent != succession && a.own.leaf != nil && !a.over() {
		return nil
	}
	if err := a.c.Storage.Save(ctx, a.name(), a.heir.Identity); err != nil {
		return err
	}
	a.own = a.heir
	return a.disinherit(ctx)
}

// disinherit takes the heir away.
func (a *answering) disinherit(ctx context.Context) error {
	if a.heir.Key == nil {
		return nil
	}
	a.heir = holding{}
	return a.c.Storage.Save(ctx, a.heirName(), Identity{})
}

// rekeys reports whether the certificate is to be renewed with another key, and makes that key, once, and keeps it before anybody sees it.
func (a *answering) rekeys(ctx context.Context) (bool, error) {
	switch {
	case a.before != nothing || !a.due() || a.over() || a.heir.leaf != nil:
		return false, nil
	case a.heir.Key != nil:
		return true, nil
	case a.c.Rekey == nil || !a.c.Rekey(a.own.Key.Public()):
		return false, nil
	}
	key, err := a.c.NewKey()
	if err != nil {
		return false, fmt.Errorf("making a key: %w", err)
	}
	if a.heir, err = hold(Identity{Installation: a.own.Installation, Key: key}); err != nil {
		return false, err
	}
	return true, a.c.Storage.Save(ctx, a.heirName(), a.heir.Identity)
}

// possession says that a key agrees to a renewal for it.
func (a *answering) possession(of *holding, renews string) (string, error) {
	return sign(of.Key, "gatehouse-possession+jwt", "", map[string]any{
		"aud": a.claims["aud"], "realm": a.claims["realm"], "nonce": a.claims["nonce"], "csr": a.claims["csr"], "renews": renews,
	})
}
