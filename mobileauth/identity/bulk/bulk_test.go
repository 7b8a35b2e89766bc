// SPDX-License-Identifier: Apache-2.0

package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/mobileauth/identity/bulk"
	"github.com/gatehouse-id/gatehouse/storage"
	"github.com/gatehouse-id/gatehouse/storage/storagetest"
)

// load imports text and returns what became of each line. It checks that the callbacks and the sums agree.
func (h *house) load(format bulk.Format, text string) (bulk.Progress, []bulk.LineResult, error) {
	h.t.Helper()
	return h.loadFrom(h.t.Context(), bulk.Source{Reader: strings.NewReader(text), Format: format})
}

func (h *house) loadFrom(ctx context.Context, src bulk.Source) (bulk.Progress, []bulk.LineResult, error) {
	h.t.Helper()
	var lines []bulk.LineResult
	var told bulk.Progress
	src.OnLine = func(l bulk.LineResult) { lines = append(lines, l) }
	src.OnProgress = func(p bulk.Progress) {
		if p.Line <= told.Line {
			h.t.Errorf("progress %+v after %+v", p, told)
		}
		told = p
	}
	done, err := bulk.Import(ctx, h.Store, src)
	sum := bulk.Progress{Line: done.Line, Hashed: done.Hashed}
	for i, l := range lines {
		switch l.Verdict {
		case bulk.Added:
			sum.Added++
		case bulk.Skipped:
			sum.Skipped++
		case bulk.Failed:
			sum.Failed++
		}
		if i > 0 && l.Line <= lines[i-1].Line {
			h.t.Errorf("line %d was reported after line %d", l.Line, lines[i-1].Line)
		}
		if (l.Verdict == bulk.Failed) != (l.Err != nil) || (l.Verdict == bulk.Failed) != (l.UserID == "") {
			h.t.Errorf("result %+v", l)
		}
	}
	if diff := cmp.Diff(sum, done); diff != "" || (len(lines) > 0 && cmp.Diff(told, done) != "") {
		h.t.Errorf("sums differ (told %+v):\n%s", told, diff)
	}
	return done, lines, err
}

func TestImportNDJSON(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	text := "\ufeff" + strings.Join([]string{
		`{"login":"Alice","external_ref":"r1","attributes":{"phone":"06","note":"a\nb"},"password":"plain password"}`,
		``,
		`{"logins":["bob","Bob","bob@example.com"],"password_hash":"` + bcryptUstarU + `"}` + "\r",
		`   `,
		`  {"login":"carol","logins":["c"],"status":"locked","status_reason":"moved"}  `,
		`{"login":"dave","status":"deactivated","password_hash":"` + argonPassword + `"}`,
	}, "\n") // no line break at the end
	done, lines, err := h.load(bulk.NDJSON, text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(bulk.Progress{Line: 6, Added: 4, Hashed: 1}, done); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	now := h.clock.Now()
	want := []identity.User{
		{
			Profile: identity.Profile{
				ExternalRef: "r1", Logins: []string{"alice"}, Attributes: map[string]string{"phone": "06", "note": "a\nb"},
			},
			Status: identity.Active, PasswordSetAt: now,
		},
		{Profile: logins("bob", "bob@example.com"), Status: identity.Active, PasswordSetAt: now},
		{Profile: logins("carol", "c"), Status: identity.Locked, StatusReason: "moved"},
		{Profile: logins("dave"), Status: identity.Deactivated, PasswordSetAt: now},
	}
	for i, line := range []int{1, 3, 5, 6} {
		want[i].ID, want[i].Version, want[i].CreatedAt, want[i].UpdatedAt = lines[i].UserID, 1, now, now
		if diff := cmp.Diff(want[i], h.get(lines[i].UserID)); diff != "" || lines[i].Line != line {
			t.Errorf("line %d (-want +got):\n%s", lines[i].Line, diff)
		}
	}
	h.accepted("alice", "plain password", home)
	h.accepted("bob@example.com", "U*U", home)
	h.expect("dave", "password", home, identity.Refused, identity.ReasonDeactivated)
}

func TestImportCSV(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		comma      rune
	}{
		{"commas", "login,login,external_ref,password,attributes.phone,attributes.first name,status\n" +
			"Alice,alice@example.com,r1,plain password,06,Alice,\r\n" +
			"\n" +
			"\"bob, \"\"the\"\" builder\",,,,,,locked", 0},
		{"semicolons and a byte order mark", "\ufeff login ; login;external_ref;password;attributes.phone;attributes.first name;status\r\n" +
			"Alice;alice@example.com;r1;plain password;06;Alice;\r\n\r\n" +
			"\"bob, \"\"the\"\" builder\";;;;;;locked\r\n", ';'},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			done, lines, err := h.loadFrom(t.Context(), bulk.Source{
				Reader: strings.NewReader(tc.text), Format: bulk.CSV, Comma: tc.comma,
			})
			if diff := cmp.Diff(bulk.Progress{Line: 4, Added: 2, Hashed: 1}, done); diff != "" || err != nil {
				t.Fatalf("%v (-want +got):\n%s\n%v", err, diff, lines)
			}
			want := identity.Profile{
				ExternalRef: "r1", Logins: []string{"alice", "alice@example.com"},
				Attributes: map[string]string{"phone": "06", "first name": "Alice"},
			}
			if diff := cmp.Diff(want, h.get(lines[0].UserID).Profile); diff != "" {
				t.Errorf("alice (-want +got):\n%s", diff)
			}
			bob := h.get(lines[1].UserID)
			if diff := cmp.Diff(logins(`bob, "the" builder`), bob.Profile); diff != "" || bob.Status != identity.Locked || bob.HasPassword() {
				t.Errorf("bob %+v (-want +got):\n%s", bob, diff)
			}
			h.accepted("alice", "plain password", home)
		})
	}
}

// TestDryImport: what a dry import says of each line is what becomes of it, and it leaves nothing behind.
func TestDryImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.addUser(identity.NewUser{Profile: identity.Profile{Logins: []string{"here", "here too"}, ExternalRef: "r0"}})
	var text strings.Builder
	for i := range 300 { // more than a batch
		fmt.Fprintf(&text, "{\"login\":\"u%d\",\"password\":\"plain password\"}\n", i)
	}
	text.WriteString(`{"login":"here"}
{"logins":["here","new"]}
{"login":"U7"}
{"logins":["u8","u9"]}
{"logins":["fresh","u10"]}
{"login":"ref","external_ref":"r1"}
{"login":"ref","external_ref":"r1"}
{"login":"other","external_ref":"r1"}
{"login":"ref"}
{"login":"short","password":"1234567"}
nonsense

{"login":"r1"}
`)
	verdicts := func(dry bool) (bulk.Progress, []string) {
		done, lines, err := h.loadFrom(t.Context(), bulk.Source{Reader: strings.NewReader(text.String()), Format: bulk.NDJSON, Dry: dry})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, l := range lines {
			all = append(all, fmt.Sprint(l.Line, l.Verdict, l.Err))
		}
		done.Hashed = 0
		return done, all
	}
	dry, foretold := verdicts(true)
	if _, err := h.ByLogin(t.Context(), "u0"); !errors.Is(err, storage.ErrNotFound) {
		t.Fatalf("a dry import leaves users behind: %v", err)
	}
	wet, happened := verdicts(false)
	if diff := cmp.Diff(happened, foretold); diff != "" || dry != wet || dry.Added != 302 {
		t.Errorf("%+v was foretold and %+v happened:\n%s", dry, wet, diff)
	}
	if again, _ := verdicts(true); again.Added != 0 {
		t.Errorf("after the import %+v is foretold", again)
	}
}

// TestImportLosesNoGoodLine puts every kind of bad line between two good ones.
func TestImportLosesNoGoodLine(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	for _, tc := range []struct {
		name   string
		format bulk.Format
		line   string
		field  string // of a FieldError; else a LineError is expected
	}{
		{"no JSON", bulk.NDJSON, secret, ""},
		{"cut off", bulk.NDJSON, `{"login":"x","password":"` + secret, ""},
		{"an array", bulk.NDJSON, `[{"login":"x"}]`, ""},
		{"null", bulk.NDJSON, `null`, ""},
		{"two values", bulk.NDJSON, `{"login":"x"}{"login":"y"}`, ""},
		{"trailing garbage", bulk.NDJSON, `{"login":"x"} x`, ""},
		{"unknown member", bulk.NDJSON, `{"login":"x","` + secret + `":1}`, ""},
		{"password a number", bulk.NDJSON, `{"login":"x","password":12345678}`, ""},
		{"login a list", bulk.NDJSON, `{"login":["x"]}`, ""},
		{"attribute a number", bulk.NDJSON, `{"login":"x","attributes":{"k":12345678}}`, ""},
		{"not UTF-8", bulk.NDJSON, "{\"login\":\"x\xff\"}", ""},
		{"NUL", bulk.NDJSON, "{\"login\":\"x\x00\"}", ""},
		{"endless", bulk.NDJSON, `{"login":"` + strings.Repeat("x", bulk.MaxImportLine) + `"}`, ""},
		{"very endless", bulk.NDJSON, strings.Repeat("x", 3*bulk.MaxImportLine), ""},
		{"no login", bulk.NDJSON, `{"password":"` + secret + `"}`, "logins"},
		{"invisible login", bulk.NDJSON, `{"login":"x\u200b"}`, "logins[0]"},
		{"lone surrogate", bulk.NDJSON, `{"login":"x\ud800"}`, "logins[0]"},
		{"short password", bulk.NDJSON, `{"login":"x","password":"1234567"}`, "password"},
		{"unknown hash", bulk.NDJSON, `{"login":"x","password_hash":"{SSHA}` + secret + `"}`, "password_hash"},
		{"password and hash", bulk.NDJSON, `{"login":"x","password":"` + secret + `","password_hash":"$2"}`, "password_hash"},
		{"unknown status", bulk.NDJSON, `{"login":"x","status":"dead"}`, "status"},
		{"bad attribute", bulk.NDJSON, `{"login":"x","attributes":{"":""}}`, `attributes[""]`},
		{"half of it taken", bulk.NDJSON, `{"logins":["first","x"]}`, "logins[1]"},
		{"two people's logins", bulk.NDJSON, `{"logins":["first","taken"]}`, "logins[1]"},
		{"another's reference", bulk.NDJSON, `{"login":"x","external_ref":"taken"}`, "external_ref"},
		{"too few fields", bulk.CSV, "x", ""},
		{"too many fields", bulk.CSV, "x,,,", ""},
		{"quote lost at the start", bulk.CSV, `x",` + secret + `,`, ""},
		{"quote lost at the end", bulk.CSV, `"x,` + secret + `,`, ""},
		{"quote never closed", bulk.CSV, `x,"` + secret, ""},
		{"text after a quote", bulk.CSV, `"x"y,` + secret + `,`, ""},
		{"not UTF-8, CSV", bulk.CSV, "x\xff,,", ""},
		{"endless, CSV", bulk.CSV, strings.Repeat("x,", bulk.MaxImportLine), ""},
		{"no login, CSV", bulk.CSV, "," + secret + ",", "logins"},
		{"short password, CSV", bulk.CSV, "x,1234567,", "password"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.addUser(identity.NewUser{Profile: identity.Profile{Logins: []string{"taken"}, ExternalRef: "taken"}})
			header, good := "", `{"login":"%s"}`
			if tc.format == bulk.CSV {
				header, good = "login,password,attributes.k", "%s,,"
			}
			text := header + "\n" + fmt.Sprintf(good, "first") + "\n" + tc.line + "\n" + fmt.Sprintf(good, "last") + "\n"
			done, lines, err := h.load(tc.format, text)
			if diff := cmp.Diff(bulk.Progress{Line: 4, Added: 2, Failed: 1}, done); diff != "" || err != nil {
				t.Fatalf("%v (-want +got):\n%s\n%v", err, diff, lines)
			}
			var line *bulk.LineError
			bad := lines[1]
			if bad.Line != 3 || fieldOf(bad.Err) != tc.field || errors.As(bad.Err, &line) != (tc.field == "") {
				t.Errorf("result %+v (field %q), want field %q", bad, fieldOf(bad.Err), tc.field)
			}
			if strings.Contains(bad.Err.Error(), secret) || strings.Contains(bad.Err.Error(), "12345678") {
				t.Errorf("the error repeats a value: %v", bad.Err)
			}
			for _, login := range []string{"first", "last"} {
				if _, err := h.ByLogin(t.Context(), login); err != nil {
					t.Errorf("%s: %v", login, err)
				}
			}
		})
	}
}

func TestImportRefusesTheWhole(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	for _, tc := range []struct {
		name string
		src  bulk.Source
	}{
		{"no reader", bulk.Source{Format: bulk.NDJSON}},
		{"no format", bulk.Source{Reader: strings.NewReader("{}")}},
		{"unknown format", bulk.Source{Reader: strings.NewReader("{}"), Format: "xml"}},
		{"no header", bulk.Source{Reader: strings.NewReader(""), Format: bulk.CSV}},
		{"no login column", bulk.Source{Reader: strings.NewReader("status\nx\n"), Format: bulk.CSV}},
		{"header forgotten", bulk.Source{Reader: strings.NewReader(secret + ",alice\n"), Format: bulk.CSV}},
		{"unknown column", bulk.Source{Reader: strings.NewReader("login,phone\nx,1\n"), Format: bulk.CSV}},
		{"attribute without key", bulk.Source{Reader: strings.NewReader("login,attributes.\nx,1\n"), Format: bulk.CSV}},
		{"column twice", bulk.Source{Reader: strings.NewReader("login,status,status\nx,,\n"), Format: bulk.CSV}},
		{"attribute twice", bulk.Source{Reader: strings.NewReader("login,attributes.k,attributes.k\nx,,\n"), Format: bulk.CSV}},
		{"broken header", bulk.Source{Reader: strings.NewReader("login,\"sta\nx,\n"), Format: bulk.CSV}},
		{"impossible comma", bulk.Source{Reader: strings.NewReader("login\nx\n"), Format: bulk.CSV, Comma: '"'}},
		{"header not UTF-8", bulk.Source{Reader: strings.NewReader("login\xff\nx\n"), Format: bulk.CSV}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			done, lines, err := h.loadFrom(t.Context(), tc.src)
			if err == nil || done != (bulk.Progress{}) || lines != nil || len(h.items("")) != 0 {
				t.Fatalf("%+v, %v, %v", done, lines, err)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error repeats a value: %v", err)
			}
		})
	}
}

func TestImportOfNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\n", "\ufeff", " \r\n\t\n"} {
		done, lines, err := newHouse(t).load(bulk.NDJSON, text)
		if err != nil || lines != nil || done != (bulk.Progress{}) {
			t.Errorf("%q: %+v, %v, %v", text, done, lines, err)
		}
	}
}

func TestLongestLine(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	fit := func(login string, size int) string {
		line := `{"login":"` + login + `"`
		return line + strings.Repeat(" ", size-len(line)-1) + "}"
	}
	for _, end := range []string{"\n", ""} {
		text := fit("fits", bulk.MaxImportLine) + "\n" + fit("beyond", bulk.MaxImportLine+1) + end
		done, lines, err := h.load(bulk.NDJSON, text)
		if err != nil || done.Failed != 1 || done.Added+done.Skipped != 1 || lines[1].Line != 2 {
			t.Errorf("%+v, %v, %v", done, lines, err)
		}
	}
}

// manyLines returns an import of n users with a bad line in place of every hundredth, and the numbers of the bad ones.
func manyLines(n int, member string) (text string, bad []int) {
	var lines strings.Builder
	for i := 1; i <= n; i++ {
		if i%100 == 0 {
			bad = append(bad, i)
			fmt.Fprintf(&lines, "{\"login\":\"user%d\n", i)
			continue
		}
		fmt.Fprintf(&lines, `{"login":"user%d","external_ref":"ref%d","attributes":{"n":"%d"}%s}`+"\n", i, i, i, member)
	}
	return lines.String(), bad
}

func TestImportManyTwice(t *testing.T) {
	t.Parallel()
	n := 5_000
	if testing.Short() {
		n = 1_000
	}
	text, want := manyLines(n, `,"password_hash":"`+argonParallel+`"`)
	h := newHouse(t)
	for run, expected := range []bulk.Progress{
		{Line: n, Added: n - len(want), Failed: len(want)},
		{Line: n, Skipped: n - len(want), Failed: len(want)},
	} {
		h.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Nth: n/20 + 1, Err: errors.New("too many transactions")})
		done, lines, err := h.load(bulk.NDJSON, text)
		if diff := cmp.Diff(expected, done); diff != "" || err != nil {
			t.Fatalf("run %d: %v (-want +got):\n%s", run+1, err, diff)
		}
		h.db.Clear()
		var bad []int
		for _, l := range lines {
			if l.Verdict == bulk.Failed {
				bad = append(bad, l.Line)
			}
		}
		if diff := cmp.Diff(want, bad); diff != "" {
			t.Errorf("run %d: bad lines (-want +got):\n%s", run+1, diff)
		}
	}
	if got := len(h.items("user/")); got != n-len(want) {
		t.Errorf("%d users are stored", got)
	}
	h.accepted(fmt.Sprintf("USER%d", n-1), "password", home)
}

// TestImportOfTheSameNames: the second line with a name is skipped, whatever else it says, also within one batch.
func TestImportOfTheSameNames(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	done, lines, err := h.load(bulk.NDJSON, `{"login":"alice","external_ref":"r","password":"first password"}
{"login":"ALICE","external_ref":"r","password":"second password"}
{"login":"alice"}
{"login":"bob"}
`)
	if diff := cmp.Diff(bulk.Progress{Line: 4, Added: 2, Skipped: 2, Hashed: 2}, done); diff != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	if lines[1].UserID != lines[0].UserID || lines[2].UserID != lines[0].UserID {
		t.Errorf("results %+v", lines)
	}
	h.accepted("alice", "first password", home)
}

// TestRepeatedImportHashesNothing: running 100,000 plain passwords again must not take an hour again.
func TestRepeatedImportHashesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	text, bad := manyLines(300, `,"password":"plain password"`)
	first, _, err := h.load(bulk.NDJSON, text)
	if err != nil || first.Hashed != 300-len(bad) || int(h.hasher.Stats().Runs) != first.Hashed {
		t.Fatalf("%+v, %v, %+v", first, err, h.hasher.Stats())
	}
	runs := h.hasher.Stats().Runs
	again, _, err := h.load(bulk.NDJSON, text)
	if err != nil || again.Hashed != 0 || again.Skipped != first.Added || h.hasher.Stats().Runs != runs {
		t.Errorf("%+v, %v, %+v", again, err, h.hasher.Stats())
	}
	h.accepted("user299", "plain password", home)
	h.expect("user299", "", home, identity.Refused, identity.ReasonMalformed)
}

// TestBrokenImport ends early for every reason there is, and is completed by running it again.
func TestBrokenImport(t *testing.T) {
	t.Parallel()
	mark := errors.New("cable pulled")
	text, bad := manyLines(1000, "")
	for _, tc := range []struct {
		name  string
		fault storagetest.Fault
		in    func(io.Reader) io.Reader
		want  error
	}{
		{"store fails", storagetest.Fault{Op: storagetest.OnUpdate, Nth: 20, Err: mark}, nil, mark},
		{"commit fails", storagetest.Fault{Op: storagetest.OnCommit, Nth: 20, Err: mark}, nil, mark},
		{"outcome unknown", storagetest.Fault{Op: storagetest.OnReply, Nth: 20}, nil, storage.ErrUnknown},
		{"first batch fails", storagetest.Fault{Op: storagetest.OnUpdate, Nth: 1, Err: mark}, nil, mark},
		{"file breaks off", storagetest.Fault{}, func(r io.Reader) io.Reader {
			return io.MultiReader(io.LimitReader(r, 20_000), iotest.ErrReader(mark))
		}, mark},
		{"small reads", storagetest.Fault{}, iotest.OneByteReader, nil},
		{"data with the end", storagetest.Fault{}, iotest.DataErrReader, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			if tc.fault.Op != 0 {
				h.db.Inject(tc.fault)
			}
			in := io.Reader(strings.NewReader(text))
			if tc.in != nil {
				in = tc.in(in)
			}
			done, lines, err := h.loadFrom(t.Context(), bulk.Source{Reader: in, Format: bulk.NDJSON})
			if !errors.Is(err, tc.want) || (err == nil) != (done.Line == 1000) {
				t.Fatalf("%+v, %v; want %v", done, err, tc.want)
			}
			for _, l := range lines {
				if l.Verdict == bulk.Added {
					h.get(l.UserID) // what was reported is there
				}
			}
			stored := len(h.items("user/"))
			if unknown := errors.Is(tc.want, storage.ErrUnknown); stored != done.Added && !unknown {
				t.Errorf("%d users are stored, %d were reported", stored, done.Added)
			}
			again, _, err := h.load(bulk.NDJSON, text)
			if err != nil || again.Added+again.Skipped != 1000-len(bad) || again.Skipped != stored {
				t.Errorf("again: %+v, %v after %d were stored", again, err, stored)
			}
		})
	}
}

func TestCancelledImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	text, _ := manyLines(1000, "")
	batches := 0
	done, err := bulk.Import(ctx, h.Store, bulk.Source{
		Reader: strings.NewReader(text), Format: bulk.NDJSON,
		OnProgress: func(bulk.Progress) {
			if batches++; batches == 3 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || batches != 3 || done.Added != len(h.items("user/")) || done.Added == 0 {
		t.Errorf("%+v, %v after %d batches", done, err, batches)
	}
}

// TestImportOfBadLinesOnly reports on the way, not only at the end.
func TestImportOfBadLinesOnly(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.db.Inject(storagetest.Fault{Op: storagetest.OnUpdate, Err: errors.New("the store was touched")})
	var reported []int
	done, err := bulk.Import(t.Context(), h.Store, bulk.Source{
		Reader: strings.NewReader(strings.Repeat("?\n", 1000)), Format: bulk.NDJSON,
		OnProgress: func(p bulk.Progress) { reported = append(reported, p.Failed) },
	})
	if diff := cmp.Diff(bulk.Progress{Line: 1000, Failed: 1000}, done); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if len(reported) < 4 || !slices.IsSorted(reported) {
		t.Errorf("progress %v", reported)
	}
}

// FuzzImport puts anything between two good lines: both are imported, every line that is not blank is reported once, and
// nothing but a user comes out.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		"", "\n\n", "{", `{"login":"x"}`, "x,y\n", `"`, "\"\n\"", "\xff", "\ufeff", `{"logins":["first","last"]}`,
		`{"login":"x","attributes":{"k":"v"},"status":"locked"}`, "a\rb", strings.Repeat("z", 70_000), `x,"a""b",`,
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, middle string, asCSV bool) {
		format, before, after := bulk.NDJSON, `{"login":"first"}`, `{"login":"last"}`
		if asCSV {
			format, before, after = bulk.CSV, "login,attributes.k\nfirst,v", "last,v"
		}
		h := newHouse(t)
		text := before + "\n" + middle + "\n" + after
		done, lines, err := h.load(format, text)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for line := range strings.SplitSeq(text, "\n") {
			if strings.TrimSpace(line) != "" {
				want++
			}
		}
		if asCSV {
			want-- // the header
		}
		if len(lines) != want || done.Line != strings.Count(text, "\n")+1 {
			t.Fatalf("%d lines were reported, want %d; the last is %d", len(lines), want, done.Line)
		}
		for _, login := range []string{"first", "last"} {
			if _, err := h.ByLogin(t.Context(), login); err != nil {
				t.Fatalf("%s: %v", login, err)
			}
		}
		for _, l := range lines {
			if l.Verdict == bulk.Added {
				checkUser(t, h.get(l.UserID))
			}
		}
	})
}

func checkUser(t *testing.T, u identity.User) {
	for _, login := range u.Logins {
		if again, err := identity.Canonical(login); err != nil || again != login {
			t.Fatalf("login %q became %q, %v", login, again, err)
		}
	}
	if len(u.Logins) == 0 || u.Version != 1 || (u.Status != identity.Active && u.Status != identity.Locked && u.Status != identity.Deactivated) {
		t.Fatalf("%+v", u)
	}
}

func BenchmarkImport(b *testing.B) {
	const n = 10_000
	text, _ := manyLines(n, `,"password_hash":"`+argonPassword+`"`)
	b.ReportAllocs()
	started := time.Duration(0)
	for b.Loop() {
		h := newHouse(b)
		if done, err := bulk.Import(b.Context(), h.Store, bulk.Source{Reader: strings.NewReader(text), Format: bulk.NDJSON}); err != nil {
			b.Fatal(done, err)
		}
		started = b.Elapsed()
	}
	b.ReportMetric(float64(n*b.N)/started.Seconds(), "users/s")
}
