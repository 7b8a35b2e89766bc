// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/storage"
)

// keepKeys is how long a client can repeat a request that adds a user.
const keepKeys = 24 * time.Hour

// userKey remembers which user a request with an Idempotency-Key has added. It is sealed: the fingerprint covers a password.
type userKey struct {
	Key         string    `json:"-"`
	Fingerprint string    `json:"fingerprint"`
	UserID      string    `json:"user"`
	Until       time.Time `json:"until"`
}

func userKeys(sealer storage.Sealer) storage.Table[userKey] {
	return storage.Table[userKey]{
		Name: "api_user_key", Version: 1, Sealer: sealer,
		ID:     func(k *userKey) string { return k.Key },
		Expiry: func(k *userKey) time.Time { return k.Until },
	}
}

// Tables returns the tables of this package, for whoever looks after a store.
func Tables(sealer storage.Sealer) []storage.Kind {
	keys := userKeys(sealer)
	return []storage.Kind{&keys}
}

func newUserKey(clientID, key string, body []byte) userKey {
	id := sha256.Sum256([]byte(clientID + "\x00" + key))
	sum := sha256.Sum256(body)
	return userKey{
		Key: base64.RawURLEncoding.EncodeToString(id[:]), Fingerprint: base64.RawURLEncoding.EncodeToString(sum[:]),
	}
}

// errRepeated says that the same request has added a user before.
var errRepeated = errors.New("the request was made before")

// addUserOnce adds a user, unless the same request has done so before: then it answers with that user as they are now. The memory
// of it is written with the user or not at all.
func (a *API) addUserOnce(c *call, n identity.NewUser, k userKey) error {
	k.Until = a.config.Now().UTC().Truncate(time.Millisecond).Add(keepKeys)
	var earlier userKey
	check := func(tx storage.Tx) error {
		known, found, err := a.keys.Find(tx, k.Key)
		switch {
		case err != nil || !found:
			return err
		case known.Fingerprint != k.Fingerprint:
			return wire.New(wire.IdempotencyReused, "a key is for one request; send another with another request")
		}
		earlier = known
		return errRepeated
	}
	// Before anything is hashed, and again where it counts.
	err := a.config.DB.View(c.r.Context(), check)
	var added identity.User
	if err == nil {
		n.Also = func(tx storage.Tx, userID string) error {
			if err := check(tx); err != nil {
				return err
			}
			k.UserID = userID
			return a.keys.Put(tx, k)
		}
		added, err = a.config.Users.Add(c.r.Context(), n)
	}
	switch {
	case errors.Is(err, errRepeated):
		return a.repeatUser(c, earlier.UserID)
	case err != nil:
		return err
	}
	return c.created(added)
}

func (a *API) repeatUser(c *call, id string) error {
	u, err := a.user(c.r.Context(), id)
	if err != nil {
		return err
	}
	c.w.Header().Set("Idempotent-Replayed", "true")
	c.w.Header().Set("Location", c.r.URL.Path+"/"+u.ID)
	return c.sendUser(http.StatusOK, u)
}
