// SPDX-License-Identifier: Apache-2.0

package registration

import (
	"time"

	"github.com/gatehouse-id/gatehouse/authz"
	"github.com/gatehouse-id/gatehouse/authz/registration/metadata"
	"github.com/gatehouse-id/gatehouse/internal/randid"
	"github.com/gatehouse-id/gatehouse/storage"
)

// Instance is one installation of an app, which is a client of its own with a key of its own.
type Instance struct {
	ID       string            `json:"id"`
	Metadata metadata.Metadata `json:"metadata"`
	// TokenHash is [randid.Hash] of the registration access token (RFC 7592 1.2).
	TokenHash string `json:"token_hash"`
	// InitialToken is the id of the initial access token that admitted it, and Authority the issuer of the software statement. Both are
	// empty where anyone is admitted.
	InitialToken string `json:"initial_token,omitempty"`
	Authority    string `json:"authority,omitempty"`
	ClientIP     string `json:"client_ip,omitempty"`
	// Attested is what it has shown of its app and key.
	Attested  Attested  `json:"attested,omitzero"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// UsedAt is when it has authenticated last, to within a tenth of the time after which it is forgotten.
	UsedAt time.Time `json:"used_at,omitzero"`
	// ExpiresAt is when it is forgotten unless it is used before.
	ExpiresAt time.Time `json:"expires_at"`
}

// Application is the application that it is an instance of.
func (i *Instance) Application() string { return i.Metadata.SoftwareID }

// opens reports whether a registration access token is the instance's, in constant time.
func (i *Instance) opens(token string) bool {
	return randid.Handle{Secret: token}.Opens(i.TokenHash)
}

// Names of the indexes.
const (
	byApplication = "application"
	byToken       = "token"
)

func instanceTable() *storage.Table[Instance] {
	return &storage.Table[Instance]{
		Name: "instance", Version: 1,
		ID:     func(i *Instance) string { return i.ID },
		Expiry: func(i *Instance) time.Time { return i.ExpiresAt },
		Indexes: []storage.Index[Instance]{
			{Name: byApplication, Values: func(i *Instance) []string { return []string{i.Application()} }},
			{Name: byToken, Values: func(i *Instance) []string {
				if i.InitialToken == "" {
					return nil
				}
				return []string{i.InitialToken}
			}},
		},
	}
}

// newID draws the id of an instance.
func newID() string { return authz.InstancePrefix + randid.New("") }
