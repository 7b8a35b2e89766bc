// SPDX-License-Identifier: Apache-2.0

package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gatehouse-id/gatehouse/mobileauth/identity"
	"github.com/gatehouse-id/gatehouse/storage"
)

// maxPendingLines bounds a batch in which nothing is to be written.
const maxPendingLines = 256

// Format is how an import is written.
type Format string

// The formats of an import; see [Import].
const (
	NDJSON Format = "ndjson"
	CSV    Format = "csv"
)

// Source is what [Import] reads and whom it tells.
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

// Users is the store into which users are imported. An [identity.Store] is one.
type Users interface {
	Candidate(identity.NewUser) (identity.Candidate, error)
	AddAll(context.Context, []identity.Candidate) ([]identity.Fate, int, error)
	Rehearse(context.Context, []identity.Candidate, *identity.Rehearsal) ([]identity.Fate, error)
}

// pending is one line on its way into the store.
type pending struct {
	line      int
	candidate identity.Candidate
	err       error
}

func (p *pending) writes() int {
	if p.err != nil {
		return 0
	}
	return p.candidate.Writes()
}

// Import adds a user for every good line of a file, whatever the bad ones hold.
//
// NDJSON has one object a line with the members login (a name) or logins (names), external_ref, attributes (an object of
// strings), status, status_reason, and password or password_hash. CSV has a header that names the same columns: login,
// once or several times, external_ref, status, status_reason, password, password_hash, and "attributes.KEY" for each
// attribute; a quoted field does not span lines, so that a lost quote spoils one line and not the rest of the file.
//
// A password_hash is Argon2id in PHC form or bcrypt (its package phc) and costs nothing to import; it is replaced at the
// first login if it was made with other parameters than the hasher's. A plain password costs one hash: with the default
// parameters some 30 ms of a processor core, which is 50 minutes of it for 100,000 users. They are hashed on all but one of
// the hasher's slots, so that people can log in meanwhile.
//
// Lines are committed in batches of what one transaction may write. When Import returns an error, Progress tells what
// was committed before it; running it again on the same file is safe, since lines whose names are already one user's are
// skipped, not compared.
func Import(ctx context.Context, users Users, src Source) (Progress, error) {
	lines, err := newLineReader(src)
	if err != nil {
		return Progress{}, fmt.Errorf("importing users: %w", err)
	}
	b := importer{users: users, source: src}
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
		if err := b.add(ctx, b.pending(number, n, err)); err != nil {
			return b.done, err
		}
	}
}

func (b *importer) pending(number int, n identity.NewUser, err error) pending {
	if err != nil {
		return pending{line: number, err: err}
	}
	c, err := b.users.Candidate(n)
	return pending{line: number, candidate: c, err: err}
}

// importer collects lines until they fill a transaction.
type importer struct {
	users     Users
	source    Source
	batch     []pending
	writes    int
	done      Progress
	rehearsal identity.Rehearsal
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
	var candidates []identity.Candidate
	for i := range b.batch {
		if b.batch[i].err == nil {
			candidates = append(candidates, b.batch[i].candidate)
		}
	}
	fates, hashed, err := b.decide(ctx, candidates)
	if err != nil {
		return b.failed(err)
	}
	b.done.Hashed += hashed
	b.report(fates)
	return nil
}

// decide adds the good lines of a batch, or foretells what would become of them.
func (b *importer) decide(ctx context.Context, candidates []identity.Candidate) (fates []identity.Fate, hashed int, err error) {
	switch {
	case len(candidates) == 0:
		return nil, 0, nil
	case b.source.Dry:
		fates, err = b.users.Rehearse(ctx, candidates, &b.rehearsal)
		return fates, 0, err
	}
	return b.users.AddAll(ctx, candidates)
}

// report tells what became of the batch, of which the good lines have the given fates, in order.
func (b *importer) report(fates []identity.Fate) {
	for i := range b.batch {
		fate := identity.Fate{Err: b.batch[i].err}
		if fate.Err == nil {
			fate, fates = fates[0], fates[1:]
		}
		b.settle(result(b.batch[i].line, fate))
	}
	b.batch, b.writes = b.batch[:0], 0
	if b.source.OnProgress != nil {
		b.source.OnProgress(b.done)
	}
}

func result(line int, fate identity.Fate) LineResult {
	r := LineResult{Line: line, Verdict: Skipped, UserID: fate.UserID, Err: fate.Err}
	switch {
	case fate.Err != nil:
		r.Verdict = Failed
	case fate.Added:
		r.Verdict = Added
	}
	return r
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
