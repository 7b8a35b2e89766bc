// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
	"github.com/gatehouse-id/gatehouse/storage"
)

// IssuersConfig is what [Issuers] need. Everything but Base is required.
type IssuersConfig struct {
	DB     storage.DB
	Sealer storage.Sealer
	// Base is the address that certificates name, ending in a slash, below which others find the list and the answers; empty where
	// they are to name none.
	Base   string
	Now    func() time.Time
	Logger *slog.Logger
}

// Issuers keep what certificates were signed with. They are safe for concurrent use.
type Issuers struct {
	c         IssuersConfig
	kept      storage.Table[issuer]
	revisions storage.Table[revision]

	mu    sync.Mutex
	known map[string]provisioning.Issuer // by the id of the authority
}

// issuer is what an authority has signed with.
type issuer struct {
	ID    string    `json:"id"`
	Chain [][]byte  `json:"chain"`
	Key   []byte    `json:"key,omitempty"` // PKCS#8; none where the key gives itself to nobody
	Until time.Time `json:"until"`
}

// revision counts what was revoked, so that every node knows at its next look that something was.
type revision struct {
	N int64 `json:"n"`
}

const revisionID = "revoked"

// NewIssuers returns issuers, or an error that says what is missing. It reads and writes nothing.
func NewIssuers(c IssuersConfig) (*Issuers, error) {
	if c.DB == nil || c.Sealer == nil || c.Now == nil || c.Logger == nil {
		return nil, errors.New("keeping what certificates are signed with: a store, a sealer, a clock and a logger are required")
	}
	if c.Base != "" && !strings.HasSuffix(c.Base, "/") {
		return nil, fmt.Errorf("keeping what certificates are signed with: the address %q does not end in a slash", c.Base)
	}
	return &Issuers{
		c: c, known: map[string]provisioning.Issuer{}, kept: issuerTable(c.Sealer), revisions: revisionTable(),
	}, nil
}

func issuerTable(sealer storage.Sealer) storage.Table[issuer] {
	return storage.Table[issuer]{
		Name: "devca", Version: 1, ID: func(i *issuer) string { return i.ID }, Expiry: func(i *issuer) time.Time { return i.Until },
		Sealer: sealer,
	}
}

func revisionTable() storage.Table[revision] {
	return storage.Table[revision]{Name: "devrev", Version: 1, ID: func(*revision) string { return revisionID }}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	kept, revisions := issuerTable(sealer), revisionTable()
	return []storage.Kind{&kept, &revisions}
}

// Before keeps what a certificate is about to be signed with, and has the certificate say where others can ask about it. What cannot be
// kept issues nothing. It is a [provisioning.Before].
func (i *Issuers) Before(ctx context.Context, by provisioning.Issuer, template *x509.Certificate) error {
	id := provisioning.AuthorityID(by.Chain[0])
	if _, known := i.find(id); !known {
		if err := i.keep(ctx, id, by); err != nil {
			return fmt.Errorf("keeping what certificates are signed with: %w", err)
		}
	}
	if i.c.Base == "" {
		return nil
	}
	template.OCSPServer = []string{i.c.Base + pathOCSP}
	if signsLists(by.Chain[0]) {
		template.CRLDistributionPoints = []string{i.c.Base + id + suffixCRL}
	}
	return nil
}

// signsLists reports whether a list that the authority signs is believed (RFC 5280 4.2.1.3, 5.2.1).
func signsLists(c *x509.Certificate) bool {
	return c.KeyUsage&x509.KeyUsageCRLSign != 0 && len(c.SubjectKeyId) > 0
}

func (i *Issuers) find(id string) (provisioning.Issuer, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	by, known := i.known[id]
	return by, known
}

// errOtherKey is what a renewal between the certificate and the key looks like.
var errOtherKey = errors.New("the key is not that of the certificate")

func (i *Issuers) keep(ctx context.Context, id string, by provisioning.Issuer) error {
	if !fits(by.Key, by.Chain[0]) {
		return errOtherKey
	}
	record := issuer{ID: id, Until: by.Chain[0].NotAfter}
	for _, c := range by.Chain {
		record.Chain = append(record.Chain, c.Raw)
	}
	var err error
	if record.Key, err = x509.MarshalPKCS8PrivateKey(by.Key); err != nil {
		i.c.Logger.InfoContext(ctx, "the key of an authority cannot be kept: its certificates have a status as long as the authority uses it",
			"authority", id)
		record.Key = nil
	}
	err = i.c.DB.Update(ctx, func(tx storage.Tx) error {
		err := i.kept.Insert(tx, record)
		if errors.Is(err, storage.ErrExists) {
			return nil
		}
		return err
	})
	if err == nil {
		i.remember(id, by)
	}
	return err
}

func (i *Issuers) remember(id string, by provisioning.Issuer) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known[id] = by
}

// fits reports whether a key is that of a certificate.
func fits(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}

// get returns the issuer that match looks for, from what is known or else from the store; nil where there is none that can still sign.
func (i *Issuers) get(ctx context.Context, match func(id string, by *provisioning.Issuer) bool) (*provisioning.Issuer, error) {
	if by := i.pick(match); by != nil {
		return by, nil
	}
	if err := i.load(ctx); err != nil {
		return nil, fmt.Errorf("reading what certificates were signed with: %w", err)
	}
	return i.pick(match), nil
}

func (i *Issuers) pick(match func(string, *provisioning.Issuer) bool) *provisioning.Issuer {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.c.Now()
	for _, id := range slices.Sorted(maps.Keys(i.known)) {
		if by := i.known[id]; now.Before(by.Chain[0].NotAfter) && match(id, &by) {
			return &by
		}
	}
	return nil
}

// load takes over what other nodes, or this one before it was started again, have kept.
func (i *Issuers) load(ctx context.Context) error {
	var found []issuer
	err := i.c.DB.View(ctx, func(tx storage.Tx) error {
		found = nil
		for record, err := range i.kept.All(tx, "", 0) {
			if err != nil {
				return err
			}
			found = append(found, record)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for n := range found {
		if _, known := i.find(found[n].ID); known || found[n].Key == nil {
			continue
		}
		by, err := found[n].read()
		if err != nil { // the others answer all the same
			i.c.Logger.ErrorContext(ctx, "the key of an authority cannot be read", "authority", found[n].ID, "error", err)
			continue
		}
		i.remember(found[n].ID, by)
	}
	return nil
}

func (i *issuer) read() (by provisioning.Issuer, err error) {
	key, err := x509.ParsePKCS8PrivateKey(i.Key)
	if err != nil {
		return by, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return by, errors.New("the key signs nothing")
	}
	by.Key = signer
	for _, der := range i.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return by, err
		}
		by.Chain = append(by.Chain, c)
	}
	if len(by.Chain) == 0 || !fits(by.Key, by.Chain[0]) {
		return by, errOtherKey
	}
	return by, nil
}

// OnChange has every node sign its lists and answers again. It is a hook of [provisioning.Config], and runs in the transaction.
func (i *Issuers) OnChange(tx storage.Tx) error {
	r, _, err := i.revisions.Find(tx, revisionID)
	if err != nil {
		return err
	}
	r.N++
	return i.revisions.Put(tx, r)
}

// revision names what was revoked by now.
func (i *Issuers) revision(ctx context.Context) (string, error) {
	var r revision
	err := i.c.DB.View(ctx, func(tx storage.Tx) (err error) {
		r, _, err = i.revisions.Find(tx, revisionID)
		return err
	})
	return strconv.FormatInt(r.N, 36), err
}
