// SPDX-License-Identifier: Apache-2.0

package restapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/gatehouse-id/gatehouse/mobileauth/handset"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/restapi/wire"
	"github.com/gatehouse-id/gatehouse/storage"
)

// user is a user as the API shows one.
type user struct {
	ID            string            `json:"id"`
	ExternalRef   string            `json:"external_ref,omitempty"`
	Logins        []string          `json:"logins"`
	Attributes    map[string]string `json:"attributes"`
	Status        identity.Status   `json:"status"`
	StatusReason  string            `json:"status_reason,omitempty"`
	PasswordSetAt time.Time         `json:"password_set_at,omitzero"`
	CreatedAt     time.Time         `json:"created_at"`
	UpdatedAt     time.Time         `json:"updated_at"`
	DeletedAt     time.Time         `json:"deleted_at,omitzero"`
}

func showUser(u *identity.User) user {
	out := user{
		ID: u.ID, ExternalRef: u.ExternalRef, Logins: nonNil(u.Logins), Attributes: u.Attributes, Status: u.Status,
		StatusReason: u.StatusReason, PasswordSetAt: u.PasswordSetAt, CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt,
		DeletedAt: u.DeletedAt,
	}
	if out.Attributes == nil {
		out.Attributes = map[string]string{}
	}
	return out
}

// nonNil keeps an empty list a list in JSON.
func nonNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (c *call) sendUser(status int, u identity.User) error {
	return c.sendVersion(status, versionOf(u), showUser(&u))
}

func versionOf(u identity.User) uint64 { return uint64(max(0, u.Version)) }

// newUser is the body of a call that adds a user.
type newUser struct {
	ExternalRef  string            `json:"external_ref"`
	Logins       []string          `json:"logins"`
	Attributes   map[string]string `json:"attributes"`
	Status       string            `json:"status"`
	StatusReason string            `json:"status_reason"`
	Password     string            `json:"password"`
	PasswordHash string            `json:"password_hash"`
}

func (a *API) addUser(c *call) error {
	key, err := wire.IdempotencyKey(c.r)
	if err != nil {
		return err
	}
	body, err := wire.Read(c.r, wire.JSON)
	if err != nil {
		return err
	}
	var in newUser
	if err := wire.Decode(body, &in); err != nil {
		return err
	}
	n := identity.NewUser{
		Profile: identity.Profile{ExternalRef: in.ExternalRef, Logins: in.Logins, Attributes: in.Attributes},
		Status:  identity.Status(in.Status), StatusReason: in.StatusReason, Password: in.Password, PasswordHash: in.PasswordHash,
	}
	if key == "" {
		added, err := a.config.Users.Add(c.r.Context(), n)
		if err != nil {
			return err
		}
		return c.created(added)
	}
	return a.addUserOnce(c, n, newUserKey(c.caller.ClientID, key, body))
}

func (c *call) created(u identity.User) error {
	c.w.Header().Set("Location", c.r.URL.Path+"/"+u.ID)
	return c.sendUser(http.StatusCreated, u)
}

// searches are the parameters by which users are found, of which a request has one at most.
var searches = []string{"login", "login_prefix", "external_ref", "external_ref_prefix", "attribute"}

// listUsers lists all users, or those with a name, reference or attribute.
func (a *API) listUsers(c *call) error {
	query, p, err := c.paged(append([]string{"include_deleted"}, searches...)...)
	if err != nil {
		return err
	}
	narrowed := 0
	for _, name := range searches {
		if _, ok := query[name]; ok {
			narrowed++
		}
	}
	if narrowed > 1 {
		return wire.New(wire.InvalidParameter, "search by one of "+strings.Join(searches, ", "))
	}
	deleted, ok := map[string]bool{"": false, "false": false, "true": true}[query["include_deleted"]]
	if !ok {
		return wire.New(wire.InvalidParameter, "").With("include_deleted", "want true or false")
	}
	found, more, err := a.findUsers(c.r.Context(), query, p)
	if err != nil {
		return err
	}
	answer := struct {
		Users []user `json:"users"`
		Next  string `json:"next,omitempty"`
	}{Users: []user{}, Next: more}
	for i := range found {
		if deleted || found[i].DeletedAt.IsZero() {
			answer.Users = append(answer.Users, showUser(&found[i]))
		}
	}
	return c.send(http.StatusOK, answer)
}

// findUsers returns a page of users and the cursor of the next one. Of what belongs to one user there is none.
func (a *API) findUsers(ctx context.Context, query map[string]string, p wire.Page) (found []identity.User, more string, err error) {
	users := a.config.Users
	one := func(u identity.User, err error) ([]identity.User, string, error) {
		if errors.Is(err, storage.ErrNotFound) {
			return nil, "", nil
		}
		return []identity.User{u}, "", err
	}
	if login, ok := query["login"]; ok {
		return one(users.ByLogin(ctx, login))
	}
	if ref, ok := query["external_ref"]; ok {
		return one(users.ByExternalRef(ctx, ref))
	}
	if prefix, ok := query["login_prefix"]; ok {
		return beginning(ctx, p, prefix, users.ByLoginPrefix)
	}
	if prefix, ok := query["external_ref_prefix"]; ok {
		return beginning(ctx, p, prefix, users.ByExternalRefPrefix)
	}
	if attribute, ok := query["attribute"]; ok {
		found, err = a.usersWith(ctx, attribute, p)
	} else {
		found, err = users.List(ctx, p.After, p.Limit)
	}
	return found, wire.Next(p, found, func(u *identity.User) string { return u.ID }), err
}

// beginning searches for names that begin alike. The cursor holds a name, which may have any character.
func beginning(ctx context.Context, p wire.Page, prefix string,
	search func(_ context.Context, prefix, after string, limit int) (identity.Page, error),
) ([]identity.User, string, error) {
	after, err := base64.RawURLEncoding.DecodeString(p.After)
	if err != nil {
		return nil, "", wire.New(wire.InvalidCursor, "begin anew without a cursor").Because(err)
	}
	found, err := search(ctx, prefix, string(after), p.Limit)
	var field *identity.FieldError
	if errors.As(err, &field) {
		return nil, "", wire.New(wire.InvalidParameter, "the name cannot begin so").With("prefix", field.Problem).Because(err)
	}
	if err != nil || found.Next == "" {
		return found.Users, "", err
	}
	return found.Users, wire.Cursor(p.List, base64.RawURLEncoding.EncodeToString([]byte(found.Next))), nil
}

func (a *API) usersWith(ctx context.Context, attribute string, p wire.Page) ([]identity.User, error) {
	name, value, ok := strings.Cut(attribute, ":")
	if !ok {
		return nil, wire.New(wire.InvalidParameter, "").With("attribute", "want name:value")
	}
	found, err := a.config.Users.ByAttribute(ctx, name, value, p.After, p.Limit)
	var field *identity.FieldError
	if errors.As(err, &field) {
		return nil, wire.New(wire.InvalidParameter, "the operator has to name the attributes by which users are found").
			With("attribute", field.Problem).Because(err)
	}
	return found, err
}

// user returns a user who is not deleted.
func (a *API) user(ctx context.Context, id string) (identity.User, error) {
	u, err := a.config.Users.Get(ctx, id)
	if err == nil && !u.DeletedAt.IsZero() {
		err = identity.ErrDeleted
	}
	return u, err
}

func (a *API) showUser(c *call) error {
	u, err := a.user(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return err
	}
	return c.sendUser(http.StatusOK, u)
}

// text is a member of a merge patch (RFC 7396): absent, null or a text.
type text struct {
	given bool
	null  bool
	value string
}

// UnmarshalJSON is called for a member that is there.
func (t *text) UnmarshalJSON(data []byte) error {
	t.given, t.null = true, string(data) == "null"
	if t.null {
		return nil
	}
	return json.Unmarshal(data, &t.value)
}

// userPatch is a merge patch of a user's profile. Null removes the reference, or an attribute; the names are replaced as one.
type userPatch struct {
	ExternalRef text            `json:"external_ref"`
	Logins      *[]string       `json:"logins"`
	Attributes  map[string]text `json:"attributes"`
}

func (p *userPatch) apply(to identity.Profile) identity.Profile {
	if p.ExternalRef.given {
		to.ExternalRef = p.ExternalRef.value
	}
	if p.Logins != nil {
		to.Logins = *p.Logins
	}
	if len(p.Attributes) > 0 {
		to.Attributes = maps.Clone(to.Attributes)
		if to.Attributes == nil {
			to.Attributes = map[string]string{}
		}
	}
	for name, value := range p.Attributes {
		if value.null {
			delete(to.Attributes, name)
			continue
		}
		to.Attributes[name] = value.value
	}
	return to
}

func (a *API) patchUser(c *call) error {
	var in userPatch
	if err := c.bodyOf(wire.MergePatch, &in); err != nil {
		return err
	}
	u, err := a.userToChange(c)
	if err != nil {
		return err
	}
	u, err = a.config.Users.Update(c.r.Context(), u.ID, u.Version, in.apply(u.Profile))
	if err != nil {
		return err
	}
	return c.sendUser(http.StatusOK, u)
}

// userToChange returns the user of a request that names the version which they have now.
func (a *API) userToChange(c *call) (identity.User, error) {
	versions, err := wire.Versions(c.r)
	if err != nil {
		return identity.User{}, err
	}
	u, err := a.user(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return u, err
	}
	return u, match(versions, versionOf(u))
}

// deleteUser leaves a tombstone. To repeat it is no failure, and does what was left undone.
func (a *API) deleteUser(c *call) error {
	u, err := a.userToChange(c)
	if err == nil {
		_, err = a.config.Users.Delete(c.r.Context(), u.ID, u.Version)
	}
	if err != nil && !errors.Is(err, identity.ErrDeleted) {
		return err
	}
	return a.takeOut(c, u.ID, handset.ReasonUserDeleted, func() error { return c.sendNothing(http.StatusNoContent) })
}

// takeOut ends what rests on a user who is gone, and answers. The user is out already, and with them all that they have: should
// the devices stay in the list for a fault of the store, none of them can do anything.
func (a *API) takeOut(c *call, userID, reason string, answer func() error) error {
	if err := a.config.Devices.DeactivateAll(c.r.Context(), userID, reason); err != nil {
		return fmt.Errorf("deactivating the devices of a user who is out: %w", err)
	}
	if err := a.applied(c); err != nil {
		return err
	}
	return answer()
}

func (a *API) lockUser(c *call) error {
	return a.actOnUser(c, func(ctx context.Context, id string, in reasoned) (identity.User, error) {
		return a.config.Users.Lock(ctx, id, in.Reason)
	})
}

func (a *API) unlockUser(c *call) error {
	return a.actOnUser(c, func(ctx context.Context, id string, _ reasoned) (identity.User, error) {
		return a.config.Users.Unlock(ctx, id)
	})
}

func (a *API) releaseNames(c *call) error {
	u, err := a.config.Users.ReleaseNames(c.r.Context(), c.r.PathValue("user"))
	if err != nil {
		return err
	}
	return c.sendUser(http.StatusOK, u)
}

// actOnUser runs a command, which needs no version: whoever locks a user means the user, not a state of the record.
func (a *API) actOnUser(c *call, do func(context.Context, string, reasoned) (identity.User, error)) error {
	var in reasoned
	if err := c.optionalBody(&in); err != nil {
		return err
	}
	u, err := do(c.r.Context(), c.r.PathValue("user"), in)
	if err != nil {
		return err
	}
	if err := a.applied(c); err != nil {
		return err
	}
	return c.sendUser(http.StatusOK, u)
}

func (a *API) deactivateUser(c *call) error {
	var in reasoned
	if err := c.optionalBody(&in); err != nil {
		return err
	}
	u, err := a.config.Users.Deactivate(c.r.Context(), c.r.PathValue("user"), in.Reason)
	if err != nil {
		return err
	}
	return a.takeOut(c, u.ID, handset.ReasonUserDeactivated, func() error { return c.sendUser(http.StatusOK, u) })
}

func (a *API) setPassword(c *call) error {
	var in struct {
		Password string `json:"password"`
	}
	if err := c.body(&in); err != nil {
		return err
	}
	u, err := a.config.Users.SetPassword(c.r.Context(), c.r.PathValue("user"), in.Password)
	if err != nil {
		return err
	}
	if err := a.applied(c); err != nil {
		return err
	}
	return c.sendUser(http.StatusOK, u)
}
