// SPDX-License-Identifier: Apache-2.0

package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/gatehouse-id/gatehouse/storage"
)

// maxPendingLines bounds a batch in which nothing is to be written.
const maxPendingLines = 256

// Format is how an import is written.
type Format string

// The formats of an import; see [Store.Import].
const (
	NDJSON Format = "ndjson"
	CSV    Format = "csv"
)

// Source is what [Store.Import] reads and whom it tells.
type Source struct {
	Reader io.Reader
	Format Format
	// Comma separates the fields of a CSV. Default: a comma.
	Comma rune
	// OnLine, if set, is told what became of each line that was not blank, in order, after it was committed.
	OnLine func(LineResult)
	// OnProgress, if set, is called after every batch.
	OnProgress func(Progress)
	// Dry settles every line as an import would, and adds and hashes nothing.
	Dry bool
}

// Verdict is what became of a line.
type Verdict string

// The verdicts on a line.
const (
	Added   Verdict = "added"
	Skipped Verdict = "skipped" // all its names belong to one user already
	Failed  Verdict = "failed"
)

// LineResult is what became of one line.
type LineResult struct {
	Line    int // counted from 1
	Verdict Verdict
	UserID  string // of the user added, or already there
	Err     error  // why the line failed; it repeats no value
}

// Progress counts the lines that are settled.
type Progress struct {
	Line    int // the last one
	Added   int
	Skipped int
	Failed  int
	Hashed  int // plain passwords hashed
}

// pending is one line on its way into the store.
type pending struct {
	line     int
	record   record
	password string // plain; to be hashed
	owner    string // who has the names already, where that was looked up before hashing
	err      error
}

func (p *pending) writes() int {
	switch {
	case p.err != nil:
		return 0
	case p.record.ExternalRef == "":
		return 1 + len(p.record.Logins)
	}
	return 2 + len(p.record.Logins)
}

// Import adds a user for every good line of a file, whatever the bad ones hold.
//
// NDJSON has one object a line with the members login (a name) or logins (names), external_ref, attributes (an object of
// strings), status, status_reason, and password or password_hash. CSV has a header that names the same columns: login,
// once or several times, external_ref, status, status_reason, password, password_hash, and "attributes.KEY" for each
// attribute; a quoted field does not span lines, so that a lost quote spoils one line and not the rest of the file.
//
// A password_hash is Argon2id in PHC form or bcrypt ([ParseHash]) and costs nothing to import; it is replaced at the
// first login if it was made with other parameters than the hasher's. A plain password costs one hash: with the default
// parameters some 30 ms of a processor core, which is 50 minutes of it for 100,000 users. They are hashed on all but one of
// the hasher's slots, so that people can log in meanwhile.
//
// Lines are committed in batches of what one transaction may write. When Import returns an error, Progress tells what
// was committed before it; running it again on the same file is safe, since lines whose names are already one user's are
// skipped, not compared.
func (s *Store) Import(ctx context.Context, src Source) (Progress, error) {
	lines, err := newLineReader(src)
	if err != nil {
		return Progress{}, fmt.Errorf("importing users: %w", err)
	}
	b := importer{store: s, source: src, rehearsed: map[string]string{}}
	for {
		number, n, err := lines.next()
		var broken *LineError
		switch {
		case errors.Is(err, io.EOF):
			err := b.flush(ctx)
			return b.done, err
		case err != nil && !errors.As(err, &broken):
			// What was read before the file broke off is good.
			err = errors.Join(fmt.Errorf("reading line %d: %w", number, err), b.flush(ctx))
			return b.done, err
		}
		if err := b.add(ctx, s.pending(number, n, err)); err != nil {
			return b.done, err
		}
	}
}

func (s *Store) pending(number int, n NewUser, err error) pending {
	if err != nil {
		return pending{line: number, err: err}
	}
	r, err := s.newRecord(n)
	return pending{line: number, record: r, password: n.Password, err: err}
}

// importer collects lines until they fill a transaction.
type importer struct {
	store  *Store
	source Source
	batch  []pending
	writes int
	done   Progress
	// rehearsed holds the ids of those whom a dry import would have added, by their unique values.
	rehearsed map[string]string
}

func (b *importer) add(ctx context.Context, p pending) error {
	if b.writes+p.writes() > storage.MaxWrites || len(b.batch) == maxPendingLines {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	b.batch = append(b.batch, p)
	b.writes += p.writes()
	return nil
}

// flush commits the batch and only then reports on it.
func (b *importer) flush(ctx context.Context) error {
	if len(b.batch) == 0 {
		return nil
	}
	if b.source.Dry {
		return b.rehearse(ctx)
	}
	if err := b.store.findOwners(ctx, b.batch); err != nil {
		return b.failed(err)
	}
	hashed, err := b.store.hashBatch(ctx, b.batch)
	if err != nil {
		return b.failed(err)
	}
	results, err := b.store.addBatch(ctx, b.batch)
	if err != nil {
		return b.failed(err)
	}
	b.done.Hashed += hashed
	b.report(results)
	return nil
}

// report tells what became of the batch.
func (b *importer) report(results []LineResult) {
	for _, result := range results {
		b.settle(result)
	}
	b.batch, b.writes = b.batch[:0], 0
	if b.source.OnProgress != nil {
		b.source.OnProgress(b.done)
	}
}

// rehearse settles the batch against the store and the lines before, and leaves the store as it is.
func (b *importer) rehearse(ctx context.Context) error {
	var results []LineResult
	err := b.store.db.View(ctx, func(tx storage.Tx) error {
		for i := range b.batch {
			result, err := b.rehearseLine(tx, &b.batch[i])
			if err != nil {
				return err
			}
			results = append(results, result)
		}
		return nil
	})
	if err != nil {
		return b.failed(err)
	}
	b.report(results)
	return nil
}

func (b *importer) rehearseLine(tx storage.Tx, p *pending) (LineResult, error) {
	if p.err != nil {
		return LineResult{Line: p.line, Verdict: Failed, Err: p.err}, nil
	}
	owner, err := b.store.ownerAmong(tx, &p.record, b.rehearsed)
	var clash *FieldError
	switch {
	case errors.As(err, &clash):
		return LineResult{Line: p.line, Verdict: Failed, Err: err}, nil
	case err != nil:
		return LineResult{}, err
	case owner != "":
		return LineResult{Line: p.line, Verdict: Skipped, UserID: owner}, nil
	}
	for _, value := range p.record.unique() {
		b.rehearsed[value] = p.record.ID
	}
	return LineResult{Line: p.line, Verdict: Added, UserID: p.record.ID}, nil
}

func (b *importer) failed(err error) error {
	return fmt.Errorf("importing lines %d to %d: %w", b.batch[0].line, b.batch[len(b.batch)-1].line, err)
}

func (b *importer) settle(r LineResult) {
	b.done.Line = r.Line
	switch r.Verdict {
	case Added:
		b.done.Added++
	case Skipped:
		b.done.Skipped++
	case Failed:
		b.done.Failed++
	}
	if b.source.OnLine != nil {
		b.source.OnLine(r)
	}
}

// findOwners spares a repeated import the hashes of the lines that it will skip.
func (s *Store) findOwners(ctx context.Context, batch []pending) error {
	if !slices.ContainsFunc(batch, func(p pending) bool { return p.password != "" && p.err == nil }) {
		return nil
	}
	owners := make([]string, len(batch))
	err := s.db.View(ctx, func(tx storage.Tx) error {
		for i := range batch {
			if batch[i].password == "" || batch[i].err != nil {
				continue
			}
			var clash *FieldError // left to addLine
			var err error
			if owners[i], err = s.owner(tx, &batch[i].record); err != nil && !errors.As(err, &clash) {
				return err
			}
		}
		return nil
	})
	for i, owner := range owners {
		batch[i].owner = owner
	}
	return err
}

// hashBatch replaces the plain passwords of a batch by their hashes and reports how many there were. It waits its turn
// where a login would be refused.
func (s *Store) hashBatch(ctx context.Context, batch []pending) (int, error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, s.hasher.turns.Concurrent()-1))
	hashed := 0
	for i := range batch {
		if batch[i].err != nil || batch[i].password == "" || batch[i].owner != "" {
			continue
		}
		hashed++
		group.Go(func() error {
			p := s.hasher.admit()
			defer p.release()
			hash, err := p.hash(ctx, batch[i].password)
			if err == nil {
				batch[i].record.Credential.Hash = hash
			}
			return err
		})
	}
	return hashed, group.Wait()
}

// addBatch inserts the good lines of a batch in one transaction.
func (s *Store) addBatch(ctx context.Context, batch []pending) ([]LineResult, error) {
	var results []LineResult
	insert := func(tx storage.Tx) error {
		results = make([]LineResult, 0, len(batch))
		for i := range batch {
			result, err := s.addLine(tx, &batch[i])
			if err != nil {
				return err
			}
			results = append(results, result)
		}
		return nil
	}
	if !slices.ContainsFunc(batch, func(p pending) bool { return p.err == nil }) {
		return results, insert(nil)
	}
	err := s.db.Update(ctx, insert)
	return results, err
}

func (s *Store) addLine(tx storage.Tx, p *pending) (LineResult, error) {
	switch {
	case p.err != nil:
		return LineResult{Line: p.line, Verdict: Failed, Err: p.err}, nil
	case p.owner != "":
		return LineResult{Line: p.line, Verdict: Skipped, UserID: p.owner}, nil
	}
	owner, err := s.owner(tx, &p.record)
	var clash *FieldError
	switch {
	case errors.As(err, &clash):
		return LineResult{Line: p.line, Verdict: Failed, Err: err}, nil
	case err != nil:
		return LineResult{}, err
	case owner != "":
		return LineResult{Line: p.line, Verdict: Skipped, UserID: owner}, nil
	}
	return LineResult{Line: p.line, Verdict: Added, UserID: p.record.ID}, s.users.Insert(tx, p.record)
}

// unique returns the values of the unique fields of r, in the order in which they are looked up.
func (r *record) unique() []string {
	if r.ExternalRef == "" {
		return r.Logins
	}
	return append(slices.Clone(r.Logins), "\x00"+r.ExternalRef) // no login holds a control character
}

// owner returns the id of the one user to whom all unique fields of r belong, nothing if they are all free, and a
// [FieldError] if neither is the case: then r is somebody else than the user it overlaps with.
func (s *Store) owner(tx storage.Tx, r *record) (string, error) { return s.ownerAmong(tx, r, nil) }

// ownerAmong does the same where some more have ids already, by their unique values.
func (s *Store) ownerAmong(tx storage.Tx, r *record, more map[string]string) (string, error) {
	var owner, clash string
	values, at := r.unique(), 0
	err := s.eachHolder(tx, r, func(field, holder string) error {
		if holder == "" {
			holder = more[values[at]]
		}
		if at == 0 {
			owner = holder
		}
		if holder != owner && clash == "" {
			clash = field
		}
		at++
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case clash != "":
		return "", taken(clash)
	}
	return owner, nil
}
