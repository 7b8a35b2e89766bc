// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-id/gatehouse/storage"
)

// MaxSearchable is how many attributes users can be found by.
const MaxSearchable = 8

// searchLabel is the use for which the key of the attribute index is derived.
const searchLabel = "identity attribute index"

// byAttribute is the index of attributes. Its values are keyed hashes: an index key is readable in the store, where the records
// themselves are sealed.
const byAttribute = "attribute"

// searchMark says by which attributes, and under which key, every stored user can be found.
type searchMark struct {
	Names []string `json:"names"`
	Key   string   `json:"key"`
}

var searchMarks = storage.Table[searchMark]{
	Name:    "user_search",
	Version: 1,
	ID:      func(*searchMark) string { return "attributes" },
}

func checkSearchable(names []string) error {
	if len(names) > MaxSearchable {
		return fmt.Errorf("searchable: more than %d attributes", MaxSearchable)
	}
	for i, name := range names {
		if err := checkAttribute(name, ""); err != nil {
			return fmt.Errorf("searchable: %w", err)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("searchable: %q stands twice", name)
		}
	}
	return nil
}

// searchKey derives the key of the index. Without a sealer there is no secret to take it from, nor one to keep.
func (s *Store) searchKey() ([]byte, error) {
	if s.users.Sealer == nil {
		return []byte(searchLabel), nil
	}
	key, err := s.users.Sealer.Derive(searchLabel)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of the attribute index: %w", err)
	}
	return key, nil
}

// index computes under which values a record is found by its attributes.
func (s *Store) index(r *record) error {
	r.Found = nil
	if len(s.searchable) == 0 || len(r.Attributes) == 0 {
		return nil
	}
	key, err := s.searchKey()
	if err != nil {
		return err
	}
	for _, name := range s.searchable {
		if value, ok := r.Attributes[name]; ok {
			r.Found = append(r.Found, findable(key, name, value))
		}
	}
	return nil
}

// findable is a keyed hash of one attribute. A NUL is in no attribute's name.
func findable(key []byte, name, value string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(name + "\x00" + value))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:20])
}

func (s *Store) mark(key []byte) searchMark {
	sum := sha256.Sum256(append([]byte("identity attribute index mark\x00"), key...))
	names := slices.Sorted(slices.Values(s.searchable))
	return searchMark{Names: names, Key: base64.RawURLEncoding.EncodeToString(sum[:12])}
}

func (m searchMark) equal(other searchMark) bool {
	return m.Key == other.Key && slices.Equal(m.Names, other.Names)
}

// Page is a part of the users whose names begin alike.
type Page struct {
	Users []User
	// Next is the name after which the next page begins, empty on the last.
	Next string
}

// ByLoginPrefix returns the users of whom a login name begins as the given one does, in any spelling, in ascending order of that
// name and beginning after the given name: at most limit of them, as with [Store.List]. A user with several such names comes once,
// with the first. An empty prefix, and one that no name can begin with, is an [ErrInvalid].
func (s *Store) ByLoginPrefix(ctx context.Context, prefix, after string, limit int) (Page, error) {
	name, err := Canonical(prefix)
	if err != nil {
		return Page{}, fmt.Errorf("searching users: %w", err)
	}
	return s.byPrefix(ctx, byLogin, name, after, limit)
}

// ByExternalRefPrefix is [Store.ByLoginPrefix] for the external reference, which has one spelling.
func (s *Store) ByExternalRefPrefix(ctx context.Context, prefix, after string, limit int) (Page, error) {
	if prefix == "" || len(prefix) > MaxExternalRef {
		return Page{}, fmt.Errorf("searching users: %w", invalid("external_ref", fmt.Sprintf("want 1 to %d bytes", MaxExternalRef)))
	}
	return s.byPrefix(ctx, byExternalRef, prefix, after, limit)
}

// Beginning returns the login name under which [Store.ByLoginPrefix] finds the user, empty where it does not.
func (u *User) Beginning(prefix string) string {
	name, err := Canonical(prefix)
	if err != nil {
		return ""
	}
	return u.beginning(name)
}

func (u *User) beginning(prefix string) (first string) {
	for _, login := range u.Logins {
		if strings.HasPrefix(login, prefix) && (first == "" || login < first) {
			first = login
		}
	}
	return first
}

func (s *Store) byPrefix(ctx context.Context, index, prefix, after string, limit int) (page Page, err error) {
	limit = pageSize(limit)
	err = s.db.View(ctx, func(tx storage.Tx) error {
		page = Page{}
		last := ""
		for e, err := range s.users.Prefix(tx, index, prefix, after) {
			if err != nil {
				return err
			}
			if index == byLogin && e.Value != e.Record.beginning(prefix) {
				continue
			}
			if len(page.Users) == limit {
				page.Next = last
				return nil
			}
			page.Users, last = append(page.Users, e.Record.User), e.Value
		}
		return nil
	})
	if err != nil {
		return Page{}, fmt.Errorf("searching users: %w", err)
	}
	return page, nil
}

// ByAttribute returns the users whose attribute has exactly the given value, in ascending order of their id and paged like
// [Store.List]. An attribute that is not among [Config].Searchable is a [FieldError]; while [Store.Reindex] has still to run
// it is [ErrIndexing], since some users would not be found.
func (s *Store) ByAttribute(ctx context.Context, name, value, after string, limit int) ([]User, error) {
	if !slices.Contains(s.searchable, name) {
		return nil, fmt.Errorf("searching users: %w", invalid(attributeField(name), "users cannot be searched by it"))
	}
	key, err := s.searchKey()
	if err != nil {
		return nil, fmt.Errorf("searching users: %w", err)
	}
	limit = pageSize(limit)
	var page []User
	err = s.db.View(ctx, func(tx storage.Tx) error {
		page = make([]User, 0, min(limit, DefaultPage))
		mark, _, err := searchMarks.Find(tx, "attributes")
		if err != nil {
			return err
		}
		if !mark.equal(s.mark(key)) {
			return ErrIndexing
		}
		for r, err := range s.users.List(tx, byAttribute, findable(key, name, value), after, limit) {
			if err != nil {
				return err
			}
			page = append(page, r.User)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("searching users: %w", err)
	}
	return page, nil
}

// reindexBatch is how many users are looked at in one transaction. Each takes at most MaxSearchable deletions and as many
// insertions beside its own, so that of those who change, three fit.
const (
	reindexRead  = 500
	reindexWrite = 3
)

// Reindex makes every user findable by the attributes of [Config].Searchable, and no longer by others. It reads all users once
// after that list or the sealing key has changed, and otherwise returns at once. Users may be changed meanwhile. What a failed
// run has left undone the next one does.
func (s *Store) Reindex(ctx context.Context) error {
	key, err := s.searchKey()
	if err != nil {
		return err
	}
	want := s.mark(key)
	var mark searchMark
	err = s.db.View(ctx, func(tx storage.Tx) (err error) {
		mark, _, err = searchMarks.Find(tx, "attributes")
		return err
	})
	if err != nil {
		return fmt.Errorf("indexing users: %w", err)
	}
	if mark.equal(want) {
		return nil
	}
	for after, more := "", true; more; {
		stale, last, err := s.stale(ctx, after)
		if err != nil {
			return fmt.Errorf("indexing users: %w", err)
		}
		for ids := range slices.Chunk(stale, reindexWrite) {
			if err := s.reindex(ctx, ids); err != nil {
				return fmt.Errorf("indexing users: %w", err)
			}
		}
		after, more = last, last != ""
	}
	err = s.db.Update(ctx, func(tx storage.Tx) error { return searchMarks.Put(tx, want) })
	if err != nil {
		return fmt.Errorf("indexing users: %w", err)
	}
	return nil
}

// stale returns those of the next users whose index entries are not what they should be, and the last one looked at; none when
// there are no more.
func (s *Store) stale(ctx context.Context, after string) (ids []string, last string, err error) {
	err = s.db.View(ctx, func(tx storage.Tx) error {
		ids, last = nil, ""
		for r, err := range s.users.All(tx, after, reindexRead) {
			if err != nil {
				return err
			}
			last = r.ID
			before := slices.Clone(r.Found)
			if err := s.index(&r); err != nil {
				return err
			}
			if !slices.Equal(before, r.Found) {
				ids = append(ids, r.ID)
			}
		}
		return nil
	})
	return ids, last, err
}

// reindex writes users anew. It is no new version: nothing changed that a reader of the record could see.
func (s *Store) reindex(ctx context.Context, ids []string) error {
	return s.db.Update(ctx, func(tx storage.Tx) error {
		for _, id := range ids {
			r, err := s.users.Get(tx, id)
			if errors.Is(err, storage.ErrNotFound) {
				continue
			}
			if err == nil {
				err = s.index(&r)
			}
			if err == nil {
				err = s.users.Put(tx, r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func pageSize(limit int) int {
	if limit <= 0 {
		return DefaultPage
	}
	return min(limit, MaxPage)
}
