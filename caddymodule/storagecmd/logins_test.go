// SPDX-License-Identifier: Apache-2.0

package storagecmd_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/caddymodule/storagecmd"
	"github.com/gatehouse-id/gatehouse/caddymodule/tables"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/badgerstore"
	"github.com/gatehouse-id/gatehouse/storage/check"
	"github.com/gatehouse-id/gatehouse/storage/transfer"
)

// loggedIn are the tables by which somebody is logged in, about to be, or passes by what was approved.
var loggedIn = []string{
	"auth_session", "backchannel_request", "code", "confirmation", "confirmation_slot", "enrolment_code", "family", "grant", "request", "roster",
	"session",
}

// everything is a record of each table, with an entry of each index, and what is kept beside tables.
func everything() (items []storage.Item, names []string) {
	for _, kind := range tables.All(nil) {
		d := kind.Describe()
		names = append(names, d.Name)
		items = append(items, storage.Item{Key: d.Name + "/1", Value: []byte("1")})
		for _, index := range d.Indexes {
			if index.Unique {
				items = append(items, storage.Item{Key: d.Name + "#" + index.Name + "/ann", Value: []byte("1")})
			} else {
				items = append(items, storage.Item{Key: d.Name + "#" + index.Name + "/3:ann/1"})
			}
		}
	}
	for _, name := range tables.Bare {
		names = append(names, name)
		items = append(items, storage.Item{Key: name + "/1"})
	}
	return items, names
}

// backup writes a file of items, and returns its path.
func backup(t *testing.T, items ...storage.Item) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.backup")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := transfer.NewWriter(file, transfer.Header{ID: "exp_1", MadeAt: time.Now().UTC(), Source: "badger"})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(items, func(a, b storage.Item) int { return strings.Compare(a.Key, b.Key) })
	for _, item := range items {
		err = errors.Join(err, w.Add(item))
	}
	_, closed := w.Close()
	if err := errors.Join(err, closed, file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// holds says what a store has by table.
func holds(t *testing.T, at string) map[string]check.TableSize {
	t.Helper()
	said, err := call(t, "stats", "--json", "--store", at)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	var stats check.Stats
	if err := json.Unmarshal([]byte(said[strings.Index(said, "{"):]), &stats); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	all := map[string]check.TableSize{}
	for _, table := range stats.Tables {
		all[table.Name] = table
	}
	return all
}

// taken reads what a command prints as JSON, which comes after what it says to people.
func taken(t *testing.T, said string) (is storagecmd.Taken) {
	t.Helper()
	if err := json.Unmarshal([]byte(said[strings.Index(said, "{\n"):]), &is); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return is
}

// TestWithoutLogins: an operator puts back yesterday's backup after a break-in. What logs somebody in does not come back, with its indexes;
// all else does.
func TestWithoutLogins(t *testing.T) {
	t.Parallel()
	items, names := everything()
	path := backup(t, items...)
	left := map[string]int64{}
	for _, name := range loggedIn {
		left[name] = 1
	}
	for _, args := range [][]string{{"restore", path}, {"import", path, "--overwrite"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			at := store(t)
			args := append(args, "--without-logins", "--json", "--store", at)
			said, err := call(t, append(args, "--dry-run")...)
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			planned := taken(t, said)
			if !planned.DryRun || !strings.Contains(said, "nobody would be logged in") || !strings.Contains(said, "gatehouse keys revoke") {
				t.Errorf("trying says %s", said)
			}
			if diff := cmp.Diff(left, planned.LeftOut); diff != "" {
				t.Errorf("trying leaves out: %s", diff)
			}
			if _, there := holds(t, at)["a"]; !there {
				t.Error("trying has written")
			}
			if said, err = call(t, args...); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			is := taken(t, said)
			if diff := cmp.Diff(left, is.LeftOut); diff != "" || is.Source != planned.Source || is.Written != planned.Written {
				t.Errorf("%+v, and planned was %+v; %s", is.Result, planned.Result, diff)
			}
			if !strings.Contains(said, "nobody is logged in, but access tokens") || !strings.Contains(said, "gatehouse keys revoke") {
				t.Errorf("it says %s", said)
			}
			has := holds(t, at)
			for _, name := range names {
				stats, there := has[name]
				if login := slices.Contains(loggedIn, name); there == login || !login && stats.Records != 1 {
					t.Errorf("of %s there is %+v", name, stats)
				}
			}
		})
	}
}

// TestWithoutLoginsSaysWhat: people read it by table.
func TestWithoutLoginsSaysWhat(t *testing.T) {
	t.Parallel()
	path := backup(t, storage.Item{Key: "session/1"}, storage.Item{Key: "session/2"}, storage.Item{Key: "user/1"}, storage.Item{Key: "family/1"})
	byTable := regexp.MustCompile(`left out +1 +family\nleft out +2 +session\n`)
	for _, dry := range [][]string{{"--dry-run"}, nil} {
		said, err := call(t, append([]string{"restore", path, "--without-logins", "--store", store(t)}, dry...)...)
		if err != nil || !byTable.MatchString(said) {
			t.Errorf("%v: %s", err, said)
		}
	}
	said, err := call(t, "restore", backup(t, storage.Item{Key: "user/1"}), "--without-logins", "--store", store(t))
	if err != nil || !strings.Contains(said, "nobody was logged in") {
		t.Errorf("%v: %s", err, said)
	}
	said, err = call(t, "restore", path, "--store", store(t))
	if err != nil || strings.Contains(said, "left out") || !strings.Contains(said, "give the command with --without-logins") {
		t.Errorf("with all: %v: %s", err, said)
	}
}

// TestWithoutLoginsRefuses: what nobody can tell to be a login or none is not taken for either, and what was not asked of a file is no flag.
func TestWithoutLoginsRefuses(t *testing.T) {
	t.Parallel()
	for _, unknown := range []string{"zzz/1", "zzz#of/3:ann/1", "zzz", "transfer/unfinished"} {
		path, at := backup(t, storage.Item{Key: "session/1"}, storage.Item{Key: unknown}), store(t)
		for _, args := range [][]string{{"restore", path, "--dry-run"}, {"restore", path}, {"import", path, "--overwrite", "--dry-run"}} {
			said, err := call(t, append(args, "--without-logins", "--store", at)...)
			if err == nil || !strings.Contains(err.Error(), "this release does not know") {
				t.Errorf("%s of %q: %v: %s", args[0], unknown, err, said)
			}
		}
		if has := holds(t, at); len(has) != 1 || has["a"].Records != 1 {
			t.Errorf("afterwards there is %+v", has)
		}
	}
	for _, args := range [][]string{{"migrate", "a", "b"}, {"backup", "x"}, {"export", "x"}} {
		if _, err := call(t, append(args, "--without-logins")...); err == nil || !strings.Contains(err.Error(), "unknown flag: --without-logins") {
			t.Errorf("%s: %v", args[0], err)
		}
	}
}

// TestWithoutLoginsGoesOn: a command that broke off is not given again without the flag and brings the logins after all.
func TestWithoutLoginsGoesOn(t *testing.T) {
	t.Parallel()
	path := backup(t, storage.Item{Key: "session/1"}, storage.Item{Key: "user/1"})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(cut, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	db, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: dir, Now: time.Now})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	at := []string{"--store", "badger:" + dir}
	if _, err := call(t, append(at, "import", cut, "--without-logins")...); !errors.Is(err, transfer.ErrTruncated) {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--overwrite"}, {"--overwrite", "--dry-run"}} {
		_, err := call(t, append(append(at, "import", path), more...)...)
		if !errors.Is(err, transfer.ErrChoice) || !strings.Contains(err.Error(), "was given with --without-logins") {
			t.Errorf("with %v: %v", more, err)
		}
	}
	if said, err := call(t, append(at, "import", path, "--without-logins")...); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if has := holds(t, at[1]); len(has) != 1 || has["user"].Records != 1 {
		t.Errorf("afterwards there is %+v", has)
	}
	if _, err := call(t, append(at, "import", cut, "--overwrite")...); !errors.Is(err, transfer.ErrTruncated) {
		t.Fatal(err)
	}
	if _, err := call(t, append(at, "import", path, "--without-logins")...); !errors.Is(err, transfer.ErrChoice) ||
		!strings.Contains(err.Error(), "--overwrite begins anew") {
		t.Error(err)
	}
	if said, err := call(t, append(at, "import", path, "--without-logins", "--overwrite")...); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if has := holds(t, at[1]); len(has) != 1 || has["user"].Records != 1 {
		t.Errorf("at last there is %+v", has)
	}
}
