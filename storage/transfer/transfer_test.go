// SPDX-License-Identifier: Apache-2.0

package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-id/gatehouse/internal/seal"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/memstore"
	"github.com/gatehouse-id/gatehouse/storage/pgstore"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
	"github.com/gatehouse-id/gatehouse/storage/storagetest/engines"
	"github.com/gatehouse-id/gatehouse/storage/transfer"
	"github.com/gatehouse-id/gatehouse/tests/postgres"
)

var shared postgres.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

var now = storagetest.NewClock().Now()

func clock() time.Time { return now }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func empty(t testing.TB) storage.DB {
	t.Helper()
	db, err := memstore.Open(memstore.Config{Now: clock})
	must(t, err)
	return db
}

// filled is a store with n items of which some expire.
func filled(t testing.TB, n int) storage.DB {
	t.Helper()
	db := empty(t)
	for i := range n {
		item := storage.Item{Key: fmt.Sprintf("thing/%05d", i), Value: bytes.Repeat([]byte{byte(i)}, i%700)}
		if i%3 == 0 {
			item.ExpiresAt = now.Add(time.Duration(i+1) * time.Minute)
		}
		put(t, db, item)
	}
	return db
}

func put(t testing.TB, db storage.DB, items ...storage.Item) {
	t.Helper()
	must(t, db.Update(t.Context(), func(tx storage.Tx) error {
		for _, item := range items {
			if err := tx.Put(item); err != nil {
				return err
			}
		}
		return nil
	}))
}

func export(t testing.TB, db storage.DB) []byte {
	t.Helper()
	var file bytes.Buffer
	_, err := transfer.Export(t.Context(), db, &file, transfer.Header{ID: "one", MadeAt: now}, nil)
	must(t, err)
	return file.Bytes()
}

func sum(t testing.TB, db storage.DB) (totals transfer.Totals) {
	t.Helper()
	must(t, transfer.Snapshot(t.Context(), db, func(items iter.Seq2[storage.Item, error]) (err error) {
		totals, err = transfer.Sum(items, nil)
		return err
	}))
	return totals
}

func take(ctx context.Context, file []byte, target transfer.Target) (transfer.Result, error) {
	r, err := transfer.NewReader(bytes.NewReader(file))
	if err != nil {
		return transfer.Result{}, err
	}
	target.ID, target.Now = r.Header.ID, now
	return target.Take(ctx, r.Items())
}

func everywhere(t *testing.T) map[string]func(t testing.TB) storage.DB {
	opens := map[string]func(t testing.TB) storage.DB{}
	for _, e := range engines.All {
		opens[e.Name] = func(t testing.TB) storage.DB { return e.Plain(t, clock) }
	}
	schemas := 0
	opens["postgres"] = func(testing.TB) storage.DB {
		dsn := shared.DSN(t)
		schemas++
		db, err := pgstore.Open(t.Context(), pgstore.Config{
			DSN: dsn, Schema: postgres.Schema(fmt.Sprint(t.Name(), schemas)), Now: clock, SweepEvery: -1,
		})
		must(t, err)
		t.Cleanup(func() { must(t, db.Close()) })
		return db
	}
	return opens
}

// TestThereAndBack: what a random store holds goes through any engine and comes out as it went in, byte for byte.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for name, open := range everywhere(t) {
		t.Run(name, func(t *testing.T) {
			target := open(t)
			rapid.Check(t, func(rt *rapid.T) {
				source := empty(t)
				for key, value := range rapid.MapOfN(rapid.StringN(1, 40, 200), rapid.SliceOfN(rapid.Byte(), 0, 300), 0, 90).Draw(rt, "items") {
					item := storage.Item{Key: key, Value: value}
					if ttl := rapid.IntRange(0, 3).Draw(rt, "hours"); ttl > 0 {
						item.ExpiresAt = now.Add(time.Duration(ttl) * time.Hour)
					}
					put(t, source, item)
				}
				file := export(t, source)
				result, err := take(t.Context(), file, transfer.Target{DB: target, Overwrite: true})
				if err != nil || result.Source != sum(t, source) {
					rt.Fatalf("%+v, %v", result, err)
				}
				if !bytes.Equal(file, export(t, target)) {
					rt.Fatal("it comes out as something else")
				}
			})
		})
	}
}

func TestTakeKeepsAndDrops(t *testing.T) {
	t.Parallel()
	source := filled(t, 2000)
	file := export(t, source)
	target := empty(t)
	result, err := take(t.Context(), file, transfer.Target{DB: target})
	if err != nil || result.Written != 2000 || result.Same+result.Removed+result.Expired != 0 || sum(t, target) != sum(t, source) {
		t.Fatalf("%+v, %v", result, err)
	}
	r, err := transfer.NewReader(bytes.NewReader(file))
	must(t, err)
	later, err := memstore.Open(memstore.Config{Now: func() time.Time { return now.Add(20 * time.Minute) }})
	must(t, err)
	aged := transfer.Target{DB: later, ID: "x", Now: now.Add(20 * time.Minute)}
	if result, err = aged.Take(t.Context(), r.Items()); err != nil || result.Expired != 7 || result.Written != 1993 {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestTakeRefusesWhatIsNotEmpty(t *testing.T) {
	t.Parallel()
	file := export(t, filled(t, 10))
	target := empty(t)
	put(t, target, storage.Item{Key: "other/1"}, storage.Item{Key: "zzz/1"})
	before := sum(t, target)
	if _, err := take(t.Context(), file, transfer.Target{DB: target}); !errors.Is(err, transfer.ErrNotEmpty) {
		t.Errorf("it says %v", err)
	}
	if result, err := take(t.Context(), file, transfer.Target{DB: target, Overwrite: true, DryRun: true}); err != nil ||
		result.Written != 10 || result.Removed != 2 || sum(t, target) != before {
		t.Errorf("trying: %+v, %v", result, err)
	}
	if result, err := take(t.Context(), file, transfer.Target{DB: target, Overwrite: true}); err != nil || result.Removed != 2 {
		t.Errorf("overwriting: %+v, %v", result, err)
	}
	if got := sum(t, target); got.Items != 10 {
		t.Errorf("it holds %d", got.Items)
	}
}

// TestTakeGoesOn: what broke off is taken up again, by the same file alone, and until then the store is refused.
func TestTakeGoesOn(t *testing.T) {
	t.Parallel()
	source := filled(t, 3000)
	file := export(t, source)
	target := empty(t)
	broken := errors.New("the line was cut")
	r, err := transfer.NewReader(bytes.NewReader(file))
	must(t, err)
	cut := func(yield func(storage.Item, error) bool) {
		n := 0
		for item, err := range r.Items() {
			if n++; n > 1500 {
				yield(storage.Item{}, broken)
				return
			}
			if !yield(item, err) {
				return
			}
		}
	}
	first := transfer.Target{DB: target, ID: r.Header.ID, Now: now}
	if _, err := first.Take(t.Context(), cut); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := transfer.Unfinished(t.Context(), target); !errors.Is(err, transfer.ErrUnfinished) {
		t.Errorf("a server would start on it: %v", err)
	}
	if _, err := transfer.Export(t.Context(), target, io.Discard, transfer.Header{}, nil); !errors.Is(err, transfer.ErrUnfinished) {
		t.Errorf("it is exported: %v", err)
	}
	other := transfer.Target{DB: target, ID: "another", Now: now}
	if _, err := other.Take(t.Context(), cut); !errors.Is(err, transfer.ErrNotEmpty) {
		t.Errorf("another source: %v", err)
	}
	result, err := take(t.Context(), file, transfer.Target{DB: target})
	if err != nil || !result.Resumed || result.Same == 0 || result.Same+result.Written != 3000 {
		t.Errorf("%+v, %v", result, err)
	}
	must(t, transfer.Unfinished(t.Context(), target))
	if diff := cmp.Diff(sum(t, source), sum(t, target)); diff != "" {
		t.Error(diff)
	}
}

func TestTakeLeavesTheMarkWhereMoreComes(t *testing.T) {
	t.Parallel()
	source := filled(t, 100)
	target := empty(t)
	ahead := transfer.Target{DB: target, Unfinished: true}
	_, err := take(t.Context(), export(t, source), ahead)
	must(t, err)
	if err := transfer.Unfinished(t.Context(), target); !errors.Is(err, transfer.ErrUnfinished) {
		t.Error(err)
	}
	put(t, source, storage.Item{Key: "thing/00001", Value: []byte("new")})
	result, err := take(t.Context(), export(t, source), transfer.Target{DB: target})
	if err != nil || result.Written != 1 || result.Same != 99 || transfer.Unfinished(t.Context(), target) != nil {
		t.Errorf("%+v, %v", result, err)
	}
}

// mixed is a store of two tables, each with entries of two indexes, of something beside them, and of a key of no table.
func mixed(t testing.TB) storage.DB {
	t.Helper()
	db := empty(t)
	for i := range 600 {
		for _, table := range []string{"login", "person"} {
			id := fmt.Sprintf("%05d", i)
			put(t, db, storage.Item{Key: table + "/" + id, Value: []byte("1")}, storage.Item{Key: table + "#of/3:ann/" + id},
				storage.Item{Key: table + "#name/" + id, Value: []byte(id)})
		}
	}
	put(t, db, storage.Item{Key: "login/zzz", ExpiresAt: now.Add(time.Minute)}, storage.Item{Key: "loginless/1"}, storage.Item{Key: "bare"})
	return db
}

func leaveOut(table string) (bool, error) { return table == "login", nil }

// keys are all that a store holds.
func keys(t testing.TB, db storage.DB) (all []string) {
	t.Helper()
	must(t, transfer.Snapshot(t.Context(), db, func(items iter.Seq2[storage.Item, error]) error {
		for item, err := range items {
			if err != nil {
				return err
			}
			all = append(all, item.Key)
		}
		return nil
	}))
	return all
}

// TestLeaveOut: the records and the index entries of a table do not come into any store, those that it holds go, and all else is compared.
func TestLeaveOut(t *testing.T) {
	t.Parallel()
	source := mixed(t)
	file, want := export(t, source), []string(nil)
	for _, key := range keys(t, source) {
		if !strings.HasPrefix(key, "login/") && !strings.HasPrefix(key, "login#") {
			want = append(want, key)
		}
	}
	left := map[string]int64{"login": 601}
	for name, open := range everywhere(t) {
		t.Run(name, func(t *testing.T) {
			target := open(t)
			put(t, target, storage.Item{Key: "login/mine"}, storage.Item{Key: "login#of/3:eve/mine"})
			result, err := take(t.Context(), file, transfer.Target{DB: target, Overwrite: true, LeaveOut: leaveOut})
			if err != nil || result.Removed != 2 || result.Written != 1802 || result.Source != sum(t, target) {
				t.Errorf("%+v, %v", result, err)
			}
			if diff := cmp.Diff(left, result.LeftOut) + cmp.Diff(want, keys(t, target)); diff != "" {
				t.Error(diff)
			}
		})
	}
	r, err := transfer.NewReader(bytes.NewReader(file))
	must(t, err)
	later := transfer.Target{Now: now.Add(time.Hour), LeaveOut: leaveOut}
	weighed, err := later.Weigh(r.Items())
	if err != nil || weighed.Expired != 1 || weighed.LeftOut["login"] != 600 || weighed.Written != 1802 || weighed.Source.Items != 1802 {
		t.Errorf("weighed: %+v, %v", weighed, err)
	}
}

// TestLeaveOutReadsAll: what is left out of a file is judged with it.
func TestLeaveOutReadsAll(t *testing.T) {
	t.Parallel()
	db := empty(t)
	for i := range 300 {
		put(t, db, storage.Item{Key: fmt.Sprintf("login/%05d", i), Value: bytes.Repeat([]byte{byte(i)}, 9000)})
	}
	file := export(t, db)
	for name, bad := range map[string][]byte{"cut": file[:len(file)-1], "damaged": slices.Concat(file[:len(file)/2], []byte{file[len(file)/2] ^ 1}, file[len(file)/2+1:])} {
		r, err := transfer.NewReader(bytes.NewReader(bad))
		must(t, err)
		weigh := transfer.Target{Now: now, LeaveOut: leaveOut}
		if result, err := weigh.Weigh(r.Items()); err == nil {
			t.Errorf("%s, it weighs %+v", name, result)
		}
		target := empty(t)
		if _, err := take(t.Context(), bad, transfer.Target{DB: target, LeaveOut: leaveOut}); err == nil || transfer.Unfinished(t.Context(), target) == nil {
			t.Errorf("%s, it is taken: %v", name, err)
		}
	}
	unproven, err := transfer.NewReader(bytes.NewReader(file))
	must(t, err)
	unproven.Sealer = sealer(t, 1)
	weigh := transfer.Target{Now: now, LeaveOut: leaveOut}
	if _, err := weigh.Weigh(unproven.Items()); !errors.Is(err, transfer.ErrUnproven) {
		t.Errorf("made by anybody: %v", err)
	}
}

// TestLeaveOutRefuses: what nobody can judge is no source.
func TestLeaveOutRefuses(t *testing.T) {
	t.Parallel()
	unknown := errors.New("nobody knows")
	judge := func(table string) (bool, error) {
		if table == "bare" {
			return false, unknown
		}
		return true, nil
	}
	target := empty(t)
	if _, err := take(t.Context(), export(t, mixed(t)), transfer.Target{DB: target, LeaveOut: judge}); !errors.Is(err, unknown) {
		t.Errorf("it says %v", err)
	}
	if err := transfer.Unfinished(t.Context(), target); !errors.Is(err, transfer.ErrUnfinished) {
		t.Errorf("a server would start on it: %v", err)
	}
}

// TestLeaveOutGoesOn: an operator who forgets, when the command is given again, what was to be left out does not get it after all.
func TestLeaveOutGoesOn(t *testing.T) {
	t.Parallel()
	file := export(t, mixed(t))
	cut := file[:len(file)-1]
	all, some := transfer.Target{}, transfer.Target{LeaveOut: leaveOut}
	for _, tt := range []struct {
		name        string
		first, then transfer.Target
		overwrite   bool
		want        error
		resumed     bool
	}{
		{name: "the same", first: some, then: some, resumed: true},
		{name: "the same, overwriting", first: some, then: some, overwrite: true, resumed: true},
		{name: "all after some", first: some, then: all, want: transfer.ErrChoice},
		{name: "all after some, overwriting", first: some, then: all, overwrite: true, want: transfer.ErrChoice},
		{name: "some after all", first: all, then: some, want: transfer.ErrChoice},
		{name: "some after all, overwriting", first: all, then: some, overwrite: true},
	} {
		target := empty(t)
		tt.first.DB, tt.then.DB, tt.then.Overwrite = target, target, tt.overwrite
		if _, err := take(t.Context(), cut, tt.first); !errors.Is(err, transfer.ErrTruncated) {
			t.Fatalf("%s: at first %v", tt.name, err)
		}
		dry := tt.then
		dry.DryRun = true
		if _, err := take(t.Context(), file, dry); !errors.Is(err, tt.want) {
			t.Errorf("%s, trying: %v", tt.name, err)
		}
		result, err := take(t.Context(), file, tt.then)
		if !errors.Is(err, tt.want) || result.Resumed != tt.resumed {
			t.Errorf("%s: %+v, %v", tt.name, result, err)
		}
		if tt.want != nil {
			continue
		}
		must(t, transfer.Unfinished(t.Context(), target))
		for _, key := range keys(t, target) {
			if strings.HasPrefix(key, "login/") || strings.HasPrefix(key, "login#") {
				t.Errorf("%s: there is %s", tt.name, key)
			}
		}
	}
}

func TestFullDisks(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer func() { _ = full.Close() }() // nothing was written
	if _, err := transfer.Export(t.Context(), filled(t, 10), full, transfer.Header{}, nil); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("exporting says %v", err)
	}
	target := refusing{empty(t)}
	if _, err := take(t.Context(), export(t, filled(t, 10)), transfer.Target{DB: target}); !errors.Is(err, storage.ErrFull) {
		t.Errorf("importing says %v", err)
	}
}

// refusing is a store on a full disk.
type refusing struct{ storage.DB }

func (refusing) Update(context.Context, func(storage.Tx) error) error { return storage.ErrFull }

func sealer(t *testing.T, fill byte) storage.Sealer {
	t.Helper()
	secret := bytes.Repeat([]byte{fill}, 32)
	secret[0]++
	s, err := seal.New(seal.Key{ID: fmt.Sprint(fill), Secret: secret})
	must(t, err)
	return s
}

func TestSealKeys(t *testing.T) {
	t.Parallel()
	probe, err := transfer.Probe(sealer(t, 1))
	must(t, err)
	must(t, transfer.CheckKey(sealer(t, 1), probe))
	if err := transfer.CheckKey(sealer(t, 2), probe); !errors.Is(err, transfer.ErrSealKey) {
		t.Error(err)
	}
	if probe, err := transfer.Probe(nil); probe != nil || err != nil {
		t.Errorf("without a key: %v, %v", probe, err)
	}
}

// TestProof: sums anybody can write, the end only who has the key.
func TestProof(t *testing.T) {
	t.Parallel()
	db := filled(t, 100)
	file := func(by storage.Sealer) []byte {
		var file bytes.Buffer
		_, err := transfer.Export(t.Context(), db, &file, transfer.Header{ID: "one", MadeAt: now, Sealer: by}, nil)
		must(t, err)
		return file.Bytes()
	}
	open := func(file []byte, with storage.Sealer) error {
		r, err := transfer.NewReader(bytes.NewReader(file))
		must(t, err)
		r.Sealer = with
		_, err = transfer.Sum(r.Items(), nil)
		if _, whole := r.Totals(); whole != (err == nil) {
			t.Errorf("it is whole: %v, %v", whole, err)
		}
		return err
	}
	must(t, open(file(sealer(t, 1)), sealer(t, 1)))
	must(t, open(file(sealer(t, 1)), nil)) // to whoever does not have it
	for name, forged := range map[string][]byte{"nobody": file(nil), "another": file(sealer(t, 2))} {
		if err := open(forged, sealer(t, 1)); !errors.Is(err, transfer.ErrUnproven) {
			t.Errorf("sealed by %s: %v", name, err)
		}
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	good := export(t, filled(t, 4000))
	with := func(at int, b byte) []byte {
		file := bytes.Clone(good)
		file[at] ^= b
		return file
	}
	for _, tt := range []struct {
		name string
		file []byte
		want error
	}{
		{"nothing", nil, transfer.ErrForeign},
		{"something else", []byte("<html>this is no export at all</html>"), transfer.ErrForeign},
		{"a newer version", with(9, 2), transfer.ErrVersion},
		{"no version", with(9, 1), transfer.ErrForeign},
		{"the header changed", with(20, 1), transfer.ErrDamaged},
		{"a long part", with(11, 0x80), transfer.ErrDamaged},
		{"an item changed", with(len(good)/2, 1), transfer.ErrDamaged},
		{"the end changed", with(len(good)-50, 1), transfer.ErrDamaged},
		{"something behind it", append(bytes.Clone(good), 0), transfer.ErrDamaged},
		{"cut in the header", good[:15], transfer.ErrTruncated},
		{"cut in the middle", good[:len(good)/2], transfer.ErrTruncated},
		{"cut before the end", good[:len(good)-1], transfer.ErrTruncated},
		{"the same twice", append(bytes.Clone(good), good...), transfer.ErrDamaged},
	} {
		target := empty(t)
		if _, err := take(t.Context(), tt.file, transfer.Target{DB: target}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if transfer.Unfinished(t.Context(), target) == nil && sum(t, target).Items > 0 {
			t.Errorf("%s: it counts as whole", tt.name)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	w, err := transfer.NewWriter(io.Discard, transfer.Header{})
	must(t, err)
	must(t, w.Add(storage.Item{Key: "b"}))
	for _, item := range []storage.Item{{Key: "a"}, {Key: "b"}, {}, {Key: "c", Value: make([]byte, storage.MaxValue+1)}} {
		if w.Add(item) == nil {
			t.Errorf("it takes %q", item.Key)
		}
	}
}

// FuzzReader: whatever comes is read to its end or refused; what is read can be written again and is the same.
func FuzzReader(f *testing.F) {
	f.Add(export(f, filled(f, 3)))
	f.Add(export(f, empty(f)))
	f.Add([]byte("GHSTORE\n\x00\x01H\x00\x00\x00\x02{}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := transfer.NewReader(bytes.NewReader(file))
		if err != nil {
			return
		}
		w, err := transfer.NewWriter(io.Discard, r.Header)
		must(t, err)
		for item, err := range r.Items() {
			if err != nil {
				return
			}
			must(t, w.Add(item))
		}
		totals, whole := r.Totals()
		if again, err := w.Close(); err != nil || !whole || again != totals {
			t.Errorf("%+v comes back as %+v, %v", totals, again, err)
		}
	})
}
