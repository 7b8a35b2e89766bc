// SPDX-License-Identifier: Apache-2.0

package withdrawn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/storage"
)

// page is how many certificates are looked at in one transaction.
const page = 200

// Installation says that an installation is out. One record takes all of its certificates away, those included that are being issued.
type Installation struct {
	ID string    `json:"installation"`
	At time.Time `json:"at"`
	// Until is when none of its certificates is known any more, however often it was renewed.
	Until time.Time `json:"until"`
}

// Authority says that nothing counts any more that an authority has issued. One record takes all of its certificates away.
type Authority struct {
	ID string    `json:"authority"`
	At time.Time `json:"at"`
	// Until is when none of its certificates is known any more.
	Until time.Time `json:"until"`
}

// Certificate says from when on one certificate does not count, though its time is not over.
type Certificate struct {
	// Authority is the id of whoever has issued it, and Serial its number in hex.
	Authority    string    `json:"authority"`
	Serial       string    `json:"serial"`
	Installation string    `json:"installation"`
	IssuedAt     time.Time `json:"issued_at"`
	// From is when it is over: for one that was never shown, when its trial is.
	From     time.Time `json:"from"`
	NotAfter time.Time `json:"not_after"`
	// Superseded tells that its key was replaced by another one.
	Superseded bool `json:"superseded,omitempty"`
	// Issuer is the name of the authority, and IssuerNotAfter when that one's time is over.
	Issuer         string    `json:"issuer"`
	IssuerNotAfter time.Time `json:"issuer_not_after"`
}

func id(authority, serial string) string { return authority + "." + serial }

// Tables are the records.
type Tables struct {
	Installations storage.Table[Installation]
	Authorities   storage.Table[Authority]
	certificates  storage.Table[Certificate]
}

const byInstallation = "installation"

// New returns the tables. They last for as long as there are certificates that they speak of.
func New() Tables {
	return Tables{
		Installations: storage.Table[Installation]{
			Name: "devout", Version: 1, ID: func(i *Installation) string { return i.ID }, Expiry: func(i *Installation) time.Time { return i.Until },
		},
		Authorities: storage.Table[Authority]{
			Name: "devcaout", Version: 1, ID: func(a *Authority) string { return a.ID }, Expiry: func(a *Authority) time.Time { return a.Until },
		},
		certificates: storage.Table[Certificate]{
			Name: "devgone", Version: 1, ID: func(c *Certificate) string { return id(c.Authority, c.Serial) },
			Expiry: func(c *Certificate) time.Time { return c.NotAfter },
			Indexes: []storage.Index[Certificate]{
				{Name: byInstallation, Values: func(c *Certificate) []string { return []string{c.Installation} }},
			},
		},
	}
}

// Kinds returns the tables, for whoever looks after a store.
func (t *Tables) Kinds() []storage.Kind {
	return []storage.Kind{&t.Installations, &t.Authorities, &t.certificates}
}

// Since returns when an installation was revoked or, with distrusted, whoever has issued a certificate to it; the zero time for neither.
func (t *Tables) Since(tx storage.Tx, installation, authority string) (at time.Time, distrusted bool, err error) {
	out, found, err := t.Installations.Find(tx, installation)
	if err != nil || found {
		return out.At, false, err
	}
	by, distrusted, err := t.Authorities.Find(tx, authority)
	return by.At, distrusted, err
}

// Keep writes from when on a certificate does not count.
func (t *Tables) Keep(tx storage.Tx, c Certificate) error { return t.certificates.Put(tx, c) }

// Forget takes that back. What was never written is no error.
func (t *Tables) Forget(tx storage.Tx, authority, serial string) error {
	return t.certificates.Delete(tx, id(authority, serial))
}

// Get returns what is written of a certificate, or [storage.ErrNotFound]. From is earlier where the installation, or the authority, was
// revoked before.
func (t *Tables) Get(tx storage.Tx, authority, serial string) (Certificate, error) {
	c, err := t.certificates.Get(tx, id(authority, serial))
	if err == nil {
		err = t.settle(tx, &c)
	}
	if err != nil {
		return Certificate{}, err
	}
	return c, nil
}

// settle has From be the first of what has taken a certificate away.
func (t *Tables) settle(tx storage.Tx, c *Certificate) error {
	at, _, err := t.Since(tx, c.Installation, c.Authority)
	if err == nil && !at.IsZero() && at.Before(c.From) {
		c.From, c.Superseded = at, false
	}
	return err
}

// Known returns nil for an installation of which something is written, and [storage.ErrNotFound] for another one.
func (t *Tables) Known(tx storage.Tx, installation string) error {
	for _, err := range t.certificates.List(tx, byInstallation, installation, "", 1) {
		return err
	}
	return storage.ErrNotFound
}

// Last returns when the time of an authority is over of whose certificates something is written, or [storage.ErrNotFound].
func (t *Tables) Last(tx storage.Tx, authority string) (time.Time, error) {
	some, err := t.page(tx, authority, "", 1)
	if err != nil || len(some) == 0 {
		return time.Time{}, errors.Join(err, storage.ErrNotFound)
	}
	return some[0].IssuerNotAfter, nil
}

// Each hands on what is written of the certificates of an authority, or of all, in the order of their authorities, each as [Tables.Get]
// returns it.
func (t *Tables) Each(ctx context.Context, db storage.DB, authority string, see func(*Certificate)) error {
	for after, more := "", true; more; {
		var some []Certificate
		err := db.View(ctx, func(tx storage.Tx) (err error) {
			some, err = t.page(tx, authority, after, page)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading which certificates do not count: %w", err)
		}
		for i := range some {
			after = id(some[i].Authority, some[i].Serial)
			see(&some[i])
		}
		more = len(some) == page
	}
	return nil
}

func (t *Tables) page(tx storage.Tx, authority, after string, limit int) (some []Certificate, err error) {
	prefix := ""
	if authority != "" {
		prefix = id(authority, "")
	}
	if after == "" {
		after = prefix
	}
	for c, err := range t.certificates.All(tx, after, limit) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(id(c.Authority, c.Serial), prefix) {
			break
		}
		if err := t.settle(tx, &c); err != nil {
			return nil, err
		}
		some = append(some, c)
	}
	return some, nil
}
