// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/provisioning"
)

// How long a list is good for, and after what time it is signed again though nothing was revoked.
const (
	listValid = 24 * time.Hour
	listAge   = time.Hour
)

// list is a signed list of what was revoked.
type list struct {
	answer
	revision string
	number   *big.Int
}

// lists holds the latest one of each authority.
type lists struct {
	issuers      *Issuers
	certificates Certificates
	now          func() time.Time

	building chan struct{} // has room for one list at a time: it costs as much as there are revoked certificates
	mu       sync.Mutex
	latest   map[string]*list
}

// get returns the list of an authority, or nil where there is no such authority. While the store is away a list that is still good is
// given out again.
func (l *lists) get(ctx context.Context, authority string) (*list, error) {
	by, err := l.issuers.get(ctx, func(id string, by *provisioning.Issuer) bool { return id == authority && signsLists(by.Chain[0]) })
	if err != nil || by == nil {
		return nil, err
	}
	has, err := l.fresh(ctx, authority, by)
	if err == nil {
		return has, nil
	}
	if old := l.find(authority); old != nil && l.now().Before(old.from.Add(listValid)) {
		return old, nil
	}
	return nil, fmt.Errorf("listing what was revoked: %w", err)
}

func (l *lists) find(authority string) *list {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest[authority]
}

func (l *lists) fresh(ctx context.Context, authority string, by *provisioning.Issuer) (*list, error) {
	revision, err := l.issuers.revision(ctx)
	if err != nil {
		return nil, err
	}
	if has := l.find(authority); l.stands(has, revision) {
		return has, nil
	}
	select {
	case l.building <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-l.building }()
	has := l.find(authority)
	if l.stands(has, revision) { // somebody else was asked, too
		return has, nil
	}
	made, err := l.sign(ctx, authority, by, has)
	if err != nil {
		return nil, err
	}
	made.revision = revision
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latest[authority] = made
	return made, nil
}

func (l *lists) stands(has *list, revision string) bool {
	return has != nil && has.revision == revision && l.now().Before(has.from.Add(listAge))
}

// sign makes a list. Its number is the time, so that it rises on every node without their agreeing on one (RFC 5280 5.2.3).
func (l *lists) sign(ctx context.Context, authority string, by *provisioning.Issuer, last *list) (*list, error) {
	revoked, err := l.certificates.Revoked(ctx, authority)
	if err != nil {
		return nil, err
	}
	now := l.now().UTC()
	number := big.NewInt(now.UnixMilli())
	if last != nil && number.Cmp(last.number) <= 0 {
		number.Add(last.number, big.NewInt(1))
	}
	template := &x509.RevocationList{
		Number: number, ThisUpdate: now.Truncate(time.Second), NextUpdate: now.Add(listValid).Truncate(time.Second),
		RevokedCertificateEntries: make([]x509.RevocationListEntry, 0, len(revoked)),
	}
	for i := range revoked {
		serial, ok := new(big.Int).SetString(revoked[i].Serial, 16)
		if !ok {
			return nil, fmt.Errorf("the certificate %q has no serial number", revoked[i].ID)
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: revoked[i].RevokedAt.UTC().Truncate(time.Second), ReasonCode: reasonOf(&revoked[i]),
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, by.Chain[0], by.Key)
	if err != nil {
		return nil, fmt.Errorf("signing: %w", err)
	}
	return &list{answer: newAnswer(der, template.ThisUpdate), number: number}, nil
}
